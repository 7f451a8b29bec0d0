package durable

import (
	"errors"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// InheritDir makes a Dir of a descriptor this process was started with; it
// becomes the Dir's own.
func InheritDir(fd int) (*Dir, error) {
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return nil, err
	}
	d := &Dir{fd: fd, path: path}
	if d.stat, err = fstat(fd, path); err != nil {
		return nil, err
	}
	if d.stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil, &fs.PathError{Op: "inherit directory", Path: path, Err: unix.ENOTDIR}
	}
	unix.CloseOnExec(fd)
	return d, nil
}

// OpenExisting opens name so that each write lands at its end. Unlike
// [Dir.OpenAppend] it makes nothing: a name that is gone is an error.
func (d *Dir) OpenExisting(site Site, name string) (*File, error) {
	return d.openSite(site, name, unix.O_RDWR|unix.O_APPEND, 0)
}

// WriteBack asks the kernel to begin writing these bytes to the disk and does
// not wait for it. It promises nothing: it only leaves the next [File.Sync]
// less to do, so a file system that does not know it is no error.
func (f *File) WriteBack(site Site, off, n int64) error {
	err := attempt(site, func() error { return unix.SyncFileRange(f.fd, off, n, unix.SYNC_FILE_RANGE_WRITE) })
	if errors.Is(err, unix.ESPIPE) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return fail(site, f.path, err)
}
