package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/clock"
	"simplejobq/internal/config"
	"simplejobq/internal/durable"
	"simplejobq/internal/messages"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
	"simplejobq/internal/status"
	"simplejobq/internal/uow"
)

// Config is what a monitor needs from its surroundings.
type Config struct {
	Conf    *config.Config
	Reload  func() (*config.Config, error) // reads the configuration again
	Runner  string                         // path of the runner's binary
	Version string
	Once    bool               // end when nothing is startable and nothing runs
	Reloads <-chan struct{}    // SIGHUP
	Notify  func(state string) // for the service manager: "READY=1", "WATCHDOG=1", …
	Beat    time.Duration      // longest time between two calls of Notify("WATCHDOG=1"); 0: none
	Stderr  io.Writer          // what can't be said in monitor_says
}

// ErrBusy is returned by Run if another monitor works on the spool.
var ErrBusy = spool.ErrBusy

// Run works on the spool until it is told to stop, by ctx or by a message. The
// error is nil after every orderly stop.
func Run(ctx context.Context, cfg Config) error {
	started, mem := time.Now(), newMemory()
	var sp *spool.Spool
	var lock *durable.File
	again := func() error {
		return cfg.patiently(ctx, mem, func() (err error) { sp, lock, err = open(cfg, started); return err })
	}
	err := again()
	for back := time.Second; durable.Passing(err); back = min(2*back, 4*time.Second) {
		mem.broken(cfg.Stderr, err)
		cfg.notify(extend)
		if !pause(ctx, back, cfg) {
			return nil
		}
		err = again()
	}
	for errors.Is(err, ErrBusy) && time.Since(started) < time.Second {
		// One that was killed a moment ago may not be gone yet, or what it was just
		// starting holds the lock until it execs.
		if !pause(ctx, 20*time.Millisecond, cfg) {
			break
		}
		err = again()
	}
	if err == nil {
		// The lock is held over all sessions: nobody gets in between two of them.
		err = sessions(ctx, cfg, sp, lock, started, mem)
		if !errors.Is(err, errLeft) {
			_ = lock.Close()
		}
	}
	if errors.Is(err, errLeft) {
		return nil
	}
	return err
}

// sessions has one session follow the other until the monitor is to end.
func sessions(ctx context.Context, cfg Config, sp *spool.Spool, lock *durable.File, started time.Time, mem *memory) error {
	for back := time.Second; ; back = min(2*back, 4*time.Second) {
		var s *session
		err := cfg.patiently(ctx, mem, func() (err error) { s, err = newSession(cfg, sp, started, mem); return err })
		if errors.Is(err, errLeft) {
			return err
		}
		if err == nil {
			err = s.work(ctx)
		}
		var lost *spool.LostError
		var layout *spool.LayoutError
		if err == nil || errors.As(err, &lost) || errors.As(err, &layout) {
			sp.Close()
			return err
		}
		// The disk did not take what it was given, so nothing that is remembered
		// can be believed: look again from the beginning. Running commands go on
		// under their runners, and are adopted.
		mem.broken(cfg.Stderr, err)
		if mem.stop == stopping {
			// What a broken disk does not take now is no reason to stay.
			sp.Close()
			return nil
		}
		if s != nil && time.Since(s.began) > time.Minute {
			back = time.Second
			clear(mem.recovered)
			clear(mem.answered)
		}
		if mem.stall != nil {
			mem.stall.listen()
		}
		goOn := pause(ctx, back, cfg)
		if mem.stall != nil {
			mem.stall.end()
			mem.stall = nil
		}
		sp.Close()
		if !goOn {
			return nil
		}
		again := func() error {
			return cfg.patiently(ctx, mem, func() (err error) { sp, err = spool.Reopen(Layout(cfg.Conf), lock); return err })
		}
		for err = again(); err != nil; err = again() {
			if errors.As(err, &lost) || errors.Is(err, errLeft) {
				return err
			}
			mem.broken(cfg.Stderr, err)
			if !pause(ctx, back, cfg) {
				return nil
			}
		}
	}
}

// open opens the spool and takes its lock.
func open(cfg Config, started time.Time) (*spool.Spool, *durable.File, error) {
	sp, err := spool.Open(Layout(cfg.Conf))
	if err != nil {
		return nil, nil, err
	}
	lock, err := sp.Lock(fmt.Sprintf("pid %d since %s", os.Getpid(), uow.Stamp(started)))
	if err != nil {
		sp.Close()
		return nil, nil, err
	}
	return sp, lock, nil
}

func pause(ctx context.Context, d time.Duration, cfg Config) bool {
	cfg.notify("WATCHDOG=1")
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (c Config) notify(state string) {
	if c.Notify != nil {
		c.Notify(state)
	}
}

// Layout is the spool a configuration describes.
func Layout(c *config.Config) spool.Layout {
	d := c.Dirs
	return spool.Layout{Root: c.Root, Names: [spool.Queues]string{
		spool.Wait: d.Wait, spool.Priority: d.Priority, spool.Hold: d.Hold, spool.Executing: d.Executing,
		spool.Done: d.Done, spool.Error: d.Error, spool.Fail: d.Fail, spool.Archive: d.Archive, spool.Trash: d.Trash,
	}}
}

// session is one life of the monitor between looking at the disk from the
// beginning and having to do that again, or stopping. All of it belongs to the
// loop, or to the round it waits for.
type session struct {
	Config
	conf *config.Config // in force; RELOAD replaces it

	// What it works with.
	sp         *spool.Spool
	works      *durable.Dir // .monitor/work: $MONITOR_OUTPUT and its like
	flows      *durable.Dir // .monitor/flow: the pasts of UOWs with steps
	inbox      *messages.Inbox
	says       *messages.Says
	journal    *messages.Events
	watch      *spool.Watcher
	account    account
	boot       string
	recovering bool            // in recover: what the session before said is not said again
	wentDown   bool            // the machine, since a monitor last worked here
	recorded   map[string]bool // runs that recovery found records of
	told       *toldSteps      // read once by recovery
	ids        *run.IDs
	guard      *guard

	// What comes in.
	events chan event
	quit   chan struct{} // closed when nobody listens to events any more
	late   []event       // has come, and is not taken in yet

	// What is queued.
	order     order
	unread    []*spool.Entry      // files not looked at yet
	postponed []*spool.Entry      // trouble: into their lanes again when the timer comes
	settles   settling            // files to be looked at again
	gc        int                 // what the garbage collector is set to, in percent
	floods    int                 // rounds since all files were read
	blank     map[string]int64    // empty files that were said, by queue/name
	looked    [spool.Queues]int64 // times of change of ended queues, when they were last looked at

	// What is executing.
	jobs    map[uint64]*job      // by inode
	names   map[string]*job      // the same by name
	types   map[string]int       // how many by job type
	slots   int                  // how many slots are taken
	workers []*worker            // runners
	spare   []*work              // work directories that no job uses
	hireAt  time.Time            // no runner is started before
	sweep   bool                 // one ended before it was ready: its record is left
	opened  []*run.Record        // by the recovery, which may have come to nothing
	retired map[*run.Record]bool // still to be removed

	// Records whose runners are just exiting, and how long they are waited for.
	retiring sync.WaitGroup
	patience context.Context
	hurry    context.CancelFunc
	starting context.Context // until the service manager was told READY=1

	// What this round leaves to be done after the commit.
	tells    []func()   // what is told
	onceTold []func()   // what has to wait until that is written, too
	launch   []*command // what is handed to runners
	accepts  bool       // an acceptance is among what is told
	urgent   bool       // more than starts and ends is among what is said
	flushed  time.Time  // when it was last written
	more     bool       // there is work for another round right away
	lacking  bool       // a runner was missing
	broken   error      // a sync failed: nothing remembered can be believed

	// When and whether.
	turns   int64     // rounds of this session
	now     time.Time // of this round, for spans
	wall    time.Time // of this round, for times of day
	began   time.Time // the session
	since   time.Time // the process
	scanned time.Time // when sleep_time was last over
	timer   bool      // it is over now
	first   bool      // what lay there at the start is not all looked at yet
	retry   time.Time // trouble: look again then, at everything
	glance  time.Time // have a round by then: something may have changed that nobody tells us of
	stop    stopKind
	stopped time.Time // when stopping began
	paused  bool
	hush    bool // the message was answered by a session before this one
	ready   readiness
	gates   map[string]gated // `process` of job types

	// What it tells of itself.
	stats   stats
	trouble map[string]*woe // said once, until it has not come up for a while
	board   board
	mem     *memory
	stuck   map[*spool.Entry]string // why files are not accepted that could be
	copied  map[uint64]uint64       // files that go on as a copy, whose past is not theirs yet: its inode, the old one
	recent  []status.Job
	digest  digestState
	noticed string // the STATUS= the service manager has

	viewing bool   // by a View: nothing is changed, nothing said
	closed  string // for a View, why nothing starts
	ahead   int    // for a View, how many lie in priority-q
}

type stopKind int

const (
	running  stopKind = iota
	draining          // FINISH: ends when nothing runs
	stopping          // SHUTDOWN, SIGTERM: ends now
)

func newSession(cfg Config, sp *spool.Spool, since time.Time, mem *memory) (_ *session, err error) {
	s := &session{
		Config: cfg, conf: cmp.Or(mem.conf, cfg.Conf), stop: mem.stop, sp: sp, events: make(chan event, 64), quit: make(chan struct{}), since: since, now: time.Now(), wall: clock.Wall(), began: time.Now(),
		jobs: map[uint64]*job{}, names: map[string]*job{}, types: map[string]int{}, gates: map[string]gated{},
		retired: map[*run.Record]bool{}, trouble: mem.trouble, mem: mem, stuck: map[*spool.Entry]string{}, copied: map[uint64]uint64{}, blank: map[string]int64{}, first: true, timer: true,
	}
	s.guard = cfg.newGuard()
	s.patience, s.hurry = context.WithCancel(context.Background())
	s.digest.stale = true
	s.line()
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.account, err = lookupAccount(); err != nil {
		return s, &spool.LayoutError{Text: err.Error() + "; give this user an entry in passwd, or set USER and HOME"}
	}
	if s.boot, err = run.BootID(); err != nil {
		return s, err
	}
	s.ids = run.NewIDs(s.boot)
	if st, err := sp.Root.Stat(s.conf.Dirs.Status); err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return s, &spool.LayoutError{Text: sp.Root.Join(s.conf.Dirs.Status) + ": is " + kindName(st.Mode) + "; it must be a directory (the digest is written there)"}
	}
	if err = sp.Private.Mkdir("start:mkdir", "work", 0o755); err != nil {
		return s, err
	}
	if s.works, err = sp.Private.Sub("work"); err != nil {
		return s, err
	}
	if err = sp.Private.Mkdir("start:mkdir", "flow", 0o755); err != nil {
		return s, err
	}
	if s.flows, err = sp.Private.Sub("flow"); err != nil {
		return s, err
	}
	if s.says, err = messages.OpenSays(sp.Root, s.conf.Files.Says, int64(s.conf.SaysSize), s.conf.SaysKeep); err != nil {
		return s, err
	}
	if s.journal, err = messages.OpenEvents(sp.Root, s.conf.Files.Events, int64(s.conf.SaysSize), s.conf.SaysKeep); err != nil {
		return s, err
	}
	var said []string
	if s.inbox, said, err = messages.OpenInbox(filepath.Join(s.conf.Root, s.conf.Files.Reads), sp.Private, "reads"); err != nil {
		return s, err
	}
	s.inbox.Before = sp.There
	sp.Kept = s.recovered
	for _, text := range said {
		s.say("message", "", text)
	}
	s.renewWatch()
	// On a full disk there may be no room for it yet.
	s.board.stale = s.board.hang(sp, s.current()) != nil
	s.paused, err = s.readPaused()
	return s, err
}

// line has those that wait stand in line, most of them on the spool's shelf.
func (s *session) line() {
	s.order.init()
	s.order.shelf, s.sp.Taken, s.sp.NoteOf = s.sp, s.takenDown, func(kind string) any { return &terms{kind: kind} }
}

// renewWatch watches what is not watched, or not any more. Without notifications
// everything still works, at the timer's pace.
func (s *session) renewWatch() {
	var err error
	if s.watch == nil {
		s.watch, err = s.sp.Watch(s.inbox.Path(), s.hint)
	} else {
		err = s.watch.Renew()
	}
	if err != nil {
		s.fault(fmt.Errorf("looking every %v instead of being told: %w", s.conf.SleepTime, err))
	}
}

// close ends everything that belongs to the session. Runners with a command in
// hand go on alone.
func (s *session) close() {
	close(s.quit)
	if s.ready.cancel != nil {
		s.ready.cancel()
	}
	for _, j := range s.jobs {
		for _, c := range j.commands {
			if c.stop != nil {
				c.stop()
			}
		}
	}
	s.acknowledge()
	for _, w := range s.workers {
		w.runner.Close()
	}
	if s.watch != nil {
		_ = s.watch.Close()
	}
	if s.inbox != nil {
		_ = s.inbox.Close()
	}
	if s.says != nil {
		_ = s.says.Close()
	}
	if s.journal != nil {
		_ = s.journal.Close()
	}
	for _, w := range s.workers {
		<-w.runner.Done()
		switch {
		case w.record == nil:
		case w.has == nil && w.spent == nil && w.record.Remove("record:remove") == nil:
			// Nobody needs it, and its runner may have been killed just now.
		default:
			_ = w.record.Close()
		}
	}
	late := time.AfterFunc(time.Second, s.hurry)
	s.retiring.Wait()
	late.Stop()
	s.hurry()
	for _, j := range s.jobs {
		for _, r := range j.old {
			_ = r.Close()
		}
		for _, c := range j.commands {
			for _, r := range []*run.Record{c.record, c.dead} {
				if r != nil {
					_ = r.Close()
				}
			}
		}
		for _, w := range j.works {
			_ = w.dir.Close()
		}
		if j.work != nil {
			_ = j.work.dir.Close()
		}
		j.past.close()
	}
	for _, w := range s.spare {
		_ = w.dir.Close()
	}
	for _, r := range s.opened { // most are closed by now
		_ = r.Close()
	}
	// One that could not be removed is locked by that: the next session would take it for
	// that of a runner at work.
	for r := range s.retired {
		_ = r.Close()
	}
	_ = s.board.close()
	for _, d := range []*durable.Dir{s.works, s.flows} {
		if d != nil {
			d.Close()
		}
	}
}

// send tells the loop something that must not get lost while it listens.
func (s *session) send(ev event) {
	select {
	case s.events <- ev:
	case <-s.quit:
	}
}

// hint wakes the loop; one is as good as many.
func (s *session) hint() {
	select {
	case s.events <- event{kind: evHint}:
	default:
	}
}
