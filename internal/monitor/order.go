package monitor

import (
	"container/heap"
	"slices"
	"time"

	"simplejobq/internal/durable"
	"simplejobq/internal/spool"
)

// order holds what is queued, so that the next UOW to start is found at a cost
// that does not grow with how many there are. What is startable, as far as is
// known, stands in a lane: one per queue and job type. What waits for a name or
// a time stands apart and is asked again when that changes. The many that wait for
// nothing but their turn stand on the spool's shelf, until that comes.
type order struct {
	shelf shelf
	lanes map[lane]*line
	void  int                                  // places in lanes that may be void by now
	heard map[string]struct{}                  // names of which there is news that was not told yet
	named map[string]map[*spool.Entry]struct{} // waiting for a UOW of this name
	times dueHeap                              // waiting for a time, or expiring
	spans spanHeap                             // waiting for another try: a span, whatever the clock is set to
}

// shelf is what the spool has besides the entries.
type shelf interface {
	First(q spool.Queue, open func(kind string) bool, other *spool.Entry) *spool.Entry
	Shelve(e *spool.Entry, kind string) bool
	Shelved(q spool.Queue) int
}

type lane struct {
	queue spool.Queue
	kind  string // the job type, "" for a COMMAND and for what was not read yet
}

func (o *order) init() {
	o.lanes = map[lane]*line{}
	o.named = map[string]map[*spool.Entry]struct{}{}
	o.heard = map[string]struct{}{}
}

// terms is what a queued UOW waits for: kept only for those that have any.
type terms struct {
	kind      string
	after     []string // done
	afterAny  []string // ended
	notBefore time.Time
	expires   time.Time
	due       time.Time // of another try
	admitted  int64     // in which round
	waits     int       // for how many names, when that was last looked at as a whole
}

// onlyKind reports whether it waits for nothing but its turn among those of its kind.
func (t *terms) onlyKind() bool {
	return len(t.after)+len(t.afterAny) == 0 && t.notBefore.IsZero() && t.expires.IsZero() && t.due.IsZero()
}

func termsOf(e *spool.Entry) *terms {
	t, _ := e.Note.(*terms)
	return t
}

func laneOf(e *spool.Entry) lane {
	l := lane{queue: e.Queue}
	if t := termsOf(e); t != nil {
		l.kind = t.kind
	}
	return l
}

// line is a heap of entries by timestamp, then name.
type line []place

// place keeps the time an entry was pushed with: it changes when the entry is
// accepted, and then the old place is void.
type place struct {
	at    int64
	entry *spool.Entry
}

func (p place) before(o place) bool {
	if p.at != o.at {
		return p.at < o.at
	}
	return p.entry.Name < o.entry.Name
}

func (l line) Len() int           { return len(l) }
func (l line) Less(i, j int) bool { return l[i].before(l[j]) }
func (l line) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *line) Push(x any)        { *l = append(*l, x.(place)) }
func (l *line) Pop() any {
	last := len(*l) - 1
	p := (*l)[last]
	(*l)[last] = place{}
	*l = (*l)[:last]
	return p
}

// push puts an entry into its lane.
func (o *order) push(e *spool.Entry) {
	if e.Queue == spool.Hold || e.Gone {
		return
	}
	k := laneOf(e)
	if k.kind == "" && e.Placed && e.Place == e.Enqueued {
		return // it stands there
	}
	l := o.lanes[k]
	if l == nil {
		l = &line{}
		o.lanes[k] = l
	}
	e.Place, e.Placed = e.Enqueued, k.kind == ""
	heap.Push(l, place{e.Enqueued, e})
}

// first is the first entry of the open lanes of a queue, left in its place.
func (o *order) first(q spool.Queue, open func(kind string) bool) *spool.Entry {
	var best place
	for k, l := range o.lanes {
		if k.queue != q {
			continue
		}
		for len(*l) > 0 && !(*l)[0].holds(k) {
			heap.Pop(l).(place).leaves(k)
		}
		if len(*l) > 0 && (best.entry == nil || (*l)[0].before(best)) && open(k.kind) {
			best = (*l)[0]
		}
	}
	if o.shelf != nil {
		return o.shelf.First(q, open, best.entry)
	}
	return best.entry
}

// empty reports that nothing stands in any lane.
func (o *order) empty() bool {
	for _, l := range o.lanes {
		if len(*l) > 0 {
			return false
		}
	}
	return len(o.heard) == 0 && (o.shelf == nil || o.shelf.Shelved(spool.Priority)+o.shelf.Shelved(spool.Wait) == 0)
}

// shelve puts an entry on the shelf if nobody wants anything of it but that its turn
// comes. It is void then.
func (o *order) shelve(e *spool.Entry) bool {
	l := laneOf(e)
	if t := termsOf(e); t != nil && !t.onlyKind() || t == nil && e.Note != nil || !o.shelf.Shelve(e, l.kind) {
		return false
	}
	// Its place in the lane stays behind. When every other may be so, all such are cleared away.
	if o.void++; o.void > 1000 && o.lanes[l] != nil && o.void > len(*o.lanes[l])/2 {
		o.void = 0
		for k, l := range o.lanes {
			*l = slices.DeleteFunc(*l, func(p place) bool {
				if p.holds(k) {
					return false
				}
				p.leaves(k)
				return true
			})
			heap.Init(l)
		}
	}
	return true
}

// holds reports whether a place still stands for its entry.
func (p place) holds(k lane) bool {
	e := p.entry
	return !e.Gone && p.at == e.Enqueued && (e.State == spool.Fresh || e.State == spool.Accepted) && laneOf(e) == k
}

// leaves notes that a void place is no more.
func (p place) leaves(k lane) {
	if k.kind == "" && p.entry.Place == p.at {
		p.entry.Placed = false
	}
}

// take removes an entry that first returned.
func (o *order) take(e *spool.Entry) {
	if l := o.lanes[laneOf(e)]; l != nil && len(*l) > 0 && (*l)[0].entry == e {
		heap.Pop(l)
		e.Placed = false
	}
}

// awaitName has an entry asked again when something happens to a name.
func (o *order) awaitName(e *spool.Entry, name string) {
	if o.named[name] == nil {
		o.named[name] = map[*spool.Entry]struct{}{}
	}
	o.named[name][e] = struct{}{}
}

// news notes that something happened to a name. Those that wait for it are told before
// the next is looked for: what happens may still be on its way.
func (o *order) news(name string) {
	if o.awaited(name) {
		o.heard[name] = struct{}{}
	}
}

// recheck notes that something may have happened to every name that is waited for:
// directories nobody tells us of may have changed.
func (o *order) recheck() {
	for name := range o.named {
		o.news(name)
	}
}

// tell tells those that wait for a name the news of it, and puts those back into their lanes
// that are to be asked again.
func (o *order) tell(hears func(e *spool.Entry, name string) hearing) {
	heard := o.heard
	o.heard = map[string]struct{}{}
	for name := range heard {
		list := o.named[name]
		for e := range list {
			h := askAgain
			if !e.Gone {
				h = hears(e, name)
			}
			if h == waitsOn {
				continue
			}
			delete(list, e)
			if h == askAgain {
				o.push(e)
			}
		}
		if len(list) == 0 {
			delete(o.named, name)
		}
	}
}

// awaited reports whether anything waits for a name.
func (o *order) awaited(name string) bool { return len(o.named[name]) > 0 }

// reopen sorts everything anew after job types changed.
func (o *order) reopen() {
	lanes := o.lanes
	o.lanes = map[lane]*line{}
	for _, l := range lanes {
		for _, p := range *l {
			p.entry.Placed = false
			o.push(p.entry)
		}
	}
	o.recheck()
}

type dueEntry struct {
	at    int64
	entry *spool.Entry
}

type dueHeap []dueEntry

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(dueEntry)) }
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = dueEntry{}
	*h = (*h)[:last]
	return e
}

// awaitTime has an entry asked again at a time. It may ask more than once.
func (o *order) awaitTime(e *spool.Entry, t time.Time) {
	heap.Push(&o.times, dueEntry{durable.Nanos(t), e})
}

// spanEntry waits by the monotonic clock as well as by the clock on the wall, and is
// due when either says so.
type spanEntry struct {
	at    time.Time
	entry *spool.Entry
	terms *terms
}

// awaitSpan has an entry's next try wait no longer than its delay from now: a clock
// that was wrong when STATUS was written holds nothing up.
func (o *order) awaitSpan(e *spool.Entry, t *terms, span time.Duration, wall time.Time) {
	t.due = wall.Add(span)
	heap.Push(&o.spans, spanEntry{time.Now().Add(span), e, t})
}

type spanHeap []spanEntry

func (h spanHeap) Len() int           { return len(h) }
func (h spanHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h spanHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *spanHeap) Push(x any)        { *h = append(*h, x.(spanEntry)) }
func (h *spanHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = spanEntry{}
	*h = (*h)[:last]
	return x
}

// elapsed puts back those whose span is over.
func (o *order) elapsed(now time.Time) {
	for len(o.spans) > 0 && (o.spans[0].entry.Gone || !now.Before(o.spans[0].at)) {
		x := heap.Pop(&o.spans).(spanEntry)
		if !x.entry.Gone && termsOf(x.entry) == x.terms {
			x.terms.due = time.Time{}
			o.push(x.entry)
		}
	}
}

// nextSpan is when the next span is over.
func (o *order) nextSpan() time.Time {
	if len(o.spans) == 0 {
		return time.Time{}
	}
	return o.spans[0].at
}

// due is when the next of them is to be asked.
func (o *order) due() time.Time {
	for len(o.times) > 0 && o.times[0].entry.Gone {
		heap.Pop(&o.times)
	}
	if len(o.times) == 0 {
		return time.Time{}
	}
	return time.Unix(0, o.times[0].at)
}

// clock puts back those whose time has come, and returns them.
func (o *order) clock(now time.Time) (due []*spool.Entry) {
	for len(o.times) > 0 && (o.times[0].entry.Gone || o.times[0].at <= now.UnixNano()) {
		if e := heap.Pop(&o.times).(dueEntry).entry; !e.Gone {
			o.push(e)
			due = append(due, e)
		}
	}
	return due
}

// settling is the files that have to be looked at again, by when.
type settling struct {
	list []settle
}

type settle struct {
	at     time.Time
	entry  *spool.Entry
	closed bool // nothing will come of it by itself: an empty file, one being written
}

func (s *settling) add(e *spool.Entry, at time.Time, closed bool) {
	s.list = append(s.list, settle{at, e, closed})
}

// ripe removes and returns those whose time has come.
func (s *settling) ripe(now time.Time) (out []*spool.Entry) {
	s.list = slices.DeleteFunc(s.list, func(x settle) bool {
		if !x.entry.Gone && x.at.After(now) {
			return false
		}
		if !x.entry.Gone && x.entry.State == spool.Settling {
			out = append(out, x.entry)
		}
		return true
	})
	return out
}

func (s *settling) due() (t time.Time) {
	for _, x := range s.list {
		if !x.entry.Gone && (t.IsZero() || x.at.Before(t)) {
			t = x.at
		}
	}
	return t
}

// open counts those that will be decided by waiting.
func (s *settling) open() (n int) {
	for _, x := range s.list {
		if !x.entry.Gone && !x.closed {
			n++
		}
	}
	return n
}
