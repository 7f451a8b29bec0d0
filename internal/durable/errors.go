package durable

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNoExchange is returned where the file system can't swap two names.
var ErrNoExchange = errors.New("this file system cannot exchange two names")

// ErrTwoSteps is returned where the file system can't move without overwriting in one.
var ErrTwoSteps = errors.New("this file system moves in two steps")

// fail says what was being done to which file: the site's first half is the
// act, its second the operation.
func fail(site Site, path string, err error) error {
	if err == nil {
		return nil
	}
	act, op, _ := strings.Cut(string(site), ":")
	return fmt.Errorf("%s: %s %s: %w", act, op, path, err)
}

// Passing tells trouble that can go away by itself (no space, read-only, no
// descriptors, a failing disk) from a refusal that will be the same tomorrow.
func Passing(err error) bool {
	for _, e := range []unix.Errno{
		unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EMFILE, unix.ENFILE, unix.EIO, unix.ENOMEM,
		unix.EAGAIN, unix.EBUSY, unix.ESTALE, unix.ETIMEDOUT, unix.ENOLCK,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// retry repeats a call that a signal interrupted before it did anything.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// refusesFlags tells a file system that does not know a flag of renameat2.
func refusesFlags(err error) bool {
	return err == unix.EINVAL || err == unix.ENOSYS || err == unix.EOPNOTSUPP
}
