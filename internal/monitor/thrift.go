package monitor

import (
	"runtime/debug"

	"simplejobq/internal/spool"
)

// Garbage may gather to about this much before it is collected, however many UOWs are
// queued: by the runtime's own rule it might become as much as what is known of them.
const garbage = 8 << 20

// What a UOW on the spool's shelf takes, and the monitor without any.
const (
	perShelved = 60
	perMonitor = 4 << 20
)

// thrift keeps the memory of the monitor in proportion to what is queued.
func (s *session) thrift() {
	n := 0
	for _, q := range spool.Live {
		n += s.sp.Shelved(q)
	}
	if percent := min(max(100*garbage/(perMonitor+n*perShelved), 10), 100); percent*5 < s.gc*4 || percent*4 > s.gc*5 {
		s.gc = percent
		debug.SetGCPercent(percent)
	}
}
