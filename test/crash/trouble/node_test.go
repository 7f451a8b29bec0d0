package trouble

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// node is a file or a directory of it.
type node struct {
	*fs.LoopbackNode
	s *illness
}

// file is an open one that the kernel must not reach without us.
type file struct{ *fs.LoopbackFile }

// PassthroughFd says no to that.
func (file) PassthroughFd() (int, bool) { return 0, false }

// WrapChild has every node be one of these.
func (n *node) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{ops.(*fs.LoopbackNode), n.s}
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if e := n.s.reading(); e != 0 {
		return nil, e
	}
	return n.LoopbackNode.Lookup(ctx, name, out)
}

func (n *node) Getattr(ctx context.Context, f fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	if e := n.s.reading(); e != 0 {
		return e
	}
	return n.LoopbackNode.Getattr(ctx, f, out)
}

func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if e := n.s.reading(); e != 0 {
		return nil, 0, e
	}
	return n.LoopbackNode.OpendirHandle(ctx, flags)
}

// Read stands before the file's own, so that it is asked.
func (n *node) Read(ctx context.Context, f fs.FileHandle, to []byte, at int64) (fuse.ReadResult, syscall.Errno) {
	if e := n.s.reading(); e != 0 {
		return nil, e
	}
	return f.(fs.FileReader).Read(ctx, to, at)
}

func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if e := n.s.reading(); e != 0 {
		return nil, 0, e
	}
	if e := n.s.changing(); e == unix.EROFS && flags&unix.O_ACCMODE != unix.O_RDONLY {
		return nil, 0, e
	}
	f, more, e := n.LoopbackNode.Open(ctx, flags)
	if e != 0 {
		return nil, 0, e
	}
	return file{f.(*fs.LoopbackFile)}, more, 0
}

func (n *node) Write(ctx context.Context, f fs.FileHandle, b []byte, at int64) (uint32, syscall.Errno) {
	if e := n.s.changing(); e != 0 && n.s.hits(at, int64(len(b))) {
		return 0, e
	}
	return f.(fs.FileWriter).Write(ctx, b, at)
}

func (n *node) Fsync(ctx context.Context, f fs.FileHandle, flags uint32) syscall.Errno {
	if e := n.s.syncing(); e != 0 {
		return e
	}
	if f == nil {
		return 0
	}
	return f.(fs.FileFsyncer).Fsync(ctx, flags)
}

func (n *node) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if e := n.s.changing(); e != 0 {
		return e
	}
	return n.LoopbackNode.Setattr(ctx, f, in, out)
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if e := n.s.changing(); e != 0 {
		return nil, e
	}
	return n.LoopbackNode.Mkdir(ctx, name, mode, out)
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if e := n.s.changing(); e != 0 {
		return nil, nil, 0, e
	}
	inode, f, more, e := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if e != 0 {
		return nil, nil, 0, e
	}
	return inode, file{f.(*fs.LoopbackFile)}, more, 0
}

// Tmpfile is what such file systems do not have.
func (n *node) Tmpfile(context.Context, uint32, uint32, *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	return nil, nil, 0, unix.EOPNOTSUPP
}

func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	if e := n.s.changing(); e != 0 {
		return e
	}
	return n.LoopbackNode.Unlink(ctx, name)
}

func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	if e := n.s.changing(); e != 0 {
		return e
	}
	return n.LoopbackNode.Rmdir(ctx, name)
}

func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if e := n.s.changing(); e != 0 {
		return nil, e
	}
	return n.LoopbackNode.Link(ctx, target, name, out)
}

func (n *node) Rename(ctx context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if e := n.s.changing(); e != 0 {
		return e
	}
	return n.LoopbackNode.Rename(ctx, name, to, newName, flags)
}

// The image of a disk on it can't be punched, so no write passes us by.
func (n *node) Allocate(context.Context, fs.FileHandle, uint64, uint64, uint32) syscall.Errno {
	return unix.EOPNOTSUPP
}
