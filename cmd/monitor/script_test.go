package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be the real program: where it is called monitor,
// it runs main.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"monitor": main})
}

// scriptPatience is how long a script waits for anything: far longer than it takes.
const scriptPatience = 30 * time.Second

var buildRunner = sync.OnceValue(func() error {
	self, err := exec.LookPath("monitor")
	if err != nil {
		return err
	}
	out, err := exec.Command("go", "build", "-o", filepath.Join(filepath.Dir(self), "runner"), "simplejobq/cmd/runner").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the runner: %w\n%s", err, out)
	}
	return nil
})

// TestScripts runs the scripts of testdata/script: real files, real processes,
// and at the end of each the tree that is left behind.
func TestScripts(t *testing.T) {
	if err := buildRunner(); err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv("MONITOR_SCRIPTS")
	if dir == "" {
		dir = filepath.Join("testdata", "script")
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			root := filepath.Join(env.WorkDir, "q")
			env.Setenv("MONITOR_ROOT", root)
			env.Setenv("NO_COLOR", "1")
			examples, err := filepath.Abs(filepath.Join("..", "..", "testdata", "flows"))
			if err != nil {
				return err
			}
			env.Setenv("FLOWS", examples) // what docs/flows.md shows
			// The race detector else sleeps for a second at each end of a process.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			// Runs outlive their monitor: what a script leaves is ended here.
			env.Defer(func() { endRuns(root) })
			env.Values[daemons{}] = &runningMonitor{}
			env.Defer(func() { env.Values[daemons{}].(*runningMonitor).kill() })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": start, "ended": ended, "signal": sendSignal, "exits": exits, "until": until,
			"waitfile": waitFile, "waitline": waitLine, "tree": tree, "fifo": fifo, "link": link,
		},
	})
}

type daemons struct{}

// runningMonitor is the monitor a script started.
type runningMonitor struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func (d *runningMonitor) kill() {
	if d.cmd != nil {
		_ = d.cmd.Process.Kill()
		<-d.done
	}
}

// endRuns ends what runs under runners that no monitor looks after any more.
func endRuns(root string) {
	procs, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, p := range procs {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(p)))
		environ, _ := os.ReadFile(filepath.Join(filepath.Dir(p), "environ"))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if slices.Contains(strings.Split(string(environ), "\x00"), "MONITOR_ROOT="+root) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func environ(ts *testscript.TestScript) []string {
	env := os.Environ()
	for _, name := range []string{"MONITOR_ROOT", "NO_COLOR", "PATH", "HOME", "TMPDIR", "GORACE"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}

// start [ARG...] runs the monitor and waits until it is up.
func start(ts *testscript.TestScript, neg bool, args []string) {
	d := ts.Value(daemons{}).(*runningMonitor)
	if neg || d.cmd != nil {
		ts.Fatalf("start: a monitor is running already")
	}
	self, err := exec.LookPath("monitor")
	ts.Check(err)
	log, err := os.OpenFile(ts.MkAbs("monitor.err"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	ts.Check(err)
	defer log.Close()
	before := count(ts, `"event":"up"`)
	d.cmd = exec.Command(self, append([]string{"run"}, args...)...)
	d.cmd.Dir, d.cmd.Env, d.cmd.Stderr, d.cmd.Stdout = ts.MkAbs("."), environ(ts), log, log
	ts.Check(d.cmd.Start())
	d.done = make(chan struct{})
	go func() {
		_ = d.cmd.Wait() // judged by ended
		close(d.done)
	}()
	ts.Setenv("MONITOR_PID", strconv.Itoa(d.cmd.Process.Pid))
	eventually(ts, func() error {
		select {
		case <-d.done:
			return nil // --once may be through already
		default:
		}
		if count(ts, `"event":"up"`) == before {
			return errors.New("the monitor is not up")
		}
		return nil
	})
}

func count(ts *testscript.TestScript, text string) int {
	b, _ := os.ReadFile(filepath.Join(ts.Getenv("MONITOR_ROOT"), "monitor_events"))
	return strings.Count(string(b), text)
}

// ended N: the monitor ends, with this status; -1 stands for a signal.
func ended(ts *testscript.TestScript, neg bool, args []string) {
	d := ts.Value(daemons{}).(*runningMonitor)
	if neg || len(args) != 1 || d.cmd == nil {
		ts.Fatalf("usage: ended STATUS, after start")
	}
	select {
	case <-d.done:
	case <-time.After(scriptPatience):
		ts.Fatalf("the monitor has not ended")
	}
	if got := strconv.Itoa(d.cmd.ProcessState.ExitCode()); got != args[0] {
		ts.Fatalf("the monitor ended with %s, want %s", got, args[0])
	}
	d.cmd = nil
}

// signal NAME PID|FILE sends a signal to a process, or to the one a file names.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signal NAME PID|FILE")
	}
	text := args[1]
	if _, err := strconv.Atoi(text); err != nil {
		text = strings.TrimSpace(ts.ReadFile(text))
	}
	pid, err := strconv.Atoi(text)
	ts.Check(err)
	sig := unix.SignalNum("SIG" + args[0])
	if sig == 0 {
		ts.Fatalf("no signal %s", args[0])
	}
	ts.Check(syscall.Kill(pid, sig))
}

// exits N CMD ARG...: the command ends with exactly this status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS CMD ARG...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s; stdout %q, stderr %q", got, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// until REGEX CMD ARG...: the command's output comes to match.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEX CMD ARG...")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	eventually(ts, func() error {
		err := ts.Exec(args[1], args[2:]...)
		if out := ts.ReadFile("stdout"); !want.MatchString(out) {
			return fmt.Errorf("%v: %w: %q does not match %s", args[1:], err, out, want)
		}
		return nil
	})
}

// waitfile GLOB...: each comes to match something; with ! nothing any more.
func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	for _, glob := range args {
		eventually(ts, func() error {
			found, err := filepath.Glob(ts.MkAbs(glob))
			if err != nil || (len(found) > 0) == neg {
				return fmt.Errorf("%s: found %v %w", glob, found, err)
			}
			return nil
		})
	}
}

// waitline FILE REGEX: a line of the file comes to match.
func waitLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitline FILE REGEX")
	}
	want, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	eventually(ts, func() error {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		if !want.Match(b) {
			return fmt.Errorf("%s: no line matches %s: %w\n%s", args[0], want, err, b)
		}
		return nil
	})
}

// tree QUEUE/NAME...: precisely these files come to lie in the spool, and no
// temporaries and second links of running UOWs beside them.
func tree(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: tree QUEUE/NAME...")
	}
	root := ts.Getenv("MONITOR_ROOT")
	want := slices.Sorted(slices.Values(args))
	eventually(ts, func() error {
		var got []string
		for _, q := range []string{"wait-q", "priority-q", "hold-q", "currently-executing", "done-q", "error-q", "fail-q", "trash", "archive", ".monitor/tmp"} {
			list, err := os.ReadDir(filepath.Join(root, q))
			if err != nil {
				return err
			}
			for _, e := range list {
				if e.Name() != "README" {
					got = append(got, q+"/"+e.Name())
				}
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("the spool (-want +got):\n%s", diff)
		}
		return nil
	})
}

func fifo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fifo PATH")
	}
	ts.Check(unix.Mkfifo(ts.MkAbs(args[0]), 0o644))
}

// link OLD NEW makes a hard link.
func link(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: link OLD NEW")
	}
	ts.Check(os.Link(ts.MkAbs(args[0]), ts.MkAbs(args[1])))
}

func eventually(ts *testscript.TestScript, ok func() error) {
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			says, _ := os.ReadFile(filepath.Join(ts.Getenv("MONITOR_ROOT"), "monitor_says"))
			stderr, _ := os.ReadFile(ts.MkAbs("monitor.err"))
			ts.Fatalf("after %v: %v\nmonitor_says:\n%s\nstderr:\n%s", scriptPatience, err, says, stderr)
		case <-tick.C:
		}
	}
}
