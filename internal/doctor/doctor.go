// Package doctor looks at everything a spool and its monitor stand on: the
// configuration, the spool, its file system, the kernel, the service manager, the
// clock, the programs. It tells what is good, what is doubtful and what is wrong,
// each in one sentence, with what to type next.
//
// It promises to ask the real thing wherever that can be asked, to say so where it
// can't, and to change nothing: it takes no lock, and of the files it makes, in
// .monitor/tmp and in the directory for temporary files, none is left.
//
// It refuses to mend anything.
package doctor

import (
	"fmt"
	"slices"
	"time"

	"simplejobq/internal/config"
	"simplejobq/internal/monitor"
	"simplejobq/internal/run"
)

// Level is what a finding comes to.
type Level string

// The levels. Only what is wrong keeps the monitor from its work or breaks one of
// its promises.
const (
	Good     Level = "good"
	Doubtful Level = "doubtful"
	Wrong    Level = "wrong"
)

// Finding is one thing that was found out.
type Finding struct {
	Level Level  `json:"level"`
	About string `json:"about"`
	Text  string `json:"text"`
	Do    string `json:"do,omitempty"` // what can be typed
}

// Exam is one look at everything. The first fields are the caller's.
type Exam struct {
	Conf      *config.Config
	File      string   // it was read from, if it is there
	Options   []string // that name the spool to the monitor's commands
	Version   string   // of this program
	Runner    string   // its runner's binary
	RunnerErr error    // why there is none
	Now       time.Time

	view  *monitor.View // nil: the spool can't be opened
	pid   int           // of the monitor, 0: none runs, or it can't be seen from here
	unit  service
	as    account // who the monitor works as
	mount mount

	about string
	found []Finding
}

// The checks in the order in which what one finds out serves the next, which is
// also from the ground up.
var checks = []struct {
	about string
	look  func(*Exam)
}{
	{"configuration", (*Exam).configuration},
	{"spool", (*Exam).directories},
	{"monitor", (*Exam).monitor},
	{"systemd", (*Exam).systemd},
	{"account", (*Exam).account},
	{"permissions", (*Exam).permissions},
	{"file system", (*Exam).fileSystem},
	{"file system", (*Exam).operations},
	{"room", (*Exam).room},
	{"kernel", (*Exam).kernel},
	{"kernel", (*Exam).inotify},
	{"kernel", (*Exam).descriptors},
	{"cgroup", (*Exam).cgroup},
	{"clock", (*Exam).clock},
	{"programs", (*Exam).runner},
	{"programs", (*Exam).programs},
}

// Look does all checks.
func (e *Exam) Look() []Finding {
	for _, c := range checks {
		e.about = c.about
		c.look(e)
	}
	if e.view != nil {
		e.view.Close()
		e.view = nil
	}
	return e.found
}

// Ill reports whether anything is wrong.
func Ill(found []Finding) bool {
	for _, f := range found {
		if f.Level == Wrong {
			return true
		}
	}
	return false
}

func (e *Exam) good(format string, args ...any) { e.tell(Good, "", format, args) }

func (e *Exam) doubtful(do, format string, args ...any) { e.tell(Doubtful, do, format, args) }

func (e *Exam) wrong(do, format string, args ...any) { e.tell(Wrong, do, format, args) }

func (e *Exam) tell(level Level, do, format string, args []any) {
	e.found = append(e.found, Finding{level, e.about, fmt.Sprintf(format, args...), do})
}

// line is a command as it is typed.
func line(argv ...string) string { return run.CommandLine(argv) }

// monitorLine is a command of the monitor on this spool.
func (e *Exam) monitorLine(words ...string) string {
	return line(slices.Concat([]string{"monitor"}, e.Options, words)...)
}
