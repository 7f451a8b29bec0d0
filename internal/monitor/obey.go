package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"simplejobq/internal/clock"
	"simplejobq/internal/flow"
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
		s.glance = s.now.Add(2 * time.Second)
	}
	if len(lines) > 0 {
		// A message may name what was dropped a moment ago.
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
		s.each(m, func(t target) string { return s.explain(t) })
	case "CLEANUP":
		s.each(m, s.cleanUp)
	case "REQUEUE":
		if _, step := m.Target(); step != "" {
			s.each(m, func(t target) string { return s.requeueFrom(t, step) })
			return
		}
		s.each(m, func(t target) string { return s.transfer(t, spool.Wait, onlyEnded) })
	case "HOLD":
		s.each(m, func(t target) string { return s.transfer(t, spool.Hold, onlyQueued) })
	case "RELEASE":
		s.each(m, func(t target) string { return s.transfer(t, spool.Wait, onlyHeld) })
	case "PROMOTE":
		s.each(m, func(t target) string { return s.transfer(t, spool.Priority, onlyQueued) })
	case "DEMOTE":
		s.each(m, func(t target) string { return s.transfer(t, spool.Wait, onlyQueued) })
	case "ARCHIVE":
		s.each(m, func(t target) string { return s.transfer(t, spool.Archive, anyButRunning) })
	case "TRASH":
		s.each(m, func(t target) string { return s.transfer(t, spool.Trash, anyButRunning) })
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
func (s *session) each(m messages.Message, do func(target) string) {
	name, _ := m.Target()
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

func (s *session) transferred(t target, to spool.Queue, fits only) (text string, done bool) {
	if t.job != nil {
		if t.job.unstarted {
			return "not done: it is on its way to " + s.sp.Name(t.job.to), false
		}
		return "not done: it is executing; KILL JOB ends it", false
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
	s.order.push(e)
}

// killJob ends one running job, or all.
func (s *session) killJob(m messages.Message) {
	if m.Args == "" {
		n := 0
		for _, j := range s.jobs {
			if text, ok := s.kill(j); ok {
				s.answer(m, j.UOW, text)
				n++
			}
		}
		s.answer(m, "", fmt.Sprintf("KILL JOB: %d UOWs", n))
		return
	}
	s.each(m, func(t target) string {
		if t.job == nil {
			return fmt.Sprintf("not done: it is not executing (it is in %s)", s.sp.Name(t.queue))
		}
		text, _ := s.kill(t.job)
		return text
	})
}

const killReason = "killed by request"

// kill asks for the end of a job, wherever it stands.
func (s *session) kill(j *job) (string, bool) {
	ending := fmt.Sprintf("is being ended: SIGTERM now, SIGKILL after %v", s.conf.Job.KillGrace)
	switch {
	case j.state == cleaning:
		// The clean-up that runs is ended; the others still run.
		for _, c := range j.commands {
			if c.stage == starting || c.stage == alive {
				s.end(c, killReason)
				return "its clean-up " + ending, true
			}
		}
		return "not done: its clean-up is about to start; the outcome stands", false
	case j.state != working || j.flow == nil:
		return "not done: it has ended already", false
	case !j.plain():
		if !s.cancel(j, flow.Killed, killReason) {
			return "not done: it has ended already", false
		}
		if j.out() == 0 {
			return "ended; its clean-up follows, if it has any", true
		}
		return ending, true
	}
	c := j.shown()
	switch {
	case c == nil || c.stage == told:
		// Between two commands, or not started yet: it ends here and now, so that
		// the wish can't get lost.
		phase := j.flow.Phase(0)
		if !s.cancel(j, flow.Killed, "killed by request before its "+string(phase)+" was started") {
			return "not done: it has ended already", false
		}
		s.settle(j)
		return "ended before its " + string(phase) + " was started", true
	case c.stage == starting:
		c.killed = killReason
		return "it is about to start; it is ended as soon as it has", true
	case c.stage == ended:
		if c.killed != "" {
			return "it was ended when this was asked", true
		}
		return "not done: it has ended already", false
	}
	c.killed = killReason
	if err := c.kill(killReason); err != nil {
		s.fault(err)
		return "not done: " + err.Error(), false
	}
	return ending, true
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
