package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"simplejobq/internal/durable"
)

// Moved tells where a file went.
type Moved struct {
	Name, NewName string
	From, To      Queue
	Displaced     string // what lay there under the name is now called so
	Entry         *Entry // if To is a live queue
}

// Cut reports whether the new name had to be shortened to fit.
func (m Moved) Cut() bool { return !strings.HasPrefix(m.NewName, m.Name) }

// move renames a file into another queue. In an ended queue the newcomer keeps
// its name and what lay there gets a suffix; elsewhere the newcomer gets it.
func (s *Spool) move(act string, from Queue, name string, to Queue, newName string) (Moved, error) {
	m := Moved{Name: name, NewName: newName, From: from, To: to}
	site := durable.Site(act + ":rename")
	err := s.place(act, &m, func(free string) error {
		err := s.dirs[from].Move(site, name, s.dirs[to], free)
		if errors.Is(err, fs.ErrExist) && s.same(from, name, to, free) {
			// The second half of a move that a crash interrupted.
			err = s.dirs[from].Remove("heal:twin", name)
		}
		return err
	})
	if err == nil {
		s.changed(to, from)
	}
	return m, err
}

// same reports whether two names lead to one file.
func (s *Spool) same(q Queue, name string, other Queue, otherName string) bool {
	a, errA := s.dirs[q].Stat(name)
	b, errB := s.dirs[other].Stat(otherName)
	return errA == nil && errB == nil && a.Ino == b.Ino && a.Dev == b.Dev && (q != other || name != otherName)
}

// place has take bring a file under m.NewName into m.To, and makes room for it
// or changes the name until that succeeds.
func (s *Spool) place(act string, m *Moved, take func(name string) error) error {
	wanted := m.NewName
	for range 100 {
		err := take(m.NewName)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if !m.To.Ended() {
			if m.NewName, err = s.free(m.To, wanted); err != nil {
				return err
			}
			continue
		}
		// Crash window: the older one has its suffix, the newcomer is not there
		// yet. Both are whole and in one place each.
		if m.Displaced, err = s.makeRoom(act, m.To, wanted); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: %s: the name is taken again and again", act, s.dirs[m.To].Join(wanted))
}

// makeRoom gives what lies under a name, and in trash its reason, a suffix. That somebody
// else was quicker is no error: whoever asked tries again.
func (s *Spool) makeRoom(act string, q Queue, name string) (other string, err error) {
	for n := 1; ; n++ {
		other = Older(name, n)
		if _, there, err := s.Find(q, other); err != nil {
			return "", err
		} else if !there {
			break
		}
		if s.same(q, name, q, other) {
			break // half of this, that a crash interrupted
		}
	}
	if err = s.displace(act, q, name, other); errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return other, err
}

func (s *Spool) displace(act string, q Queue, name, newName string) error {
	dir := s.dirs[q]
	site := durable.Site(act + ":displace")
	err := dir.Move(site, name, dir, newName)
	if errors.Is(err, fs.ErrExist) && s.same(q, name, q, newName) {
		err = dir.Remove("heal:twin", name)
	}
	if err != nil || q != Trash { // elsewhere NAME.why is a UOW of its own
		return err
	}
	err = dir.Move(site, whyOf(name), dir, whyOf(newName))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// Put moves a file of a live queue. The entry of the new place takes over what
// is known of it, unless it came out of hold-q unjudged.
func (s *Spool) Put(act string, e *Entry, to Queue) (Moved, error) {
	m, err := s.move(act, e.Queue, e.Name, to, e.Name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			s.Again(e)
		}
		return m, err
	}
	s.leave(e)
	if s.index[to] == nil {
		return m, nil
	}
	st, err := s.dirs[to].Stat(m.NewName)
	if err != nil {
		return m, err
	}
	state := e.State
	if state != Accepted {
		state = Fresh
		s.hint(to, func(h *hints) { h.add(m.NewName) })
		st.Size = -1
	}
	m.Entry = s.enter(to, m.NewName, st, state, e.Enqueued)
	m.Entry.Odd = e.Odd
	return m, nil
}

// Fetch moves a file out of a queue that is not indexed, by name.
func (s *Spool) Fetch(act string, from Queue, name string, to Queue) (Moved, error) {
	m, err := s.move(act, from, name, to, name)
	if err == nil && s.index[to] != nil {
		s.hint(to, func(h *hints) { h.add(m.NewName) })
	}
	return m, err
}

// Refuse puts a file into trash, with the reason beside it. It is ErrChanged if
// another file has the name by now: that was not judged.
func (s *Spool) Refuse(e *Entry, why string) (Moved, error) {
	from, name := e.Queue, e.Name
	// The reason goes first: a file in trash without one would be a riddle.
	tmp, err := s.temporary("refuse", whyMode)
	if err != nil {
		return Moved{}, err
	}
	_, err = tmp.file.Write("refuse:write", []byte(strings.TrimSuffix(why, "\n")+"\n"))
	if err == nil {
		err = tmp.file.Sync("refuse:sync")
	}
	if err = errors.Join(err, tmp.file.Close()); err != nil {
		return Moved{}, errors.Join(err, s.discard("refuse:remove", tmp.name))
	}
	// Crash window: a temporary of ours, removed at start.
	target := whyOf(name)
	if _, e := s.dirs[Trash].Stat(name); e == nil {
		_, err = s.makeRoom("refuse", Trash, name)
	}
	if err == nil {
		// In its way may be a reason whose file somebody took away, or a refused
		// file of that name.
		err = s.place("refuse", &Moved{NewName: target, To: Trash}, func(string) error {
			return s.Tmp.Move("refuse:publish", tmp.name, s.dirs[Trash], target)
		})
	}
	if err != nil {
		return Moved{}, errors.Join(err, s.discard("refuse:remove", tmp.name))
	}
	// Crash window: a reason without its file; the file is refused again.
	if !e.judged(s.dirs[from], name) {
		return Moved{}, errors.Join(ErrChanged, s.dirs[Trash].Remove("refuse:remove", target))
	}
	m, err := s.move("refuse", from, name, Trash, name)
	if err != nil {
		// A network file system may have done it nevertheless, and what lies there keeps
		// its reason.
		if st, there, look := s.Find(Trash, name); look == nil && !(there && st.Ino == e.Ino) {
			err = errors.Join(err, s.dirs[Trash].Remove("refuse:remove", target))
		}
		return m, err
	}
	if !e.judged(s.dirs[Trash], m.NewName) {
		// Replaced in that very moment: what was taken goes back.
		_, back := s.move("refuse", Trash, m.NewName, from, name)
		return m, errors.Join(ErrChanged, back, s.dirs[Trash].Remove("refuse:remove", target))
	}
	s.leave(e)
	return m, nil
}

// judged reports whether a name leads to what was looked at.
func (e *Entry) judged(d *durable.Dir, name string) bool {
	st, err := d.Stat(name)
	if err != nil {
		return true // whoever moves it says so
	}
	if e.Odd { // its inode number may be a file's by now
		return st.Ino == e.Ino && !st.Regular()
	}
	return st.Ino == e.Ino && (e.Size < 0 || st.Size == e.Size && st.Mtime == e.Mtime)
}

// Find asks a queue for a name.
func (s *Spool) Find(q Queue, name string) (durable.Stat, bool, error) {
	st, err := s.dirs[q].Stat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return st, false, nil
	}
	return st, err == nil && st.Regular(), err
}
