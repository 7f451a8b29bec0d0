package monitor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/clock"
	"simplejobq/internal/config"
	"simplejobq/internal/durable"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// Trouble is said when it begins, shown while it lasts, and forgotten when it has
// not come up for a while: the next time it is said anew.
type woe struct {
	text  string
	errno unix.Errno // 0: none that is everybody's trouble
	since time.Time  // of the wall clock
	last  time.Time
	over  bool
}

// memory is what outlives a session: while a disk fails, one follows the other, and
// none says again what the last one said.
type memory struct {
	trouble   map[string]*woe
	recovered map[string]bool
	cause     string          // of the end of the last session, until it is said
	before    bool            // there was a session that could work
	conf      *config.Config  // that a RELOAD brought
	stop      stopKind        // what was asked for
	answered  map[string]bool // messages a session before this one may have acted upon, and this one did again
	stall     *stall          // listens between two sessions
}

func newMemory() *memory {
	return &memory{trouble: map[string]*woe{}, recovered: map[string]bool{}, answered: map[string]bool{}}
}

// broken notes why a session ended. The next one says it; until there is one, only
// standard error can be told.
func (m *memory) broken(stderr io.Writer, err error) {
	text := firstOf(err) + "; the spool is looked at again from the beginning"
	key := "session " + woeKey(errors.New(firstOf(err)))
	if m.trouble[key] == nil {
		m.cause = text
		m.trouble[key] = &woe{text: text, since: clock.Wall()}
		_ = errors.As(err, &m.trouble[key].errno)
		fmt.Fprintln(stderr, "monitor:", text)
	}
	m.trouble[key].last, m.trouble[key].over = time.Now(), false
}

// firstOf is an error in one line: of several at once the first, and how many more.
func firstOf(err error) string {
	first, rest, several := strings.Cut(err.Error(), "\n")
	if several {
		first += fmt.Sprintf(" (and %d more)", 1+strings.Count(rest, "\n"))
	}
	return first
}

// resumed says what ended the session before this one.
func (s *session) resumed() {
	if s.mem.cause != "" {
		s.troubleSaid(s.mem.cause)
		s.mem.cause = ""
	}
}

// Trouble is met again at each try, so what does not come up for so long is over.
const woeLasts = 5 * time.Second

func (s *session) forgets() time.Duration {
	return max(time.Minute, 3*time.Duration(s.conf.SleepTime))
}

// fault says an error once, for as long as it comes up again and again, and has
// the loop try again soon. An error nobody expected changes no UOW's state.
func (s *session) fault(err error) {
	if err == nil || s.viewing {
		return
	}
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		for _, e := range several.Unwrap() {
			s.fault(e)
		}
		return
	}
	if errors.Is(err, spool.ErrChanged) {
		return // a lost race: whoever lost it looks again, and what it was lost by is told beside it
	}
	s.stats.errors++
	if durable.Passing(err) {
		s.later(2 * time.Second)
	}
	key, text := woeKey(err), err.Error()
	w := s.trouble[key]
	if w == nil {
		w = &woe{over: true}
		if !s.saidEnough(err) {
			s.alarm(text)
		}
		s.trouble[key] = w
	}
	w.last = time.Now()
	if w.over {
		w.text, w.since, w.over = text, s.wall, false
		_ = errors.As(err, &w.errno)
		s.digest.stale = true
		s.board.stale = true
	}
}

// A disk that fails altogether does so in every way there is: four are told, the
// others are only shown.
const toldOfOne = 4

// saidEnough reports whether so much was said of one errno that goes on that one
// more place where it turns up tells nothing.
func (s *session) saidEnough(err error) bool {
	var errno unix.Errno
	if !durable.Passing(err) || !errors.As(err, &errno) {
		return false
	}
	n := 0
	for _, w := range s.trouble {
		if !w.over && w.errno == errno {
			n++
		}
	}
	return n >= toldOfOne
}

// woeKey tells whether two errors are one trouble. A full disk is one, whatever
// was about to be written; of the rest the file and the operation count, without
// what is numbered on.
func woeKey(err error) string {
	for _, e := range []unix.Errno{
		unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EMFILE, unix.ENFILE, unix.ENOMEM,
	} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	text := err.Error()
	if errors.As(err, new(*stallError)) {
		return "log" + text[strings.LastIndexByte(text, ':'):]
	}
	if durable.Passing(err) {
		before, _, _ := strings.Cut(text, "/")
		return before + text[strings.LastIndexByte(text, ':')+1:]
	}
	if from, to := strings.IndexByte(text, '/'), strings.LastIndex(text, ": "); errors.Is(err, fs.ErrPermission) && 0 < from && from < to {
		return text[:from] + filepath.Dir(text[from:to]) + text[to:]
	}
	return text
}

// watchTrouble notices what is over. While anything is not, it has itself called
// again soon.
func (s *session) watchTrouble() {
	for _, j := range s.jobs {
		for _, c := range j.commands {
			if c.stalled != 0 && c.stage == alive {
				s.fault(stalledError(c))
			}
		}
	}
	for key, w := range s.trouble {
		switch age := time.Since(w.last); {
		case age > s.forgets():
			delete(s.trouble, key)
		case w.over:
		case age > woeLasts:
			w.over, s.board.stale, s.digest.stale = true, true, true
		default:
			s.glanceBy(s.now.Add(2 * time.Second))
		}
	}
}

// String is the trouble and since when it lasts.
func (w *woe) String() string { return w.text + " (since " + uow.Stamp(w.since) + ")" }

// woes are what is wrong at this moment, for people.
func (s *session) woes() (list []string) {
	for _, w := range s.current() {
		list = append(list, w.String())
	}
	return list
}

// current is what is wrong at this moment, the oldest first.
func (s *session) current() (now []*woe) {
	for _, w := range s.trouble {
		if !w.over {
			now = append(now, w)
		}
	}
	slices.SortFunc(now, func(a, b *woe) int { return a.since.Compare(b.since) })
	return now
}

// stallError is a runner that can't write its log. It is one trouble with all the
// others that can't.
type stallError struct {
	uow   string
	errno unix.Errno
}

func (e *stallError) Error() string {
	return quoteName(e.uow) + " waits, because its log can't be written: " + e.errno.Error()
}

func (e *stallError) Unwrap() error { return e.errno }

func stalledError(c *command) error { return &stallError{c.job.UOW, c.stalled} }

// alarm says trouble also where nothing of the spool is needed for that.
func (s *session) alarm(text string) {
	s.troubleSaid(text)
	fmt.Fprintln(s.Stderr, "monitor:", text)
}

func (s *session) troubleSaid(text string) {
	ev := s.event("trouble", "")
	ev.Reason = text
	s.journal.Tell(ev)
	s.say("trouble", "", text)
}

// postpone has a UOW asked again when the timer comes: trouble kept it from its
// turn.
func (s *session) postpone(e *spool.Entry) {
	s.postponed = append(s.postponed, e)
	s.later(2 * time.Second)
}

// later has a round take place within d, and look at everything.
func (s *session) later(d time.Duration) {
	at := time.Now().Add(d)
	if s.retry.IsZero() || at.Before(s.retry) {
		s.retry = at
	}
}
