package durable

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// Stat is what is asked about a file. Times are nanoseconds since 1970.
type Stat struct {
	Dev, Ino     uint64
	Mode         uint32
	Links        uint64
	UID, GID     uint32
	Size         int64
	Mtime, Ctime int64
}

// Regular reports whether it is a plain file.
func (s Stat) Regular() bool { return s.Mode&unix.S_IFMT == unix.S_IFREG }

// SameContent reports whether nothing tells of a change of content between the
// two: the same file, size and time of change of its bytes.
func (s Stat) SameContent(o Stat) bool {
	return s.Dev == o.Dev && s.Ino == o.Ino && s.Size == o.Size && s.Mtime == o.Mtime
}

func fromUnix(st *unix.Stat_t) Stat {
	return Stat{
		Dev: st.Dev, Ino: st.Ino, Mode: st.Mode, Links: uint64(st.Nlink), UID: st.Uid, GID: st.Gid,
		Size: st.Size, Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano(),
	}
}

func fstat(fd int, path string) (Stat, error) {
	var st unix.Stat_t
	if err := look(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return Stat{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return fromUnix(&st), nil
}

// File is an open file. It is not an os.File: no poller, no finalizer, and no
// write that does not name its site.
type File struct {
	fd   int
	path string
}

// How a file is opened: a device or a FIFO never blocks, a link is never
// followed.
const openFlags = unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_NOCTTY

func (d *Dir) open(f *File, name string, flags int, mode uint32) (err error) {
	f.fd, err = unix.Openat(d.fd, name, flags|openFlags, mode)
	return err
}

// Open opens name for reading. Whoever looks at what a user put there asks
// [File.Stat] whether it is a regular file before anything else.
func (d *Dir) Open(name string) (*File, error) {
	f := &File{path: d.Join(name)}
	if err := look(func() error { return d.open(f, name, unix.O_RDONLY, 0) }); err != nil {
		return nil, &fs.PathError{Op: "open", Path: f.path, Err: err}
	}
	return f, nil
}

// OpenWrite opens name for reading and writing in place.
func (d *Dir) OpenWrite(site Site, name string) (*File, error) {
	return d.openSite(site, name, unix.O_RDWR, 0)
}

// OpenAppend opens name so that each write lands at its end; it is made if it
// is not there.
func (d *Dir) OpenAppend(site Site, name string, mode uint32) (*File, error) {
	return d.openSite(site, name, unix.O_RDWR|unix.O_APPEND|unix.O_CREAT, mode)
}

// Create makes name, which must not be there.
func (d *Dir) Create(site Site, name string, mode uint32) (*File, error) {
	return d.openSite(site, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, mode)
}

func (d *Dir) openSite(site Site, name string, flags int, mode uint32) (*File, error) {
	f := &File{path: d.Join(name)}
	if err := attempt(site, func() error { return d.open(f, name, flags, mode) }); err != nil {
		return nil, fail(site, f.path, err)
	}
	return f, nil
}

// OpenPath opens a path that a configuration names, for reading and writing,
// links followed: monitor_reads may be one.
func OpenPath(site Site, path string) (*File, error) {
	f := &File{path: path}
	err := attempt(site, func() (err error) {
		f.fd, err = unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		return err
	})
	if err != nil {
		return nil, fail(site, path, err)
	}
	return f, nil
}

// NewFile makes a File of a descriptor that came from elsewhere; it becomes the
// File's own.
func NewFile(fd int, path string) *File { return &File{fd: fd, path: path} }

// Dup is one more descriptor of the same open file.
func (f *File) Dup() (*File, error) {
	fd, err := unix.FcntlInt(uintptr(f.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "dup", Path: f.path, Err: err}
	}
	return &File{fd: fd, path: f.path}, nil
}

// Path is the name the file was opened by.
func (f *File) Path() string { return f.path }

// Fd is the descriptor; it stays f's.
func (f *File) Fd() int { return f.fd }

// Stat is the file's state at this moment, whatever its name leads to by now.
func (f *File) Stat() (Stat, error) { return fstat(f.fd, f.path) }

// Close gives the descriptor back. What was written and not synced can fail
// here on some file systems, so the error counts.
func (f *File) Close() error {
	fd := f.fd
	if fd < 0 {
		return nil // closed already: by now the number may be another file's
	}
	f.fd = -1
	if err := unix.Close(fd); err != nil && !errors.Is(err, unix.EINTR) {
		return &fs.PathError{Op: "close", Path: f.path, Err: err}
	}
	return nil
}

// Read reads from the descriptor's position.
func (f *File) Read(b []byte) (n int, err error) {
	return f.read(b, func() (int, error) { return unix.Read(f.fd, b) })
}

// ReadAt reads at an offset; like every io.ReaderAt it fills b or says why not.
func (f *File) ReadAt(b []byte, off int64) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = f.read(b[n:], func() (int, error) { return unix.Pread(f.fd, b[n:], off+int64(n)) })
		n += m
	}
	return n, err
}

func (f *File) read(b []byte, call func() (int, error)) (n int, err error) {
	err = look(func() (err error) { n, err = call(); return err })
	if err != nil {
		return 0, &fs.PathError{Op: "read", Path: f.path, Err: err}
	}
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Write appends or writes at the descriptor's position, and tells how much of b
// got there when not all did.
func (f *File) Write(site Site, b []byte) (n int, err error) {
	return f.write(site, b, func(b []byte, _ int) (int, error) { return unix.Write(f.fd, b) })
}

// Append writes at the end, wherever that is by the time it gets there: others may
// append meanwhile.
func (f *File) Append(site Site, b []byte) (n int, err error) {
	return f.write(site, b, func(b []byte, _ int) (int, error) {
		return unix.Pwritev2(f.fd, [][]byte{b}, 0, unix.RWF_APPEND)
	})
}

// WriteAt overwrites in place.
func (f *File) WriteAt(site Site, b []byte, off int64) (n int, err error) {
	return f.write(site, b, func(b []byte, n int) (int, error) { return unix.Pwrite(f.fd, b, off+int64(n)) })
}

func (f *File) write(site Site, b []byte, call func(rest []byte, n int) (int, error)) (n int, err error) {
	for {
		err = attemptPart(site, func(short Short) error {
			rest := b[n:]
			if short != nil {
				rest = rest[:short.Store(len(rest))]
			}
			m, err := call(rest, n)
			n += max(m, 0)
			return err
		})
		if err != nil || n == len(b) {
			return n, fail(site, f.path, err)
		}
	}
}

// Sync makes the file's bytes and what is needed to find them durable. An error
// is final: never ask again, look at the disk from the beginning.
func (f *File) Sync(site Site) error {
	return fail(site, f.path, attempt(site, func() error { return unix.Fsync(f.fd) }))
}

// Truncate cuts the file to size bytes.
func (f *File) Truncate(site Site, size int64) error {
	return fail(site, f.path, attempt(site, func() error { return unix.Ftruncate(f.fd, size) }))
}

// Nanos is a time as nanoseconds since 1970, the way file systems keep it. What
// they can't hold becomes the nearest they can, a second short of the end so that
// a little may be added; no time at all is 0.
func Nanos(t time.Time) int64 {
	const last = math.MaxInt64 - int64(time.Second)
	switch {
	case t.IsZero():
		return 0
	case t.After(time.Unix(0, last)):
		return last
	case t.Before(time.Unix(0, -last)):
		return -last
	}
	return t.UnixNano()
}

// SetMtime sets the time of last change.
func (f *File) SetMtime(site Site, t time.Time) error {
	ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(Nanos(t))}
	return fail(site, f.path, attempt(site, func() error { return unix.UtimesNanoAt(f.fd, "", ts, unix.AT_EMPTY_PATH) }))
}

// TakeOwner gives f the owner, group, mode and access list of from, as far as
// this process may: a monitor that is not root keeps its own owner.
func (f *File) TakeOwner(site Site, from *File) error {
	s, err := from.Stat()
	if err != nil {
		return err
	}
	chown := func(uid int) error {
		return attempt(site, func() error { return unix.Fchown(f.fd, uid, int(s.GID)) })
	}
	if err := chown(int(s.UID)); errors.Is(err, unix.EPERM) {
		err = chown(-1)
		if err != nil && !errors.Is(err, unix.EPERM) {
			return fail(site, f.path, err)
		}
	} else if err != nil {
		return fail(site, f.path, err)
	}
	// Set-id bits have no business on a text file; after chown, which clears them.
	// Who is not root must be able to write to it again.
	mode := s.Mode & 0o777
	if unix.Geteuid() != 0 {
		mode |= 0o600
	}
	if err := attempt(site, func() error { return unix.Fchmod(f.fd, mode) }); err != nil {
		return fail(site, f.path, err)
	}
	const acl = "system.posix_acl_access"
	n, err := unix.Fgetxattr(from.fd, acl, nil)
	if err != nil { // none, or a file system without: the mode says all there is
		return nil
	}
	b := make([]byte, n)
	if n, err = unix.Fgetxattr(from.fd, acl, b); err != nil {
		return nil
	}
	err = attempt(site, func() error { return unix.Fsetxattr(f.fd, acl, b[:n], 0) })
	if err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EOPNOTSUPP) {
		return fail(site, f.path, err)
	}
	return nil
}
