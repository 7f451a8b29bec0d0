package monitor

import (
	"errors"
	"io/fs"
	"strconv"

	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// A past is named after the inode of its UOW, and a UOW that is copied, by the monitor
// or by an editor that saves into another file, has another one then.

// pastFollows gives what is known of a UOW that is to go on to the copy that took its
// name: a file with two names, or one that may not be written to.
//
//	crash before    leaves
//	its moves       a UOW that is to go on and has no past: sweepPasts finds it one
func (s *session) pastFollows(now uint64) error {
	old, known := s.copied[now]
	if !known {
		return nil
	}
	s.sp.Batch.Dir(s.flows, 0)
	err := errors.Join(
		inherit(s.flows, "flow", pastName(old), pastName(now)), // of most nothing is known
		inherit(s.works, "work", ownWork(old), ownWork(now)),
	)
	if err == nil {
		delete(s.copied, now)
	}
	return err
}

// findPast gives a UOW that goes on as another file than it had been the past that is
// left under its name, if it has none and there is one that may be its own.
func (s *session) findPast(name string, ino uint64, may func(past uint64) bool) error {
	if _, err := s.flows.Stat(pastName(ino)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.copied[ino] == 0 {
		orphans, err := s.orphans()
		if err != nil {
			return err
		}
		for past, owner := range orphans {
			if owner == name && may(past) {
				s.copied[ino] = past
			}
		}
	}
	return s.pastFollows(ino)
}

// findEnded does so for a UOW that has ended: an editor that saves by putting another
// file there takes the inode away that the past is named after.
func (s *session) findEnded(u *uow.Unit, name string, ino uint64) error {
	if !u.Ended() {
		return nil
	}
	return s.findPast(name, ino, func(past uint64) bool { return s.isPastOf(u, past) })
}

// isPastOf reports whether a past is of the life of a UOW, and not of an earlier one of
// the same name.
func (s *session) isPastOf(u *uow.Unit, ino uint64) bool {
	records, err := s.readPast(ino)
	return err == nil && !lastBegun(records).At.Before(u.Enqueued)
}

// inherit gives a name in dir to what has another, if there is such a thing.
func inherit(dir *durable.Dir, kind durable.Site, old, now string) error {
	_, err := dir.Stat(old)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = dir.RemoveAll(kind+":remove", now)
	}
	if err == nil {
		err = dir.Move(kind+":follow", old, dir, now)
	}
	return err
}

// sweepPasts removes the pasts of UOWs that are gone, or were put back to begin anew:
// when all live queues have been looked at.
func (s *session) sweepPasts() error {
	orphans, err := s.orphans()
	if err != nil {
		return err
	}
	for ino, owner := range orphans {
		if j := s.names[owner]; j != nil && j.flow == nil {
			continue // claimed, and there was no room yet to begin
		}
		heir, err := s.heirOf(owner, ino)
		switch {
		case err != nil:
			s.fault(err) // kept for now
		case heir != 0:
			s.copied[heir] = ino
			s.fault(s.pastFollows(heir))
		default:
			s.dropPast(ino)
		}
	}
	return nil
}

// orphans are the pasts whose UOW is found nowhere, and the name it was claimed by.
func (s *session) orphans() (map[uint64]string, error) {
	var names []string
	if err := s.flows.List(func(n durable.Name) bool { names = append(names, n.Name); return true }); err != nil {
		return nil, err
	}
	orphans := map[uint64]string{}
	for _, name := range names {
		ino, err := strconv.ParseUint(name[1:], 10, 64)
		if err != nil || pastName(ino) != name || s.jobs[ino] != nil {
			continue
		}
		owner, lost, err := s.ownerOf(ino)
		if err != nil {
			s.fault(err)
		} else if lost {
			orphans[ino] = owner
		}
	}
	for _, q := range spool.Live { // under another name than it was claimed by
		if len(orphans) > 0 {
			s.sp.Inodes(q, func(ino uint64) { delete(orphans, ino) })
		}
	}
	for _, old := range s.copied { // it is on its way
		delete(orphans, old)
	}
	return orphans, nil
}

// ownerOf asks for the UOW of a past by the name it was claimed under; lost if that is
// not there. One that can't be read now is kept.
func (s *session) ownerOf(ino uint64) (owner string, lost bool, err error) {
	records, err := s.readPast(ino)
	if err != nil {
		return "", errors.As(err, new(*flow.DamageError)), trouble(err)
	}
	owner = lastBegun(records).Text
	for q := range spool.Queues {
		if q == spool.Archive || q == spool.Trash || owner == "" {
			continue
		}
		st, there, err := s.sp.Find(q, owner)
		if err != nil || there && st.Ino == ino {
			return owner, false, err
		}
	}
	return owner, true, nil
}

// heirOf finds a UOW of this name that is to go on, or may be asked to, and has no past:
// a crash came between its taking the name and its being given that, or an editor put it
// there.
func (s *session) heirOf(name string, past uint64) (ino uint64, err error) {
	for q := range spool.Queues {
		if q == spool.Executing || q == spool.Archive || q == spool.Trash {
			continue
		}
		if st, there, err := s.sp.Find(q, name); err != nil || !there || !st.Regular() {
			continue
		}
		u, c, err := s.readUnit(q, name)
		var wrong uow.Errors
		if errors.As(err, &wrong) {
			continue
		}
		if err != nil {
			return 0, trouble(err)
		}
		// Of what has ended an editor may have put another file there.
		if q.Ended() && (!u.Ended() || !s.isPastOf(u, past)) || !q.Ended() && u.Status.Kind != uow.TryAgain || len(u.Steps) == 0 && !u.DeferCleanup {
			continue
		}
		switch _, err := s.flows.Stat(pastName(c.Stat.Ino)); {
		case errors.Is(err, fs.ErrNotExist):
			return c.Stat.Ino, nil
		case err != nil:
			return 0, err
		}
	}
	return 0, nil
}
