package crashfs

import (
	"maps"
	"strings"

	"golang.org/x/sys/unix"
)

// Node is an inode.
type Node struct {
	ID       uint64 // never used again
	Ino      uint64 // what stat tells; used again when the inode is gone, as disks do
	Mode     uint32
	UID, GID uint32
	Links    uint32
	Mtime    int64 // nanoseconds since 1970
	Ctime    int64
	Data     []byte            // never changed in place: trees share it
	Target   string            // of a symbolic link
	Names    map[string]uint64 // of a directory
	Outside  bool              // on no disk that loses power: what programs were told, say
}

// Dir reports whether it is a directory.
func (n *Node) Dir() bool { return n.Mode&unix.S_IFMT == unix.S_IFDIR }

// Regular reports whether it is a plain file.
func (n *Node) Regular() bool { return n.Mode&unix.S_IFMT == unix.S_IFREG }

// Tree is a file system's content.
type Tree struct {
	Nodes map[uint64]*Node
	last  uint64 // ID
}

const (
	rootID   = 2
	firstIno = 12
)

// NewTree is an empty directory.
func NewTree() *Tree {
	root := &Node{ID: rootID, Ino: rootID, Mode: unix.S_IFDIR | 0o755, Links: 2, Names: map[string]uint64{}}
	return &Tree{Nodes: map[uint64]*Node{rootID: root}, last: rootID}
}

// Planted is a tree of these inodes.
func Planted(nodes map[uint64]*Node) *Tree {
	t := &Tree{Nodes: nodes}
	for id := range nodes {
		t.last = max(t.last, id)
	}
	return t
}

// Clone is a copy that shares nothing that changes.
func (t *Tree) Clone() *Tree {
	c := &Tree{Nodes: make(map[uint64]*Node, len(t.Nodes)), last: t.last}
	for id, n := range t.Nodes {
		m := *n
		m.Names = maps.Clone(n.Names)
		c.Nodes[id] = &m
	}
	return c
}

// Find is what a path leads to, links not followed; nil if nothing is there.
func (t *Tree) Find(path string) *Node {
	n := t.Nodes[rootID]
	for name := range strings.SplitSeq(path, "/") {
		if n == nil || n.Names == nil {
			return nil
		}
		n = t.Nodes[n.Names[name]]
	}
	return n
}

// Walk calls visit for each name below the root, a directory before its content, in
// no order, as long as it returns true for the directory.
func (t *Tree) Walk(visit func(path string, n *Node) bool) {
	t.walk("", t.Nodes[rootID], visit)
}

func (t *Tree) walk(above string, dir *Node, visit func(path string, n *Node) bool) {
	for name, id := range dir.Names {
		n := t.Nodes[id]
		if n != nil && visit(above+name, n) && n.Dir() {
			t.walk(above+name+"/", n, visit)
		}
	}
}

// freeIno is the lowest number nobody has.
func (t *Tree) freeIno(held func(*Node) bool) uint64 {
	used := make(map[uint64]bool, len(t.Nodes))
	for _, n := range t.Nodes {
		if n.Links > 0 || held(n) {
			used[n.Ino] = true
		}
	}
	ino := uint64(firstIno)
	for used[ino] {
		ino++
	}
	return ino
}

// settle drops what no name leads to any more and counts the links.
func (t *Tree) settle() {
	for _, n := range t.Nodes {
		n.Links = 0
	}
	root := t.Nodes[rootID]
	root.Links = 2
	t.count(root)
	for id, n := range t.Nodes {
		if n.Links == 0 {
			delete(t.Nodes, id)
		}
	}
}

func (t *Tree) count(dir *Node) {
	for name, id := range dir.Names {
		n := t.Nodes[id]
		switch {
		case n == nil, n.Dir() && n.Links > 0:
			delete(dir.Names, name) // what fsck does to a name of nothing, or a directory's second
		case n.Dir():
			n.Links = 2
			dir.Links++
			t.count(n)
		default:
			n.Links++
		}
	}
}
