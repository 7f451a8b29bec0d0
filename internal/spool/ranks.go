package spool

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
	"strings"

	"simplejobq/internal/durable"
)

// ranks is the entries of a queue as a heap in the order, whatever they wait for.
type ranks []*Entry

func (r ranks) Len() int           { return len(r) }
func (r ranks) Less(i, j int) bool { return Before(r[i], r[j]) }
func (r ranks) Swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].rank, r[j].rank = int32(i), int32(j)
}
func (r *ranks) Push(x any) {
	x.(*Entry).rank = int32(len(*r))
	*r = append(*r, x.(*Entry))
}
func (r *ranks) Pop() any {
	last := len(*r) - 1
	e := (*r)[last]
	(*r)[last] = nil
	*r = (*r)[:last]
	return e
}

// Before reports whether a comes before b in the order of a queue.
func Before(a, b *Entry) bool { return byTime(a, b) < 0 }

func byTime(a, b *Entry) int {
	if c := cmp.Compare(a.Enqueued, b.Enqueued); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

// Place gives an entry its place in the order.
func (s *Spool) Place(e *Entry, enqueued int64) {
	e.Enqueued = enqueued
	if x := s.index[e.Queue]; x != nil && x.entries[e.Name] == e {
		heap.Fix(&x.ranks, int(e.rank))
	}
}

// is reports whether a look found the file as it was.
func (s *slot) is(st durable.Stat) bool {
	return st.Regular() && s.inode() == st.Ino && s.when() == st.Mtime && int64(s.size) == st.Size
}

// Shelve puts an accepted file on the shelf, if it is as it is there: one that was told
// of and waits for nothing but its turn. The entry is void then, and there will be
// another one; so nobody may still want something of it.
func (s *Spool) Shelve(e *Entry, kind string) bool {
	x := s.index[e.Queue]
	if e.Gone || e.Odd || e.State != Accepted || e.Mtime != e.Enqueued || x == nil || x.entries[e.Name] != e || s.Taken == nil {
		return false
	}
	lane, ok := x.shelf.laneOf(kind)
	if !ok || !x.shelf.put(e.Name, lane, e.Enqueued, e.Ino, e.Size) {
		return false
	}
	x.remove(e)
	return true
}

// entry is what the shelf knows, as an entry.
func (s *Spool) entry(x *index, q Queue, slot *slot) *Entry {
	e := &Entry{Name: string(x.shelf.name(slot)), Queue: q, Ino: slot.inode(), Size: int64(slot.size), Mtime: slot.when(), Enqueued: slot.when()}
	if in := slot.where(); in != unread {
		e.State = Accepted
		if kind := x.shelf.lanes[in].kind; kind != "" {
			e.Note = s.NoteOf(kind)
		}
	}
	return e
}

func (s *Spool) takeDown(x *index, q Queue, i uint32, at int) *Entry {
	slot := x.shelf.at(i)
	e := s.entry(x, q, slot)
	listed := slot.lane & marked
	x.shelf.remove(i, at)
	x.add(e)
	e.listed = listed
	s.Taken(e)
	return e
}

// unlisted takes down what the last whole listing did not have.
func (s *Spool) unlisted(x *index, q Queue) (out []*Entry) {
	var gone []string
	for i := range x.shelf.all {
		if slot := x.shelf.at(i); slot.lane&marked != x.shelf.turn {
			gone = append(gone, string(x.shelf.name(slot)))
		}
	}
	for _, name := range gone {
		out = append(out, s.Entry(q, name))
	}
	return out
}

// Unread takes down up to n that were not read yet, the first in order.
func (s *Spool) Unread(n int) {
	for _, q := range Live {
		x := s.index[q]
		for ; n > 0 && len(x.shelf.lanes[unread].heap) > 0; n-- {
			s.Entry(q, string(x.shelf.name(x.shelf.at(x.shelf.lanes[unread].heap[0]))))
		}
	}
}

// First takes down the first in order of those on the shelf whose kind is open, if it
// comes before other.
func (s *Spool) First(q Queue, open func(kind string) bool, other *Entry) *Entry {
	x := s.index[q]
	best := uint32(math.MaxUint32)
	for _, l := range x.shelf.lanes {
		if len(l.heap) > 0 && (best == math.MaxUint32 || x.shelf.before(l.heap[0], best)) && open(l.kind) {
			best = l.heap[0]
		}
	}
	if best == math.MaxUint32 {
		return other
	}
	slot := x.shelf.at(best)
	if name := string(x.shelf.name(slot)); other == nil || Before(&Entry{Name: name, Enqueued: slot.when()}, other) {
		return s.Entry(q, name)
	}
	return other
}

// Shelved is how many are on the shelf in a live queue.
func (s *Spool) Shelved(q Queue) int { return s.index[q].shelf.n }

// Oldest is the first n files of a live queue in order. Those on the shelf stay there:
// their entries are only to look at.
func (s *Spool) Oldest(q Queue, n int) (out []*Entry) {
	x := s.index[q]
	least(n, len(x.ranks), x.ranks.Less, func(pos int) { out = append(out, x.ranks[pos]) })
	for _, l := range x.shelf.lanes {
		least(n, len(l.heap), func(a, b int) bool { return x.shelf.before(l.heap[a], l.heap[b]) }, func(pos int) {
			out = append(out, s.entry(x, q, x.shelf.at(l.heap[pos])))
		})
	}
	slices.SortFunc(out, byTime)
	return out[:min(n, len(out))]
}

// Inodes calls yield for the inode of each file of a live queue, in no order.
func (s *Spool) Inodes(q Queue, yield func(ino uint64)) {
	x := s.index[q]
	for _, e := range x.entries {
		yield(e.Ino)
	}
	for i := range x.shelf.all {
		yield(x.shelf.at(i).inode())
	}
}
