package uow

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"simplejobq/internal/pattern"
)

// StatusRoom is how many bytes the STATUS line has: it is overwritten in place
// while the log behind it grows.
const StatusRoom = 240

// The kinds of a STATUS that is not empty.
const (
	Done     = "done"
	Failed   = "fail"
	Errored  = "error"
	TryAgain = "again"
)

// Status is what STATUS says about the last run.
type Status struct {
	Text       string    // as it stands there, without the padding
	Kind       string    // "", Done, Errored, Failed or TryAgain
	Try, Tries int       // TryAgain: the try that is due, and how many there may be
	NotBefore  time.Time // TryAgain: when it is due
	Last       string    // TryAgain: how the last one ended, if that is said
}

var again = pattern.Lazy(`^again: try ([0-9]{1,9}) of ([0-9]{1,9}) not before ([^ ;]+)(?:; last: (.*)|;.*)?$`)

// ParseStatus reads the text of STATUS; empty is a Status too.
func ParseStatus(text string) (Status, error) {
	text = strings.Trim(text, blanks)
	s := Status{Text: text}
	if text == "" {
		return s, nil
	}
	kind, _, found := strings.Cut(text, ":")
	switch {
	case found && (kind == Done || kind == Errored || kind == Failed):
		s.Kind = kind
		return s, nil
	case found && kind == TryAgain:
		m := again().FindStringSubmatch(text)
		if m == nil {
			break
		}
		var numbers, due bool
		s.Try, s.Tries, numbers = atLeastOne(m[1], m[2])
		s.NotBefore, due = parseTime(m[3])
		if !numbers || !due {
			break
		}
		s.Kind, s.Last = TryAgain, m[4]
		return s, nil
	}
	if kind == TryAgain {
		return Status{}, fmt.Errorf("status %s cannot be read (write \"again: try 2 of 3 not before %s\", or empty it)", quote(text), timeExample)
	}
	return Status{}, errors.New("status " + quote(text) + " is not one the monitor writes (leave the line empty; it fills it in)")
}

func atLeastOne(a, b string) (int, int, bool) {
	m, errM := strconv.Atoi(a)
	n, errN := strconv.Atoi(b)
	return m, n, errM == nil && errN == nil && m >= 1 && n >= 1
}

// Again writes the STATUS of a UOW of which another try is due. What ParseStatus
// needs stands first, so a last that is too long costs nothing but its end.
func Again(try, tries int, due time.Time, last string) string {
	return fmt.Sprintf("again: try %d of %d not before %s; last: %s", try, tries, Stamp(due), last)
}

// StatusField writes a text as the StatusRoom bytes that go into the file, and
// tells whether it had to be cut. What would make the file unreadable, such as a
// line break in a program's name, becomes a blank.
func StatusField(text string) (field []byte, cut bool) {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r // an invalid byte arrives here, and leaves, as U+FFFD
	}, text)
	text = strings.Trim(text, blanks)
	if len(text) > StatusRoom {
		const more = "…"
		text, cut = cutAt(text, StatusRoom-len(more))+more, true
	}
	return []byte(text + strings.Repeat(" ", StatusRoom-len(text))), cut
}
