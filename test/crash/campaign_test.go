package crash

import (
	"fmt"
	"hash/fnv"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"simplejobq/test/crash/world"
)

// campaign carries out many attacks, several at a time.
type campaign struct {
	t     *testing.T
	width int
	todo  []func()
	done  atomic.Int64 // attacks that got where they were to get
}

// chosen takes a fixed part of many, one of so many.
func chosen(of uint32, what ...any) bool {
	h := fnv.New32a()
	fmt.Fprint(h, what...)
	return of <= 1 || h.Sum32()%of == 0
}

func (c *campaign) add(a attack, then func(result)) {
	c.todo = append(c.todo, func() { c.try(a, then) })
}

func (c *campaign) try(a attack, then func(result)) (reached bool) {
	world.Try(c.t, a.String(), func(t *world.Trial) {
		var r result
		if r, reached = a.launch(t); reached {
			c.done.Add(1)
			if then != nil {
				then(r)
			}
		}
	})
	return reached
}

// each adds the attack for each n beyond from until it is beyond the last call: how
// many there are varies with time. about is a guess.
func (c *campaign) each(from, about int, of uint32, make func(n int) attack, then func(attack, result)) {
	done := func(a attack) func(result) {
		return func(r result) {
			if then != nil {
				then(a, r)
			}
		}
	}
	for n := from + 1; n <= about; n++ {
		if a := make(n); chosen(of, a) {
			c.add(a, done(a))
		}
	}
	if of > 1 {
		return
	}
	c.todo = append(c.todo, func() {
		for n, missed := about+1, 0; missed < 2; n++ {
			if a := make(n); !c.try(a, done(a)) {
				missed++
			}
		}
	})
}

// run carries out what was added since.
func (c *campaign) run() {
	todo := c.todo
	c.todo = nil
	var wait sync.WaitGroup
	next := make(chan func())
	for range c.width {
		wait.Go(func() {
			for f := range next {
				f()
			}
		})
	}
	for _, f := range todo {
		next <- f
	}
	close(next)
	wait.Wait()
}

// course is how all transitions go without a fault.
type course struct {
	monitor, runner map[string][]world.Op // the calls of each
	writes          map[string]bool       // the sites that write
}

var courses = map[string]*course{}

// together lets tests of which each mostly waits do so at the same time, as long as
// they are small.
func together(t *testing.T) {
	if world.At() == world.Quick {
		t.Parallel()
	}
}

// once is for what several tests need and the first of them finds out.
var once sync.Mutex

// dry carries the transitions out without a fault but for what the plan says of the
// file system, and once more with every write cut short; both must go well.
func dry(t *testing.T, plan string) *course {
	t.Helper()
	once.Lock()
	defer once.Unlock()
	if d := courses[plan]; d != nil {
		return d
	}
	d := &course{map[string][]world.Op{}, map[string][]world.Op{}, map[string]bool{}}
	var mu sync.Mutex
	c := &campaign{t: t, width: 8}
	for _, tr := range transitions {
		plans := []string{plan}
		if plan == "" {
			plans = append(plans, "err:SHORT:1:forever")
		}
		for _, plan := range plans {
			c.todo = append(c.todo, func() {
				world.Try(t, tr.Name+";"+plan, func(t *world.Trial) {
					x := world.Fresh(t, tr)
					short := strings.Contains(plan, "SHORT")
					if short {
						x.Runners = plan
					}
					p := x.Pass(plan)
					runner := x.RunnerOps()
					for n := 0; n < 4 && (attack{of: tr}).stopped(x); n++ {
						x.Pass("")
					}
					mu.Lock()
					if !short {
						d.monitor[tr.Name], d.runner[tr.Name] = p.Ops, runner
					}
					for _, op := range (world.Passage{Ops: append(p.Ops, runner...)}).Struck() {
						d.writes[op.Site] = true
					}
					mu.Unlock()
					x.Calm(append(x.Check(tr.Units), x.Told(tr.Units)...), true, "no fault")
				})
			})
		}
	}
	if c.run(); t.Failed() {
		t.FailNow()
	}
	courses[plan] = d
	return d
}

// TestCase carries out the one attack of CRASH_CASE, as a failure names it.
func TestCase(t *testing.T) {
	words := strings.Split(os.Getenv("CRASH_CASE"), ";")
	if len(words) < 2 {
		t.Skip("CRASH_CASE names no attack")
	}
	for _, tr := range transitions {
		if tr.Name+"+" == words[0] {
			tr = insistent(tr)
		}
		if tr.Name != words[0] {
			continue
		}
		a := attack{tr, words[1], words[2:]}
		world.Try(t, a.String(), func(t *world.Trial) {
			r, reached := a.launch(t)
			t.Logf("reached %v, at %v; the recovery has %d calls", reached, r.struck, len(r.recovery))
		})
		return
	}
	t.Fatalf("no transition %q", words[0])
}
