package durable

import (
	"errors"

	"golang.org/x/sys/unix"
)

// A build with faults stands in for file systems that know no flags.
var renameat2 = unix.Renameat2

// Move renames name in d to newName in to, which must not be there: then the
// error is fs.ErrExist and nothing happened. It is one operation of the file
// system where that knows RENAME_NOREPLACE. Elsewhere it is a link and an
// unlink, and a crash between the two leaves one file under two names, which
// healing at start resolves; there is never none.
func (d *Dir) Move(site Site, name string, to *Dir, newName string) error {
	err := d.moveAtOnce(site, name, to, newName)
	if err != nil && refusesFlags(err) {
		if err = attempt(site+" link", func() error { return unix.Linkat(d.fd, name, to.fd, newName, 0) }); err == nil {
			// Crash window: two names, one file.
			err = attempt(site+" unlink", func() error { return unix.Unlinkat(d.fd, name, 0) })
		}
	}
	return fail(site, d.Join(name), err)
}

func (d *Dir) moveAtOnce(site Site, name string, to *Dir, newName string) error {
	return attempt(site, func() error { return renameat2(d.fd, name, to.fd, newName, unix.RENAME_NOREPLACE) })
}

// MoveAtOnce is [Dir.Move] for who wants to know: where that would be two operations
// it does nothing and returns ErrTwoSteps.
func (d *Dir) MoveAtOnce(site Site, name string, to *Dir, newName string) error {
	err := d.moveAtOnce(site, name, to, newName)
	if err != nil && refusesFlags(err) {
		err = ErrTwoSteps
	}
	return fail(site, d.Join(name), err)
}

// Replace renames name in d over newName in to, whatever is there. It is for
// files nobody else writes: a state file, a rotated log.
func (d *Dir) Replace(site Site, name string, to *Dir, newName string) error {
	return fail(site, d.Join(name), attempt(site, func() error { return unix.Renameat(d.fd, name, to.fd, newName) }))
}

// Exchange swaps the two names in one step, or returns ErrNoExchange where the
// file system can't.
func (d *Dir) Exchange(site Site, name string, with *Dir, withName string) error {
	err := attempt(site, func() error { return renameat2(d.fd, name, with.fd, withName, unix.RENAME_EXCHANGE) })
	if err != nil && refusesFlags(err) {
		err = ErrNoExchange
	}
	return fail(site, d.Join(name), err)
}

// Link gives the file name in d a second name, which must not be there.
func (d *Dir) Link(site Site, name string, to *Dir, newName string) error {
	return fail(site, d.Join(name), attempt(site, func() error { return unix.Linkat(d.fd, name, to.fd, newName, 0) }))
}

// Remove removes a name; one that is gone already is no error.
func (d *Dir) Remove(site Site, name string) error {
	err := attempt(site, func() error { return unix.Unlinkat(d.fd, name, 0) })
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return fail(site, d.Join(name), err)
}

// RemoveAll removes a directory of our own with what is in it, or a file.
func (d *Dir) RemoveAll(site Site, name string) error {
	err := d.Remove(site, name)
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return err
	}
	sub, err := d.Sub(name)
	if err != nil {
		return err
	}
	defer sub.Close()
	var names []string
	if err := sub.List(func(n Name) bool { names = append(names, n.Name); return true }); err != nil {
		return err
	}
	for _, n := range names {
		if err := sub.RemoveAll(site, n); err != nil {
			return err
		}
	}
	return fail(site, sub.path, attempt(site, func() error { return unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR) }))
}
