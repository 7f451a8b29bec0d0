package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

// pair is a kill and a call of the recovery from it.
type pair struct {
	first  attack
	second world.Op
}

// kills is what became of killing the monitor at each call of each transition.
type kills struct {
	calls int64
	sites map[string]bool
	pairs map[string]pair // by the sites of both
	took  time.Duration
}

var killings = map[string]*kills{}

func killed(t *testing.T, with string) *kills {
	t.Helper()
	d := dry(t, strings.TrimSuffix(with, ","))
	once.Lock()
	defer once.Unlock()
	if k := killings[with]; k != nil {
		return k
	}
	began := time.Now()
	of := world.Pick[uint32](80, 1, 1)
	if with != "" {
		of = world.Pick[uint32](80, 3, 1)
	}
	k := &kills{sites: map[string]bool{}, pairs: map[string]pair{}}
	c := &campaign{t: t, width: 8}
	var mu sync.Mutex
	for i, tr := range transitions {
		from := 0
		if i > 2 && world.At() != world.Torture {
			from = alike(d.monitor) // the start was killed at often enough
		}
		c.each(from, len(d.monitor[tr.Name]), of, func(n int) attack {
			return attack{of: tr, plans: []string{fmt.Sprint(with, "kill:", n)}}
		}, func(a attack, r result) {
			mu.Lock()
			defer mu.Unlock()
			k.sites[r.struck[0].Site] = true
			for _, op := range r.recovery {
				key := r.struck[0].Site + ", " + op.Site
				if world.At() == world.Torture {
					key = tr.Name + ": " + key
				}
				k.pairs[key] = pair{a, op}
			}
		})
	}
	c.run()
	k.calls, k.took = c.done.Load(), time.Since(began)
	killings[with] = k
	return k
}

// The monitor killed at each call of each transition, then its recovery at each of
// its calls.
func TestKillMonitor(t *testing.T) { killMonitor(t, "") }

// The same on a file system that knows neither RENAME_NOREPLACE nor RENAME_EXCHANGE:
// there a move is two calls, and an exchange several.
func TestKillMonitorWithoutFlags(t *testing.T) { killMonitor(t, "noflags,") }

func killMonitor(t *testing.T, with string) {
	k, began := killed(t, with), time.Now()
	c := &campaign{t: t, width: 8}
	for _, key := range slices.Sorted(maps.Keys(k.pairs)) {
		p := k.pairs[key]
		if with == "" && chosen(world.Pick[uint32](40, 2, 1), key) || with != "" && chosen(world.Pick[uint32](40, 8, 1), key) {
			c.add(attack{of: p.first.of, plans: []string{p.first.plans[0], fmt.Sprint(with, "kill:", p.second.N)}}, nil)
		}
	}
	c.run()
	world.Figures(t, "monitor killed at %d calls (%d sites) of %d transitions, and at %d calls of their recovery: %d kills in %v",
		k.calls, len(k.sites), len(transitions), c.done.Load(), k.calls+2*c.done.Load(), (k.took + time.Since(began)).Round(time.Second))
}

// The monitor and all its runners killed at the same instant, at each call of the
// monitor's from the first runner on: what ran is interrupted and says so, what did
// not run yet runs.
func TestKillBoth(t *testing.T) {
	began := time.Now()
	of := world.Pick[uint32](40, 1, 1)
	monitor := dry(t, "").monitor
	c := &campaign{t: t, width: 8}
	for _, tr := range transitions {
		first := slices.IndexFunc(monitor[tr.Name], func(op world.Op) bool { return strings.HasPrefix(op.Site, "record:") })
		for n := first; first >= 0 && n <= len(monitor[tr.Name]); n++ {
			a := attack{of: tr, plans: []string{fmt.Sprintf("kill:%d:both", n)}}
			if chosen(of, a) {
				c.add(a, nil)
			}
		}
	}
	c.run()
	world.Figures(t, "monitor and runners killed at once at %d calls in %v", c.done.Load(), time.Since(began).Round(time.Second))
}

// A runner killed at each call of its own, while the monitor goes on; as the UOWs are,
// and with RETRY INTERRUPTED.
func TestKillRunner(t *testing.T) {
	began := time.Now()
	of := world.Pick[uint32](40, 1, 1)
	runner := dry(t, "").runner
	c := &campaign{t: t, width: 8}
	for _, tr := range transitions {
		for _, tr := range []world.Transition{tr, insistent(tr)} {
			last := 0
			for _, op := range runner[tr.Name] {
				last = max(last, op.N)
			}
			c.each(0, last, of, func(n int) attack {
				return attack{of: tr, runner: fmt.Sprint("kill:", n), plans: []string{""}}
			}, nil)
		}
	}
	c.run()
	world.Figures(t, "a runner killed at %d calls in %v", c.done.Load(), time.Since(began).Round(time.Second))
}
