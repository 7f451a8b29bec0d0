package world

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/messages"
)

// Op is one call to the kernel that changes something.
type Op struct {
	N      int
	Site   string
	Struck bool // something was done to it
}

// Passage is one run of the monitor.
type Passage struct {
	Ending Ending
	Ops    []Op
	Stderr string
}

// Struck are the calls to which something was done.
func (p Passage) Struck() (ops []Op) {
	for _, op := range p.Ops {
		if op.Struck {
			ops = append(ops, op)
		}
	}
	return ops
}

// Pass runs the monitor with the plans of internal/durable/faults.go until it is idle
// or dead; with x.Runners set, the runners it starts have those.
func (x *World) Pass(plans string) Passage {
	x.T.Helper()
	return x.passage(plans, nil, "--once")
}

// Serve is Pass with a daemon that is told to end when all is as it should be, or
// will not be any more.
func (x *World) Serve(plans string, settled func() bool) Passage {
	x.T.Helper()
	return x.passage(plans, settled)
}

func (x *World) passage(plans string, settled func() bool, more ...string) Passage {
	x.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := x.Command(ctx, plans, more...)
	cmd.Env = append(cmd.Env, "RUNNER_FAULT_TRACE="+x.runnerTrace())
	x.asOwner(cmd)
	before := len(x.read(x.stderr()))
	err := cmd.Start()
	if err == nil && settled != nil {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for deadline := time.Now().Add(patience / 2); !settled() && time.Now().Before(deadline) && ctx.Err() == nil; {
				time.Sleep(20 * time.Millisecond)
			}
			// The trouble may outlast it, and what it kept from being cleared away.
			time.Sleep(500 * time.Millisecond)
			_ = cmd.Process.Signal(unix.SIGTERM) // it may have ended by itself
		}()
		err = cmd.Wait()
		cancel()
		<-done
	} else if err == nil {
		err = cmd.Wait()
	}
	p := Passage{Ops: parseTrace(x.take(x.trace())), Stderr: x.read(x.stderr())[before:]}
	var exit *exec.ExitError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		x.T.Errorf("the monitor is not idle after %v\n%s", patience, x.Story())
		p.Ending = Failed
	case err == nil:
		p.Ending = Idle
	case errors.As(err, &exit) && exit.ExitCode() == -1 && strings.Contains(plans, "kill:"):
		p.Ending = Killed
	default:
		p.Ending = Failed
		if plans == "" {
			x.T.Errorf("the monitor ended with %v\n%s", err, x.Story())
		}
	}
	return p
}

// Said is what the monitors told people, those lines first that were rotated away.
func (x *World) Said() (text string) {
	for _, name := range []string{"monitor_says.2", "monitor_says.1", "monitor_says"} {
		text += x.read(filepath.Join(x.Root, name))
	}
	return text
}

func (x *World) runnerTrace() string { return filepath.Join(x.Out, "runner-trace") }

// RunnerOps are the calls of all runners since it was last asked.
func (x *World) RunnerOps() []Op { return parseTrace(x.take(x.runnerTrace())) }

func (x *World) read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		x.T.Fatal(err)
	}
	return string(b)
}

func (x *World) take(path string) string {
	text := x.read(path)
	_ = os.Remove(path) // it may not be there
	return text
}

// parseTrace reads what faults.go writes: one line a call, and one more where a
// write was cut short.
func parseTrace(text string) (ops []Op) {
	for line := range strings.Lines(text) {
		number, site, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		number, struck := strings.CutSuffix(number, "!")
		met.Store(site, true)
		n, err := strconv.Atoi(number)
		if err != nil {
			continue
		}
		if last := len(ops) - 1; last >= 0 && ops[last].N == n && ops[last].Site == site {
			ops[last].Struck = ops[last].Struck || struck
			continue
		}
		ops = append(ops, Op{n, site, struck})
	}
	return ops
}

// Events are the events told so far, those of rotated files first. What is no event
// is passed over: half a line that a full disk left, which stands whole behind it.
func (x *World) Events() (events []messages.Event) {
	x.T.Helper()
	for _, name := range []string{"monitor_events.2", "monitor_events.1", "monitor_events"} {
		for line := range strings.Lines(x.read(filepath.Join(x.Root, name))) {
			var e messages.Event
			if e.UnmarshalJSON([]byte(line)) == nil {
				events = append(events, e)
			}
		}
	}
	return events
}

// Stderr is what the monitors had to say there.
func (x *World) Stderr() string { return x.read(x.stderr()) }

// Unfinished are temporaries, and second links of UOWs that have left.
func (x *World) Unfinished() (names []string) {
	for dir, prefix := range map[string]string{"tmp": "", "run": "u"} {
		entries, err := os.ReadDir(filepath.Join(x.Root, ".monitor", dir))
		if err != nil {
			x.T.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), prefix) {
				names = append(names, e.Name())
			}
		}
	}
	return names
}

// Client runs another command of the monitor's with plans, and returns what it said
// and the calls to which something was done.
func (x *World) Client(plans string, args ...string) (out string, struck []Op, err error) {
	x.T.Helper()
	cmd := exec.Command(filepath.Join(Bin, "monitor"), append([]string{"--root", x.Root}, args...)...)
	cmd.Env = append(os.Environ(), "MONITOR_FAULT="+plans, "MONITOR_FAULT_TRACE="+x.trace())
	cmd.Dir = x.W
	x.asOwner(cmd)
	b, err := cmd.CombinedOutput()
	return string(b), Passage{Ops: parseTrace(x.take(x.trace()))}.Struck(), err
}

var met sync.Map

// Met are the sites of all traces read so far.
func Met() map[string]bool {
	all := map[string]bool{}
	met.Range(func(site, _ any) bool { all[site.(string)] = true; return true })
	return all
}
