package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unit is one UOW of the scenario and what has to become of it.
type unit struct {
	name, drop string // the queue it is dropped into
	text       string
	end        string // the queue it must end in
	status     string // what its STATUS begins with there
	runs       int    // of COMMAND, exactly: the runners live on, so nothing is ever due to run again
}

// done is a file that had ended and that somebody put back.
const done = `timestamp: 2026-11-21T10:00:00.000Z enqueued

==== UNIT OF WORK
COMMAND :: %s

==== STATUS
%-240s

==== JOB LOG
---- 2026-11-21T10:00:01.000Z try 1: exit 0 after 1ms
`

// longName is as long as a name can be.
var longName = "long-" + strings.Repeat("x", 245) + "-name"

func complete(command, status string) string { return fmt.Sprintf(done, command, status) }

func plain(command string, more ...string) string {
	return "==== UNIT OF WORK\nCOMMAND :: " + command + "\n" + strings.Join(more, "")
}

// witness appends a line outside the spool each time it runs.
const witness = `echo "$MONITOR_UOW" >> "$W/ran"; `

// tell writes a message, as a person would.
func tell(message string) string {
	return fmt.Sprintf(`echo "%s" >> "$MONITOR_ROOT/monitor_reads"`, message)
}

func scenario() []unit {
	return []unit{
		{"plain", "wait-q", plain(witness + "echo hello"), "done-q", "done: exit 0", 1},
		{"whole", "wait-q", complete(witness+"echo whole", ""), "done-q", "done: exit 0", 1},
		{"first", "priority-q", plain(witness), "done-q", "done: exit 0", 1},
		{"bad", "wait-q", plain(witness + "exit 2"), "error-q", "error: exit 2", 1},
		{"twice", "wait-q", plain(witness+`test "$MONITOR_TRY" = 2`, "TRIES :: 2\nRETRY DELAY :: 0s\n"), "done-q", "done: exit 0", 2},
		{"checked", "wait-q", plain(witness+`touch "$W/made"`, "CHECK :: test -e \"$W/made\"\nCLEANUP :: echo cleaned >> \"$W/cleaned\"\n"), "done-q", "done: recheck exit 0", 1},
		{"never-right", "wait-q", plain(witness, "CHECK :: false\n"), "error-q", "error: recheck exit 1", 1},
		{"expired", "wait-q", plain(witness, "EXPIRES :: 2020-01-01T00:00:00Z\n"), "fail-q", "fail: not started: expired", 0},
		{"after-plain", "wait-q", plain(witness, "AFTER :: plain\n"), "done-q", "done: exit 0", 1},
		{"after-bad", "wait-q", plain(witness, "AFTER :: bad\n"), "fail-q", "fail: not started: it comes after", 0},
		{"waits", "wait-q", plain(witness, "AFTER :: nobody\n"), "wait-q", "", 0},
		{"kept", "hold-q", plain(witness), "hold-q", "", 0},
		{"held", "hold-q", plain(witness), "done-q", "done: exit 0", 1},
		{"release", "wait-q", plain(witness+tell("RELEASE held"), "AFTER :: plain\n"), "done-q", "done: exit 0", 1},
		{"parked", "wait-q", plain(witness, "AFTER :: nobody\n"), "hold-q", "", 0},
		{"hold", "wait-q", plain(witness+tell("HOLD parked"), "AFTER :: plain\n"), "done-q", "done: exit 0", 1},
		{"victim", "wait-q", plain(witness+tell("KILL JOB victim")+"; exec sleep 60", "TIMEOUT :: 10s\n"), "fail-q", "fail: killed by request", 1},
		{"again", "wait-q", plain(witness), "done-q", "done: exit 0", 2},
		{"requeue", "wait-q", plain(witness+tell("REQUEUE again"), "AFTER :: again\n"), "done-q", "done: exit 0", 1},
		{"put-back", "wait-q", complete(witness+"echo anew", "done: exit 0 after 1ms, try 1"), "done-q", "done: exit 0", 1},
		{"linked", "wait-q", plain(witness), "done-q", "done: exit 0", 1},
		{"namesake", "wait-q", plain(witness), "done-q", "done: exit 0", 1},
		{"garbage", "wait-q", "this is no unit of work\n", "trash", "", 0},
		{longName, "wait-q", plain(witness), "done-q", "done: exit 0", 1},
	}
}

// world is one spool with its witness outside.
type world struct {
	t    *testing.T
	dir  string
	root string
	w    string

	runners string // the fault of every runner
}

const config = `slots = 2
sleep_time = "100ms"
settle_time = "20ms"
[job]
kill_grace = "500ms"
linger = "50ms"
env = { W = %q }
[ready]
free_space = "0B"
`

func newWorld(t *testing.T, units []unit) *world {
	t.Helper()
	x := &world{t: t, dir: scratch(t)}
	x.root, x.w = filepath.Join(x.dir, "spool"), filepath.Join(x.dir, "w")
	if err := os.Mkdir(x.w, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(filepath.Join(bin, "monitor"), "init", x.root).CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	x.write("config.toml", fmt.Sprintf(config, x.w))
	x.write("done-q/namesake", "somebody's file\n")
	for _, u := range units {
		x.drop(u)
	}
	return x
}

func (x *world) write(name, text string) {
	x.t.Helper()
	if err := os.WriteFile(filepath.Join(x.root, name), []byte(text), 0o644); err != nil {
		x.t.Fatal(err)
	}
}

// drop puts a UOW there as the README advises: written elsewhere, moved in.
func (x *world) drop(u unit) {
	x.t.Helper()
	tmp, target := filepath.Join(x.w, "new"), filepath.Join(x.root, u.drop, u.name)
	if err := os.WriteFile(tmp, []byte(u.text), 0o644); err != nil {
		x.t.Fatal(err)
	}
	if u.name == "linked" {
		if err := os.Link(tmp, filepath.Join(x.w, "template")); err != nil {
			x.t.Fatal(err)
		}
	}
	if err := os.Rename(tmp, target); err != nil {
		x.t.Fatal(err)
	}
}

// How long a monitor may take until it is idle; it needs about a second.
const patience = 60 * time.Second

// How a run of the monitor ended.
type ending int

const (
	ended  ending = iota // by itself, idle
	killed               // by its own hand, as planned
	failed               // it gave up
)

// once runs the monitor until it is idle or dead.
func (x *world) once(fault string) ending {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := x.command(ctx, fault, "--once").Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		x.t.Errorf("the monitor is not idle after %v", patience)
		return failed
	case err == nil:
		return ended
	case errors.As(err, &exit) && exit.ExitCode() == -1 && strings.HasPrefix(fault, "kill:"):
		return killed
	case fault == "":
		x.t.Errorf("the monitor ended with %v", err)
	}
	return failed
}

// during runs the monitor as a daemon for a while, then kills it.
func (x *world) during(fault string, d time.Duration) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	// It may also have given up; what it left is judged either way.
	_ = x.command(ctx, fault).Run()
}

func (x *world) command(ctx context.Context, fault string, more ...string) *exec.Cmd {
	x.t.Helper()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "monitor"), append([]string{"--root", x.root, "run"}, more...)...)
	cmd.Env = append(os.Environ(), "MONITOR_FAULT="+fault, "MONITOR_FAULT_TRACE="+x.trace(), "RUNNER_FAULT="+x.runners)
	// A file, not a pipe: the runners that live on have it too.
	log, err := os.OpenFile(x.stderr(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { log.Close() })
	cmd.Stderr = log
	return cmd
}

// says reports whether a monitor said something.
func (x *world) says(text string) bool {
	b, err := os.ReadFile(filepath.Join(x.root, "monitor_says"))
	return err == nil && strings.Contains(string(b), text)
}

func (x *world) stderr() string { return filepath.Join(x.dir, "stderr") }

func (x *world) trace() string { return filepath.Join(x.dir, "trace") }

// sites are the operations of the runs since it was last asked.
func (x *world) sites() (sites []string) {
	b, err := os.ReadFile(x.trace())
	if err == nil {
		err = os.Remove(x.trace())
	}
	if err != nil {
		x.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		_, site, _ := strings.Cut(strings.TrimSpace(line), " ")
		sites = append(sites, site)
	}
	return sites
}
