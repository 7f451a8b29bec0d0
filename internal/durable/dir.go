package durable

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Dir is a directory held open: a replaced path is noticed, never followed.
type Dir struct {
	fd   int
	path string
	stat Stat
}

// OpenDir opens the directory at path. The last element may be a symbolic
// link: which directory is meant is the user's affair, once.
func OpenDir(path string) (*Dir, error) {
	return openDir(unix.AT_FDCWD, path, path, 0)
}

// Sub opens the directory name below d, which must not be a symbolic link.
func (d *Dir) Sub(name string) (*Dir, error) {
	return openDir(d.fd, name, filepath.Join(d.path, name), unix.O_NOFOLLOW)
}

func openDir(at int, name, path string, flags int) (*Dir, error) {
	var fd int
	err := look(func() (err error) {
		fd, err = unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|flags, 0)
		return err
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open directory", Path: path, Err: err}
	}
	d := &Dir{fd: fd, path: path}
	if d.stat, err = fstat(fd, path); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return d, nil
}

// Path is the name the directory was opened by.
func (d *Dir) Path() string { return d.path }

// Fd is the descriptor, for a child process to inherit. It stays d's.
func (d *Dir) Fd() int { return d.fd }

// Join is the path of name in d, for messages.
func (d *Dir) Join(name string) string { return filepath.Join(d.path, name) }

// Same reports whether both are the same directory.
func (d *Dir) Same(other *Dir) bool {
	return d.stat.Dev == other.stat.Dev && d.stat.Ino == other.stat.Ino
}

// Dev is the device of the file system the directory lies on.
func (d *Dir) Dev() uint64 { return d.stat.Dev }

// SameMount reports whether both are seen through one mount: from one to another the
// kernel renames nothing, be they of one file system. A kernel before 5.8 does not
// tell mounts apart, and then they count as one.
func (d *Dir) SameMount(other *Dir) bool {
	a, b := d.mount(), other.mount()
	return a == b || a == 0 || b == 0
}

// mount is the number of the mount, 0 if that is not told. No disk is asked.
func (d *Dir) mount() uint64 {
	var st unix.Statx_t
	err := unix.Statx(d.fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID, &st)
	if err != nil || st.Mask&unix.STATX_MNT_ID == 0 {
		return 0
	}
	return st.Mnt_id
}

// Close gives the descriptor back.
func (d *Dir) Close() error { return unix.Close(d.fd) }

// Now is the directory's own state at this moment.
func (d *Dir) Now() (Stat, error) { return fstat(d.fd, d.path) }

// Replaced reports whether the path now leads to another directory, or to none.
func (d *Dir) Replaced() (bool, error) {
	s, err := (&Dir{fd: unix.AT_FDCWD, path: ""}).Stat(d.path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return true, nil
	}
	if err == nil && s.Mode&unix.S_IFMT == unix.S_IFLNK {
		var st unix.Stat_t
		if err := unix.Stat(d.path, &st); err != nil {
			return errors.Is(err, fs.ErrNotExist), nil
		}
		s = fromUnix(&st)
	}
	return err == nil && (s.Dev != d.stat.Dev || s.Ino != d.stat.Ino), err
}

// Stat is the state of name in d, a link not followed.
func (d *Dir) Stat(name string) (Stat, error) {
	var st unix.Stat_t
	err := look(func() error { return unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return Stat{}, &fs.PathError{Op: "stat", Path: d.Join(name), Err: err}
	}
	return fromUnix(&st), nil
}

// Name is one entry of a directory as the directory tells it.
type Name struct {
	Name string
	Ino  uint64
	Type uint8 // unix.DT_*; DT_UNKNOWN where the file system does not tell
}

// List calls yield for each name in d, in no order, until it returns false.
// It reads from the beginning each time and takes no stat.
func (d *Dir) List(yield func(Name) bool) error {
	// A descriptor of its own: the position in a directory is the descriptor's.
	list, err := openDir(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(d.fd), d.path, 0)
	if err != nil {
		return err
	}
	defer list.Close()
	buf := make([]byte, 64<<10)
	for {
		var n int
		err := look(func() (err error) { n, err = unix.Getdents(list.fd, buf); return err })
		if err != nil {
			return &fs.PathError{Op: "read directory", Path: d.path, Err: err}
		}
		if n <= 0 {
			return nil
		}
		for b := buf[:n]; len(b) > 0; {
			// struct linux_dirent64: u64 ino, s64 off, u16 reclen, u8 type, name, NUL.
			size := binary.NativeEndian.Uint16(b[16:])
			name := b[19:size]
			for i, c := range name {
				if c == 0 {
					name = name[:i]
					break
				}
			}
			entry := Name{Ino: binary.NativeEndian.Uint64(b), Type: b[18]}
			if b = b[size:]; string(name) == "." || string(name) == ".." {
				continue
			}
			entry.Name = string(name)
			if !yield(entry) {
				return nil
			}
		}
	}
}

// Mkdir makes the directory name in d; one that is there already is no error.
func (d *Dir) Mkdir(site Site, name string, mode uint32) error {
	err := attempt(site, func() error { return unix.Mkdirat(d.fd, name, mode) })
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return fail(site, d.Join(name), err)
}

// Sync makes what happened to the directory durable.
func (d *Dir) Sync(site Site) error {
	return fail(site, d.path, attempt(site, func() error { return unix.Fsync(d.fd) }))
}

// Writable says why names in d can't be made or removed, nil if they can.
func (d *Dir) Writable() error {
	err := look(func() error { return unix.Faccessat(d.fd, ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS) })
	if err != nil {
		return &fs.PathError{Op: "write", Path: d.path, Err: err}
	}
	return nil
}

// Allow lets the owner of name, which we must be, read and write it.
func (d *Dir) Allow(site Site, name string) error {
	st, err := d.Stat(name)
	if err != nil {
		return err
	}
	return fail(site, d.Join(name), attempt(site, func() error { return unix.Fchmodat(d.fd, name, st.Mode&0o7777|0o600, 0) }))
}

// ReadOnly reports whether the file system is mounted so.
func (d *Dir) ReadOnly() (bool, error) {
	var st unix.Statfs_t
	if err := look(func() error { return unix.Fstatfs(d.fd, &st) }); err != nil {
		return false, &fs.PathError{Op: "statfs", Path: d.path, Err: err}
	}
	return st.Flags&unix.ST_RDONLY != 0, nil
}

// Free is the room left on the file system for who is not root, in bytes.
func (d *Dir) Free() (int64, error) {
	var st unix.Statfs_t
	if err := look(func() error { return unix.Fstatfs(d.fd, &st) }); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: d.path, Err: err}
	}
	return int64(st.Bavail) * st.Bsize, nil
}
