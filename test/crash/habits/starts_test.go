package habits

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

// before is what there is when several monitors are started at once.
type before int

const (
	nobody   before = iota // a spool nobody works on
	survivor               // a job whose monitor was killed
	dying                  // a monitor that is killed at that very moment, with a job running
	leaving                // one that is told to stop at that moment
	staying                // one that works on
	befores
)

func (b before) String() string {
	return [...]string{"nobody", "a job that survived", "one being killed", "one stopping", "one at work"}[b]
}

// rival is a monitor that may get the spool.
type rival struct {
	cmd    *exec.Cmd
	stderr string
	ended  atomic.Bool
}

// Monitors are started on one spool at the same moment: exactly one gets it, the
// others end with the status for that and name the one that has it, and no UOW
// runs twice.
func TestRacedStarts(t *testing.T) {
	t.Parallel()
	began := time.Now()
	rounds := world.Pick(10, 200, 2000)
	var holders, losers, jobs atomic.Int64
	each(slices.Collect(numbers(rounds)), func(i int) {
		b := before(i % int(befores))
		won, lost, ran := race(t, b, 2+i/int(befores)%2, rand.New(rand.NewPCG(uint64(i), 4)))
		holders.Add(int64(won))
		losers.Add(int64(lost))
		jobs.Add(int64(ran))
	})
	if n := int(holders.Load()); n != rounds {
		t.Errorf("exactly one holder in %d of %d rounds", n, rounds)
	}
	world.Figures(t, "%d of %d raced starts of two or three monitors: exactly one holder, %d others told its name and status 75; %d jobs, none run twice, %v",
		holders.Load(), rounds, losers.Load(), jobs.Load(), time.Since(began).Round(time.Second))
}

// race is one round. It returns 1 if there was exactly one holder.
func race(t *testing.T, b before, many int, rng *rand.Rand) (won, lost, ran int) {
	x := spool(t, world.Memory(), "slots = 3\n")
	var units []world.Unit
	for i := range 4 {
		command := world.Witness
		if i < 2 && b != nobody {
			command += untilGo
		}
		units = append(units, done(fmt.Sprint("u", i), "wait-q", world.Plain(command)))
	}
	var all []*rival
	add := func() *rival {
		r := &rival{cmd: x.Command(t.Context(), ""), stderr: filepath.Join(x.Dir, fmt.Sprint("stderr-", len(all)))}
		f, err := os.Create(r.stderr)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r.cmd.Stderr = f
		if err := r.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { _ = r.cmd.Wait(); r.ended.Store(true) }()
		all = append(all, r)
		return r
	}
	var former *rival
	if b != nobody {
		former = add()
		x.Drop(units[0])
		x.Drop(units[1])
		x.Until(patience, "the first run", func() bool { return len(x.Ran()) == 2 })
		if b == survivor {
			_ = former.cmd.Process.Kill()
		}
	}
	for _, u := range units {
		if former == nil || u.Name > "u1" {
			x.Drop(u)
		}
	}
	signal := rng.IntN(many)
	for i := range many {
		if i == signal {
			switch b {
			case dying:
				_ = former.cmd.Process.Kill()
			case leaving:
				_ = former.cmd.Process.Signal(syscall.SIGTERM)
			}
		}
		add()
		time.Sleep(time.Duration(rng.Int64N(int64(10 * time.Millisecond))))
	}
	fail := func(format string, args ...any) {
		t.Errorf("%d monitors beside %v: %s\n%s", many, b, fmt.Sprintf(format, args...), x.Story())
	}
	// All but one end; if all did, nobody has the spool, and that is no holder either.
	holding := func() (left []*rival) {
		for _, r := range all {
			if !r.ended.Load() {
				left = append(left, r)
			}
		}
		return left
	}
	for end := time.Now().Add(patience); len(holding()) > 1 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	left := holding()
	if len(left) != 1 {
		fail("%d hold the spool", len(left))
		return 0, 0, 0
	}
	for _, r := range all {
		if r == left[0] || r == former && b != staying {
			continue
		}
		told := read(r.stderr)
		if code := r.cmd.ProcessState.ExitCode(); code != 75 || !strings.Contains(told, fmt.Sprintf("another monitor works on this spool: pid %d since ", left[0].cmd.Process.Pid)) {
			fail("one ended with %d and says %q; pid %d has the spool", code, told, left[0].cmd.Process.Pid)
		}
		lost++
	}
	sh(t, x.W, "touch go")
	ended(x, units)
	worked := 1
	if former != nil && former != left[0] {
		worked = 2
	}
	if n := strings.Count(read(x.Root, "monitor_says"), "  up  "); n != worked {
		fail("%d began to work, want %d", n, worked)
	}
	_ = left[0].cmd.Process.Signal(syscall.SIGTERM)
	x.Until(patience, "the holder ends", left[0].ended.Load)
	if code := left[0].cmd.ProcessState.ExitCode(); code != 0 {
		fail("the holder ended with %d: %s", code, read(left[0].stderr))
	}
	if !x.Settled(units, fmt.Sprintf("%d monitors beside %v", many, b)) {
		return 0, lost, 0
	}
	return 1, lost, len(units)
}

// One file under one name in two queues, as a crash between link and unlink leaves it:
// it is one UOW. The later state has it, it runs once or, having ended, not at all.
func TestTwoNames(t *testing.T) {
	t.Parallel()
	x := spool(t, world.Memory(), "")
	text := world.Complete(world.Witness, "")
	ended := world.Complete(world.Witness, "done: exit 0 after 1ms, try 1")
	for _, c := range []struct{ name, text, at, also string }{
		{"queued", text, "wait-q", "priority-q"},
		{"held", text, "wait-q", "hold-q"},
		{"ended", ended, "done-q", "wait-q"},
		{"failed", ended, "fail-q", "priority-q"},
	} {
		x.Drop(world.Unit{Name: c.name, Drop: c.at, Text: c.text})
		if err := os.Link(filepath.Join(x.Root, c.at, c.name), filepath.Join(x.Root, c.also, c.name)); err != nil {
			t.Fatal(err)
		}
	}
	x.Once("")
	ran := x.Ran()
	for name, want := range map[string]struct {
		runs  int
		queue string
	}{"queued": {1, "done-q"}, "held": {1, "done-q"}, "ended": {0, "done-q"}, "failed": {0, "fail-q"}} {
		if places := x.Places(name); ran[name] != want.runs || len(places) != 1 || places[0] != want.queue {
			t.Errorf("%s: ran %d times, is in %q; want %d and %s\n%s", name, ran[name], places, want.runs, want.queue, x.Story())
		}
	}
}
