package durable

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// StatPath is the state of what a path leads to, links followed: it tells
// whether a file held open is still the one its name means.
func StatPath(path string) (Stat, error) {
	var st unix.Stat_t
	if err := look(func() error { return unix.Stat(path, &st) }); err != nil {
		return Stat{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return fromUnix(&st), nil
}

// ReadSmall reads the beginning of name into b. Of a file that fits no more is asked than
// its bytes, which tell its size.
func (d *Dir) ReadSmall(name string, b []byte) (n int, size int64, err error) {
	f := File{path: name}
	if err := look(func() error { return d.open(&f, name, unix.O_RDONLY, 0) }); err != nil {
		return 0, 0, &fs.PathError{Op: "open", Path: d.Join(name), Err: err}
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = look(func() (err error) { n, err = unix.Read(f.fd, b); return err })
	if err != nil {
		return 0, 0, &fs.PathError{Op: "read", Path: d.Join(name), Err: err}
	}
	if n < len(b) {
		return n, int64(n), nil
	}
	st, err := f.Stat()
	return n, st.Size, err
}

// OpenPathRead is [OpenPath] where reading is all that is wanted or allowed.
func OpenPathRead(path string) (*File, error) {
	f := &File{path: path}
	err := look(func() (err error) {
		f.fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		return err
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return f, nil
}

// Reopen opens the very same file once more, whatever its name leads to by now.
// A read lease is refused to who has the file open for writing himself: so the
// one descriptor must go before the other asks.
func (f *File) Reopen(site Site, write bool) (*File, error) {
	flags := unix.O_RDONLY
	if write {
		flags = unix.O_RDWR
	}
	g := &File{path: f.path}
	err := attempt(site, func() (err error) {
		g.fd, err = unix.Open("/proc/self/fd/"+strconv.Itoa(f.fd), flags|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		return err
	})
	if err != nil {
		return nil, fail(site, f.path, err)
	}
	return g, nil
}

// CreateWhole makes the file at path, which must not be there, with all its
// content at once: nobody can see or append to a half of it, and a crash leaves
// nothing behind. Group and access list come from the directory. Where the file
// system has no files without a name, the file begins empty.
func CreateWhole(site Site, path string, mode uint32, content []byte) error {
	dir, err := OpenDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	f, err := openNameless(site, dir, path, mode)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) {
		f, err = dir.Create(site, filepath.Base(path), mode)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(site), f.Close(), dir.Sync(site))
	}
	if err != nil {
		return fail(site, path, err)
	}
	defer f.Close()
	if _, err := f.Write(site, content); err != nil {
		return err
	}
	if err := f.Sync(site); err != nil {
		return err
	}
	err = attempt(site, func() error {
		return unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(f.fd), dir.fd, filepath.Base(path), unix.AT_SYMLINK_FOLLOW)
	})
	if err != nil {
		return fail(site, path, err)
	}
	return dir.Sync(site)
}

// openNameless makes a file that has no name yet.
func openNameless(site Site, dir *Dir, path string, mode uint32) (*File, error) {
	f := &File{path: path}
	err := attempt(site, func() (err error) {
		f.fd, err = unix.Openat(dir.fd, ".", unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, mode)
		return err
	})
	return f, err
}
