package monitor

import (
	"errors"
	"fmt"
	"io/fs"

	"simplejobq/internal/spool"
)

// Which UOWs a message is for; the text says why not for this one.
type only func(q spool.Queue) string

func onlyQueued(q spool.Queue) string {
	if q == spool.Wait || q == spool.Priority || q == spool.Hold {
		return ""
	}
	return "it is not queued"
}

func onlyHeld(q spool.Queue) string {
	if q == spool.Hold {
		return ""
	}
	return "it is not held"
}

func onlyEnded(q spool.Queue) string {
	if q.Ended() && q != spool.Trash {
		return ""
	}
	return "it has not ended"
}

func anyButRunning(q spool.Queue) string { return "" }

// halfMoved heals what a crash may have left of the very move a message asks for.
func (s *session) halfMoved(t target) target {
	if t.entry == nil || !s.first {
		return t
	}
	q, healed, err := s.sp.Twin(t.entry)
	s.fault(err)
	if !healed {
		return t
	}
	s.healed(t.entry, q)
	return target{queue: q, name: t.name}
}

// transfer moves what a message names.
func (s *session) transfer(t target, to spool.Queue, fits only) string {
	text, _ := s.transferred(t, to, fits)
	return text
}

// busy is why a UOW that is a job can't be moved.
func (s *session) busy(j *job) string {
	switch {
	case j.afterwards:
		return "its clean-ups are running; KILL JOB ends the one that runs"
	case j.unstarted:
		return "it is on its way to " + s.sp.Name(j.to)
	}
	return "it is executing; KILL JOB ends it"
}

func (s *session) transferred(t target, to spool.Queue, fits only) (text string, done bool) {
	if t.job != nil {
		return "not done: " + s.busy(t.job), false
	}
	t = s.halfMoved(t)
	if why := fits(t.queue); why != "" {
		return fmt.Sprintf("not done: %s (it is in %s)", why, s.sp.Name(t.queue)), false
	}
	if t.queue == to {
		return "is in " + s.sp.Name(to) + " already", false
	}
	var m spool.Moved
	var err error
	if t.entry != nil {
		m, err = s.sp.Put("message", t.entry, to)
		if err == nil {
			s.forget(t.entry)
			if m.Entry != nil {
				s.settled(m.Entry, t.entry)
			}
		}
	} else {
		m, err = s.sp.Fetch("message", t.queue, t.name, to)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "not done: it was moved or removed a moment ago", false
	}
	if err != nil {
		s.fault(err)
		return "not done: " + err.Error(), false
	}
	s.order.news(m.NewName)
	s.tellMoved(m, "")
	text = fmt.Sprintf("from %s to %s", s.sp.Name(m.From), s.sp.Name(to))
	if m.NewName != m.Name {
		text += " as " + quoteName(m.NewName)
	}
	return text, true
}

// settled gives an entry that came from another live queue its place there.
func (s *session) settled(e, from *spool.Entry) {
	if e.State != spool.Accepted {
		return // it is read again, as new
	}
	e.Note = from.Note
	if t := termsOf(e); t != nil && !t.expires.IsZero() {
		s.order.awaitTime(e, t.expires)
	}
	if !s.order.shelve(e) {
		s.order.push(e)
	}
}

// trash says what will not be cleaned any more.
func (s *session) trash(t target) string {
	left := 0
	if t.job == nil && t.queue.Ended() {
		left = s.cleanupsLeft(t)
	}
	text, done := s.transferred(t, spool.Trash, anyButRunning)
	if done && left > 0 {
		text += fmt.Sprintf("; its clean-ups that were deferred, %d, do not run any more", left)
	}
	return text
}
