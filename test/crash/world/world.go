package world

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

// World is one spool with its witness outside.
type World struct {
	T    testing.TB
	Dir  string // all of it
	Root string // the spool
	W    string // the witness
	Out  string // stderr and trace of the monitors

	Runners string // the fault of every runner
}

// Settings are the spool's configuration: as fast as it gets. %q is the witness.
const Settings = `slots = 2
sleep_time = "100ms"
settle_time = "20ms"
[job]
kill_grace = "500ms"
linger = "50ms"
env = { W = %q }
[ready]
free_space = "0B"
`

// New is a spool in memory with the units dropped into it.
func New(t testing.TB, units []Unit) *World {
	t.Helper()
	dir := Scratch(t, Memory())
	x := &World{T: t, Dir: dir, Root: filepath.Join(dir, "spool"), W: filepath.Join(dir, "w"), Out: dir}
	x.Init()
	x.Write("done-q/namesake", "somebody's file\n")
	for _, u := range units {
		x.Drop(u)
	}
	return x
}

// Init makes the spool, its configuration and the witness's directory.
func (x *World) Init() {
	x.T.Helper()
	if err := os.MkdirAll(x.W, 0o755); err != nil {
		x.T.Fatal(err)
	}
	if out, err := exec.Command(filepath.Join(Bin, "monitor"), "init", x.Root).CombinedOutput(); err != nil {
		x.T.Fatalf("init: %v\n%s", err, out)
	}
	x.Write("config.toml", fmt.Sprintf(Settings, x.W))
}

// Write writes a file in the spool the way a shell does.
func (x *World) Write(name, text string) {
	x.T.Helper()
	if err := os.WriteFile(filepath.Join(x.Root, name), []byte(text), 0o644); err != nil {
		x.T.Fatal(err)
	}
}

// Drop puts a UOW there as the README advises: written elsewhere, moved in.
func (x *World) Drop(u Unit) {
	x.T.Helper()
	tmp, target := filepath.Join(x.Root, ".new"), filepath.Join(x.Root, u.Drop, u.Name)
	if err := os.WriteFile(tmp, []byte(u.Text), 0o644); err != nil {
		x.T.Fatal(err)
	}
	if u.Name == "linked" {
		if err := os.Link(tmp, filepath.Join(x.Root, ".template")); err != nil {
			x.T.Fatal(err)
		}
	}
	if err := os.Rename(tmp, target); err != nil {
		x.T.Fatal(err)
	}
}

// Tell writes a message.
func (x *World) Tell(message string) {
	x.T.Helper()
	f, err := os.OpenFile(filepath.Join(x.Root, "monitor_reads"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		x.T.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(message + "\n"); err != nil {
		x.T.Fatal(err)
	}
}

// How long a monitor may take until it is idle; it needs about a second.
const patience = 60 * time.Second

// Ending is how a run of the monitor ended.
type Ending int

// The ways.
const (
	Idle   Ending = iota // by itself, idle
	Killed               // by its own hand, as planned
	Failed               // it gave up
)

// Once runs the monitor until it is idle or dead.
func (x *World) Once(fault string) Ending {
	x.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := x.Command(ctx, fault, "--once").Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		x.T.Errorf("the monitor is not idle after %v", patience)
		return Failed
	case err == nil:
		return Idle
	case errors.As(err, &exit) && exit.ExitCode() == -1 && strings.HasPrefix(fault, "kill:"):
		return Killed
	case fault == "":
		x.T.Errorf("the monitor ended with %v", err)
	}
	return Failed
}

// During runs the monitor as a daemon for a while, then kills it.
func (x *World) During(fault string, d time.Duration) {
	x.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	// It may also have given up; what it left is judged either way.
	_ = x.Command(ctx, fault).Run()
}

// Start starts the monitor as a daemon and returns how to kill it, which is done at
// the end of the test in any case.
func (x *World) Start(fault string) (kill func()) {
	x.T.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := x.Command(ctx, fault)
	if err := cmd.Start(); err != nil {
		x.T.Fatal(err)
	}
	kill = func() { cancel(); _ = cmd.Wait() }
	x.T.Cleanup(kill)
	return kill
}

// Command is a monitor that runs on the spool, with a fault.
func (x *World) Command(ctx context.Context, fault string, more ...string) *exec.Cmd {
	x.T.Helper()
	cmd := exec.CommandContext(ctx, filepath.Join(Bin, "monitor"), append([]string{"--root", x.Root, "run"}, more...)...)
	cmd.Env = append(os.Environ(), "MONITOR_FAULT="+fault, "MONITOR_FAULT_TRACE="+x.trace(), "RUNNER_FAULT="+x.Runners)
	// A file, not a pipe: the runners that live on have it too.
	log, err := os.OpenFile(x.stderr(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		x.T.Fatal(err)
	}
	x.T.Cleanup(func() { log.Close() })
	cmd.Stderr = log
	return cmd
}

// Ask runs a command of the monitor's and returns what it prints.
func (x *World) Ask(args ...string) (string, error) {
	out, err := exec.Command(filepath.Join(Bin, "monitor"), append([]string{"--root", x.Root}, args...)...).CombinedOutput()
	return string(out), err
}

// Says reports whether a monitor said something.
func (x *World) Says(text string) bool {
	b, err := os.ReadFile(filepath.Join(x.Root, "monitor_says"))
	return err == nil && strings.Contains(string(b), text)
}

// There reports whether a queue has a name.
func (x *World) There(queue, name string) bool {
	_, err := os.Lstat(filepath.Join(x.Root, queue, name))
	return err == nil
}

// Until polls until true, for d at most, and fails the test if it never was.
func (x *World) Until(d time.Duration, what string, true func() bool) {
	x.T.Helper()
	for deadline := time.Now().Add(d); !true(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			x.T.Fatalf("not within %v: %s\n%s", d, what, x.Story())
		}
	}
}

// Story is what the monitors said, for a failure's message.
func (x *World) Story() string {
	says, _ := os.ReadFile(filepath.Join(x.Root, "monitor_says"))
	stderr, _ := os.ReadFile(x.stderr())
	return fmt.Sprintf("monitor_says:\n%s\nstderr:\n%s", says, stderr)
}

func (x *World) stderr() string { return filepath.Join(x.Out, "stderr") }

func (x *World) trace() string { return filepath.Join(x.Out, "trace") }

// Sites are the operations of the runs since it was last asked.
func (x *World) Sites() (sites []string) {
	b, err := os.ReadFile(x.trace())
	if err == nil {
		err = os.Remove(x.trace())
	}
	if err != nil {
		x.T.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		_, site, _ := strings.Cut(strings.TrimSpace(line), " ")
		sites = append(sites, site)
	}
	return sites
}

// LastSite is the operation at which a killed monitor ended.
func (x *World) LastSite() string {
	sites := x.Sites()
	if len(sites) == 0 {
		return "none"
	}
	return sites[len(sites)-1]
}
