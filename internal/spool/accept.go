package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

// Acceptance is a file that is found good, and what is to be done to it.
type Acceptance struct {
	Entry    *Entry
	Content  Content
	Enqueued time.Time
	Mtime    time.Time // what the file's time of change is set to; zero: Enqueued

	// Rewritten, if not nil, takes the place of the Content's head.
	Rewritten []byte
	// Patch is written over the file at PatchAt, and Line appended, in place.
	Patch   []byte
	PatchAt int64
	Line    []byte

	// Err is why it was not accepted after all. ErrChanged: look at it again.
	Err error
	// Copied reports that the name now leads to another inode.
	Copied bool

	tmp string // name of the copy there
	own durable.Stat
}

// ErrChanged is returned when a file is not what was read.
var ErrChanged = errors.New("the file changed meanwhile")

type temporary struct {
	name string
	file *durable.File
}

func (s *Spool) temporary(kind string, mode uint32) (*temporary, error) {
	s.seq++
	name := kind + "-" + strconv.Itoa(s.seq)
	f, err := s.Tmp.Create(durable.Site(kind+":create"), name, mode)
	if errors.Is(err, fs.ErrExist) {
		return s.temporary(kind, mode)
	}
	return &temporary{name, f}, err
}

// Accept completes files and makes them ours. The copies of all are made durable
// by one sync before the first takes a name: a rename that a stranger's sync
// commits early must not lead to bytes that are not there. The error is of that
// sync, and final; each file's own is in its Err.
func (s *Spool) Accept(all []*Acceptance) error {
	copies := durable.NewBatch(s.Root)
	for _, a := range all {
		if a.Mtime.IsZero() {
			a.Mtime = a.Enqueued
		}
		if a.Err = s.inPlace(a); errors.Is(a.Err, errNeedsCopy) {
			a.Copied = true
			a.Err = s.copy(a, copies)
		}
		if errors.Is(a.Err, ErrOdd) || errors.Is(a.Err, unix.ELOOP) { // it was a file when it was read
			a.Err = errors.Join(ErrChanged, a.Err)
		}
	}
	if err := copies.Commit("accept:sync"); err != nil {
		return err
	}
	for _, a := range all {
		if a.Copied && a.Err == nil {
			a.Err = s.publish(a)
		}
		if a.Err == nil {
			a.Entry.State, a.Entry.Note = Accepted, nil
			s.Place(a.Entry, durable.Nanos(a.Enqueued))
		}
	}
	return nil
}

var errNeedsCopy = errors.New("needs a copy of its own")

// inPlace accepts a file that is complete, has no other name and may be written.
func (s *Spool) inPlace(a *Acceptance) error {
	if s.linked[a.Content.Stat.Ino] {
		// A copy would leave the second link alone with what ran before.
		return fmt.Errorf("accept: %s: its second link could not be removed yet: %w", a.Entry.Name, unix.EBUSY)
	}
	// What has ended and was told to have must keep its end until it begins anew as a
	// whole: a power cut may keep any part of what is written in place.
	if a.Rewritten != nil || a.Patch != nil || a.Line != nil || a.Content.Stat.Links > 1 {
		return errNeedsCopy
	}
	dir, e := s.dirs[a.Entry.Queue], a.Entry
	if a.Content.Stat.Mtime == durable.Nanos(a.Enqueued) {
		e.note(a.Content.Stat) // nothing to do: accepted before a restart
		return nil
	}
	f, err := dir.OpenWrite("accept:open", e.Name)
	if errors.Is(err, fs.ErrPermission) {
		return errNeedsCopy
	}
	if err != nil {
		return err
	}
	done := func(err error) error { return errors.Join(err, f.Close()) }
	st, err := f.Stat()
	if err != nil || !st.SameContent(a.Content.Stat) {
		return done(errors.Join(err, ErrChanged))
	}
	// Crash window: the time not set. At the next look it is a queued UOW, accepted
	// once more.
	if err := f.SetMtime("accept:time", a.Mtime); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			err = errNeedsCopy // somebody else's file that we may write to
		}
		return done(err)
	}
	if st, err = f.Stat(); err != nil {
		return done(err)
	}
	e.note(st)
	return s.Batch.File(f)
}

// copy writes the completed file into tmp.
func (s *Spool) copy(a *Acceptance, copies *durable.Batch) (err error) {
	from, st, err := s.open(a.Entry.Queue, a.Entry.Name)
	if err != nil {
		return err
	}
	defer from.Close()
	if !st.SameContent(a.Content.Stat) {
		return ErrChanged
	}
	s.seq++
	name := fmt.Sprintf("new-%d", s.seq)
	to, err := s.Tmp.Create("accept:create", name, tmpMode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, to.Close(), s.discard("accept:remove", name))
		}
	}()
	head := a.Rewritten
	if head == nil {
		head = append([]byte(nil), a.Content.Head...)
	}
	if a.Patch != nil {
		if int(a.PatchAt)+len(a.Patch) > len(head) {
			return ErrChanged
		}
		copy(head[a.PatchAt:], a.Patch)
	}
	if _, err := to.Write("accept:write", head); err != nil {
		return err
	}
	var buf []byte
	if rest := st.Size - int64(len(a.Content.Head)); rest > 0 {
		buf = make([]byte, min(rest, 1<<20))
	}
	for off := int64(len(a.Content.Head)); off < st.Size; {
		n, err := from.ReadAt(buf[:min(int64(len(buf)), st.Size-off)], off)
		if err != nil && err != io.EOF {
			return err
		}
		if n == 0 {
			return ErrChanged
		}
		if _, err := to.Write("accept:write", buf[:n]); err != nil {
			return err
		}
		off += int64(n)
	}
	if _, err := to.Write("accept:line", a.Line); err != nil {
		return err
	}
	if err := to.TakeOwner("accept:owner", from); err != nil {
		return err
	}
	if err := to.SetMtime("accept:time", a.Mtime); err != nil {
		return err
	}
	own, err := to.Stat()
	if err != nil {
		return err
	}
	whole := tempName{s.seq, own.Ino, st.Ino, st.Size, st.Mtime}.String()
	if err := s.Tmp.Move("accept:name", name, s.Tmp, whole); err != nil {
		// A network file system may have done it nevertheless.
		return errors.Join(err, s.discard("accept:remove", whole))
	}
	name = whole
	a.tmp, a.own = name, own
	return copies.File(to)
}

// Told sets the time of an accepted file that was told of: one that still lies
// where it was accepted, as it was. Nobody may write to it between the look and the
// new time, which would hide that: hence the lease.
func (s *Spool) Told(e *Entry, t time.Time) error {
	if e.Gone || e.State != Accepted {
		return nil
	}
	f, err := s.dirs[e.Queue].Open(e.Name)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() // a lease goes with it
	if f.ReadLease() == durable.Written {
		return nil // its writer's changes are looked at
	}
	st, err := f.Stat()
	if err != nil || st.Ino != e.Ino || st.Size != e.Size || st.Mtime != e.Mtime {
		return err // edited meanwhile: it is accepted anew
	}
	if err := f.SetMtime("accept:told", t); err != nil {
		return err
	}
	if st, err = f.Stat(); err == nil {
		e.note(st)
	}
	return err
}
