package monitor

import (
	"runtime/debug"

	"simplejobq/internal/spool"
)

// Garbage may gather to about this much before it is collected, however many UOWs are
// queued: by the runtime's own rule it might become as much as what is known of them.
const garbage = 4 << 20

// What a UOW on the spool's shelf takes at most, and the monitor without any.
const (
	perShelved = 100
	perMonitor = 4 << 20
)

// A flood is so many rounds that leave files unread: what they used is given back then.
const flood = 64

// thrift keeps the memory of the monitor in proportion to what is queued.
func (s *session) thrift() {
	if s.floods++; len(s.unread) == 0 {
		if s.floods > flood {
			defer debug.FreeOSMemory()
		}
		s.floods = 0
	}
	n := 0
	for _, q := range spool.Live {
		n += s.sp.Shelved(q)
	}
	if percent := min(max(100*garbage/(perMonitor+n*perShelved), 3), 100); percent*5 < s.gc*4 || percent*4 > s.gc*5 {
		s.gc = percent
		debug.SetGCPercent(percent)
	}
}
