package crash

import (
	"fmt"
	"math/rand/v2"
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
	sample(t, most, 60, func(t *testing.T, n int) {
		units := scenario()
		x := newWorld(t, units)
		if !x.once(fmt.Sprint("kill:", n)) {
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
	sample(t, most, 30, func(t *testing.T, n int) {
		units := scenario()
		x := newWorld(t, units)
		if !x.once(fmt.Sprint("kill:", n)) {
			return
		}
		site := x.lastSite()
		m := 1 + rand.IntN(60)
		if !x.once(fmt.Sprint("kill:", m)) {
			return
		}
		second := x.lastSite()
		x.once("")
		x.settled(units, fmt.Sprintf("killed at operation %d, %s, then at operation %d of the recovery, %s", n, site, m, second))
	})
}

// Trouble of the disk that comes once, anywhere, must leave no trace but words.
func TestFailEachOperationOnce(t *testing.T) {
	most := len(operations(t))
	for _, errno := range []string{"EIO", "ENOSPC", "EMFILE", "EROFS", "EACCES"} {
		t.Run(errno, func(t *testing.T) {
			sample(t, most, 15, func(t *testing.T, n int) {
				units := scenario()
				x := newWorld(t, units)
				began := time.Now()
				x.once(fmt.Sprintf("err:%s:%d", errno, n))
				sites := x.sites()
				site := "none"
				if n <= len(sites) {
					site = sites[n-1]
				}
				x.settled(units, fmt.Sprintf("%s once at operation %d, %s (took %v)", errno, n, site, time.Since(began).Round(time.Millisecond)))
			})
		})
	}
}
