package uow

import (
	"fmt"
	"strings"
	"time"
)

// Options are the items that describe a command. They mean the same wherever
// they stand; zero values and nil say that the file does not tell.
type Options struct {
	Command, Check, Cleanup, Job, Directory string
	Timeout, Silence, RetryDelay            *time.Duration // 0 is none
	Tries                                   int
	RetryInterrupted, Terminal              *bool
	Nice                                    *int
	Memory                                  *int64 // bytes
	CPUs                                    *float64
}

// Item is one "NAME :: CONTENT" line.
type Item struct {
	Name    string // as written
	Content string
	Line    int
}

// What becomes of the rest of a UOW when a part of it fails.
const (
	FailFinish = "finish"
	FailGoOn   = "go on"
	FailKill   = "kill"
)

// Unit is a valid unit of work.
type Unit struct {
	Enqueued time.Time // zero if the file does not tell; else UTC, as exact as written
	Title    string
	Options
	After, AfterAny []string // names, or queue/NAME
	NotBefore       time.Time
	Expires         time.Time     // absolute; where ExpiresIn is set, from Enqueued once that is known
	ExpiresIn       time.Duration // 0: not given as a duration
	Class           string
	NoAct           bool
	Parallel        int      // 0: not said
	OnFailure       string   // "", FailFinish, FailGoOn or FailKill
	Goal            []string // steps; nil: all
	DeferCleanup    bool
	Steps           []Step // of a flow, as written
	Own             []Item // the user's own, in order
	Status          Status

	name  string
	head  string // up to and including the line end of the JOB LOG title
	eol   string // of the first line
	items []Item // of UNIT OF WORK, in order

	unread, lost bool // see Unread and Lost

	// Where things stand in head; -1 where there is none.
	statusTitleEnd   int // behind the line end of the title
	statusAt         int // the line that holds the text, or is room for it
	statusEnd        int // its end, without the line end
	logTitle, logEnd int // the title line of JOB LOG, with its line end
}

// Asks reports whether the file itself names something to run; if not, only a
// default job type of the configuration can.
func (u *Unit) Asks() bool {
	return u.Command != "" || u.Check != "" || u.Job != "" || len(u.Steps) > 0
}

// Ended reports whether STATUS tells the outcome of a run that ended for good.
func (u *Unit) Ended() bool {
	return u.Status.Kind != "" && u.Status.Kind != TryAgain
}

func (u *Unit) find(item string) (Item, bool) { return find(u.items, item) }

func find(items []Item, item string) (Item, bool) {
	for _, it := range items {
		if strings.EqualFold(it.Name, item) {
			return it, true
		}
	}
	return Item{}, false
}

// Get returns the content of an item of UNIT OF WORK, with a meaning or without.
// Names are compared without case.
func (u *Unit) Get(item string) (string, bool) {
	it, ok := u.find(item)
	return it.Content, ok
}

// Line is the line of an item of UNIT OF WORK, 0 if it is not there.
func (u *Unit) Line(item string) int {
	it, _ := u.find(item)
	return it.Line
}

// Fault is an error about an item, at its line, for checks that need what this
// package does not know. With no item it is about the file as a whole.
func (u *Unit) Fault(item, format string, args ...any) *Error {
	e := &Error{File: u.name, Text: fmt.Sprintf(format, args...)}
	if it, ok := u.find(item); ok {
		item, e.Line = it.Name, it.Line
	}
	if item != "" {
		e.Text = "item " + quote(item) + ": " + e.Text
	}
	return e
}

// EnvName is the environment variable in which a job gets an item.
func EnvName(item string) string {
	return "UOW_" + strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, item)
}
