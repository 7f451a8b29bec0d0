package spool

import (
	"container/heap"
	"errors"
	"io/fs"
	"time"

	"simplejobq/internal/durable"
)

// State is what is known of a file in a live queue.
type State uint8

const (
	Fresh    State = iota // seen, not read; entered at every change, left when it is looked at
	Settling              // looked at, may still be written; looked at again when it is due
	Accepted              // a UOW of ours; a crash leaves a complete file that is accepted again without a word
	Parked                // in hold-q and not valid: judged when it leaves
)

// Entry is a file in a live queue. The pointer stays the same while the name
// leads to the same inode.
type Entry struct {
	Name     string
	Queue    Queue
	State    State
	Gone     bool // no longer in this queue under this name
	Odd      bool // no regular file
	Arrived  bool // its bytes are those with which it was moved in
	Ino      uint64
	Size     int64
	Mtime    int64
	Ctime    int64
	Enqueued int64  // its place in the order: the timestamp, before it is known the mtime; ns since 1970
	Place    int64  // the monitor's own: the time it stands in line with …
	Placed   bool   // … if it does
	listed   uint16 // by which whole listing, as the turn of the shelf
	rank     int32  // its place in the ranks
	Note     any    // the monitor's own
}

// index is what is known of a live queue: a file is an entry or on the shelf.
type index struct {
	entries map[string]*Entry
	ranks   ranks // of the entries
	shelf   *shelf
	ignored map[string]struct{}
	read    bool  // read as a whole at least once
	mtime   int64 // of the directory at its last whole reading
	ctime   int64
}

func newIndex() *index { return &index{entries: map[string]*Entry{}, shelf: newShelf()} }

type hints struct {
	names map[string]struct{}
	all   bool           // names were lost, or files may have changed in place: look at each
	lost  bool           // the directory itself went away
	ours  map[string]int // names that we took away and that the watcher will tell of
}

// Survey is what a look at the live queues found.
type Survey struct {
	Fresh   []*Entry // new or changed
	Gone    []*Entry
	Moved   []Queue // directories that were replaced, and are followed from now on
	Back    []Queue // directories that were away and are there again
	Readmes []Queue // directories with more than one README, perhaps
}

// Look brings the index up to date. It follows the hints; with timer set it also
// reads every directory whose times of change are not those of the last
// reading. A directory that can't be read keeps what was known of it: the error
// says so, and the others are looked at nevertheless.
func (s *Spool) Look(timer bool, now time.Time) (found Survey, err error) {
	var errs []error
	s.moved.read()
	for _, q := range Live {
		s.mu.Lock()
		h := s.hints[q]
		s.hints[q] = hints{ours: h.ours}
		s.mu.Unlock()
		if timer || h.lost || s.lost[q] {
			if err := s.follow(q); err != nil {
				errs = append(errs, err)
				s.hint(q, func(x *hints) { x.all = true }) // still to be looked at
				continue
			}
		}
		switch s.change(q) {
		case back:
			found.Back = append(found.Back, q)
			h.all = true
		case another:
			found.Moved = append(found.Moved, q)
			s.forget(s.index[q], q, &found)
		}
		if err := s.lookAt(q, h, timer, now, &found); err != nil {
			errs = append(errs, err)
			s.hint(q, func(x *hints) { x.all = true })
		}
	}
	return found, errors.Join(errs...)
}

func (s *Spool) lookAt(q Queue, h hints, timer bool, now time.Time, found *Survey) error {
	x, dir := s.index[q], s.dirs[q]
	whole := h.all || !x.read
	if timer && !whole {
		st, err := dir.Now()
		if err != nil {
			return err
		}
		// Times have the grain of the kernel's clock: a change right after the
		// last reading may not have moved them.
		whole = st.Mtime != x.mtime || st.Ctime != x.ctime || now.UnixNano()-st.Mtime < int64(time.Second)
	}
	if !whole {
		for name := range h.names {
			if err := s.lookAtName(x, q, name, false, found); err != nil {
				return err
			}
		}
		return nil
	}
	st, err := dir.Now()
	if err != nil {
		return err
	}
	x.shelf.turn ^= marked
	turn := x.shelf.turn
	ignored := map[string]struct{}{}
	readmes := 0
	var fault error
	err = dir.List(func(n durable.Name) bool {
		if Ignored(n.Name) {
			ignored[n.Name] = struct{}{}
			return true
		}
		if Readme(n.Name) {
			readmes++
			return true
		}
		_, hinted := h.names[n.Name]
		if i, _, ok := x.shelf.find(n.Name); ok {
			slot := x.shelf.at(i)
			slot.lane = slot.lane&^marked | turn
			if slot.inode() == n.Ino && !hinted && !h.all {
				return true
			}
		}
		e := x.entries[n.Name]
		if e == nil || e.Ino != n.Ino || hinted || h.all {
			fault = s.lookAtName(x, q, n.Name, !hinted, found)
			e = x.entries[n.Name]
		}
		if e != nil {
			e.listed = turn
		}
		return fault == nil
	})
	if err = errors.Join(err, fault); err != nil {
		x.listed(turn) // by a part of a listing nobody is missed, by the next one all may be
		return err
	}
	for _, e := range x.entries {
		if e.listed != turn {
			x.drop(e, found)
		}
	}
	for _, e := range s.unlisted(x, q) {
		x.drop(e, found)
	}
	if readmes > 1 {
		found.Readmes = append(found.Readmes, q)
	}
	x.ignored, x.read, x.mtime, x.ctime = ignored, true, st.Mtime, st.Ctime
	return nil
}

// lookAtName looks at one file. many: it is one of a whole directory's, and may go on the
// shelf unread.
func (s *Spool) lookAtName(x *index, q Queue, name string, many bool, found *Survey) error {
	if Readme(name) {
		found.Readmes = append(found.Readmes, q)
		return nil
	}
	st, err := s.dirs[q].Stat(name)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	if Ignored(name) {
		if missing {
			delete(x.ignored, name)
		} else {
			x.ignored[name] = struct{}{}
		}
		return nil
	}
	if i, _, ok := x.shelf.find(name); ok {
		if slot := x.shelf.at(i); !missing && slot.is(st) {
			s.moved.take(q, name)
			return nil
		}
	}
	e := s.Entry(q, name)
	if e != nil && (missing || e.Ino != st.Ino) {
		x.drop(e, found)
		e = nil
	}
	switch {
	case missing:
		s.moved.take(q, name)
		return nil
	case e == nil:
		arrived := s.moved.take(q, name)
		if many && !arrived && s.Taken != nil && st.Regular() && x.shelf.put(name, unread, st.Mtime, st.Ino, st.Size) {
			return nil
		}
		e = &Entry{Name: name, Queue: q, Ino: st.Ino, Enqueued: st.Mtime, Arrived: arrived}
		x.add(e)
	case e.Size == st.Size && e.Mtime == st.Mtime && e.Ctime == st.Ctime:
		return nil
	case e.State == Accepted && e.Size == st.Size && e.Mtime == st.Mtime:
		// A new link, owner or mode: the same text. The claim looks at the rest.
		e.Ctime = st.Ctime
		return nil
	default:
		e.Arrived = s.moved.take(q, name)
	}
	e.State, e.Odd = Fresh, !st.Regular()
	e.note(st)
	found.Fresh = append(found.Fresh, e)
	return nil
}

func (e *Entry) note(st durable.Stat) { e.Size, e.Mtime, e.Ctime = st.Size, st.Mtime, st.Ctime }

// listed notes that a listing had them all.
func (x *index) listed(turn uint16) {
	for _, e := range x.entries {
		e.listed = turn
	}
	for i := range x.shelf.all {
		slot := x.shelf.at(i)
		slot.lane = slot.lane&^marked | turn
	}
}

func (x *index) add(e *Entry) {
	x.entries[e.Name] = e
	e.listed = x.shelf.turn
	heap.Push(&x.ranks, e)
}

func (x *index) remove(e *Entry) {
	e.Gone = true
	if x.entries[e.Name] == e {
		delete(x.entries, e.Name)
		heap.Remove(&x.ranks, int(e.rank))
	}
}

func (x *index) drop(e *Entry, found *Survey) {
	x.remove(e)
	found.Gone = append(found.Gone, e)
}

func (s *Spool) forget(x *index, q Queue, found *Survey) {
	s.Entries(q, func(e *Entry) bool { x.drop(e, found); return true })
	x.read = false
}

// Entry is the entry of a name in a live queue, nil if there is none.
func (s *Spool) Entry(q Queue, name string) *Entry {
	x := s.index[q]
	if x == nil {
		return nil
	}
	if e := x.entries[name]; e != nil {
		return e
	}
	if i, at, ok := x.shelf.find(name); ok {
		return s.takeDown(x, q, i, at)
	}
	return nil
}

// Entries calls yield for each file of a live queue, in no order.
func (s *Spool) Entries(q Queue, yield func(*Entry) bool) {
	x := s.index[q]
	for x.shelf.n > 0 {
		for i := range x.shelf.all {
			s.Entry(q, string(x.shelf.name(x.shelf.at(i))))
			break
		}
	}
	for _, e := range x.entries {
		if !yield(e) {
			return
		}
	}
}

// Count is how many files lie in a live queue, and how many more are not looked
// at because of their names.
func (s *Spool) Count(q Queue) (files, ignored int) {
	x := s.index[q]
	return len(x.entries) + x.shelf.n, len(x.ignored)
}

// Again has a file looked at as if it were new.
func (s *Spool) Again(e *Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hints[e.Queue].add(e.Name)
	e.Size = -1
}

func (h *hints) add(name string) {
	if h.names == nil {
		h.names = map[string]struct{}{}
	}
	h.names[name] = struct{}{}
}

// enter notes that a file of ours came to a live queue.
func (s *Spool) enter(q Queue, name string, st durable.Stat, state State, enqueued int64) *Entry {
	if old := s.Entry(q, name); old != nil {
		s.leave(old)
	}
	e := &Entry{Name: name, Queue: q, State: state, Ino: st.Ino, Enqueued: enqueued}
	e.note(st)
	s.index[q].add(e)
	return e
}

func (s *Spool) leave(e *Entry) {
	e.Gone = true
	if x := s.index[e.Queue]; x != nil {
		x.remove(e)
	}
}
