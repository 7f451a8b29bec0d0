// Package crash kills the real monitor, and lets its disk fail, at every durable
// operation of a spool full of typical work, and judges what a restart makes of
// it.
package crash

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

func TestMain(m *testing.M) { world.Main(m) }

// operations counts the durable operations of the scenario without a fault.
func operations(t *testing.T) []string {
	t.Helper()
	units := world.Scenario()
	x := world.New(t, units)
	x.Once("")
	sites := x.Sites()
	if !x.Settled(units, "no fault") {
		t.FailNow()
	}
	return sites
}

// sample calls try for each n from 1 to most, or for some of them spread evenly,
// two at a time.
func sample(t *testing.T, most, some int, try func(t *testing.T, n int)) {
	t.Helper()
	step, from := 1, 1
	if world.At() == world.Quick && most > some {
		step = most / some
		from += rand.IntN(step)
	}
	for n := from; n <= most; n += step {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			try(t, n)
		})
	}
}

func TestKillAtEachOperation(t *testing.T) {
	most := len(operations(t))
	sample(t, most, 40, func(t *testing.T, n int) {
		units := world.Scenario()
		x := world.New(t, units)
		if x.Once(fmt.Sprint("kill:", n)) != world.Killed {
			return // it needed fewer this time
		}
		site := x.LastSite()
		x.Once("")
		x.Settled(units, fmt.Sprintf("killed at operation %d, %s", n, site))
	})
}

// A second kill hits the recovery of the first.
func TestKillTheRecovery(t *testing.T) {
	most := len(operations(t))
	sample(t, most, 12, func(t *testing.T, n int) {
		units := world.Scenario()
		x := world.New(t, units)
		if x.Once(fmt.Sprint("kill:", n)) != world.Killed {
			return
		}
		site := x.LastSite()
		m := 1 + rand.IntN(60)
		if x.Once(fmt.Sprint("kill:", m)) != world.Killed {
			return
		}
		second := x.LastSite()
		x.Once("")
		x.Settled(units, fmt.Sprintf("killed at operation %d, %s, then at operation %d of the recovery, %s", n, site, m, second))
	})
}

// Trouble of the disk that comes once, anywhere, must leave no trace but words:
// the monitor goes on by itself, and comes to the same end.
func TestFailEachOperationOnce(t *testing.T) {
	most := len(operations(t))
	for _, errno := range []string{"EIO", "ENOSPC", "EMFILE", "EROFS", "EACCES"} {
		t.Run(errno, func(t *testing.T) {
			sample(t, most, 4, func(t *testing.T, n int) {
				units := world.Scenario()
				x := world.New(t, units)
				ok := x.Once(fmt.Sprintf("err:%s:%d", errno, n)) == world.Idle
				sites := append(x.Sites(), "none")
				site := sites[min(n, len(sites))-1]
				switch {
				case ok:
				case strings.HasPrefix(site, "lock:"):
					x.Once("") // it could not begin, and said so
				default:
					t.Errorf("the monitor gave up after %s at %s", errno, site)
				}
				if errno == "EACCES" {
					// A refusal is no trouble that passes: who asks for one pass only has
					// had it. The next one comes to the end.
					x.Once("")
				}
				if site == "message:rename" && x.Says("not done: message: rename") {
					return // an honest answer, and the sender's turn
				}
				x.Settled(units, fmt.Sprintf("%s once at operation %d, %s", errno, n, site))
			})
		})
	}
}

// Trouble at one place that lasts: whatever cannot be done waits, nothing is lost
// or run twice, and when the trouble is over a new start comes to the same end.
func TestFailOneSiteForever(t *testing.T) {
	seen := map[string]bool{}
	for _, site := range operations(t) {
		seen[site] = true
	}
	for site := range seen {
		if world.At() == world.Quick && rand.IntN(10) > 0 {
			continue
		}
		t.Run(site, func(t *testing.T) {
			t.Parallel()
			units := world.Scenario()
			x := world.New(t, units)
			x.During("err:ENOSPC:"+site, 3*time.Second)
			x.Once("")
			if x.Says("not done: message: rename") {
				return
			}
			x.Settled(units, "ENOSPC for 3 s at "+site)
		})
	}
}

// Every runner is killed at its n-th operation, and then the monitor too: what ran
// is never run again, and says that it was interrupted; what did not run, runs
// once the runners live.
func TestKillTheRunners(t *testing.T) {
	var units []world.Unit
	for _, name := range []string{"a", "b", "c", "d"} {
		units = append(units, world.Unit{Name: name, Drop: "wait-q", Text: world.Plain(world.Witness + "echo hello"), Runs: 1})
	}
	for n := 1; n <= 18; n++ {
		if world.At() == world.Quick && n%5 != 0 {
			continue
		}
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			x := world.New(t, units)
			x.Runners = fmt.Sprint("kill:", n)
			x.During("", 2*time.Second)
			x.Runners = ""
			x.Once("")
			after := append([]world.Unit(nil), units...)
			for i, u := range after {
				after[i].End, after[i].Status = "done-q", "done: exit 0"
				if x.There("fail-q", u.Name) {
					after[i].End, after[i].Status = "fail-q", "fail: interrupted: "
					// Killed between the mark and the fork it may not have run at all.
					after[i].Runs = x.Ran()[u.Name]
					if after[i].Runs > 1 {
						t.Errorf("%s ran %d times", u.Name, after[i].Runs)
					}
				}
			}
			x.Settled(after, fmt.Sprintf("every runner killed at its operation %d", n))
		})
	}
}
