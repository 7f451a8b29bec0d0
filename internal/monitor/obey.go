package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"simplejobq/internal/clock"
	"simplejobq/internal/messages"
	"simplejobq/internal/spool"
)

// readMessages acts upon what people wrote into monitor_reads.
func (s *session) readMessages() error {
	lines, said, err := s.inbox.Read()
	for _, text := range said {
		s.say("message", "", text)
	}
	if err != nil {
		s.fault(err)
		return nil
	}
	if s.inbox.Waiting() {
		var lost *spool.LostError
		if err := s.sp.There(); errors.As(err, &lost) {
			return lost
		}
	}
	if s.inbox.Waiting() || s.inbox.Leaving() {
		s.glanceBy(s.now.Add(2 * time.Second))
	}
	if len(lines) > 0 {
		// A message may be about what ended a moment ago: that is told first.
		s.fault(s.flush())
		// It may name what was dropped a moment ago.
		if err := s.scan(); err != nil {
			return err
		}
	}
	for _, l := range lines {
		s.obey(l)
		s.flushMany()
	}
	if len(lines) > 0 || s.inbox.More() {
		s.more = true
	}
	return nil
}

// messagesDone notes on disk that what was read was acted upon: after the commit,
// and after the answers. A crash before that has it acted upon again, and said so.
func (s *session) messagesDone() error {
	said, err := s.inbox.Done()
	for _, text := range said {
		s.say("message", "", text)
	}
	return err
}

// obey acts upon one line and answers it once.
func (s *session) obey(l messages.Line) {
	m, err := messages.Parse(l.Text)
	m.Again = l.Again
	// While a disk fails one session after the other reads the same lines: they are
	// acted upon again, and that is said once.
	defer func() { s.hush = false }()
	s.hush = l.Again && s.mem.answered[l.Text]
	s.mem.answered[l.Text] = l.Again
	ev := s.event("message", "")
	ev.Reason = m.Raw
	s.journal.Tell(ev)
	if m.Again {
		s.answer(m, "", "a crash left it unclear whether this was acted upon; "+againWords(m.Keyword))
		if m.Keyword == "SHUTDOWN" || m.Keyword == "FINISH" {
			return
		}
	}
	if err != nil {
		s.answer(m, "", err.Error())
		return
	}
	switch m.Keyword {
	case "HELP":
		s.answer(m, "", messages.HowTo(s.inbox.Path()))
	case "STATUS":
		var b bytes.Buffer
		d := s.compose(clock.Wall())
		if err := d.Text(&b, clock.Wall()); err != nil {
			s.fault(err)
		}
		s.answer(m, "", strings.TrimRight(b.String(), "\n"))
	case "CONFIG":
		var b bytes.Buffer
		if err := s.conf.Write(&b); err != nil {
			s.fault(err)
		}
		s.answer(m, "", strings.TrimRight(b.String(), "\n"))
	case "SHUTDOWN":
		s.stopAs(stopping)
		s.answer(m, "", fmt.Sprintf("stopping; %d running UOWs go on under their runners", s.slots))
	case "FINISH":
		if s.stop == running {
			s.stopAs(draining)
		}
		s.answer(m, "", fmt.Sprintf("nothing new starts; stopping when %d running UOWs have ended", s.slots))
	case "PAUSE", "RESUME":
		s.pause(m)
	case "RELOAD":
		text := "configuration read again"
		if err := s.reload(); err != nil {
			text = "not done: " + err.Error()
		}
		s.answer(m, "", text)
	case "KILL JOB":
		s.killJob(m)
	case "EXPLAIN":
		s.each(m, m.Args, func(t target) string { return s.explain(t) })
	case "CLEANUP":
		s.each(m, m.Args, s.cleanUp)
	case "REQUEUE":
		if name, step := m.Target(); step != "" && !s.isFile(m.Args) {
			s.each(m, name, func(t target) string { return s.requeueFrom(t, step) })
			return
		}
		s.each(m, m.Args, func(t target) string { return s.transfer(t, spool.Wait, onlyEnded) })
	case "HOLD":
		s.each(m, m.Args, func(t target) string { return s.transfer(t, spool.Hold, onlyQueued) })
	case "RELEASE":
		s.each(m, m.Args, func(t target) string { return s.transfer(t, spool.Wait, onlyHeld) })
	case "PROMOTE":
		s.each(m, m.Args, func(t target) string { return s.transfer(t, spool.Priority, onlyQueued) })
	case "DEMOTE":
		s.each(m, m.Args, func(t target) string { return s.transfer(t, spool.Wait, onlyQueued) })
	case "ARCHIVE":
		s.each(m, m.Args, func(t target) string { return s.transfer(t, spool.Archive, anyButRunning) })
	case "TRASH":
		s.each(m, m.Args, s.trash)
	}
}

func againWords(keyword string) string {
	if keyword == "SHUTDOWN" || keyword == "FINISH" {
		return "it is not repeated"
	}
	return "it is acted upon again"
}

// answer is what the sender reads, with the tag it was sent with.
func (s *session) answer(m messages.Message, name, text string) {
	if s.hush {
		return
	}
	if m.ID != "" {
		text = "#" + m.ID + " " + strings.ReplaceAll(text, "\n", "\n#"+m.ID+" ")
	}
	s.say("answer", name, text)
}

// each does something with every UOW a message means, and answers once: with one
// line, or for a pattern with one per UOW and a last one with the count.
func (s *session) each(m messages.Message, name string, do func(target) string) {
	list, many, err := s.matching(name)
	if errors.Is(err, errNobody) && m.ID != "" {
		// What looks like a tag may be the end of a name.
		if l, k, e := s.matching(name + " #" + m.ID); e == nil {
			list, many, err, m.ID = l, k, nil, ""
		}
	}
	if err != nil {
		if !errors.Is(err, errNobody) {
			s.fault(err)
		}
		s.answer(m, "", fmt.Sprintf("%s %s: not done: %v", m.Keyword, quoteName(name), err))
		return
	}
	for _, t := range list {
		s.answer(m, t.uow(), do(t))
		s.flushMany()
	}
	if many {
		s.answer(m, "", fmt.Sprintf("%s %s: %d UOWs", m.Keyword, quoteName(name), len(list)))
	}
}

func (t target) uow() string {
	if t.job != nil {
		return t.job.UOW
	}
	return t.name
}

const pausedFile = "paused"

func (s *session) readPaused() (bool, error) {
	_, err := s.sp.Private.Stat(pausedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// pause writes down that nothing new may start: a restart keeps it.
func (s *session) pause(m messages.Message) {
	on := m.Keyword == "PAUSE"
	if on == s.paused {
		s.answer(m, "", map[bool]string{true: "paused already", false: "not paused"}[on])
		return
	}
	var err error
	if on {
		f, e := s.sp.Private.Create("pause:create", pausedFile, 0o644)
		if err = e; errors.Is(err, fs.ErrExist) {
			err = nil
		} else if e == nil {
			err = f.Close()
		}
	} else {
		err = s.sp.Private.Remove("pause:remove", pausedFile)
	}
	if err != nil {
		s.fault(err)
		s.answer(m, "", "not done: "+err.Error())
		return
	}
	s.sp.Batch.Dir(s.sp.Private, 0)
	s.paused = on
	kind, text := "resumed", "UOWs start again"
	if on {
		kind, text = "paused", fmt.Sprintf("nothing new starts until RESUME; %d running UOWs go on", s.slots)
	}
	ev := s.event(kind, "")
	s.tells = append(s.tells, func() { s.journal.Tell(ev) })
	s.answer(m, "", text)
}
