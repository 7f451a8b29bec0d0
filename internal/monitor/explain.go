package monitor

import (
	"fmt"

	"simplejobq/internal/durable"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

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

// With less room than this a runner can't write on.
const noRoom = 64 << 10

func (s *session) explainJob(j *job) string {
	if j.state == leaving || j.state == judged && !s.owesCleanup(j) {
		return "it has ended and is about to leave: " + j.text
	}
	text := ""
	if j.state == cleaning || j.state == judged {
		text = "its clean-up is running; the outcome is " + j.text
	}
	c := j.shown()
	switch {
	case c == nil && text != "":
		return text
	case c == nil && j.flow != nil && !j.plain() && len(j.commands) == 0:
		text = "its next step is about to start"
		if t, later := j.flow.NextDue(s.wall); later {
			text = "another try of a step is due at " + uow.Stamp(t)
		}
		return text + s.stands(j)
	case c == nil:
		return "its next command is about to start"
	case c.stage == starting:
		return "its " + string(c.Phase) + " is about to start" + s.stands(j)
	case c.stage == ended || c.stage == told:
		return "its " + string(c.Phase) + " has ended; what follows from that is being written"
	}
	if text == "" {
		text = c.label() + " is running"
		if !j.began.IsZero() {
			text += " since " + uow.Stamp(j.began)
		}
		if n := j.out(); n > 1 {
			text += fmt.Sprintf(", and %d more", n-1)
		}
		text += s.stands(j)
	}
	if c.record != nil {
		text += ", adopted after a restart of the monitor"
	}
	if c.stalled != 0 {
		text += "; its output waits for room: " + c.stalled.Error()
	} else if free, err := s.sp.Root.Free(); err == nil && free < noRoom {
		text += "; the disk is full, so its output waits for room"
	}
	switch c.killed {
	case "":
	case killReason:
		text += ", and is being ended by request"
	default:
		text += ", and is being ended"
	}
	return text
}

// stands says how the steps stand.
func (s *session) stands(j *job) string {
	if j.plain() || j.flow == nil {
		return ""
	}
	done, of := j.steps()
	return fmt.Sprintf(" (%d of %d steps done)", done, of)
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
	if why := s.mayStart(false); why != "" {
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
		n := s.ahead
		if !s.viewing {
			n, _ = s.sp.Count(spool.Priority)
		}
		if n > 0 {
			return "waits until nothing startable is in " + s.sp.Name(spool.Priority)
		}
	}
	return "its turn comes next"
}

func (s *session) whySettles(e *spool.Entry) string {
	if why := s.stuck[e]; why != "" {
		return why
	}
	c, err := s.sp.Read(e.Queue, e.Name, s.head)
	switch {
	case err != nil:
		return err.Error()
	case e.State == spool.Fresh:
		return "not looked at yet"
	case uow.Blank(c.Head):
		return "the file is empty"
	case c.Swap != "":
		return "an editor has it open: " + quoteName(c.Swap) + " lies beside it (remove that if the editor is gone)"
	case c.Writer == durable.Written:
		return "somebody has it open for writing"
	case !c.Newline:
		return fmt.Sprintf("its last line does not end yet; accepted after %v without a change", s.conf.SleepTime)
	}
	if _, err := s.parse(e.Name, c); err != nil {
		return fmt.Sprintf("not a valid unit of work; it goes to %s after %v without a change: %s", s.sp.Name(spool.Trash), s.conf.SleepTime, firstLine(err.Error()))
	}
	if s.closed == noMonitor {
		return s.closed
	}
	if c.Writer == durable.Unknown {
		return fmt.Sprintf("nobody here may ask whether it is still being written (not the monitor's own file, and no CAP_LEASE); accepted after %v without a change", blindSettle)
	}
	return "it was written a moment ago; accepted when it has not changed for settle_time"
}
