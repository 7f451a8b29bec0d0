package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"simplejobq/internal/flow"
	"simplejobq/internal/messages"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
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
	if len(lines) > 0 {
		// A message may name what was dropped a moment ago.
		if err := s.scan(); err != nil {
			return err
		}
	}
	for _, l := range lines {
		s.obey(l)
	}
	if len(lines) > 0 || s.inbox.More() {
		s.more = true
	}
	said, err = s.inbox.Done()
	for _, text := range said {
		s.say("message", "", text)
	}
	s.fault(err)
	return nil
}

// obey acts upon one line and answers it once.
func (s *session) obey(l messages.Line) {
	m, err := messages.Parse(l.Text)
	m.Again = l.Again
	ev := s.event("message", "")
	ev.Reason = m.Raw
	s.journal.Tell(ev)
	if err != nil {
		s.answer(m, "", err.Error())
		return
	}
	if m.Again {
		s.answer(m, "", "a crash left it unclear whether this was acted upon; "+againWords(m.Keyword))
		if m.Keyword == "SHUTDOWN" || m.Keyword == "FINISH" {
			return
		}
	}
	switch m.Keyword {
	case "HELP":
		s.answer(m, "", messages.HowTo(s.inbox.Path()))
	case "STATUS":
		var b bytes.Buffer
		d := s.compose(time.Now())
		if err := d.Text(&b, time.Now()); err != nil {
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
		s.stop = stopping
		s.answer(m, "", fmt.Sprintf("stopping; %d running UOWs go on under their runners", s.slots))
	case "FINISH":
		if s.stop == running {
			s.stop = draining
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
		s.each(m, func(t target) string {
			return "there is nothing left to clean: clean-ups that wait for this message come with flows, in a later version"
		})
	case "REQUEUE":
		if _, step := m.Target(); step != "" {
			s.answer(m, "", "not done: REQUEUE … FROM a step comes with flows, in a later version; REQUEUE name begins anew")
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
	}
	if many {
		s.answer(m, "", fmt.Sprintf("%s %s: %d UOWs", m.Keyword, name, len(list)))
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

// transfer moves what a message names.
func (s *session) transfer(t target, to spool.Queue, fits only) string {
	if t.job != nil {
		if t.job.unstarted {
			return "not done: it is on its way to " + s.sp.Name(t.job.to)
		}
		return "not done: it is executing; KILL JOB ends it"
	}
	if why := fits(t.queue); why != "" {
		return fmt.Sprintf("not done: %s (it is in %s)", why, s.sp.Name(t.queue))
	}
	if t.queue == to {
		return "is in " + s.sp.Name(to) + " already"
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
		return "not done: it was moved or removed a moment ago"
	}
	if err != nil {
		s.fault(err)
		return "not done: " + err.Error()
	}
	s.order.news(m.NewName)
	s.tellMoved(m, "")
	text := fmt.Sprintf("from %s to %s", s.sp.Name(m.From), s.sp.Name(to))
	if m.NewName != m.Name {
		text += " as " + quoteName(m.NewName)
	}
	return text
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

// kill asks for the end of a job, wherever it stands.
func (s *session) kill(j *job) (string, bool) {
	const reason = "killed by request"
	switch j.state {
	case due:
		if j.cleaning {
			return "not done: its clean-up is about to start; the outcome stands", false
		}
		// Between two commands, or not started yet: it ends here and now, so that
		// the wish can't get lost.
		s.turn(j, judged)
		j.end = nil
		s.conclude(j, flow.Fail, "killed by request before its "+string(j.phase)+" was started")
		return "ended before its " + string(j.phase) + " was started", true
	case starting:
		j.killed = reason
		return "it is about to start; it is ended as soon as it has", true
	case alive:
	default:
		return "not done: it has ended already", false
	}
	j.killed = reason
	var err error
	if j.worker != nil {
		err = j.worker.runner.Kill(reason)
	} else if j.record != nil {
		if err = j.record.RequestKill(j.runID, reason); err == nil {
			err = j.record.Terminate()
		}
	}
	if err != nil {
		s.fault(err)
		return "not done: " + err.Error(), false
	}
	return fmt.Sprintf("is being ended: SIGTERM now, SIGKILL after %v", s.conf.Job.KillGrace), true
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

// explain is why a UOW is where it is, in one sentence.
func (s *session) explain(t target) string {
	where := "is in " + s.sp.Name(t.queue) + ": "
	if j := t.job; j != nil {
		return where + s.explainJob(j)
	}
	if t.queue == spool.Wait || t.queue == spool.Priority {
		if t.entry == nil {
			return where + "not looked at yet"
		}
		return where + s.whyWaits(t.entry)
	}
	if t.queue == spool.Hold {
		if t.entry != nil && t.entry.State == spool.Parked {
			return where + "held; it is judged when it leaves"
		}
		return where + "held until it is released (RELEASE, or mv)"
	}
	u, _, err := s.readUnit(t.queue, t.name)
	if err != nil {
		if why := s.readWhy(t); why != "" {
			return where + why
		}
		return where + firstLine(err.Error())
	}
	if u.Status.Text == "" {
		return where + "put there by a person; it has not run"
	}
	return where + u.Status.Text
}

func (s *session) readWhy(t target) string {
	c, err := s.sp.Read(t.queue, t.name+".why", s.head)
	if err != nil {
		return ""
	}
	return "refused: " + firstLine(string(c.Head))
}

func (s *session) explainJob(j *job) string {
	switch j.state {
	case due:
		return "its next command is about to start"
	case starting:
		return "its " + string(j.phase) + " is about to start"
	case alive:
		text := label(j) + " is running"
		if !j.began.IsZero() {
			text += " since " + uow.Stamp(j.began)
		}
		if j.cleaning {
			text = "its clean-up is running; the outcome is " + j.text
		}
		if j.record != nil {
			text += ", adopted after a restart of the monitor"
		}
		if j.killed != "" {
			text += ", and is being ended by request"
		}
		return text
	}
	return "it has ended and is about to leave: " + j.text
}

// whyWaits is why a queued UOW is not running.
func (s *session) whyWaits(e *spool.Entry) string {
	if e.State == spool.Settling || e.State == spool.Fresh {
		return s.whySettles(e)
	}
	g := s.gate(e)
	switch {
	case g.fail != "":
		return g.fail
	case g.why != "":
		return g.why
	}
	if why := s.mayStart(); why != "" {
		return why
	}
	if t := termsOf(e); t != nil {
		if why := s.kindCloses(t.kind); why != "" {
			return why
		}
	}
	if s.slots >= s.conf.Slots {
		return fmt.Sprintf("waits for a slot (%d of %d are taken)", s.slots, s.conf.Slots)
	}
	if e.Queue == spool.Wait {
		if n, _ := s.sp.Count(spool.Priority); n > 0 {
			return "waits until nothing startable is in " + s.sp.Name(spool.Priority)
		}
	}
	return "its turn comes next"
}

func (s *session) whySettles(e *spool.Entry) string {
	c, err := s.sp.Read(e.Queue, e.Name, s.head)
	switch {
	case err != nil:
		return err.Error()
	case e.State == spool.Fresh:
		return "not looked at yet"
	case strings.TrimSpace(string(c.Head)) == "":
		return "the file is empty"
	case c.Writer == 1:
		return "somebody has it open for writing"
	case !c.Newline:
		return fmt.Sprintf("its last line does not end yet; accepted after %v without a change", s.conf.SleepTime)
	}
	if _, err := s.parse(e.Name, c); err != nil {
		return fmt.Sprintf("not a valid unit of work; it goes to %s after %v without a change: %s", s.sp.Name(spool.Trash), s.conf.SleepTime, firstLine(err.Error()))
	}
	return "it was written a moment ago; accepted when it has not changed for settle_time"
}
