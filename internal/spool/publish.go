package spool

import (
	"errors"
	"fmt"
	"io/fs"

	"simplejobq/internal/durable"
)

// publish swaps the copy with the name and looks at what came out.
func (s *Spool) publish(a *Acceptance) error {
	dir, e, tmp := s.dirs[a.Entry.Queue], a.Entry, a.tmp
	err := dir.Exchange("accept:exchange", e.Name, s.Tmp, tmp)
	if errors.Is(err, durable.ErrNoExchange) {
		return s.publishByTurns(a)
	}
	if err != nil {
		return errors.Join(err, s.discard("accept:remove", tmp))
	}
	// Crash window: the original in tmp, see Clear.
	if err := unchanged(s.Tmp, tmp, a.Content.Stat); err != nil {
		return errors.Join(err, s.giveBack(a))
	}
	s.changed(e.Queue)
	s.Until(func() error { return s.Tmp.Remove("accept:remove", tmp) })
	return s.nowCalled(e)
}

// giveBack puts what somebody wrote back in the place of our copy. He may go on: what
// took the place of ours, or of his own that we have just put there, is newer, and
// gets the name.
func (s *Spool) giveBack(a *Acceptance) error {
	placed := a.own // what we put under the name last
	for range 100 {
		theirs, over, err := s.swapBack(a, placed)
		if over {
			return err
		}
		placed = theirs
	}
	s.settle(a)
	return nil
}

// swapBack exchanges what is in tmp with what the name leads to. It is over if that was
// what we had placed there, or can't be known.
func (s *Spool) swapBack(a *Acceptance, placed durable.Stat) (theirs durable.Stat, over bool, err error) {
	if held, err := s.Tmp.Open(a.tmp); err == nil {
		// No new file gets its number while that is compared.
		defer held.Close()
	}
	theirs, blind := s.Tmp.Stat(a.tmp)
	if err := s.dirs[a.Entry.Queue].Exchange("accept:back", a.Entry.Name, s.Tmp, a.tmp); err != nil {
		s.settle(a)
		if isMissing(err) { // he took our copy away
			err = nil
		}
		return theirs, true, err
	}
	out, err := s.Tmp.Stat(a.tmp)
	switch {
	case err == nil && out.SameContent(placed):
		return theirs, true, s.discard("accept:remove", a.tmp)
	case err != nil || blind != nil || out.Ino == placed.Ino: // the last: he wrote into both
		s.settle(a)
		return theirs, true, errors.Join(err, blind)
	}
	return theirs, false, nil
}

// settle puts what is in tmp where it is found, unless it is our copy as we made it.
func (s *Spool) settle(a *Acceptance) {
	_ = s.Now(func() error { // what is said of it is said of the exchange
		st, err := s.Tmp.Stat(a.tmp)
		if err != nil {
			return present(err)
		}
		if st.SameContent(a.own) {
			return s.Tmp.Remove("accept:remove", a.tmp)
		}
		text, err := s.keep("accept:keep", a.tmp, a.Entry.Name)
		if err == nil && s.Kept != nil {
			s.Kept(a.Entry.Name, text)
		}
		return err
	})
}

// present is err, if it is not that there is nothing.
func present(err error) error {
	if isMissing(err) {
		return nil
	}
	return err
}

// discard removes a temporary or a directory of them, now or when that can be done.
func (s *Spool) discard(site durable.Site, name string) error {
	return s.Now(func() error { return s.Tmp.RemoveAll(site, name) })
}

// nowCalled notes that the name leads to another inode by our own doing.
func (s *Spool) nowCalled(e *Entry) error {
	st, err := s.dirs[e.Queue].Stat(e.Name)
	if err != nil {
		return err
	}
	e.Ino = st.Ino
	e.note(st)
	return nil
}

func unchanged(dir *durable.Dir, name string, read durable.Stat) error {
	f, err := dir.Open(name)
	if err != nil {
		return errors.Join(ErrChanged, err)
	}
	defer f.Close()
	writer := f.ReadLease()
	st, err := f.Stat()
	if err != nil || !st.SameContent(read) || writer == durable.Written {
		return errors.Join(ErrChanged, err)
	}
	return nil
}

// publishByTurns serves file systems that can't exchange: the original is taken
// out, the copy put in. The name is missing for a moment, and if a crash falls
// into it, the original is found in tmp by its name there and put back.
func (s *Spool) publishByTurns(a *Acceptance) error {
	dir, e, tmp := s.dirs[a.Entry.Queue], a.Entry, a.tmp
	// A directory of its own, so that it keeps its whole name.
	st := a.Content.Stat
	s.seq++
	outName := fmt.Sprintf("out-%d-%d-%d-%d-%d", s.seq, e.Queue, st.Ino, st.Size, st.Mtime)
	discard := func(err error) error { return errors.Join(err, s.discard("accept:remove", tmp)) }
	if err := s.Tmp.Mkdir("accept:mkdir", outName, 0o700); err != nil {
		return discard(err)
	}
	out, err := s.Tmp.Sub(outName)
	if err != nil {
		return discard(err)
	}
	remove := func() error { return errors.Join(out.Close(), s.discard("accept:remove", outName)) }
	if err := dir.Move("accept:out", e.Name, out, e.Name); err != nil {
		return discard(errors.Join(err, remove()))
	}
	// Crash window: the original in tmp, and our copy too. Clear puts it back.
	err = unchanged(out, e.Name, st)
	if err == nil {
		err = s.Tmp.Move("accept:in", tmp, dir, e.Name)
	}
	if err != nil {
		if back := out.Move("accept:back", e.Name, dir, e.Name); back != nil {
			s.Until(func() error {
				back := out.Move("accept:back", e.Name, dir, e.Name)
				if errors.Is(back, fs.ErrExist) { // somebody put another file there meanwhile
					back = s.putBeside(out, e)
				}
				if durable.Passing(back) {
					return back
				}
				if back != nil {
					return out.Close() // Clear finds it
				}
				s.changed(e.Queue)
				return remove()
			})
			return discard(errors.Join(err, back))
		}
		return discard(errors.Join(err, remove()))
	}
	// Crash window: the original in tmp, our copy is not there any more.
	s.changed(e.Queue)
	s.After(remove)
	return s.nowCalled(e)
}

// putBeside brings a file back into its queue under another name: the one it had is
// somebody else's by now.
func (s *Spool) putBeside(out *durable.Dir, e *Entry) error {
	name, err := s.free(e.Queue, e.Name)
	if err == nil {
		err = out.Move("accept:back", e.Name, s.dirs[e.Queue], name)
	}
	if err == nil && s.Kept != nil {
		s.Kept(e.Name, fmt.Sprintf("another file took its name while it was accepted; it is in %s as %s", s.Name(e.Queue), name))
	}
	return err
}
