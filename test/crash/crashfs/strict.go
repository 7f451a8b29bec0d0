package crashfs

import (
	"math/rand/v2"
)

// Strict is a file system on which each directory and each inode answers for itself.
type Strict struct {
	Whole bool    // a rename is one change, even between two directories
	Odds  float64 // of each change that nobody synced to be on the disk
}

// change is what one directory or one inode has to write.
type change struct {
	at     int // of the operation
	op     *Op
	part   int // of the operation: see parts
	synced bool
}

const (
	named   = iota // a name appears
	unnamed        // a name goes
	inode          // mode, owner, times
	both           // a rename as a whole
)

// dirOf is the directory a change is in, 0 if in none.
func (c *change) dirOf(which int) uint64 {
	switch {
	case which == unnamed && c.op.Kind != Make:
		return c.op.Dir
	case c.op.Kind == Make:
		return c.op.Dir
	}
	return c.op.Dir2
}

// State is what such a disk may hold when the power goes after n operations.
func (s Strict) State(l *Log, n int, fate func(id uint64) Fate, rng *rand.Rand) *Tree {
	t := l.Base.Clone()
	var changes []change
	for i := range l.Ops[:n] {
		o := &l.Ops[i]
		switch {
		case o.Outside:
			t.apply(o)
			continue
		case o.Kind == Sync || o.Kind == SyncAll:
			for k := range changes {
				c := &changes[k]
				c.synced = c.synced || o.Kind == SyncAll || c.part == inode && c.op.Node == o.Node ||
					(c.part == named || c.part == both) && c.dirOf(named) == o.Node || c.part == unnamed && c.dirOf(unnamed) == o.Node
			}
			continue
		}
		for _, part := range s.parts(o) {
			changes = append(changes, change{at: i, op: o, part: part})
		}
		if o.Kind == Make { // the inode is there as soon as anything leads to it
			t.inode(o)
		}
	}
	for i := range changes {
		if c := &changes[i]; c.synced || rng.Float64() < s.Odds {
			c.carryOut(t)
		}
	}
	l.fill(t, n, n, fate, rng)
	t.settle()
	return t
}

func (s Strict) parts(o *Op) []int {
	switch o.Kind {
	case Make, Link:
		return []int{named}
	case Unlink:
		return []int{unnamed}
	case Rename:
		if s.Whole || o.Dir == o.Dir2 {
			return []int{both}
		}
		return []int{named, unnamed}
	}
	return []int{inode}
}

func (c *change) carryOut(t *Tree) {
	o := c.op
	set := func(dir uint64, name string, id uint64) {
		if d := t.Nodes[dir]; d != nil && d.Names != nil {
			d.Names[name] = id
		}
	}
	unset := func(dir uint64, name string, id uint64) {
		if d := t.Nodes[dir]; d != nil && d.Names[name] == id {
			delete(d.Names, name)
		}
	}
	if c.part == inode {
		if t.Nodes[o.Node] != nil {
			t.meta(o)
		}
		return
	}
	switch o.Kind {
	case Make:
		set(o.Dir, o.Name, o.Node)
	case Link:
		set(o.Dir2, o.Name2, o.Node)
	case Unlink:
		unset(o.Dir, o.Name, o.Node)
	case Rename:
		if c.part != unnamed {
			set(o.Dir2, o.Name2, o.Node)
		}
		if c.part != named {
			unset(o.Dir, o.Name, o.Node)
			if o.Exchange {
				set(o.Dir, o.Name, o.Other)
			}
		}
	}
}
