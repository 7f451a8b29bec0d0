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

// Fault, if not nil, is asked before each operation that changes something; the
// error it returns takes the operation's place. Only tests set it, before any
// goroutine uses the package.
var Fault func(Site) error

func at(site Site) error {
	if Fault == nil {
		return nil
	}
	return Fault(site)
}
