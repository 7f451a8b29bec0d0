package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"simplejobq/internal/durable"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// acceptance says what has to be done to a file that is found good.
func (s *session) acceptance(e *spool.Entry, c spool.Content, u *uow.Unit) *spool.Acceptance {
	a := &spool.Acceptance{Entry: e, Content: c, Enqueued: u.Enqueued}
	if a.Enqueued.IsZero() {
		a.Enqueued = s.stamp(e.Name)
	}
	// Whole, but not told of yet: a crash before it is has the event told again.
	a.Mtime = a.Enqueued.Add(SubmitMark)
	head := c.Head
	if !u.Complete() {
		head = u.Completed(a.Enqueued)
		a.Rewritten = head
	}
	if u.Ended() && e.Queue != spool.Hold {
		// A person put it back: it begins anew, and the log says so.
		done, err := uow.Parse(e.Name, head)
		if err != nil {
			// Completed promises that it parses; if not, leave the file alone.
			s.fault(fmt.Errorf("accept: %s: %w", e.Name, err))
			return nil
		}
		a.Patch, _ = uow.StatusField("")
		a.PatchAt = done.StatusAt()
		line := fmt.Sprintf("---- %s put back into %s, begins anew; it had ended as %s\n", uow.Stamp(s.wall), s.sp.Name(e.Queue), u.Status.Text)
		if !c.Newline {
			line = "\n" + line
		}
		a.Line = []byte(line)
		if a.Rewritten != nil { // the copy is written with it
			copy(a.Rewritten[a.PatchAt:], a.Patch)
			a.Patch = nil
		}
	}
	return a
}

// stamp is the timestamp of a file that has none: now, but never before one that
// was given earlier, and later than it where the names would turn the order.
func (s *session) stamp(name string) time.Time {
	t := s.wall.UTC().Truncate(time.Millisecond)
	if t.Before(s.stats.lastStamp) {
		t = s.stats.lastStamp
	}
	if t.Equal(s.stats.lastStamp) && name < s.stats.lastName {
		t = t.Add(time.Millisecond)
	}
	s.stats.lastStamp, s.stats.lastName = t, name
	return t
}

// accepted takes a UOW into the order.
func (s *session) accepted(a *spool.Acceptance, u *uow.Unit) {
	e := a.Entry
	known := a.Rewritten == nil && a.Patch == nil && !a.Copied && a.Content.Stat.Mtime == durable.Nanos(a.Enqueued)
	if u.Ended() && e.Queue == spool.Hold {
		e.State = spool.Parked // it is put back when it leaves, not before
	}
	delete(s.stuck, e)
	if a.Copied && u.Status.Kind == uow.TryAgain {
		s.copied[e.Ino] = a.Content.Stat.Ino
		s.fault(s.pastFollows(e.Ino))
	}
	s.admit(e, u)
	if known {
		return
	}
	ev := s.event("accepted", e.Name)
	ev.To = s.sp.Name(e.Queue)
	text := "into " + s.sp.Name(e.Queue)
	if u.Ended() && e.Queue != spool.Hold {
		text = "put back into " + s.sp.Name(e.Queue) + ", begins anew; it had ended as " + u.Status.Text
	} else if u.Status.Kind == uow.TryAgain {
		text += ", " + u.Status.Text
	}
	s.accepts = true
	s.tells = append(s.tells, func() {
		s.journal.Tell(ev)
		s.say("accepted", e.Name, text)
		s.onceTold = append(s.onceTold, func() {
			s.sp.After(func() error {
				err := s.sp.Told(e, a.Enqueued)
				s.order.shelve(e)
				return err
			})
		})
	})
}

// admit notes what a UOW waits for and gives it its place.
func (s *session) admit(e *spool.Entry, u *uow.Unit) {
	t := s.termsFor(e, u)
	e.Note = nil
	if t != nil {
		t.admitted = s.turns
		if !t.due.IsZero() {
			s.order.awaitSpan(e, t, min(t.due.Sub(s.wall), s.retryDelay(u)), s.wall)
		}
		e.Note = t
		if !t.expires.IsZero() {
			s.order.awaitTime(e, t.expires)
		}
	}
	if !s.order.shelve(e) {
		s.order.push(e)
	}
	s.order.news(e.Name)
}

// termsFor is what a UOW waits for, nil if for nothing but its turn.
func (s *session) termsFor(e *spool.Entry, u *uow.Unit) *terms {
	t := terms{kind: s.kindName(u), after: u.After, afterAny: u.AfterAny, notBefore: u.NotBefore, expires: u.Expires}
	if u.ExpiresIn > 0 {
		t.expires = time.Unix(0, e.Enqueued).Add(u.ExpiresIn)
	}
	if u.Status.Kind == uow.TryAgain {
		t.due = u.Status.NotBefore
	}
	if t.kind == "" && t.onlyKind() {
		return nil
	}
	kept := t // of most there is nothing to keep
	return &kept
}

// refuse puts a file into trash and tells why.
func (s *session) refuse(e *spool.Entry, why string) {
	from := e.Queue
	m, err := s.sp.Refuse(e, why)
	if errors.Is(err, spool.ErrChanged) {
		s.sp.Again(e)
		s.more = true
		s.fault(trouble(err, spool.ErrChanged))
		return
	}
	if err != nil {
		if err = trouble(err); err != nil {
			s.stick(e, err, time.Second, true)
		} else {
			s.settleAgain(e, time.Second, true)
		}
		return
	}
	s.forget(e)
	ev := s.event("refused", m.NewName)
	ev.From, ev.To, ev.Reason = s.sp.Name(from), s.sp.Name(spool.Trash), why
	s.tells = append(s.tells, func() {
		s.journal.Tell(ev)
		s.say("refused", m.NewName, firstLine(why)+more(why))
	})
	s.tellMoved(m, "")
}

func more(why string) string {
	if n := bytes.Count([]byte(why), []byte("\n")); n > 0 {
		return fmt.Sprintf(" (and %d more; see the .why file beside it)", n)
	}
	return ""
}
