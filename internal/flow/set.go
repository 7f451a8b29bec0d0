package flow

import "math/bits"

// set is a set of small numbers that never changes once it is made: sets made of
// one another share what they have in common. nil is the empty set.
type set struct{ blocks []*block }

const blockBits = 64 * 32

type block [blockBits / 64]uint64

func (s *set) has(n int) bool {
	if s == nil || n/blockBits >= len(s.blocks) || s.blocks[n/blockBits] == nil {
		return false
	}
	return s.blocks[n/blockBits][n%blockBits/64]&(1<<(n%64)) != 0
}

// with is s and n.
func (s *set) with(n int) *set {
	one := make([]*block, n/blockBits+1)
	one[n/blockBits] = &block{}
	one[n/blockBits][n%blockBits/64] = 1 << (n % 64)
	return s.union(&set{one})
}

// union is one of the two if that holds the other.
func (s *set) union(o *set) *set {
	switch {
	case s == o || o == nil:
		return s
	case s == nil:
		return o
	case len(s.blocks) < len(o.blocks):
		s, o = o, s
	}
	blocks := make([]*block, len(s.blocks))
	isS, isO := true, len(s.blocks) == len(o.blocks)
	for i, b := range s.blocks {
		var other *block
		if i < len(o.blocks) {
			other = o.blocks[i]
		}
		blocks[i] = b.union(other)
		isS = isS && blocks[i] == b
		isO = isO && blocks[i] == other
	}
	switch {
	case isS:
		return s
	case isO:
		return o
	}
	return &set{blocks}
}

func (b *block) union(o *block) *block {
	if b == o || o == nil {
		return b
	}
	if b == nil {
		return o
	}
	u := *b
	for i, w := range o {
		u[i] |= w
	}
	switch u {
	case *b:
		return b
	case *o:
		return o
	}
	return &u
}

// list are its numbers, in order.
func (s *set) list() (numbers []int) {
	if s == nil {
		return nil
	}
	for i, b := range s.blocks {
		if b == nil {
			continue
		}
		for j, w := range b {
			for ; w != 0; w &= w - 1 {
				numbers = append(numbers, i*blockBits+j*64+bits.TrailingZeros64(w))
			}
		}
	}
	return numbers
}
