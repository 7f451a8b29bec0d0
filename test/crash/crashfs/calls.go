package crashfs

import (
	"strconv"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// The calls of the kernel about names and inodes. The root holds a directory for each tree, and is read
// only.

func (d *Disk) String() string { return "crashfs" }

func (d *Disk) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	if h.NodeId == fuse.FUSE_ROOT_ID {
		id, err := strconv.ParseUint(name, 10, 31)
		if err != nil || strconv.FormatUint(id, 10) != name {
			return fuse.ENOENT
		}
		v, n := d.at(id<<treeShift | rootID)
		if v == nil {
			return fuse.ENOENT
		}
		defer v.mu.Unlock()
		v.entry(n, out)
		return fuse.OK
	}
	v, dir := d.at(h.NodeId)
	if v == nil {
		return fuse.ENOENT
	}
	defer v.mu.Unlock()
	if !dir.Dir() {
		return fuse.ENOTDIR
	}
	n := v.tree.Nodes[dir.Names[name]]
	if n == nil {
		return fuse.ENOENT
	}
	v.entry(n, out)
	return fuse.OK
}

func (d *Disk) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	if in.NodeId == fuse.FUSE_ROOT_ID {
		out.Ino, out.Mode, out.Nlink = 1, unix.S_IFDIR|0o755, 2
		return fuse.OK
	}
	v, n := d.at(in.NodeId)
	if v == nil {
		return fuse.ENOENT
	}
	defer v.mu.Unlock()
	out.AttrValid = hour
	n.attr(&out.Attr)
	return fuse.OK
}

func (d *Disk) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	v, n := d.at(in.NodeId)
	if v == nil {
		return fuse.EPERM
	}
	defer v.mu.Unlock()
	if size, ok := in.GetSize(); ok {
		v.do(Op{Kind: Truncate, Node: n.ID, Off: int64(size)})
	}
	o := Op{Kind: Attr, Node: n.ID, Mode: n.Mode & 0o7777, UID: n.UID, GID: n.GID, Mtime: n.Mtime}
	if m, ok := in.GetMode(); ok {
		o.Mode = m
	}
	if uid, ok := in.GetUID(); ok {
		o.UID = uid
	}
	if gid, ok := in.GetGID(); ok {
		o.GID = gid
	}
	switch {
	case in.Valid&fuse.FATTR_MTIME_NOW != 0:
		o.Mtime = now()
	case in.Valid&fuse.FATTR_MTIME != 0:
		o.Mtime = int64(in.Mtime)*1_000_000_000 + int64(in.Mtimensec)
	}
	if in.Valid&(fuse.FATTR_MODE|fuse.FATTR_UID|fuse.FATTR_GID|fuse.FATTR_MTIME) != 0 {
		v.do(o)
	}
	out.AttrValid = hour
	n.attr(&out.Attr)
	return fuse.OK
}

// make makes an inode under a name.
func (d *Disk) make(h *fuse.InHeader, name string, mode uint32, target string, out *fuse.EntryOut) (*Live, *Node, fuse.Status) {
	v, dir := d.at(h.NodeId)
	if v == nil {
		return nil, nil, fuse.EPERM
	}
	defer v.mu.Unlock()
	if dir.Names[name] != 0 {
		return nil, nil, fuse.Status(unix.EEXIST)
	}
	if dir.Links == 0 {
		return nil, nil, fuse.ENOENT
	}
	id := v.tree.last + 1
	ino := v.tree.freeIno(func(n *Node) bool { return v.opens[n.ID] > 0 })
	v.do(Op{Kind: Make, Node: id, Ino: ino, Dir: dir.ID, Name: name, Mode: mode, UID: h.Uid, GID: h.Gid, Target: target})
	n := v.tree.Nodes[id]
	v.entry(n, out)
	return v, n, fuse.OK
}

func (d *Disk) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	_, _, status := d.make(&in.InHeader, name, in.Mode, "", out)
	return status
}

func (d *Disk) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	_, _, status := d.make(&in.InHeader, name, in.Mode&0o7777|unix.S_IFDIR, "", out)
	return status
}

func (d *Disk) Symlink(_ <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	_, _, status := d.make(h, name, 0o777|unix.S_IFLNK, target, out)
	return status
}

func (d *Disk) Readlink(_ <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	v, n := d.at(h.NodeId)
	if v == nil {
		return nil, fuse.EINVAL
	}
	defer v.mu.Unlock()
	return []byte(n.Target), fuse.OK
}

func (d *Disk) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	v, n, status := d.make(&in.InHeader, name, in.Mode&0o7777|unix.S_IFREG, "", &out.EntryOut)
	if status != fuse.OK {
		return status
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.opens[n.ID]++
	out.OpenFlags = fuse.FOPEN_DIRECT_IO
	return fuse.OK
}

func (d *Disk) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	v, dir := d.at(in.NodeId)
	if v == nil {
		return fuse.EPERM
	}
	defer v.mu.Unlock()
	n := v.tree.Nodes[in.Oldnodeid&(1<<treeShift-1)]
	switch {
	case in.Oldnodeid>>treeShift != v.id:
		return fuse.EXDEV
	case n == nil || n.Links == 0:
		return fuse.ENOENT
	case dir.Names[name] != 0:
		return fuse.Status(unix.EEXIST)
	}
	v.do(Op{Kind: Link, Node: n.ID, Dir2: dir.ID, Name2: name})
	v.entry(n, out)
	return fuse.OK
}

func (d *Disk) Unlink(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return d.unlink(h, name, false)
}

func (d *Disk) Rmdir(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return d.unlink(h, name, true)
}

func (d *Disk) unlink(h *fuse.InHeader, name string, wantDir bool) fuse.Status {
	v, dir := d.at(h.NodeId)
	if v == nil {
		return fuse.EPERM
	}
	defer v.mu.Unlock()
	n := v.tree.Nodes[dir.Names[name]]
	switch {
	case n == nil:
		return fuse.ENOENT
	case wantDir && !n.Dir():
		return fuse.ENOTDIR
	case !wantDir && n.Dir():
		return fuse.EISDIR
	case len(n.Names) > 0:
		return fuse.Status(unix.ENOTEMPTY)
	}
	v.do(Op{Kind: Unlink, Node: n.ID, Dir: dir.ID, Name: name})
	return fuse.OK
}

func (d *Disk) Rename(_ <-chan struct{}, in *fuse.RenameIn, name, newName string) fuse.Status {
	v, dir := d.at(in.NodeId)
	if v == nil {
		return fuse.EPERM
	}
	defer v.mu.Unlock()
	to := v.tree.Nodes[in.Newdir&(1<<treeShift-1)]
	exchange := in.Flags&unix.RENAME_EXCHANGE != 0
	if in.Newdir>>treeShift != v.id || to == nil {
		return fuse.EXDEV
	}
	if v.rules.NoFlags && in.Flags != 0 || v.rules.NoExchange && exchange {
		return fuse.EINVAL
	}
	n, other := v.tree.Nodes[dir.Names[name]], v.tree.Nodes[to.Names[newName]]
	switch {
	case n == nil, exchange && other == nil:
		return fuse.ENOENT
	case other != nil && in.Flags&unix.RENAME_NOREPLACE != 0:
		return fuse.Status(unix.EEXIST)
	case n == other:
		return fuse.OK
	case other != nil && !exchange && n.Dir() != other.Dir():
		return fuse.Status(map[bool]unix.Errno{true: unix.EISDIR, false: unix.ENOTDIR}[other.Dir()])
	case other != nil && !exchange && len(other.Names) > 0:
		return fuse.Status(unix.ENOTEMPTY)
	}
	o := Op{Kind: Rename, Node: n.ID, Dir: dir.ID, Name: name, Dir2: to.ID, Name2: newName, Exchange: exchange}
	if other != nil {
		o.Other = other.ID
	}
	v.do(o)
	return fuse.OK
}

func (d *Disk) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	*out = fuse.StatfsOut{Bsize: 4096, Frsize: 4096, Blocks: 1 << 20, Bfree: 1 << 20, Bavail: 1 << 20, Files: 1 << 20, Ffree: 1 << 20, NameLen: 255}
	return fuse.OK
}
