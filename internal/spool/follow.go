package spool

import (
	"errors"

	"io/fs"
	"simplejobq/internal/durable"

	"golang.org/x/sys/unix"
)

// follow notices a directory whose path leads elsewhere by now, and opens that.
func (s *Spool) follow(q Queue) (moved bool, err error) {
	replaced, err := s.dirs[q].Replaced()
	if err != nil || (!replaced && !s.lost[q]) {
		return false, err
	}
	if err := s.There(); err != nil {
		return false, err
	}
	dir, err := s.Root.Sub(s.Name(q))
	if err == nil && dir.Dev() != s.Root.Dev() {
		dir.Close()
		err = errors.New("now lies on another file system")
	}
	if err != nil {
		s.lost[q] = true
		return false, &GoneError{s.dirs[q].Path(), cause(err)}
	}
	moved = !dir.Same(s.dirs[q]) || s.lost[q]
	s.lost[q] = false
	// The batch may still hold the old directory; it is closed after the commit.
	old := s.dirs[q]
	s.dirs[q] = dir
	s.After(old.Close)
	if s.index[q] != nil {
		s.moved.follow(q, dir.Fd())
	}
	return moved, nil
}

// present makes sure that a queue's directory is the one its name leads to before a
// UOW goes into it: people put a full one aside and make a new one.
func (s *Spool) present(q Queue) error {
	was := s.dirs[q]
	moved, err := s.follow(q)
	if moved {
		s.followed = append(s.followed, followed{q, s.dirs[q].Same(was)})
	}
	return err
}

// followed is a directory that was found to be another one between two looks.
type followed struct {
	queue Queue
	back  bool // it is the same one, back in its place
}

// Follow looks at the directories that are not watched: a replaced one is
// followed, and said.
func (s *Spool) Follow() (moved, back []Queue, err error) {
	if err := s.There(); err != nil {
		return nil, nil, err
	}
	for _, f := range s.followed {
		if f.back {
			back = append(back, f.queue)
		} else {
			moved = append(moved, f.queue)
		}
	}
	s.followed = nil
	var errs []error
	for q := range Queues {
		if s.index[q] != nil {
			continue
		}
		was := s.dirs[q]
		switch m, err := s.follow(q); {
		case m && s.dirs[q].Same(was):
			back = append(back, q)
		case m:
			moved = append(moved, q)
		default:
			errs = append(errs, err)
		}
	}
	return moved, back, errors.Join(errs...)
}

// There reports whether the spool is where it was. A disk that does not tell is no
// spool that went away.
func (s *Spool) There() error {
	for _, d := range []*durable.Dir{s.Root, s.Private} {
		gone, err := d.Replaced()
		if err != nil {
			return err
		}
		if gone {
			return &LostError{d.Path()}
		}
	}
	return nil
}

// LostError is a spool whose root or private part is not where it was: there is
// nothing left to work on.
type LostError struct{ Path string }

func (e *LostError) Error() string {
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
