package crashfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Disk is a mount that serves trees, each below a directory of its own.
type Disk struct {
	fuse.RawFileSystem
	dir    string
	server *fuse.Server

	mu   sync.RWMutex
	live map[uint64]*Live
	last uint64
}

// Rules is what a file system refuses.
type Rules struct {
	NoExchange bool // RENAME_EXCHANGE
	NoFlags    bool // any flag of renameat2

	SyncTakes time.Duration // each fsync, as on a disk: others go on meanwhile
}

// Live is a tree that is served. What is done to it is logged.
type Live struct {
	disk  *Disk
	id    uint64
	rules Rules

	mu    sync.Mutex
	tree  *Tree
	base  *Tree
	ops   []Op
	opens map[uint64]int
	lists map[uint64][]fuse.DirEntry
	fh    uint64
}

// Mount serves an empty disk at dir. It takes the right to mount.
func Mount(dir string) (*Disk, error) {
	d := &Disk{RawFileSystem: fuse.NewDefaultRawFileSystem(), dir: dir, live: map[uint64]*Live{}}
	server, err := fuse.NewServer(d, dir, &fuse.MountOptions{
		DirectMountStrict: true, FsName: "crashfs", Name: "crashfs", AllowOther: true, DisableXAttrs: true, DisableReadDirPlus: true,
	})
	if err != nil {
		return nil, err
	}
	d.server = server
	keepToOurselves()
	go server.Serve()
	if err := server.WaitMount(); err != nil {
		return nil, err
	}
	return d, nil
}

// keepToOurselves has no child inherit /dev/fuse, which go-fuse opens without saying
// so: if this process is killed the disk must go with it, not wait for an answer that
// nobody gives.
func keepToOurselves() {
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, e := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == "/dev/fuse" {
			if fd, err := strconv.Atoi(e.Name()); err == nil {
				unix.CloseOnExec(fd)
			}
		}
	}
}

// Close unmounts, and does not wait for whoever still has the mount in a namespace of
// his own: for him it goes with this process.
func (d *Disk) Close() error { return unix.Unmount(d.dir, unix.MNT_DETACH) }

// Serve serves a tree, which becomes the Live's own.
func (d *Disk) Serve(t *Tree, rules Rules) *Live {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	v := &Live{disk: d, id: d.last, rules: rules, tree: t, base: t.Clone(), opens: map[uint64]int{}, lists: map[uint64][]fuse.DirEntry{}}
	d.live[v.id] = v
	return v
}

// Path is where it is served.
func (v *Live) Path() string { return filepath.Join(v.disk.dir, v.name()) }

func (v *Live) name() string { return fmt.Sprint(v.id) }

// Log is what was done so far.
func (v *Live) Log() Log {
	v.mu.Lock()
	defer v.mu.Unlock()
	return Log{Base: v.base, Ops: v.ops[:len(v.ops):len(v.ops)]}
}

// Rebase begins a new log: all that is there is on the disk.
func (v *Live) Rebase() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.base, v.ops = v.tree.Clone(), nil
}

// Outside declares that what lies at a path, and is made below it, is on no disk that
// loses power.
func (v *Live) Outside(path string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tree.Find(path).Outside = true
}

// Put gives a file other bytes, unlogged and unseen: before anybody looks.
func (v *Live) Put(path string, change func([]byte) []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range []*Tree{v.tree, v.base} {
		if n := t.Find(path); n != nil {
			n.Data = change(n.Data)
		}
	}
}

// Done is how many operations were logged.
func (v *Live) Done() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.ops)
}

// Tree is a copy of what is there now.
func (v *Live) Tree() *Tree {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.tree.Clone()
}

// Open is how many files and directories are open.
func (v *Live) Open() (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, k := range v.opens {
		n += k
	}
	return n
}

// Drop ends the serving.
func (v *Live) Drop() {
	v.disk.mu.Lock()
	delete(v.disk.live, v.id)
	v.disk.mu.Unlock()
	// The kernel forgets all it knows below the name.
	v.disk.server.EntryNotify(fuse.FUSE_ROOT_ID, v.name())
}

// The node number of the kernel: the tree's, and the inode's in it.
const treeShift = 32

func (v *Live) nodeID(id uint64) uint64 { return v.id<<treeShift | id }

// at is the tree and the inode of a node number, locked; nil if either is gone.
func (d *Disk) at(nodeID uint64) (*Live, *Node) {
	d.mu.RLock()
	v := d.live[nodeID>>treeShift]
	d.mu.RUnlock()
	if v == nil {
		return nil, nil
	}
	v.mu.Lock()
	n := v.tree.Nodes[nodeID&(1<<treeShift-1)]
	if n == nil {
		v.mu.Unlock()
		return nil, nil
	}
	return v, n
}

// do logs an operation and carries it out.
func (v *Live) do(o Op) {
	o.Time = now()
	o.Outside = o.Outside || v.outside(o.Node) || v.outside(o.Dir) || v.outside(o.Dir2)
	v.tree.apply(&o)
	v.ops = append(v.ops, o)
}

func (v *Live) outside(id uint64) bool {
	n := v.tree.Nodes[id]
	return n != nil && n.Outside
}

// now is the time a file system writes: as coarse as the kernel's clock.
func now() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &ts)
	return ts.Nano()
}

// Nothing changes behind the kernel's back, so it may keep what it knows.
const hour = 3600

func (v *Live) entry(n *Node, out *fuse.EntryOut) {
	out.NodeId, out.Generation, out.EntryValid, out.AttrValid = v.nodeID(n.ID), 1, hour, hour
	n.attr(&out.Attr)
}

func (n *Node) attr(out *fuse.Attr) {
	out.Ino, out.Mode, out.Nlink = n.Ino, n.Mode, n.Links
	out.Uid, out.Gid = n.UID, n.GID
	out.Size, out.Blksize = uint64(len(n.Data)), 4096
	if n.Target != "" {
		out.Size = uint64(len(n.Target))
	}
	out.Blocks = (out.Size + 511) / 512
	const second = 1_000_000_000
	out.Mtime, out.Mtimensec = uint64(n.Mtime/second), uint32(n.Mtime%second)
	out.Ctime, out.Ctimensec = uint64(n.Ctime/second), uint32(n.Ctime%second)
	out.Atime, out.Atimensec = out.Mtime, out.Mtimensec
}
