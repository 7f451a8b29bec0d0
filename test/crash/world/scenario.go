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

// Flow is a UOW of four steps that run a command each; one is tried twice, two run side
// by side, and a value goes from one to another.
const Flow = `==== UNIT OF WORK
PARALLEL :: 2

==== STEP first
AFTER ::
COMMAND :: ` + Witness + `echo VALUE=one >> "$MONITOR_OUTPUT"

==== STEP second
AFTER :: first
COMMAND :: ` + Witness + `test "$UOW_VALUE" = one

==== STEP beside
AFTER :: first
CHECK :: test -e "$MONITOR_SHARED/made"
COMMAND :: ` + Witness + `touch "$MONITOR_SHARED/made"

==== STEP last
AFTER :: second, beside
COMMAND :: ` + Witness + `echo over
`

// Transition is a piece of work that shows one way through the queues, small
// enough to be interrupted everywhere.
type Transition struct {
	Name   string
	Units  []Unit
	Config string // more of the configuration
}

// Transitions are all the ways a UOW can go.
func Transitions() []Transition {
	return []Transition{
		{Name: "done", Units: []Unit{
			{"plain", "wait-q", Plain(Witness + "echo hello"), "done-q", "done: exit 0", 1},
		}},
		{Name: "whole", Units: []Unit{
			{"whole", "wait-q", Complete(Witness+"echo whole", ""), "done-q", "done: exit 0", 1},
		}},
		{Name: "priority", Units: []Unit{
			{"first", "priority-q", Plain(Witness), "done-q", "done: exit 0", 1},
		}},
		{Name: "error", Units: []Unit{
			{"bad", "wait-q", Plain(Witness + "exit 2"), "error-q", "error: exit 2", 1},
			{"after-bad", "wait-q", Plain(Witness, "AFTER :: bad\n"), "fail-q", "fail: not started: it comes after", 0},
		}},
		{Name: "tries", Units: []Unit{
			{"twice", "wait-q", Plain(Witness+`test "$MONITOR_TRY" = 2`, "TRIES :: 2\nRETRY DELAY :: 0s\n"), "done-q", "done: exit 0", 2},
		}},
		{Name: "check", Units: []Unit{
			{"checked", "wait-q", Plain(Witness+`touch "$W/made"`, "CHECK :: test -e \"$W/made\"\nCLEANUP :: echo cleaned >> \"$W/cleaned\"\n"), "done-q", "done: recheck exit 0", 1},
			{"never-right", "wait-q", Plain(Witness, "CHECK :: false\n"), "error-q", "error: recheck exit 1", 1},
		}},
		{Name: "terminal", Units: []Unit{
			{"terminal", "wait-q", Plain(Witness+"test -t 1", "TERMINAL :: yes\n"), "done-q", "done: exit 0", 1},
		}},
		{Name: "expired", Units: []Unit{
			{"expired", "wait-q", Plain(Witness, "EXPIRES :: 2020-01-01T00:00:00Z\n"), "fail-q", "fail: not started: expired", 0},
		}},
		{Name: "after", Units: []Unit{
			{"plain", "wait-q", Plain(Witness + "echo hello"), "done-q", "done: exit 0", 1},
			{"after-plain", "wait-q", Plain(Witness, "AFTER :: plain\n"), "done-q", "done: exit 0", 1},
			{"waits", "wait-q", Plain(Witness, "AFTER :: nobody\n"), "wait-q", "", 0},
		}},
		{Name: "release", Units: []Unit{
			{"kept", "hold-q", Plain(Witness), "hold-q", "", 0},
			{"held", "hold-q", Plain(Witness), "done-q", "done: exit 0", 1},
			{"release", "wait-q", Plain(Witness + Tell("RELEASE held")), "done-q", "done: exit 0", 1},
		}},
		{Name: "hold", Units: []Unit{
			{"parked", "wait-q", Plain(Witness, "AFTER :: nobody\n"), "hold-q", "", 0},
			{"hold", "wait-q", Plain(Witness + Tell("HOLD parked")), "done-q", "done: exit 0", 1},
		}},
		{Name: "promote", Units: []Unit{
			{"promoted", "wait-q", Plain(Witness, "AFTER :: nobody\n"), "priority-q", "", 0},
			{"promote", "wait-q", Plain(Witness + Tell("PROMOTE promoted")), "done-q", "done: exit 0", 1},
		}},
		{Name: "archive", Units: []Unit{
			{"put-away", "wait-q", strings.Replace(Complete(Witness, ""), "\n\n==== STATUS", "\nAFTER :: nobody\n\n==== STATUS", 1), "archive", "", 0},
			{"archive", "wait-q", Plain(Witness + Tell("ARCHIVE put-away")), "done-q", "done: exit 0", 1},
		}},
		{Name: "kill", Units: []Unit{
			{"victim", "wait-q", Plain(Witness+Tell("KILL JOB victim")+"; exec sleep 60", "TIMEOUT :: 10s\n"), "fail-q", "fail: killed by request", 1},
		}},
		{Name: "requeue", Units: []Unit{
			{"again", "wait-q", Plain(Witness), "done-q", "done: exit 0", 2},
			{"requeue", "wait-q", Plain(Witness+Tell("REQUEUE again"), "AFTER :: again\n"), "done-q", "done: exit 0", 1},
		}},
		{Name: "put back", Units: []Unit{
			{"put-back", "wait-q", Complete(Witness+"echo anew", "done: exit 0 after 1ms, try 1"), "done-q", "done: exit 0", 1},
		}},
		{Name: "flow", Units: []Unit{
			{"flow", "wait-q", Flow, "done-q", "done: 4 done", 4},
		}},
		{Name: "flow that fails", Units: []Unit{
			{"flow-bad", "wait-q", "==== UNIT OF WORK\n==== STEP first\nCOMMAND :: " + Witness + "\nCLEANUP :: echo cleaned >> \"$W/cleaned\"\n==== STEP second\nCOMMAND :: " + Witness +
				"exit 2\n==== STEP third\nCOMMAND :: " + Witness + "\n", "error-q", `error: step "second" (try 1 of 1): exit 2`, 2},
		}},
		{Name: "names", Units: []Unit{
			{"linked", "wait-q", Plain(Witness), "done-q", "done: exit 0", 1},
			{"namesake", "wait-q", Plain(Witness), "done-q", "done: exit 0", 1},
			{LongName, "wait-q", Plain(Witness), "done-q", "done: exit 0", 1},
		}},
		{Name: "trash", Units: []Unit{
			{"garbage", "wait-q", "this is no unit of work\n", "trash", "", 0},
		}},
		{Name: "stray", Units: []Unit{
			{"stray", "currently-executing", Complete(Witness, ""), "done-q", "done: exit 0", 1},
			{"stray-new", "currently-executing", Plain(Witness), "done-q", "done: exit 0", 1},
		}},
		{Name: "moved", Units: []Unit{
			{"wanderer", "wait-q", Plain(Witness + `mv "$MONITOR_FILE" "$MONITOR_ROOT/hold-q/"; sleep 0.15`), "done-q", "done: exit 0", 1},
			{"removed", "wait-q", Plain(Witness + `rm -f "$MONITOR_FILE"`), "done-q", "done: exit 0", 1},
		}},
	}
}

// Disturbances are transitions that stop the monitor, kill its runners, need a
// configuration of their own or write much: for tests that have a spool for each
// transition.
func Disturbances() []Transition {
	return []Transition{
		{Name: "shutdown", Units: []Unit{
			{"stops", "wait-q", Plain(Witness + Tell("SHUTDOWN") + "; sleep 0.1; echo alone"), "done-q", "done: exit 0", 1},
		}},
		{Name: "finish", Units: []Unit{
			{"finishes", "wait-q", Plain(Witness + Tell("FINISH") + "; sleep 0.1"), "done-q", "done: exit 0", 1},
			{"behind", "wait-q", Plain(Witness, "AFTER :: finishes\n"), "done-q", "done: exit 0", 1},
		}},
		{Name: "pause", Units: []Unit{
			{"pauses", "wait-q", Plain(Witness + Tell("PAUSE") + "; sleep 0.05; " + Tell("RESUME")), "done-q", "done: exit 0", 1},
			{"behind", "wait-q", Plain(Witness, "AFTER :: pauses\n"), "done-q", "done: exit 0", 1},
		}},
		{Name: "flow from a step", Units: []Unit{
			{"mended", "wait-q", "==== UNIT OF WORK\n==== STEP one\nCOMMAND :: " + Witness + "\n==== STEP two\nCOMMAND :: " + Witness + "test -e \"$W/fixed\"\n", "done-q", "done: 2 done", 3},
			{"mends", "wait-q", Plain(Witness+`touch "$W/fixed"; `+Tell("REQUEUE mended FROM two"), "AFTER ANY :: mended\n"), "done-q", "done: exit 0", 1},
		}},
		{Name: "flow that is copied", Units: []Unit{
			{"copied", "wait-q", "==== UNIT OF WORK\n==== STEP one\nCOMMAND :: " + Witness + "\n==== STEP two\nCOMMAND :: " + Witness + "test -e \"$W/fixed\"\n", "done-q", "done: 2 done", 3},
			{"copies", "wait-q", Plain(Witness+`touch "$W/fixed"; ln "$MONITOR_ROOT/error-q/copied" "$W/template"; `+Tell("REQUEUE copied FROM two"), "AFTER ANY :: copied\n"), "done-q", "done: exit 0", 1},
		}},
		{Name: "clean-up by message", Units: []Unit{
			{"messy", "wait-q", "==== UNIT OF WORK\nDEFER CLEANUP :: yes\n==== STEP one\nCOMMAND :: true\nCLEANUP :: " + late + "\n==== STEP two\nCOMMAND :: true\nCLEANUP :: " + late + "; sleep 0.05\n", "done-q", "done: 2 done", 0},
			cleans,
		}},
		{Name: "not running", Units: []Unit{
			{"idle", "wait-q", Plain(Witness, "AFTER :: nobody\n"), "wait-q", "", 0},
			{"tells", "wait-q", Plain(Witness + Tell("KILL JOB idle") + "; " + Tell("RELOAD")), "done-q", "done: exit 0", 1},
		}},
		{Name: "rotation", Config: "says_size = \"4KiB\"\nsays_keep = 2\n", Units: []Unit{
			{"talks", "wait-q", Plain(Witness + Tell("HELP") + "; sleep 0.05; " + Tell("HELP") + "; sleep 0.05; " + Tell("CONFIG")), "done-q", "done: exit 0", 1},
		}},
		{Name: "interrupted", Units: []Unit{
			{"dies", "wait-q", Plain(Witness + `kill -9 "$PPID"; sleep 60`), "fail-q", "fail: interrupted", 1},
			{"lives-again", "wait-q", Plain(Witness+`test -e "$W/died" || { touch "$W/died"; kill -9 "$PPID"; sleep 60; }`, "RETRY INTERRUPTED :: yes\n"), "done-q", "done: exit 0", 2},
		}},
		{Name: "time limits", Units: []Unit{
			{"late", "wait-q", Plain(Witness+"exec sleep 60", "TIMEOUT :: 100ms\n"), "fail-q", "fail: timed out", 1},
			{"silent", "wait-q", Plain(Witness+"exec sleep 60", "SILENCE :: 100ms\n"), "fail-q", "fail: silent", 1},
		}},
		{Name: "much", Units: []Unit{
			{"much", "wait-q", Plain(Witness + "yes 1234567 | dd bs=64K count=18 iflag=fullblock 2>/dev/null"), "done-q", "done: exit 0", 1},
		}},
		{Name: "job type", Config: "[jobs.doubtful]\nprogram = [\"/bin/sh\", \"-c\", \"echo \\\"$MONITOR_UOW\\\" >> $W/ran; echo fatal: no\"]\nerror_if = ['^fatal: ']\n", Units: []Unit{
			{"typed", "wait-q", "==== UNIT OF WORK\nJOB :: doubtful\n", "error-q", `error: output matched "^fatal: "`, 1},
		}},
	}
}

// cleans asks for two clean-ups that write a line each.
var cleans = Unit{"cleans", "wait-q", Plain(Witness+Tell("CLEANUP messy"), "AFTER :: messy\n"), "done-q", "done: exit 0", 1}

const late = `echo "$MONITOR_STEP" >> "$W/cleaned-late"`

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
