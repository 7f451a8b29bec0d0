package trouble

import (
	"fmt"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

// trouble is what can be wrong for a while.
type trouble struct {
	name    string
	quick   bool // is part of the sample of `make test`
	restart bool // a monitor can start in it

	// where makes the place, and says how the trouble comes and goes.
	where func(t *testing.T) *scene

	unlocked bool // a monitor can't even take the lock, so what it waits for only its stderr tells
	stalls   bool // the log can't be written

	lines int // it may take to tell of it, if not one

	user  int    // who runs the monitor, and uses it
	free  string // [ready] free_space, "0B" if none
	tells string // a word of the reason that people are told meanwhile
}

// said is how many lines of trouble there may be: one. A disk that fails in several
// ways takes several, as does who may not do this and that. Little room is no
// trouble, but a reason to wait.
func (tr trouble) said() (least, most int) {
	if tr.free != "" {
		return 0, 0
	}
	return 1, max(tr.lines, 1)
}

type scene struct {
	*place
	comes, goes func(c *course)
}

// The promise.
const soon = 5 * time.Second

// within is the promise on this machine at this moment: what follows the first step
// takes as long as the same took before the trouble, a few times over.
func (c *course) within() time.Duration { return soon + 2*time.Second + 8*c.pace }

func TestTroublePasses(t *testing.T) {
	t.Parallel()
	for _, tr := range troubles {
		t.Run(tr.name, func(t *testing.T) {
			if world.At() == world.Quick && !tr.quick {
				t.Skip("tried in CI (make crash)")
			}
			t.Parallel()
			tr.pass(t, false)
		})
	}
}

// A monitor that is killed and starts again in the middle of it adopts what runs,
// and waits like the one before.
func TestStartInTrouble(t *testing.T) {
	t.Parallel()
	for _, tr := range troubles {
		if !tr.restart {
			continue
		}
		t.Run(tr.name, func(t *testing.T) {
			if world.At() == world.Quick {
				t.Skip("tried in CI (make crash)")
			}
			t.Parallel()
			tr.pass(t, true)
		})
	}
}

func (tr trouble) pass(t *testing.T, restart bool) {
	s := tr.where(t)
	c := newCourse(t, s.place)
	c.user = tr.user
	free := "0B"
	if tr.free != "" {
		free = tr.free
	}
	c.prepare(free)
	c.start()
	over := false
	t.Cleanup(func() {
		if !over {
			s.goes(c)
		}
	})
	s.comes(c)
	monitors := 1
	if restart {
		monitors = 2
		c.kill()
		c.run(true)
	}
	refused := c.act()
	time.Sleep(time.Second)
	what := tr.endure(c)
	if !restart || !tr.unlocked {
		c.reasons(tr.tells)
	}
	s.goes(c)
	over = true
	c.again(refused)
	progress := c.goesOn(c.within())
	c.signal("stop")
	c.Until(c.within(), "the writer ends", func() bool { return len(c.missing(c.units())) == 0 })
	if world.At() != world.Quick {
		c.Until(20*time.Second, "it is shown as over", func() bool { return !c.shown(tr.tells) })
	}
	said := int(c.restarts.Load())
	if said == 0 { // else who started it again was told each time
		least, most := tr.said()
		said = c.saidOnce(least, most, monitors)
	}
	c.stop()
	lines := c.log()
	c.settled(tr.name)
	world.Figures(t, "%v; log of %d lines whole, %s, said in %d lines; refused to people: %q", progress, lines, what, said, refused)
}

// endure watches for a while: the monitor stays and is quiet, nothing changes its
// state, and a job whose log can't be written waits.
func (tr trouble) endure(c *course) (figures string) {
	before, began := c.cpu(), time.Now()
	stood := time.Duration(0)
	if tr.stalls {
		// It has the pipe and the last block of its log to write to, then it waits.
		if stood = c.standstill(30*time.Second, time.Second); stood < time.Second {
			c.T.Errorf("the writer stood still for %v only: where does it write to?", stood)
		}
	}
	lasts := world.Pick[time.Duration](2, 5, 60) * time.Second
	if tr.free != "" {
		lasts = 2 * time.Second // the digest is written each 10 s while something runs: that round must not help
	}
	stood += c.standstill(lasts, time.Hour)
	used, lasted := c.cpu()-before, time.Since(began)
	c.alive()
	c.undisturbed()
	if used > lasted/4 {
		c.T.Errorf("monitor and runners used %v of CPU in %v of trouble", used, lasted)
	}
	return fmt.Sprintf("its job stood still for %.1f s, %v of CPU in %.1f s", stood.Seconds(), used, lasted.Seconds())
}
