package survive

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"simplejobq/internal/run"
	"simplejobq/test/crash/world"
)

// The disk takes no STATUS, so the record is the only witness of an end. It must
// outlive its runner, and then the monitor.
func TestEndWithoutStatus(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	units := []world.Unit{{Name: "one", Drop: "wait-q", Text: world.Plain(world.Witness + "exit 7"), End: "error-q", Status: "error: exit 7 after ", Runs: 1}}
	m.Drop(units[0])
	kill := m.Start("err:ENOSPC:finish:status")
	pid := 0
	m.Until(30*time.Second, "an end that is not written", func() bool {
		m.records(func(r *run.Record) {
			if _, live, end, err := r.Read(); err == nil && end != nil {
				pid = live.Runner
			}
		})
		return pid != 0
	})
	m.Until(30*time.Second, "the trouble is said", func() bool { return m.Says("no space left on device") })
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// Ten turns of the loop, in each of which it could do away with the record.
	time.Sleep(time.Second)
	kill()
	m.Once("")
	m.Settled(units, "its runner died, then its monitor, with the end unwritten")
}

// A power cut kept the STATUS of a commit whose end it did not keep: the run is said to
// have been interrupted, and that STATUS is gone before another run begins. If it
// stood there still, whatever became of that would be taken for the first one's
// success.
func TestStatusWithoutEnd(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a machine within the machine (namespaces) needs root")
	}
	t.Parallel()
	m := newMachine(t)
	runs := func() int { return m.Ran()["one"] }
	m.Drop(world.Unit{Name: "one", Drop: "wait-q", Text: world.Plain(world.Witness+"sleep 300", "RETRY INTERRUPTED :: yes\n")})
	m.boot()
	m.Until(30*time.Second, "it runs", func() bool { return runs() == 1 })
	m.kill()
	path := filepath.Join(m.Root, "currently-executing", "one")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	told := strings.Replace(string(text), "\n==== STATUS\n"+strings.Repeat(" ", 40), "\n==== STATUS\n"+fmt.Sprintf("%-40s", "done: exit 0 after 1ms, try 1"), 1)
	if told == string(text) {
		t.Fatalf("no room for a STATUS in %q", text)
	}
	if err := os.WriteFile(path, []byte(told), 0o644); err != nil { // in place
		t.Fatal(err)
	}
	m.boot()
	m.Until(30*time.Second, "it runs again", func() bool { return runs() == 2 })
	if text, err = os.ReadFile(path); err != nil || strings.Contains(string(text), "\ndone: ") {
		t.Errorf("it runs, and its STATUS tells an end: %v\n%s", err, text)
	}
	if !strings.Contains(string(text), "interrupted: the machine went down while it ran; started again") {
		t.Errorf("its second run has no reason in\n%s", text)
	}
	m.kill()
}

// A tree that forks and forks off while it is looked for: who is listed has ended
// when he is looked at, and his children were born behind the list's back.
func TestTreeThatForks(t *testing.T) {
	t.Parallel()
	trees := world.Pick(25, 100, 10000)
	began := time.Now()
	ended := 0
	for n := range trees {
		id := fmt.Sprintf("survive-%d-%d", os.Getpid(), n)
		c := exec.Command("sh", "-c", "(setsid sh -c 'sleep 30 & sleep 30 &' &); sleep 30")
		c.Env = append(os.Environ(), "MONITOR_RUN="+id)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond)
		// As a runner that is killed does, by PDEATHSIG.
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		killed, err := run.KillTree(id, run.Live{})
		if err != nil {
			t.Fatal(err)
		}
		ended += killed
		_ = c.Wait()
		// Whoever was in the middle of being born is there by now.
		time.Sleep(5 * time.Millisecond)
		left, err := run.KillTree(id, run.Live{})
		if err != nil {
			t.Fatal(err)
		}
		if left > 0 {
			t.Errorf("tree %d: %d were ended, %d escaped", n, killed, left)
		}
	}
	world.Figures(t, "%d trees, %d processes ended, in %v", trees, ended, time.Since(began).Round(100*time.Millisecond))
}
