package flow

import (
	"cmp"
	"math/bits"
	"slices"
)

const (
	// countLimit bounds the work of counting, in words of 64 steps: some hundredths
	// of a second.
	countLimit = 1 << 25
	// column is how many steps one pass counts, in words: little enough that the
	// rows of ten thousand steps stay in the processor's cache.
	column = 8
)

// priorities ranks the steps by what is behind them.
func (p *planner) priorities() {
	n := len(p.nodes)
	if (n+len(p.succ.to))*(n/64+1) <= countLimit {
		p.behind = p.countBehind()
	} else {
		p.behind = p.chainBehind()
	}
	byRank := make([]int32, n)
	for i := range byRank {
		byRank[i] = int32(i)
	}
	slices.SortFunc(byRank, func(a, b int32) int {
		return cmp.Or(cmp.Compare(p.behind[b], p.behind[a]), cmp.Compare(a, b))
	})
	p.rank = make([]int32, n)
	for r, i := range byRank {
		p.rank[i] = int32(r)
	}
}

// countBehind counts for each step those that come after it, near or far, as far
// as they are wanted: in sets of bits, some columns of the matrix at a time.
func (p *planner) countBehind() []int32 {
	n := len(p.nodes)
	behind := make([]int32, n)
	rows := make([][column]uint64, n)
	for low := 0; low < n; low += 64 * column {
		high := min(n, low+64*column)
		// What comes after a step stands behind it in the order: rows from high on
		// have nothing in these columns.
		for at := high - 1; at >= 0; at-- {
			i := p.order[at]
			row := [column]uint64{}
			for _, j := range p.succ.of(int(i)) {
				pos := int(p.pos[j])
				if pos >= high || !p.inGoal[j] {
					continue
				}
				for w, word := range rows[j] {
					row[w] |= word
				}
				if pos >= low {
					row[(pos-low)/64] |= 1 << ((pos - low) % 64)
				}
			}
			rows[i] = row
			for _, word := range row {
				behind[i] += int32(bits.OnesCount64(word))
			}
		}
	}
	return behind
}

// chainBehind is the length of the longest chain behind each step.
func (p *planner) chainBehind() []int32 {
	behind := make([]int32, len(p.nodes))
	for _, i := range slices.Backward(p.order) {
		for _, j := range p.succ.of(int(i)) {
			if p.inGoal[j] {
				behind[i] = max(behind[i], behind[j]+1)
			}
		}
	}
	return behind
}
