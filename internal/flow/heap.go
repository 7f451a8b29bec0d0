package flow

// heap is a set of steps of which the first by less comes out first. A step is in
// one heap at most, and slot, which all heaps of a flow share, tells where: so it
// can be taken out of the middle.
type heap struct {
	items []int32
	slot  []int32
	less  func(a, b int32) bool
}

func (h *heap) push(i int32) {
	h.items = append(h.items, i)
	h.up(len(h.items) - 1)
}

func (h *heap) pop() int32 {
	top := h.items[0]
	h.remove(top)
	return top
}

// remove takes out a step that is in it.
func (h *heap) remove(i int32) {
	at, last := int(h.slot[i]), len(h.items)-1
	moved := h.items[last]
	h.items = h.items[:last]
	if at < last {
		h.items[at] = moved
		h.down(at)
		h.up(int(h.slot[moved]))
	}
}

func (h *heap) up(at int) {
	i := h.items[at]
	for at > 0 {
		above := (at - 1) / 2
		if !h.less(i, h.items[above]) {
			break
		}
		h.put(at, h.items[above])
		at = above
	}
	h.put(at, i)
}

func (h *heap) down(at int) {
	i := h.items[at]
	for {
		below := 2*at + 1
		if below >= len(h.items) {
			break
		}
		if next := below + 1; next < len(h.items) && h.less(h.items[next], h.items[below]) {
			below = next
		}
		if !h.less(h.items[below], i) {
			break
		}
		h.put(at, h.items[below])
		at = below
	}
	h.put(at, i)
}

func (h *heap) put(at int, i int32) {
	h.items[at] = i
	h.slot[i] = int32(at)
}

// pick takes out the first that may be taken, of those that come before the first
// which is not due.
func (h *heap) pick(may func(int) bool, due func(int32) bool) (int, bool) {
	var passed []int32
	defer func() {
		for _, i := range passed {
			h.push(i)
		}
	}()
	for len(h.items) > 0 && due(h.items[0]) {
		i := h.pop()
		if may(int(i)) {
			return int(i), true
		}
		passed = append(passed, i)
	}
	return 0, false
}
