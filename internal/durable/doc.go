// Package durable owns every change this project makes to a file or a
// directory. It knows nothing of jobs, queues or names; it knows what Linux
// promises.
//
// # What it promises
//
// Nothing is overwritten: [Dir.Move] refuses an existing target, [Dir.Exchange]
// swaps two names and loses neither. Names are resolved below directories held
// open since the start, never through a symbolic link. Every error of every
// step is returned, says what was being done to which file, and answers to
// errors.Is with the errno.
//
// # What it refuses to promise
//
// A change is in the page cache until a sync covers it, and anybody's sync may
// cover a half of it earlier. After a failed sync nobody knows what the disk
// holds, and a second one that succeeds proves nothing: the caller must look at
// the disk again from the beginning. After a failed [Batch.Commit] the same.
//
// # Call sites
//
// Each operation that changes something carries a [Site], "claim:rename" say. A
// test sets [Fault] and can let precisely that step fail, or end the process
// there.
package durable

// Site names the place in a protocol at which an operation is called:
// what is being done, a colon, the operation.
type Site string

// Fault, if not nil, is asked before each call to the kernel that changes
// something, once more for each that a signal interrupted; the error it returns
// takes the call's place, unless it is a [Late] or a [Short] one. Only tests set
// it, before any goroutine uses the package.
var Fault func(Site) error

// Late is an error that comes although the call was carried out, as a network file
// system returns it, or a disk that failed right after.
type Late struct{ Err error }

func (e *Late) Error() string { return e.Err.Error() }

// Short is no error: it has a write store only so many of n bytes, as one to an
// almost full disk does. Other calls pass over it.
type Short interface {
	error
	Store(n int) int
}

// Looking is [Fault] for calls that change nothing.
var Looking func() error

func at(site Site) error {
	if Fault == nil {
		return nil
	}
	return Fault(site)
}

// attempt carries out one call to the kernel, and again if a signal interrupted it
// before it did anything.
func attempt(site Site, call func() error) error {
	return attemptPart(site, func(Short) error { return call() })
}

// attemptPart is attempt for a write; short, if not nil, says how much of it.
func attemptPart(site Site, call func(short Short) error) error {
	return retry(func() error {
		switch err := at(site).(type) { //nolint:errorlint // the hook's own types, never wrapped
		case nil:
			return call(nil)
		case Short:
			return call(err)
		case *Late:
			if err := call(nil); err != nil {
				return err
			}
			return err.Err
		default:
			return err
		}
	})
}

// look carries out one call that changes nothing, and again if it was interrupted.
func look(call func() error) error {
	return retry(func() error {
		if Looking != nil {
			if err := Looking(); err != nil {
				return err
			}
		}
		return call()
	})
}
