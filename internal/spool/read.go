package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

// Head reads the part of a file that its reader needs, and stops.
type Head func(io.Reader) ([]byte, error)

// Content is what was read of a file while nobody could write it.
type Content struct {
	Stat    durable.Stat
	Head    []byte
	HeadErr error  // what Head said of the bytes, not of the disk
	Newline bool   // the file's last byte is one
	Writer  int    // durable.Quiet, Written or Unknown
	Swap    string // an editor's file beside it, which says that somebody is editing
}

// MovedIn reports whether the file shows that it came here whole: the kernel saw
// a rename bring it, or something else than a write happened to it last.
func (s *Spool) MovedIn(e *Entry, c Content) bool {
	if c.Stat.Ctime > c.Stat.Mtime {
		return true
	}
	if !e.Arrived {
		// The kernel tells the watcher before it tells us: it may have done so since.
		s.moved.read()
		e.Arrived = s.moved.take(e.Queue, e.Name)
	}
	return e.Arrived && c.Stat.Size == e.Size && c.Stat.Mtime == e.Mtime
}

// ErrOdd is returned for what is no regular file.
var ErrOdd = errors.New("is no regular file")

// diskError keeps "the disk would not say" apart from "the text is wrong".
type diskError struct{ error }

type diskReader struct{ r io.Reader }

func (d diskReader) Read(b []byte) (int, error) {
	n, err := d.r.Read(b)
	if err != nil && err != io.EOF {
		err = diskError{err}
	}
	return n, err
}

// open opens what a user put there, never anything but a regular file.
func (s *Spool) open(q Queue, name string) (*durable.File, durable.Stat, error) {
	// Looked at first: opening a device can do something to it.
	st, err := s.dirs[q].Stat(name)
	if err == nil && !st.Regular() {
		err = fmt.Errorf("%s %w", s.dirs[q].Join(name), ErrOdd)
	}
	if err != nil {
		return nil, st, err
	}
	f, err := s.dirs[q].Open(name)
	if errors.Is(err, unix.ELOOP) { // it has become a link since
		err = fmt.Errorf("%s %w", s.dirs[q].Join(name), ErrOdd)
	}
	if err != nil {
		return nil, st, err
	}
	if st, err = f.Stat(); err == nil && !st.Regular() {
		err = fmt.Errorf("%s %w", f.Path(), ErrOdd)
	}
	if err != nil {
		return nil, st, errors.Join(err, f.Close())
	}
	return f, st, nil
}

// read reads under a lease, which is left held if the answer is Quiet.
func read(f *durable.File, head Head) (c Content, err error) {
	c.Writer = f.ReadLease()
	if c.Stat, err = f.Stat(); err != nil {
		return c, err
	}
	c.Head, c.HeadErr = head(diskReader{f})
	var disk diskError
	if errors.As(c.HeadErr, &disk) {
		return c, disk.error
	}
	if c.Stat.Size > 0 {
		var last [1]byte
		if _, err := f.ReadAt(last[:], c.Stat.Size-1); err != nil && err != io.EOF {
			return c, err
		}
		c.Newline = last[0] == '\n'
	}
	if c.Writer != durable.Quiet {
		// Somebody may write while we read: what differs now was torn.
		again, err := f.Stat()
		if err != nil {
			return c, err
		}
		if !again.SameContent(c.Stat) {
			c.Writer = durable.Written
		}
	}
	return c, nil
}

// Read reads a file of any queue. An editor that has it open counts as a writer.
func (s *Spool) Read(q Queue, name string, head Head) (Content, error) {
	f, _, err := s.open(q, name)
	if err != nil {
		return Content{}, err
	}
	defer f.Close() // a lease goes with it
	c, err := read(f, head)
	if err != nil {
		return c, err
	}
	for _, swap := range []string{"." + name + ".swp", ".#" + name} {
		if len(swap) > nameMax {
			continue
		}
		if _, err := s.dirs[q].Stat(swap); err == nil {
			c.Writer, c.Swap = durable.Written, swap
		} else if !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
	}
	return c, nil
}

// still is what is remembered of a file that may still be written.
type still struct {
	stat  durable.Stat
	since time.Time
}

// Still reports for how long, by the monotonic clock, a file has been as it is.
// It is asked at each look until the file is accepted or gone.
func (e *Entry) Still(st durable.Stat, now time.Time) time.Duration {
	s, ok := e.Note.(*still)
	if !ok || !s.stat.SameContent(st) || s.stat.Ctime != st.Ctime {
		e.Note = &still{st, now}
		return 0
	}
	return now.Sub(s.since)
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
