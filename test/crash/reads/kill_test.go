package reads

import (
	"fmt"
	"testing"

	"simplejobq/test/crash/world"
)

// The monitor ends itself at each of its operations while it has messages to act
// upon and a UOW to accept: a kill from outside hardly ever finds it there.
func TestKilledAtEachOperation(t *testing.T) {
	t.Parallel()
	const lines = 3
	prepare := func(t *testing.T) *daemon {
		d := newDaemon(t, world.Memory())
		d.Sites() // of the start that made the file
		// One of them is not understood, and to be answered all the same.
		d.add("RESUME #k0-0\nresume #k0-1\nRESUME #k0-2\n")
		d.Drop(world.Unit{Name: "held", Drop: "hold-q", Text: world.Plain("true")})
		return d
	}
	// How many it needs depends on what its clean-up finds ready: those it needs always.
	most, kills := 0, 0
	for i := range 3 {
		d := prepare(t)
		d.Once("")
		if n := len(d.Sites()); i == 0 || n < most {
			most = n
		}
	}
	stride := world.Pick(4, 1, 1)
	for from := 1; from <= most; from += stride {
		n, d := from, prepare(t)
		hit := d.Once(fmt.Sprint("kill:", n)) == world.Killed
		for ; !hit && n > 1 && n > from-stride+1; hit = d.Once(fmt.Sprint("kill:", n)) == world.Killed {
			n, d = n-1, prepare(t) // it needed fewer this time
		}
		if !hit {
			continue
		}
		kills++
		site := d.LastSite()
		d.Once("")
		a := d.account("k", 1, lines)
		d.Once("")
		for _, f := range append(a.faults(), a.difference(d.account("k", 1, lines))...) {
			t.Errorf("killed at operation %d, %s: %s", n, site, f)
		}
		if text := d.text(); text != d.begin {
			t.Errorf("killed at operation %d, %s: monitor_reads was not emptied: %q", n, site, text)
		}
	}
	if kills < most/4 {
		t.Errorf("%d kills at %d operations: that proves little", kills, most)
	}
	world.Figures(t, "monitor_reads: killed at %d of %d operations", kills, most)
}
