package monitor

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/clock"
	"simplejobq/internal/flow"
	"simplejobq/internal/messages"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
)

// stats is what the digest tells of the monitor itself.
type stats struct {
	rounds, errors        int64
	slowRound, slowCommit time.Duration
	free                  int64
	lastStamp             time.Time // the last timestamp given, and to whom
	lastName              string
}

func (s *session) say(word, uow, text string) {
	s.says.Say(clock.Wall(), word, uow, text)
	s.urgent = s.urgent || word != "started" && word != "ended"
}

// tellLag is how long lines that tell of starts and ends may wait for others, while
// jobs follow each other: one write of many, and less for each commit to carry.
const tellLag = 10 * time.Millisecond

// mayLag reports whether what is to be told can wait for more of its kind.
func (s *session) mayLag() bool {
	if s.urgent || s.accepts || len(s.jobs) == 0 || s.stop != running || time.Since(s.flushed) >= tellLag || s.says.Full() || s.journal.Full() {
		return false
	}
	if !s.journal.Written() {
		s.glanceBy(s.flushed.Add(tellLag))
	}
	return true
}

func (s *session) event(kind, uow string) messages.Event {
	return messages.Event{Time: clock.Wall(), Event: kind, UOW: uow}
}

func (s *session) tellStarted(c *command) {
	ev := s.event("started", c.job.UOW)
	ev.Try, ev.Step = c.Try, c.job.plan.Node(c.Step).Name
	ev.Reason = string(c.Phase)
	s.journal.Tell(ev)
	s.say("started", c.job.UOW, c.label()+typeText(c))
}

func typeText(c *command) string {
	if k := c.job.kinds[c.Step]; k != nil {
		return ", " + k.Name
	}
	return ""
}

// tellCommand tells of the end of one command of several, clean-ups included.
func (s *session) tellCommand(c *command, r flow.Result) {
	n := c.job.plan.Node(c.Step)
	if !n.Check && n.Name == "" && c.Phase != flow.Cleanup {
		return
	}
	ev := s.event("command", c.job.UOW)
	ev.Try, ev.Step, ev.Reason = c.Try, n.Name, string(c.Phase)+" "+r.Text
	fill(&ev, c.end)
	s.journal.Tell(ev)
}

func fill(ev *messages.Event, e *run.End) {
	if e == nil {
		return
	}
	if e.Signal != 0 {
		ev.Signal = signalName(e.Signal)
	} else if e.Reason != run.NotStarted {
		exit := e.Exit
		ev.Exit = &exit
	}
	ev.CPUSeconds, ev.WallSeconds, ev.PeakBytes = e.CPU.Seconds(), e.Wall.Seconds(), e.Peak
}

// tellMoved tells of a move that no run brought about.
func (s *session) tellMoved(m spool.Moved, text string) {
	ev := s.event("moved", m.NewName)
	ev.From, ev.To, ev.Reason = s.sp.Name(m.From), s.sp.Name(m.To), text
	s.tells = append(s.tells, func() {
		s.journal.Tell(ev)
		s.sayNames(m)
		if text != "" {
			s.say("moved", m.NewName, "from "+s.sp.Name(m.From)+" to "+s.sp.Name(m.To)+": "+text)
		}
	})
}

// sayNames tells of names that had to change so that nothing was overwritten.
func (s *session) sayNames(m spool.Moved) {
	if m.Displaced != "" {
		s.say("renamed", m.NewName, fmt.Sprintf("what lay in %s under this name is now %s", s.sp.Name(m.To), quoteName(m.Displaced)))
	}
	if m.NewName != m.Name {
		text := fmt.Sprintf("was %s; that name is taken in %s", quoteName(m.Name), s.sp.Name(m.To))
		if m.Cut() {
			text += " (shortened to fit)"
		}
		s.say("renamed", m.NewName, text)
	}
}

// tellEnded tells of a UOW that left currently-executing.
func (s *session) tellEnded(j *job, m spool.Moved) {
	ev := s.event("moved", m.NewName)
	ev.From, ev.To, ev.Try = s.sp.Name(j.At), s.sp.Name(j.to), j.try()
	s.journal.Tell(ev)
	s.sayNames(m)
	kind := "ended"
	if !j.to.Ended() {
		kind = "again"
	}
	end := s.event("ended", m.NewName)
	end.Try, end.Outcome, end.Reason = j.try(), string(j.outcome), j.text
	if j.flow != nil { // else it never got a slot
		if e, _ := j.flow.Ending(); e.Step >= 0 {
			fill(&end, j.ends[e.Step]) // the one that decided, if that is known after a restart
		}
	}
	if kind == "ended" {
		s.journal.Tell(end)
		recent := s.outline(j)
		if st, err := s.sp.Run.Stat(j.Link()); err == nil { // the second link is still there
			recent.Size = st.Size
		}
		recent.Name, recent.Queue, recent.State, recent.Status = m.NewName, s.sp.Name(j.to), stateOf(j.to), j.text
		recent.PID = 0
		s.addRecent(recent)
	}
	s.say(kind, m.NewName, j.text+", to "+s.sp.Name(j.to))
}

func signalName(n int) string { return unix.SignalName(unix.Signal(n)) }

// summary is the line that systemctl status shows.
func (s *session) summary() string {
	queued := 0
	for _, q := range []spool.Queue{spool.Wait, spool.Priority} {
		n, _ := s.sp.Count(q)
		queued += n
	}
	text := fmt.Sprintf("%d running, %d queued", s.slots, queued)
	if s.paused {
		text = "paused, " + text
	}
	return text
}
