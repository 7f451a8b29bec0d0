package logdisk

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Name is the disk's file below the directory given to [Serve].
const Name = "disk.img"

// Kind of an operation.
type Kind byte

// The kinds.
const (
	Write Kind = iota
	Flush
	Mark
)

// Op is one entry of the log.
type Op struct {
	Kind Kind
	Off  int64  // of a write
	Mark string // the file a witness wrote to
	Data []byte
}

// Recording is what was written from some moment on.
type Recording struct {
	Base *Image // what the disk held
	Told Told   // what witnesses had seen
	Log  []Op
}

// Disk is a disk that is served.
type Disk struct {
	dir string

	mu    sync.Mutex
	image *Image
	told  Told
	tape  *Recording // nil: nothing is recorded
}

// Serve mounts a disk that holds image, and the witnesses' files beside it with what
// they have seen so far, on the directory dir.
func Serve(dir string, image *Image, told Told) (*Disk, error) {
	d := &Disk{dir: dir, image: image.Clone(), told: maps.Clone(told)}
	// Whoever inherits the kernel's end keeps the mount waiting for answers when this
	// process is killed.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	_, err := fs.Mount(dir, &root{disk: d}, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "logdisk", MaxWrite: 1 << 20},
	})
	return d, errors.Join(err, closeOnExec("/dev/fuse"))
}

// closeOnExec keeps a device that is open here from child processes.
func closeOnExec(device string) error {
	fds, err := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if leads, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && leads == device {
			n, _ := strconv.Atoi(fd.Name())
			syscall.CloseOnExec(n)
		}
	}
	return err
}

// Path is where the disk, or a witness's file, can be found.
func (d *Disk) Path(name string) string { return filepath.Join(d.dir, name) }

// Record begins a recording.
func (d *Disk) Record() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tape = &Recording{Base: d.image.Clone(), Told: maps.Clone(d.told)}
}

// Stop ends it.
func (d *Disk) Stop() *Recording {
	d.mu.Lock()
	defer d.mu.Unlock()
	tape := d.tape
	d.tape = nil
	return tape
}

// Close unmounts the disk. It is served on for who has a copy of the mount in a
// namespace of his own.
func (d *Disk) Close() error { return Unmount(d.dir) }

func (d *Disk) note(op Op) {
	if d.tape != nil {
		op.Data = slices.Clone(op.Data)
		d.tape.Log = append(d.tape.Log, op)
	}
}

type root struct {
	fs.Inode
	disk *Disk
}

func (r *root) OnAdd(ctx context.Context) {
	attr := fs.StableAttr{Mode: syscall.S_IFREG}
	r.AddChild(Name, r.NewPersistentInode(ctx, &blocks{disk: r.disk}, attr), true)
	for name := range r.disk.told {
		r.AddChild(name, r.NewPersistentInode(ctx, &mark{disk: r.disk, name: name}, attr), true)
	}
}

// blocks is the disk's file.
type blocks struct {
	fs.Inode
	disk *Disk
}

func (n *blocks) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = syscall.S_IFREG|0o600, uint64(n.disk.image.Size)
	return 0
}

func (n *blocks) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, 0, 0
}

func (n *blocks) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	dest = dest[:max(0, min(int64(len(dest)), n.disk.image.Size-off))]
	n.disk.image.Read(off, dest)
	return fuse.ReadResultData(dest), 0
}

func (n *blocks) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	if off+int64(len(data)) > n.disk.image.Size {
		return 0, syscall.ENOSPC
	}
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.disk.image.Write(off, data)
	n.disk.note(Op{Kind: Write, Off: off, Data: data})
	return uint32(len(data)), 0
}

func (n *blocks) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.disk.note(Op{Kind: Flush})
	return 0
}

// Discards and writes of zeros come as these; the kernel then writes the zeros.
func (n *blocks) Allocate(context.Context, fs.FileHandle, uint64, uint64, uint32) syscall.Errno {
	return syscall.EOPNOTSUPP
}

// mark is a witness's file. Everything is appended.
type mark struct {
	fs.Inode
	disk *Disk
	name string
}

func (n *mark) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	out.Mode, out.Size = syscall.S_IFREG|0o666, uint64(len(n.disk.told[n.name]))
	return 0
}

func (n *mark) Setattr(ctx context.Context, f fs.FileHandle, _ *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return n.Getattr(ctx, f, out)
}

func (n *mark) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

func (n *mark) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	b := n.disk.told[n.name]
	return fuse.ReadResultData(dest[:copy(dest, b[min(off, int64(len(b))):])]), 0
}

func (n *mark) Write(_ context.Context, _ fs.FileHandle, data []byte, _ int64) (uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.disk.told[n.name] += string(data)
	n.disk.note(Op{Kind: Mark, Mark: n.name, Data: data})
	return uint32(len(data)), 0
}

// The compiler says if an operation is not one of the interface's.
var (
	_ = []fs.NodeFsyncer{&blocks{}}
	_ = []fs.NodeAllocater{&blocks{}}
)
