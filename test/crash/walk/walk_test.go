// Package walk lets a person do anything in any order with a spool of the real
// monitor, while that is killed, restarted and has its trouble, and compares what
// became of it with a small model of what must be the case (model_test.go).
//
// A failed walk prints its seed and its acts. CRASH_SEED=n walks that one again,
// several times, since what the monitor does meanwhile is not ours to choose;
// CRASH_WALK=duration says how long walks are begun.
package walk

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

func TestMain(m *testing.M) { world.Main(m) }

// walk is one spool, what is done to it, and the model.
type walk struct {
	*world.World
	violent bool // runners are killed, and disks fail
	home    string
	monitor *exec.Cmd
	rng     *rand.Rand // of the act that is under way
	units   []*unit
	sent    map[string][]*unit // whom a message was for, by its tag
	many    map[string]bool    // and whether it was for a pattern
	fog     bool               // a message for many was not answered: it may reach anybody
	edited  []*unit            // in place, or what was there before
	acts    []string
	began   time.Time
	kills   int // of monitors and runners
}

const actsPerWalk = 40

func TestWalk(t *testing.T) {
	if text := os.Getenv("CRASH_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			world.Try(t, fmt.Sprint("seed ", seed), func(trial *world.Trial) { stroll(trial, seed) })
		}
		return
	}
	length := world.Pick(6*time.Second, 90*time.Second, 8*time.Hour)
	if text := os.Getenv("CRASH_WALK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	base := rand.Uint64() / 1000 * 1000
	t.Logf("seeds from %d on", base)
	began := time.Now()
	var mu sync.Mutex
	var sum total
	var todo sync.WaitGroup
	for range 6 { // a walk mostly waits
		todo.Go(func() {
			for time.Since(began) < length {
				mu.Lock()
				seed := base + uint64(sum.walks)
				sum.walks++
				mu.Unlock()
				world.Try(t, fmt.Sprint("seed ", seed), func(trial *world.Trial) {
					one := stroll(trial, seed)
					mu.Lock()
					defer mu.Unlock()
					sum.add(one)
				})
			}
		})
	}
	todo.Wait()
	if sum.runs < sum.walks {
		t.Errorf("%d runs in %d walks: that proves little", sum.runs, sum.walks)
	}
	world.Figures(t, "random walk: %d walks, %d acts, %d UOWs, %d of them judged exactly, %d runs, %d kills, %v",
		sum.walks, sum.acts, sum.units, sum.exact, sum.runs, sum.kills, time.Since(began).Round(time.Second/10))
}

// total is what was done in all walks.
type total struct{ walks, acts, units, exact, runs, kills int }

func (t *total) add(o total) {
	t.acts, t.units, t.exact, t.runs, t.kills = t.acts+o.acts, t.units+o.units, t.exact+o.exact, t.runs+o.runs, t.kills+o.kills
}

// stroll is one walk: acts, then a monitor that finishes what is to be done, then
// the judgement.
func stroll(t *world.Trial, seed uint64) total {
	w := &walk{
		World:   world.Fresh(t, world.Transition{Config: "says_size = \"1GiB\"\n"}),
		violent: seed%2 == 1, sent: map[string][]*unit{}, many: map[string]bool{}, began: time.Now(),
	}
	w.home = filepath.Join(w.Dir, "home")
	if err := os.Mkdir(w.home, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(w.Root, "done-q/namesake")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.kill)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("CRASH_SEED=%d, the acts:\n%s", seed, strings.Join(w.acts, "\n"))
		}
	})
	w.rng = rand.New(rand.NewPCG(seed, 0))
	w.start("")
	w.Until(time.Minute, "monitor_reads is made", func() bool { return w.There(".", "monitor_reads") })
	for i := range actsPerWalk {
		w.rng = rand.New(rand.NewPCG(seed, uint64(i)+1))
		w.act()
	}
	w.kill()
	w.Tell("RESUME")
	w.note("the end")
	w.Runners = ""
	w.Once("")
	faults := w.judge()
	w.Well(faults, fmt.Sprintf("after %d acts", actsPerWalk))
	sum := total{acts: len(w.acts), units: len(w.units), kills: w.kills}
	for _, n := range w.runs() {
		sum.runs += n
	}
	for _, u := range w.units {
		if !u.vague && !u.loose && !u.hurt {
			sum.exact++
		}
	}
	return sum
}

// note writes down what was done.
func (w *walk) note(format string, args ...any) {
	w.acts = append(w.acts, fmt.Sprintf("%5d ms  ", time.Since(w.began).Milliseconds())+fmt.Sprintf(format, args...))
}

func (w *walk) start(fault string) {
	w.T.Helper()
	if fault == "" {
		w.Runners = ""
	}
	w.monitor = w.Command(context.Background(), fault)
	if err := w.monitor.Start(); err != nil {
		w.T.Fatal(err)
	}
}

func (w *walk) kill() {
	if w.monitor != nil {
		_ = w.monitor.Process.Kill()
		_ = w.monitor.Wait()
		w.monitor = nil
	}
}

// alive reports whether the monitor has not ended by a fault of its own.
func (w *walk) alive() bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.monitor.Process.Pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

// runners are the processes that hold a run record of this spool.
func (w *walk) runners() (pids []int) {
	fds, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range fds {
		if to, err := os.Readlink(exe); err != nil || to != filepath.Join(world.Bin, "runner") {
			continue
		}
		dir := filepath.Dir(exe)
		open, _ := filepath.Glob(dir + "/fd/*")
		for _, fd := range open {
			if to, _ := os.Readlink(fd); strings.HasPrefix(to, w.Root+"/.monitor/run/") {
				pid, _ := strconv.Atoi(filepath.Base(dir))
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids
}

// signal is sent to the monitor, which may be gone.
func (w *walk) signal(s syscall.Signal) { _ = w.monitor.Process.Signal(s) }
