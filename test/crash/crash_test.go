package crash

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// operations counts the durable operations of the scenario without a fault.
func operations(t *testing.T) []string {
	t.Helper()
	units := scenario()
	x := newWorld(t, units)
	x.once("")
	sites := x.sites()
	if !x.settled(units, "no fault") {
		t.FailNow()
	}
	return sites
}

// sample calls try for each n from 1 to most, or for some of them spread evenly,
// two at a time.
func sample(t *testing.T, most, some int, try func(t *testing.T, n int)) {
	t.Helper()
	step, from := 1, 1
	if !all() && most > some {
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

// lastSite is the operation at which a killed monitor ended.
func (x *world) lastSite() string {
	sites := x.sites()
	if len(sites) == 0 {
		return "none"
	}
	return sites[len(sites)-1]
}

func TestKillAtEachOperation(t *testing.T) {
	most := len(operations(t))
	sample(t, most, 40, func(t *testing.T, n int) {
		units := scenario()
		x := newWorld(t, units)
		if x.once(fmt.Sprint("kill:", n)) != killed {
			return // it needed fewer this time
		}
		site := x.lastSite()
		x.once("")
		x.settled(units, fmt.Sprintf("killed at operation %d, %s", n, site))
	})
}

// A second kill hits the recovery of the first.
func TestKillTheRecovery(t *testing.T) {
	most := len(operations(t))
	sample(t, most, 12, func(t *testing.T, n int) {
		units := scenario()
		x := newWorld(t, units)
		if x.once(fmt.Sprint("kill:", n)) != killed {
			return
		}
		site := x.lastSite()
		m := 1 + rand.IntN(60)
		if x.once(fmt.Sprint("kill:", m)) != killed {
			return
		}
		second := x.lastSite()
		x.once("")
		x.settled(units, fmt.Sprintf("killed at operation %d, %s, then at operation %d of the recovery, %s", n, site, m, second))
	})
}

// Trouble of the disk that comes once, anywhere, must leave no trace but words:
// the monitor goes on by itself, and comes to the same end.
func TestFailEachOperationOnce(t *testing.T) {
	most := len(operations(t))
	for _, errno := range []string{"EIO", "ENOSPC", "EMFILE", "EROFS", "EACCES"} {
		t.Run(errno, func(t *testing.T) {
			sample(t, most, 4, func(t *testing.T, n int) {
				units := scenario()
				x := newWorld(t, units)
				ok := x.once(fmt.Sprintf("err:%s:%d", errno, n)) == ended
				sites := append(x.sites(), "none")
				site := sites[min(n, len(sites))-1]
				switch {
				case ok:
				case strings.HasPrefix(site, "lock:"):
					x.once("") // it could not begin, and said so
				default:
					t.Errorf("the monitor gave up after %s at %s", errno, site)
				}
				if errno == "EACCES" {
					// A refusal is no trouble that passes: who asks for one pass only has
					// had it. The next one comes to the end.
					x.once("")
				}
				if site == "message:rename" && x.says("not done: message: rename") {
					return // an honest answer, and the sender's turn
				}
				x.settled(units, fmt.Sprintf("%s once at operation %d, %s", errno, n, site))
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
		if !all() && rand.IntN(10) > 0 {
			continue
		}
		t.Run(site, func(t *testing.T) {
			t.Parallel()
			units := scenario()
			x := newWorld(t, units)
			x.during("err:ENOSPC:"+site, 3*time.Second)
			x.once("")
			if x.says("not done: message: rename") {
				return
			}
			x.settled(units, "ENOSPC for 3 s at "+site)
		})
	}
}

// Every runner is killed at its n-th operation, and then the monitor too: what ran
// is never run again, and says that it was interrupted; what did not run, runs
// once the runners live.
func TestKillTheRunners(t *testing.T) {
	var units []unit
	for _, name := range []string{"a", "b", "c", "d"} {
		units = append(units, unit{name, "wait-q", plain(witness + "echo hello"), "", "", 1})
	}
	for n := 1; n <= 18; n++ {
		if !all() && n%5 != 0 {
			continue
		}
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			x := newWorld(t, units)
			x.runners = fmt.Sprint("kill:", n)
			x.during("", 2*time.Second)
			x.runners = ""
			x.once("")
			after := append([]unit(nil), units...)
			for i, u := range after {
				after[i].end, after[i].status = "done-q", "done: exit 0"
				if x.there("fail-q", u.name) {
					after[i].end, after[i].status = "fail-q", "fail: interrupted: "
					// Killed between the mark and the fork it may not have run at all.
					after[i].runs = x.ran()[u.name]
					if after[i].runs > 1 {
						t.Errorf("%s ran %d times", u.name, after[i].runs)
					}
				}
			}
			x.settled(after, fmt.Sprintf("every runner killed at its operation %d", n))
		})
	}
}
