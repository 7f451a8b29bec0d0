package crashfs

import (
	"math/rand/v2"
)

// Fate is what becomes of the bytes of a file that were written since it was last
// synced. The size goes with the journal, but may lag behind it: where blocks are
// given out late, it is written with them.
type Fate int

// The fates.
const (
	Lost   Fate = iota // nothing of it is there, the size is the old one
	Kept               // all of it, as far as the journal is there
	Zeroed             // the new size, the old bytes, and zeros for the rest
	Early              // as Kept, and what was written over old bytes later is there already
	Torn               // each sector as it was at some moment, the size of another
	Fates
)

func (f Fate) String() string {
	return [...]string{"lost", "kept", "zeroed", "early", "torn"}[f]
}

const sector = 512

// Safe is how long a prefix of the journal is certainly on the disk when the power
// goes after n operations: what was synced reaches to the last change of the inode
// it was asked for, and to everything before that.
func (l *Log) Safe(n int) (safe int) {
	for i := range l.Ops[:n] {
		switch o := &l.Ops[i]; o.Kind {
		case SyncAll:
			safe = i + 1
		case Sync:
			for k := i - 1; k >= safe; k-- {
				if c := &l.Ops[k]; c.touches(o.Node) && (!o.DataOnly || c.Kind == Write || c.Kind == Truncate) {
					safe = k + 1
				}
			}
		}
	}
	return safe
}

// Journalled is what the disk of a journalling file system holds when the power
// goes after n operations and the journal reached the disk up to the given one,
// which is at least Safe(n). fate says what became of a file's bytes; it is asked
// for each file that has some in doubt, in the order of their numbers.
func (l *Log) Journalled(n, committed int, fate func(id uint64) Fate, rng *rand.Rand) *Tree {
	t := l.Base.Clone()
	for i := range l.Ops[:n] {
		switch o := &l.Ops[i]; {
		case o.Outside:
			t.apply(o)
		case i < committed:
			t.meta(o)
		}
	}
	l.fill(t, n, committed, fate, rng)
	t.settle()
	return t
}

// fill gives the files of t their bytes.
func (l *Log) fill(t *Tree, n, committed int, fate func(id uint64) Fate, rng *rand.Rand) {
	for id := uint64(rootID); id <= t.last; id++ {
		node := t.Nodes[id]
		if node == nil || !node.Regular() || node.Outside {
			continue
		}
		h := l.history(node, n, committed)
		if len(h.versions) == 1 {
			node.Data = h.versions[0]
		} else {
			node.Data = h.choose(fate(id), rng)
		}
	}
}

// history is how a file's bytes came to be since its last sync.
type history struct {
	versions [][]byte // the first is certainly on the disk, or in the journal
	sized    int      // how many of them the journal gives a size to
}

func (l *Log) history(node *Node, n, committed int) (h history) {
	synced := 0
	for i := range l.Ops[:n] {
		if o := &l.Ops[i]; o.Kind == SyncAll || o.Kind == Sync && o.Node == node.ID {
			synced = i
		}
	}
	data := node.Data
	h.versions, h.sized = [][]byte{data}, 1
	for i := range l.Ops[:n] {
		o := &l.Ops[i]
		if o.Node != node.ID || o.Kind != Write && o.Kind != Truncate {
			continue
		}
		if o.Kind == Truncate && i >= committed {
			break // what is written after it lies in blocks that nothing leads to yet
		}
		data = o.change(data)
		switch {
		case i < synced:
			h.versions = [][]byte{data}
		case o.Kind == Truncate: // is in the journal, as names are: whatever was there has that size now
			for k, v := range h.versions {
				h.versions[k] = o.change(v)
			}
		default:
			h.versions = append(h.versions, data)
		}
		if i < committed {
			h.sized = len(h.versions)
		}
	}
	return h
}

func (h *history) choose(f Fate, rng *rand.Rand) []byte {
	first, last := h.versions[0], h.versions[len(h.versions)-1]
	kept := h.versions[h.sized-1]
	switch f {
	case Lost:
		return first
	case Kept:
		return kept
	case Zeroed:
		return sized(first, len(kept))
	case Early:
		return sized(last, len(kept))
	}
	b := make([]byte, len(h.versions[rng.IntN(h.sized)]))
	for at := 0; at < len(b); at += sector {
		v := h.versions[rng.IntN(len(h.versions))]
		copy(b[at:min(at+sector, len(b))], v[min(at, len(v)):])
	}
	return b
}
