package spool

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

// change is what became of a queue's directory since somebody last asked.
type change int

const (
	stayed  change = iota
	back           // it was away, and is in its place again
	another        // another one has its name
)

// follow notices a directory whose path leads elsewhere by now, and opens that.
// Before a UOW goes into a queue it is asked too: people put a full one aside and
// make a new one.
func (s *Spool) follow(q Queue) error {
	replaced, err := s.dirs[q].Replaced()
	if err != nil || (!replaced && !s.lost[q]) {
		return err
	}
	if err := s.There(); err != nil {
		return err
	}
	dir, err := s.Root.Sub(s.Name(q))
	if err == nil && (dir.Dev() != s.Root.Dev() || !dir.SameMount(s.Root)) {
		dir.Close()
		err = errors.New("now lies on another file system, or is a mount of its own")
	}
	if err != nil {
		s.lost[q] = true
		return &GoneError{s.dirs[q].Path(), cause(err)}
	}
	switch same := dir.Same(s.dirs[q]); {
	case !same:
		s.changes[q] = another
	case s.lost[q]:
		s.changes[q] = max(s.changes[q], back)
	}
	s.lost[q] = false
	// The batch may still hold the old directory; it is closed after the commit.
	old := s.dirs[q]
	s.dirs[q] = dir
	s.After(old.Close)
	if s.index[q] != nil {
		s.moved.follow(q, dir.Fd())
	}
	return nil
}

// change tells once what became of a queue's directory.
func (s *Spool) change(q Queue) change {
	c := s.changes[q]
	s.changes[q] = stayed
	return c
}

// Follow looks at the directories that are not watched: a replaced one is
// followed, and said.
func (s *Spool) Follow() (moved, returned []Queue, err error) {
	if err := s.There(); err != nil {
		return nil, nil, err
	}
	var errs []error
	for q := range Queues {
		if s.index[q] != nil {
			continue
		}
		errs = append(errs, s.follow(q))
		switch s.change(q) {
		case back:
			returned = append(returned, q)
		case another:
			moved = append(moved, q)
		}
	}
	return moved, returned, errors.Join(errs...)
}

// There reports whether the spool is where it was, and nobody else can lock it. A
// disk that does not tell is no spool that went away.
func (s *Spool) There() error {
	for _, part := range []struct {
		dir *durable.Dir
		own bool
	}{{s.Root, false}, {s.Private, false}, {s.Run, true}, {s.Tmp, true}} {
		gone, err := part.dir.Replaced()
		if err != nil {
			return err
		}
		if gone {
			return &LostError{Path: part.dir.Path(), Own: part.own}
		}
	}
	return s.locked()
}

// locked reports whether the file whose lock we hold still has its name: another
// monitor would lock another file. A spool that is only looked at has no lock.
func (s *Spool) locked() error {
	if s.lock.Ino == 0 {
		return nil
	}
	there, err := s.Private.Stat("lock")
	if isMissing(err) || err == nil && (there.Ino != s.lock.Ino || there.Dev != s.lock.Dev) {
		return &LostError{Path: s.Private.Join("lock"), Lock: true}
	}
	return err
}

// LostError is a spool whose root or private part is not where it was: there is
// nothing left to work on.
type LostError struct {
	Path string
	Own  bool // only a directory of the monitor's own is gone
	Lock bool // only the lock file is
}

func (e *LostError) Error() string {
	switch {
	case e.Lock:
		return e.Path + ": the lock file was removed or replaced while the monitor worked, so another monitor could start; start the monitor again"
	case e.Own:
		return e.Path + ": the directory was removed or replaced while the monitor worked; put it back (monitor init makes what is missing) and start the monitor again"
	}
	return e.Path + ": the spool was moved away or removed while the monitor worked on it; put it back and start the monitor again"
}

// GoneError is a queue directory that is not there any more.
type GoneError struct {
	Path string
	Err  error
}

func (e *GoneError) Error() string {
	return e.Path + ": the directory was moved away or removed: " + e.Err.Error() + "; what lies in it waits until it is back"
}

// Readmes puts all but the newest README of a directory into trash, and names
// them.
func (s *Spool) Readmes(q Queue) (out []Moved, err error) {
	type readme struct {
		name  string
		mtime int64
	}
	var all []readme
	for _, name := range []string{"README", "README.md", "README.txt"} {
		st, err := s.dirs[q].Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFREG {
			all = append(all, readme{name, st.Mtime})
		}
	}
	for i, r := range all {
		newest := true
		for j, o := range all {
			newest = newest && (o.mtime < r.mtime || o.mtime == r.mtime && i <= j)
		}
		if newest {
			continue
		}
		// The one that explains trash itself keeps its name.
		target := r.name
		if _, there, err := s.Find(Trash, target); err != nil {
			return out, err
		} else if there {
			if target, err = s.free(Trash, target); err != nil {
				return out, err
			}
		}
		m, err := s.move("readme", q, r.name, Trash, target)
		if err != nil {
			return out, err
		}
		out = append(out, m)
	}
	return out, nil
}
