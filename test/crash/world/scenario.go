package world

import (
	"fmt"
	"strings"
)

// Unit is one UOW and what has to become of it.
type Unit struct {
	Name, Drop string // the queue it is dropped into
	Text       string
	End        string // the queue it must end in
	Status     string // what its STATUS begins with there
	Runs       int    // of COMMAND, exactly, as long as no runner is killed
}

// ended is a file that had ended and that somebody put back.
const ended = `timestamp: 2026-11-21T10:00:00.000Z enqueued

==== UNIT OF WORK
COMMAND :: %s

==== STATUS
%-240s

==== JOB LOG
---- 2026-11-21T10:00:01.000Z try 1: exit 0 after 1ms
`

// LongName is as long as a name can be.
var LongName = "long-" + strings.Repeat("x", 245) + "-name"

// Complete is a UOW with all its sections.
func Complete(command, status string) string { return fmt.Sprintf(ended, command, status) }

// Plain is a UOW as people write it.
func Plain(command string, more ...string) string {
	return "==== UNIT OF WORK\nCOMMAND :: " + command + "\n" + strings.Join(more, "")
}

// Witness is a command that appends a line outside the spool each time it runs.
const Witness = `echo "$MONITOR_UOW" >> "$W/ran"; `

// Tell is a command that writes a message, as a person would.
func Tell(message string) string {
	return fmt.Sprintf(`echo "%s" >> "$MONITOR_ROOT/monitor_reads"`, message)
}

// Transition is a piece of work that shows one way through the queues, small
// enough to be interrupted everywhere.
type Transition struct {
	Name  string
	Units []Unit
}

// Transitions are all the ways a UOW can go.
func Transitions() []Transition {
	return []Transition{
		{"done", []Unit{
			{"plain", "wait-q", Plain(Witness + "echo hello"), "done-q", "done: exit 0", 1},
		}},
		{"whole", []Unit{
			{"whole", "wait-q", Complete(Witness+"echo whole", ""), "done-q", "done: exit 0", 1},
		}},
		{"priority", []Unit{
			{"first", "priority-q", Plain(Witness), "done-q", "done: exit 0", 1},
		}},
		{"error", []Unit{
			{"bad", "wait-q", Plain(Witness + "exit 2"), "error-q", "error: exit 2", 1},
			{"after-bad", "wait-q", Plain(Witness, "AFTER :: bad\n"), "fail-q", "fail: not started: it comes after", 0},
		}},
		{"tries", []Unit{
			{"twice", "wait-q", Plain(Witness+`test "$MONITOR_TRY" = 2`, "TRIES :: 2\nRETRY DELAY :: 0s\n"), "done-q", "done: exit 0", 2},
		}},
		{"check", []Unit{
			{"checked", "wait-q", Plain(Witness+`touch "$W/made"`, "CHECK :: test -e \"$W/made\"\nCLEANUP :: echo cleaned >> \"$W/cleaned\"\n"), "done-q", "done: recheck exit 0", 1},
			{"never-right", "wait-q", Plain(Witness, "CHECK :: false\n"), "error-q", "error: recheck exit 1", 1},
		}},
		{"expired", []Unit{
			{"expired", "wait-q", Plain(Witness, "EXPIRES :: 2020-01-01T00:00:00Z\n"), "fail-q", "fail: not started: expired", 0},
		}},
		{"after", []Unit{
			{"plain", "wait-q", Plain(Witness + "echo hello"), "done-q", "done: exit 0", 1},
			{"after-plain", "wait-q", Plain(Witness, "AFTER :: plain\n"), "done-q", "done: exit 0", 1},
			{"waits", "wait-q", Plain(Witness, "AFTER :: nobody\n"), "wait-q", "", 0},
		}},
		{"release", []Unit{
			{"kept", "hold-q", Plain(Witness), "hold-q", "", 0},
			{"held", "hold-q", Plain(Witness), "done-q", "done: exit 0", 1},
			{"release", "wait-q", Plain(Witness + Tell("RELEASE held")), "done-q", "done: exit 0", 1},
		}},
		{"hold", []Unit{
			{"parked", "wait-q", Plain(Witness, "AFTER :: nobody\n"), "hold-q", "", 0},
			{"hold", "wait-q", Plain(Witness + Tell("HOLD parked")), "done-q", "done: exit 0", 1},
		}},
		{"kill", []Unit{
			{"victim", "wait-q", Plain(Witness+Tell("KILL JOB victim")+"; exec sleep 60", "TIMEOUT :: 10s\n"), "fail-q", "fail: killed by request", 1},
		}},
		{"requeue", []Unit{
			{"again", "wait-q", Plain(Witness), "done-q", "done: exit 0", 2},
			{"requeue", "wait-q", Plain(Witness+Tell("REQUEUE again"), "AFTER :: again\n"), "done-q", "done: exit 0", 1},
		}},
		{"put back", []Unit{
			{"put-back", "wait-q", Complete(Witness+"echo anew", "done: exit 0 after 1ms, try 1"), "done-q", "done: exit 0", 1},
		}},
		{"names", []Unit{
			{"linked", "wait-q", Plain(Witness), "done-q", "done: exit 0", 1},
			{"namesake", "wait-q", Plain(Witness), "done-q", "done: exit 0", 1},
			{LongName, "wait-q", Plain(Witness), "done-q", "done: exit 0", 1},
		}},
		{"trash", []Unit{
			{"garbage", "wait-q", "this is no unit of work\n", "trash", "", 0},
		}},
	}
}

// Scenario is all of it in one spool.
func Scenario() (units []Unit) {
	there := map[string]bool{}
	for _, tr := range Transitions() {
		for _, u := range tr.Units {
			if !there[u.Name] {
				there[u.Name] = true
				units = append(units, u)
			}
		}
	}
	return units
}
