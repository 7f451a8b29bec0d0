package durable

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// Locks are of the open file description (OFD): they vanish with its last
// descriptor, are not shared by two opens of one process, and can be asked
// about without being taken, so that looking never makes a starter fail.

// lockSite is the site of a lock that is taken on the way to something else: a
// refusal means there that somebody else holds it.
func lockSite(site Site) Site {
	act, _, _ := strings.Cut(string(site), ":")
	return Site(act + ":lock")
}

// Lock takes the exclusive lock of the whole file and reports whether it got it.
func (f *File) Lock(site Site) (bool, error) {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	err := attempt(lockSite(site), func() error { return unix.FcntlFlock(uintptr(f.fd), unix.F_OFD_SETLK, &lk) })
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, nil
	}
	return err == nil, fail(site, f.path, err)
}

// WaitLock takes the lock however long that lasts. It blocks its thread: give
// it a goroutine of its own.
func (f *File) WaitLock(site Site) error {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	return fail(site, f.path, attempt(lockSite(site), func() error { return unix.FcntlFlock(uintptr(f.fd), unix.F_OFD_SETLKW, &lk) }))
}

// Locked reports whether somebody else holds the lock.
func (f *File) Locked() (bool, error) {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	err := look(func() error { return unix.FcntlFlock(uintptr(f.fd), unix.F_OFD_GETLK, &lk) })
	return lk.Type != unix.F_UNLCK, fail("look:lock", f.path, err)
}

// LockByte takes or gives back the lock of one byte, there or not: a sign that
// needs no room. That somebody else has it is no error.
func (f *File) LockByte(site Site, at int64, on bool) error {
	lk := unix.Flock_t{Type: unix.F_UNLCK, Start: at, Len: 1}
	if on {
		lk.Type = unix.F_WRLCK
	}
	err := attempt(lockSite(site), func() error { return unix.FcntlFlock(uintptr(f.fd), unix.F_OFD_SETLK, &lk) })
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return nil
	}
	return fail(site, f.path, err)
}

// LockedByte reports whether somebody else holds the lock of one byte. It needs a
// descriptor for reading only.
func (f *File) LockedByte(at int64) (bool, error) {
	lk := unix.Flock_t{Type: unix.F_RDLCK, Start: at, Len: 1}
	err := look(func() error { return unix.FcntlFlock(uintptr(f.fd), unix.F_OFD_GETLK, &lk) })
	return lk.Type != unix.F_UNLCK, fail("look:lock", f.path, err)
}

// What a lease can tell about a file.
const (
	Quiet   = iota // nobody has it open for writing
	Written        // somebody has
	Unknown        // nobody here can tell: not our file and no CAP_LEASE, or NFS
)

// ReadLease takes a read lease: while it is held nobody can open the file for
// writing without waiting for us, so hold it for microseconds, never over a
// sync. Unlease gives it back if the answer was Quiet.
func (f *File) ReadLease() int { return f.lease(unix.F_RDLCK) }

// WriteLease is granted only if nobody else has the file open at all.
func (f *File) WriteLease() int { return f.lease(unix.F_WRLCK) }

func (f *File) lease(kind int) int {
	_, err := unix.FcntlInt(uintptr(f.fd), unix.F_SETLEASE, kind)
	switch {
	case err == nil:
		return Quiet
	case errors.Is(err, unix.EAGAIN):
		return Written
	}
	return Unknown
}

// Unlease gives the lease back. Closing the file does too.
func (f *File) Unlease() { _, _ = unix.FcntlInt(uintptr(f.fd), unix.F_SETLEASE, unix.F_UNLCK) }
