package run

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"simplejobq/internal/durable"

	"golang.org/x/sys/unix"
)

// BenchmarkLaunch compares commands through one kept runner, one after another,
// with what the kernel asks for a fork and an exec, in turns in the same run.
func BenchmarkLaunch(b *testing.B) {
	dir := b.TempDir()
	d, err := durable.OpenDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	boot, err := BootID()
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(d.Join("u1"), nil, 0o644); err != nil {
		b.Fatal(err)
	}
	events := make(chan Event, 8)
	r, err := StartRunner(RunnerConfig{Path: runnerPath, Dir: d, Stderr: os.Stderr, Event: func(_ *Runner, e Event) { events <- e }})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		r.Close()
		<-r.Done()
	}()
	<-events
	ids := NewIDs(boot)
	one := func() {
		s := &Spec{Run: ids.Next(), Link: "u1", Dir: "/", Argv: []string{"/bin/true"}, Env: []string{"PATH=/usr/bin:/bin"}, Umask: 0o22, Label: "try 1"}
		if err := r.Record().WriteStart(Start{Run: s.Run}); err != nil {
			b.Fatal(err)
		}
		if err := r.Launch(s); err != nil {
			b.Fatal(err)
		}
		for {
			if e, ok := (<-events).(Ended); ok {
				if e.End.Text == "" || e.End.Reason != Exit {
					b.Fatalf("ended %+v", e)
				}
				return
			}
		}
	}
	bare := func() {
		pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Setsid: true}})
		if err != nil {
			b.Fatal(err)
		}
		for _, err = unix.Wait4(pid, nil, 0, nil); err == unix.EINTR; _, err = unix.Wait4(pid, nil, 0, nil) {
		}
	}
	var ours, kernels time.Duration
	n := 0
	for b.Loop() {
		const turn = 50
		begin := time.Now()
		for range turn {
			one()
		}
		middle := time.Now()
		for range turn {
			bare()
		}
		ours += middle.Sub(begin)
		kernels += time.Since(middle)
		n += turn
	}
	b.ReportMetric(float64(n)/ours.Seconds(), "runs/s")
	b.ReportMetric(float64(n)/kernels.Seconds(), "forks/s")
	b.ReportMetric(kernels.Seconds()/ours.Seconds(), "ratio")
}

// TestIdleRunnerIsSmall looks at what is a runner's alone: the binary's pages
// are shared by all of them.
func TestIdleRunnerIsSmall(t *testing.T) {
	k := newKept(t)
	for range 100 {
		k.run(k.spec("/bin/true"))
	}
	var own int
	small := func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", k.runner.PID()))
		if err != nil {
			t.Skipf("skipped: this kernel does not tell: %v", err)
		}
		for line := range strings.Lines(string(b)) {
			if _, err := fmt.Sscanf(line, "Anonymous: %d kB", &own); err == nil {
				return own > 0 && own < 1700
			}
		}
		t.Skip("skipped: this kernel does not tell what is anonymous")
		return false
	}
	eventually(t, "an idle runner gives its memory back", small)
	t.Logf("%d kB", own)
}
