package crashfs

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Kind is what an operation does.
type Kind uint8

// The kinds. Only Write and Truncate are about bytes.
const (
	Make Kind = iota // a new inode under a name
	Link
	Unlink // rmdir too
	Rename
	Attr // mode, owner, mtime
	Write
	Truncate
	Sync    // of one inode
	SyncAll // of everything before
)

func (k Kind) String() string {
	return [...]string{"make", "link", "unlink", "rename", "attr", "write", "truncate", "fsync", "syncfs"}[k]
}

// Op is one call that changed something, or had it kept.
type Op struct {
	Kind     Kind
	Node     uint64 // it is about
	Dir      uint64 // where its name is, or was
	Name     string
	Dir2     uint64 // where it is now
	Name2    string
	Other    uint64 // Rename: what was there
	Exchange bool
	Outside  bool

	Off  int64 // Truncate: the size
	Data []byte

	Ino      uint64 // Make
	Target   string
	Mode     uint32 // Make, Attr
	UID, GID uint32
	Mtime    int64 // Attr
	DataOnly bool  // fdatasync
	Time     int64
}

func (o Op) String() string {
	s := fmt.Sprintf("%v %d", o.Kind, o.Node)
	switch o.Kind {
	case Make, Unlink:
		s += fmt.Sprintf(" %d/%s", o.Dir, o.Name)
	case Link:
		s += fmt.Sprintf(" as %d/%s", o.Dir2, o.Name2)
	case Rename:
		s += fmt.Sprintf(" %d/%s to %d/%s", o.Dir, o.Name, o.Dir2, o.Name2)
		if o.Exchange {
			s += " exchanged"
		}
	case Attr:
		s += fmt.Sprintf(" mode %o mtime %d", o.Mode, o.Mtime)
	case Write:
		s += fmt.Sprintf(" %d bytes at %d: %.40q", len(o.Data), o.Off, o.Data)
	case Truncate:
		s += fmt.Sprintf(" to %d", o.Off)
	}
	return s
}

// touches reports whether the operation changes that inode, so that its fsync has
// to carry it.
func (o *Op) touches(id uint64) bool {
	switch o.Kind {
	case Sync, SyncAll:
		return false
	case Make, Unlink, Link, Rename:
		return id == o.Node || id == o.Dir || id == o.Dir2 || id == o.Other
	}
	return id == o.Node
}

// Log is what was done to a tree, in order.
type Log struct {
	Base *Tree // was on the disk before
	Ops  []Op
}

// At is what a program saw after n operations.
func (l *Log) At(n int) *Tree {
	t := l.Base.Clone()
	for i := range l.Ops[:n] {
		t.apply(&l.Ops[i])
	}
	return t
}

// apply does it all; meta leaves the bytes out.
func (t *Tree) apply(o *Op) {
	t.meta(o)
	if n := t.Nodes[o.Node]; n != nil && (o.Kind == Write || o.Kind == Truncate) {
		n.Data = o.change(n.Data)
	}
}

// change is what the operation makes of a file's bytes.
func (o *Op) change(data []byte) []byte {
	if o.Kind == Truncate {
		return sized(data, int(o.Off))
	}
	b := sized(data, max(len(data), int(o.Off)+len(o.Data)))
	copy(b[o.Off:], o.Data)
	return b
}

// sized is a copy with another size, filled up with zeros.
func sized(data []byte, size int) []byte {
	b := make([]byte, size)
	copy(b, data)
	return b
}

// meta does what the operation does to names and inodes.
func (t *Tree) meta(o *Op) {
	n := t.Nodes[o.Node]
	switch o.Kind {
	case Make:
		n = t.inode(o)
		if n.Dir() {
			t.Nodes[o.Dir].Links++
		}
		t.name(o.Dir, o.Name, o.Node, o.Time)
	case Link:
		t.name(o.Dir2, o.Name2, o.Node, o.Time)
	case Unlink:
		t.unname(o.Dir, o.Name, o.Time)
		if n.Dir() {
			n.Links, t.Nodes[o.Dir].Links = 0, t.Nodes[o.Dir].Links-1
		}
	case Rename:
		t.rename(o)
	case Attr:
		n.Mode = n.Mode&unix.S_IFMT | o.Mode
		n.UID, n.GID, n.Mtime = o.UID, o.GID, o.Mtime
	case Write, Truncate:
		n.Mtime = o.Time
	}
	if o.Kind <= Truncate {
		n.Ctime = o.Time
	}
}

// inode is what a Make makes, without its name.
func (t *Tree) inode(o *Op) *Node {
	n := &Node{
		ID: o.Node, Ino: o.Ino, Mode: o.Mode, UID: o.UID, GID: o.GID, Target: o.Target,
		Mtime: o.Time, Ctime: o.Time, Outside: o.Outside,
	}
	if n.Dir() {
		n.Names, n.Links = map[string]uint64{}, 1
	}
	t.last = max(t.last, o.Node)
	t.Nodes[o.Node] = n
	return n
}

func (t *Tree) rename(o *Op) {
	n, other := t.Nodes[o.Node], t.Nodes[o.Other]
	if other != nil {
		t.unname(o.Dir2, o.Name2, o.Time)
		other.Ctime = o.Time
	}
	t.unname(o.Dir, o.Name, o.Time)
	t.name(o.Dir2, o.Name2, o.Node, o.Time)
	if o.Exchange {
		t.name(o.Dir, o.Name, o.Other, o.Time)
	}
	if o.Dir == o.Dir2 {
		return
	}
	// The link a directory has in the one above it.
	if n.Dir() {
		t.Nodes[o.Dir].Links--
		t.Nodes[o.Dir2].Links++
	}
	if other != nil && other.Dir() {
		t.Nodes[o.Dir2].Links--
		if o.Exchange {
			t.Nodes[o.Dir].Links++
		}
	}
}

func (t *Tree) name(dir uint64, name string, id uint64, now int64) {
	d := t.Nodes[dir]
	d.Names[name] = id
	d.Mtime, d.Ctime = now, now
	t.Nodes[id].Links++
}

func (t *Tree) unname(dir uint64, name string, now int64) {
	d := t.Nodes[dir]
	t.Nodes[d.Names[name]].Links--
	delete(d.Names, name)
	d.Mtime, d.Ctime = now, now
}
