package crashfs

import (
	"maps"
	"slices"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// The calls of the kernel about what is open.

func (d *Disk) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	v, n := d.at(in.NodeId)
	if v == nil {
		return fuse.ENOENT
	}
	defer v.mu.Unlock()
	v.opens[n.ID]++
	if in.Flags&unix.O_TRUNC != 0 && in.Flags&unix.O_ACCMODE != unix.O_RDONLY {
		v.do(Op{Kind: Truncate, Node: n.ID})
	}
	out.OpenFlags = fuse.FOPEN_DIRECT_IO
	return fuse.OK
}

func (d *Disk) Release(_ <-chan struct{}, in *fuse.ReleaseIn) { d.release(in) }

func (d *Disk) release(in *fuse.ReleaseIn) {
	if v, n := d.at(in.NodeId); v != nil {
		v.opens[n.ID]--
		delete(v.lists, in.Fh)
		v.mu.Unlock()
	}
}

func (d *Disk) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.ENOSYS }

func (d *Disk) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	v, n := d.at(in.NodeId)
	if v == nil {
		return nil, fuse.EIO
	}
	defer v.mu.Unlock()
	from := min(in.Offset, uint64(len(n.Data)))
	return fuse.ReadResultData(n.Data[from:min(from+uint64(len(buf)), uint64(len(n.Data)))]), fuse.OK
}

func (d *Disk) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	v, n := d.at(in.NodeId)
	if v == nil {
		return 0, fuse.EIO
	}
	defer v.mu.Unlock()
	off := int64(in.Offset)
	if in.Flags&unix.O_APPEND != 0 {
		// The kernel knows the size from before, and another may have appended since.
		off = int64(len(n.Data))
	}
	v.do(Op{Kind: Write, Node: n.ID, Off: off, Data: slices.Clone(data)})
	return uint32(len(data)), fuse.OK
}

func (d *Disk) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	v, n := d.at(in.NodeId)
	if v == nil {
		return fuse.OK
	}
	v.mu.Unlock()
	time.Sleep(v.rules.SyncTakes)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.do(Op{Kind: Sync, Node: n.ID, DataOnly: in.FsyncFlags&1 != 0})
	return fuse.OK
}

func (d *Disk) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return d.Fsync(cancel, in)
}

// OpenDir takes down what is there, so that one reading is of one moment.
func (d *Disk) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if in.NodeId == fuse.FUSE_ROOT_ID {
		return fuse.OK
	}
	v, dir := d.at(in.NodeId)
	if v == nil {
		return fuse.ENOENT
	}
	defer v.mu.Unlock()
	list := []fuse.DirEntry{{Name: ".", Ino: dir.Ino, Mode: unix.S_IFDIR}, {Name: "..", Mode: unix.S_IFDIR}}
	for _, name := range slices.Sorted(maps.Keys(dir.Names)) {
		n := v.tree.Nodes[dir.Names[name]]
		list = append(list, fuse.DirEntry{Name: name, Ino: n.Ino, Mode: n.Mode})
	}
	v.fh++
	out.Fh = v.fh
	v.lists[v.fh] = list
	v.opens[dir.ID]++
	return fuse.OK
}

func (d *Disk) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	v, _ := d.at(in.NodeId)
	if v == nil {
		return fuse.OK
	}
	defer v.mu.Unlock()
	list := v.lists[in.Fh]
	for i := int(in.Offset); i < len(list); i++ {
		e := list[i]
		e.Off = uint64(i + 1)
		if !out.AddDirEntry(e) {
			break
		}
	}
	return fuse.OK
}

func (d *Disk) ReleaseDir(in *fuse.ReleaseIn) { d.release(in) }
