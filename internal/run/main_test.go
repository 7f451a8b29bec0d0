package run

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"simplejobq/internal/durable"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// The runner's binary, built once.
var runnerPath string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	switch os.Getenv("RUN_TEST_ROLE") {
	case "monitor":
		return monitorRole(os.Args[1], os.Args[2], os.Args[3:])
	case "blocked":
		return blockedRole(os.Args[1:])
	}
	dir, err := os.MkdirTemp("", "runner")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	runnerPath = filepath.Join(dir, "runner")
	if out, err := exec.Command("go", "build", "-o", runnerPath, "simplejobq/cmd/runner").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the runner: %v\n%s", err, out)
		return 1
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// asRole is this test binary as another program.
func asRole(role string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "RUN_TEST_ROLE="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// monitorRole starts a runner with one command and then waits to be killed.
func monitorRole(runner, dir string, argv []string) int {
	d, err := durable.OpenDir(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	events := make(chan Event, 8)
	r, err := StartRunner(RunnerConfig{Path: runner, Dir: d, Event: func(_ *Runner, e Event) { events <- e }})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	<-events
	boot, _ := BootID()
	spec := &Spec{
		Run: NewIDs(boot).Next(), Link: "u1", UOW: "x", Dir: "/", Argv: argv, Env: []string{"PATH=/usr/bin:/bin"},
		Label: "try 1", Umask: 0o22, Grace: 500 * time.Millisecond, Linger: 100 * time.Millisecond,
	}
	if err := r.Record().WriteStart(Start{Run: spec.Run, UOW: "x"}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := r.Launch(spec); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if _, ok := (<-events).(Started); !ok {
		fmt.Fprintln(os.Stderr, "the command did not start")
		return 1
	}
	fmt.Println(r.Record().Name())
	select {}
}

// blockedRole runs a program with signals blocked and ignored that nobody blocks
// or ignores who is well.
func blockedRole(argv []string) int {
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^uint64(0)
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &all, nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	err := unix.Exec("/bin/sh", append([]string{"sh", "-c", `trap '' HUP INT PIPE TSTP TTIN TTOU USR1 CHLD; exec "$@"`, "sh"}, argv...), os.Environ())
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// kept is a kept runner under test.
type kept struct {
	t      *testing.T
	dir    *durable.Dir
	ids    *IDs
	runner *Runner
	events chan Event
}

func newKept(t *testing.T) *kept {
	t.Helper()
	return newKeptIn(t, t.TempDir(), nil)
}

func newKeptIn(t *testing.T, path string, stdout *os.File) *kept {
	t.Helper()
	d, err := durable.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	boot, err := BootID()
	if err != nil {
		t.Fatal(err)
	}
	k := &kept{t: t, dir: d, ids: NewIDs(boot), events: make(chan Event, 16)}
	k.runner, err = StartRunner(RunnerConfig{Path: runnerPath, Dir: d, Stdout: stdout, Stderr: os.Stderr, Event: func(_ *Runner, e Event) { k.events <- e }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		k.runner.Close()
		<-k.runner.Done()
		d.Close()
	})
	if e, ok := k.next().(Ready); !ok {
		t.Fatalf("first event is %#v, want Ready", e)
	}
	return k
}

// as lets a subtest use k; what is returned gives it back.
func (k *kept) as(t *testing.T) func() {
	before := k.t
	k.t = t
	return func() { k.t = before }
}

const patience = 30 * time.Second

func (k *kept) next() Event {
	k.t.Helper()
	select {
	case e := <-k.events:
		return e
	case <-time.After(patience):
		k.t.Fatal("the runner says nothing")
		return nil
	}
}

func (k *kept) spec(argv ...string) *Spec {
	id := k.ids.Next()
	return &Spec{
		Run: id, Link: "u" + id, UOW: "deploy", Dir: "/", Argv: argv, Env: []string{"PATH=/usr/bin:/bin"},
		Umask: 0o22, Label: "try 1", Grace: 400 * time.Millisecond, Linger: 100 * time.Millisecond, LogSize: 1 << 30,
	}
}

func sh(command string) []string { return []string{"/bin/sh", "-c", command} }

// launch starts s, whose log has a head as an accepted unit of work has.
func (k *kept) launch(s *Spec) {
	k.t.Helper()
	if err := os.WriteFile(k.dir.Join(s.Link), []byte("==== JOB LOG\n"), 0o644); err != nil {
		k.t.Fatal(err)
	}
	if err := k.runner.Record().WriteStart(Start{Run: s.Run, UOW: s.UOW, Try: 1, Command: CommandLine(s.Argv)}); err != nil {
		k.t.Fatal(err)
	}
	if err := k.runner.Launch(s); err != nil {
		k.t.Fatal(err)
	}
}

// started waits until the command of s was forked.
func (k *kept) started(s *Spec) int {
	k.t.Helper()
	e, ok := k.next().(Started)
	if !ok || e.Run != s.Run || e.PID <= 1 {
		k.t.Fatalf("event %#v, want Started", e)
	}
	return e.PID
}

// ended waits for the end and compares it with the record's.
func (k *kept) ended(s *Spec) End {
	k.t.Helper()
	for {
		switch e := k.next().(type) {
		case Started:
		case Ended:
			_, live, onDisk, err := k.runner.Record().Read()
			if err != nil || onDisk == nil || onDisk.Text != e.End.Text || e.Run != s.Run {
				k.t.Fatalf("told %+v, the record has %+v, %v", e, onDisk, err)
			}
			if e.End.Reason != NotStarted && !live.MayHaveRun(s.Run) {
				k.t.Fatalf("it ran and has no fork mark: %+v", live)
			}
			return e.End
		default:
			k.t.Fatalf("event %#v, want the end", e)
		}
	}
}

func (k *kept) run(s *Spec) End {
	k.t.Helper()
	k.launch(s)
	return k.ended(s)
}

func (k *kept) log(s *Spec) string {
	k.t.Helper()
	b, err := os.ReadFile(k.dir.Join(s.Link))
	if err != nil {
		k.t.Fatal(err)
	}
	return string(b)
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		pause(2 * time.Millisecond)
	}
}

func pause(d time.Duration) { <-time.After(d) }

// nobodyLeft fails if a process still belongs to the run.
func nobodyLeft(t *testing.T, run string) {
	t.Helper()
	if tree, err := treeOf(run, Live{}); err != nil || len(tree) > 0 {
		t.Errorf("left of %s: %+v, %v", run, tree, err)
	}
}
