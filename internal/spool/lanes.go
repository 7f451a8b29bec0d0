package spool

import "bytes"

// lane is a heap of slots by time, then name: of those not read yet, or of those of
// one kind.
type lane struct {
	kind string
	heap []uint32
}

// all calls yield for the number of each slot that is used.
func (h *shelf) all(yield func(i uint32) bool) {
	for _, l := range h.lanes {
		for _, i := range l.heap {
			if !yield(i) {
				return
			}
		}
	}
}

// before reports whether a comes before b in the order.
func (h *shelf) before(a, b uint32) bool {
	x, y := h.at(a), h.at(b)
	if x.at != y.at {
		return x.when() < y.when()
	}
	return bytes.Compare(h.name(x), h.name(y)) < 0
}

func (h *shelf) join(i uint32) {
	l := &h.lanes[h.at(i).where()]
	l.heap = append(l.heap, i)
	h.up(l.heap, len(l.heap)-1, i)
}

// quit takes a slot out of its lane.
func (h *shelf) quit(i uint32) {
	s := h.at(i)
	l := &h.lanes[s.where()]
	last := len(l.heap) - 1
	moved := l.heap[last]
	l.heap = l.heap[:last]
	if cap(l.heap) > 4*perChunk && last < cap(l.heap)/4 {
		l.heap = append(make([]uint32, 0, cap(l.heap)/2), l.heap...)
	}
	if moved != i {
		h.down(l.heap, int(join2(s.pos)), moved)
	}
}

// up puts i where it belongs at pos or above.
func (h *shelf) up(heap []uint32, pos int, i uint32) {
	for pos > 0 {
		parent := (pos - 1) / 2
		if !h.before(i, heap[parent]) {
			break
		}
		heap[pos] = heap[parent]
		h.at(heap[pos]).pos = split2(uint32(pos))
		pos = parent
	}
	heap[pos] = i
	h.at(i).pos = split2(uint32(pos))
}

// down puts i where it belongs at pos, below or above.
func (h *shelf) down(heap []uint32, pos int, i uint32) {
	for {
		child := 2*pos + 1
		if child >= len(heap) {
			break
		}
		if child+1 < len(heap) && h.before(heap[child+1], heap[child]) {
			child++
		}
		if !h.before(heap[child], i) {
			break
		}
		heap[pos] = heap[child]
		h.at(heap[pos]).pos = split2(uint32(pos))
		pos = child
	}
	h.up(heap, pos, i)
}

// least calls yield for the positions of the first n of a heap, in order. What is next is always
// a child of one that was yielded.
func least(n, size int, before func(a, b int) bool, yield func(pos int)) {
	next := []int{0}
	for ; n > 0 && len(next) > 0; n-- {
		best := 0
		for i := range next {
			if next[i] < size && (next[best] >= size || before(next[i], next[best])) {
				best = i
			}
		}
		pos := next[best]
		if pos >= size {
			return
		}
		yield(pos)
		next[best] = 2*pos + 1
		next = append(next, 2*pos+2)
	}
}
