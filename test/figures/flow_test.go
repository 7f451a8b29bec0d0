package figures

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A flow of 1,000 no-op steps against as many UOWs in the same run: in a chain against
// one slot, and without dependencies 8 at once against 8 slots.
func BenchmarkFlow(b *testing.B) {
	const steps = 1000
	for _, c := range []struct {
		name  string
		slots int
		each  string // of each step
	}{{"chain", 1, ""}, {"8-at-once", 8, "AFTER ::\n"}} {
		b.Run(c.name, func(b *testing.B) {
			var alone, flow time.Duration
			for b.Loop() {
				alone += release(b, c.slots, steps, func(d *daemon) { d.noops(steps) })
				flow += release(b, 1, 1, func(d *daemon) {
					var text strings.Builder
					fmt.Fprintf(&text, "PARALLEL :: %d\n", c.slots)
					for i := range steps {
						fmt.Fprintf(&text, "==== STEP s%d\n%sCOMMAND :: true\n", i, c.each)
					}
					d.put("flow", text.String())
				})
			}
			b.ReportMetric(float64(steps*b.N)/alone.Seconds(), "UOWs/s")
			b.ReportMetric(float64(steps*b.N)/flow.Seconds(), "steps/s")
			b.ReportMetric(flow.Seconds()/alone.Seconds(), "flow/UOWs")
		})
	}
}

func (d *daemon) noops(n int) {
	d.b.Helper()
	for i := range n {
		d.drop(fmt.Sprintf("job%04d", i), "true")
	}
}

// release is how long a monitor takes for UOWs that were put there while it was paused.
func release(b *testing.B, slots, jobs int, put func(d *daemon)) time.Duration {
	d := start(b, fmt.Sprintf("slots = %d\n", slots), paused)
	put(d)
	d.until("acceptance", func() bool { return d.count("monitor_events", `"event":"accepted"`) == jobs })
	began := time.Now()
	d.send("RESUME")
	d.until("the end", func() bool { return d.entries("done-q") == jobs+1 }) // and a README
	return time.Since(began)
}
