package monitor

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"simplejobq/internal/flow"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// unsettledEnds reports whether ends are known that are not in their queue yet.
func (s *session) unsettledEnds() bool {
	for _, j := range s.jobs {
		if j.state == judged || j.state == leaving {
			return true
		}
		for _, c := range j.commands {
			if c.stage == starting || c.stage == ended {
				return true
			}
		}
		// What is said of one without steps is said before its next run, by whoever
		// starts that.
		if !j.plain() && (j.past.owes() || len(j.notices) > 0) {
			return true
		}
	}
	return false
}

// moveLag is how long the commit of a move may wait for the next end, so that one
// covers both: as long as something else runs.
const moveLag = 10 * time.Millisecond

// move takes UOWs whose STATUS is on disk to where it leads.
func (s *session) move() {
	for _, j := range s.jobs {
		if j.state == judged && !j.unwritten && j.written < s.turns { // the commit of a round before this one covers it
			if s.owesCleanup(j) {
				s.become(j, cleaning)
			} else {
				s.become(j, leaving)
			}
		}
		if j.state == leaving {
			s.depart(j)
		}
	}
}

// moveSoon has a round come that moves what this one's commit has made ready to: with the
// next end if there is one to be expected, so that one commit covers both.
func (s *session) moveSoon() {
	for _, j := range s.jobs {
		switch {
		case j.state != judged || j.unwritten: // one that could not leave has its time
		case s.slots == 0 || s.stop != running || s.owesCleanup(j):
			s.more = true
		default:
			s.glanceBy(s.now.Add(moveLag))
		}
	}
}

func (s *session) depart(j *job) {
	if j.afterwards { // it is where it ended
		s.exit(j, false)
		s.sp.DropLater(j.Claimed)
		s.more = true
		s.tells = append(s.tells, func() { s.say("cleanup", j.UOW, "its clean-ups are done") })
		return
	}
	m, strange, err := s.sp.Finish(j.Claimed, j.to)
	if errors.Is(err, spool.ErrVanished) {
		s.vanished(j)
		return
	}
	if err != nil {
		// No room for a name, say: the UOW stays where it is, its outcome stands.
		s.fault(err)
		s.later(time.Second)
		return
	}
	if strange != "" {
		s.strangers() // what an editor put under its name is known as that while the job is here
	}
	s.exit(j, !j.to.Ended())
	if m.Entry != nil {
		if u, _, err := s.readUnit(j.to, m.Entry.Name); err == nil {
			s.admit(m.Entry, u)
		} else {
			s.fault(trouble(err))
			s.sp.Again(m.Entry)
		}
	}
	s.order.news(j.UOW)
	s.more = s.more || s.slots == 0 // its second link goes once that is told
	s.tells = append(s.tells, func() {
		if strange != "" {
			s.say("trouble", j.UOW, strange)
		}
		s.tellEnded(j, m)
		if j.to.Ended() {
			s.onceTold = append(s.onceTold, func() { s.sp.DropLater(j.Claimed) })
		}
	})
}

// exit forgets a job that has left; again tells that it is tried again.
func (s *session) exit(j *job, again bool) {
	s.vacate(j)
	j.state = gone
	delete(s.jobs, j.Ino)
	if s.names[j.UOW] == j {
		delete(s.names, j.UOW)
	}
	kept := s.keepsPast(j)
	s.releaseWork(j, again, kept)
	j.past.close()
	if j.past != nil && !again && !kept {
		s.dropPast(j.Ino)
	}
	for _, r := range j.old {
		s.retire(r)
	}
}

// keepsPast reports whether people may still ask for more of a UOW that ended: a part
// of its steps once more, or its clean-ups.
func (s *session) keepsPast(j *job) bool {
	return j.past != nil && (j.to == spool.Error || j.to == spool.Fail || j.flow.Cleanups() > 0)
}

// vanished is a UOW that somebody removed while it ran, with all its names.
func (s *session) vanished(j *job) {
	s.exit(j, false)
	s.order.news(j.UOW)
	s.troubleSaid(fmt.Sprintf("%s: %v; it had ended as %s", quoteName(j.UOW), spool.ErrVanished, j.text))
}

// edit writes what has ended since the last round: the past, STATUS, and what the
// log has to say beyond what the runner wrote.
func (s *session) edit() {
	for _, j := range s.jobs {
		for _, c := range slices.Clone(j.commands) {
			if c.dead != nil {
				r := c.dead
				c.dead = nil
				if err := s.collect(c, r, "its runner ended without a word"); err != nil {
					s.broken = err
					return
				}
			}
			if c.stage == ended {
				s.decide(c)
			}
		}
		switch {
		case j.state == judged && j.unwritten && j.claimed.Before(s.now):
			s.write(j)
		case j.state == working && j.flow != nil:
			s.overdue(j)
			s.settle(j)
		case j.state == cleaning:
			s.settleClean(j)
		}
	}
}

// decide tells the flow how a command ended, and does what follows from that.
func (s *session) decide(c *command) {
	j := c.job
	r := c.result()
	if r.Cause == flow.Interrupted && c.killed != "" {
		r.Cause = flow.Killed
	}
	if c.Phase == flow.Cleanup {
		s.cleaned(c, r)
		return
	}
	rep := flow.Report{Step: c.Step, Result: r, Said: j.said(c.Step), Run: c.runID}
	if j.flow.WantsOutput(c.Step, r) {
		var err error
		if rep.Output, rep.Invalid, err = s.output(c); err != nil {
			s.fault(err) // it stays ended: the next round tries again
			s.later(time.Second)
			return
		}
	}
	rec, changes, err := j.flow.Ended(rep)
	if err != nil {
		s.fault(err)
	}
	s.tellCommand(c, r)
	if c.end != nil && (j.plain() || rec.To == flow.Failed) {
		if j.ends == nil {
			j.ends = map[int]*run.End{}
		}
		j.ends[c.Step] = c.end
	}
	if rec.Cause == flow.Interrupted && rec.Repeats() {
		j.notices = append(j.notices, c.label()+" "+r.Text+"; "+nextWords(rec))
		s.say("recovered", j.UOW, j.notices[len(j.notices)-1])
	}
	s.finish(c)
	j.past.add(rec)
	s.changed(j, changes)
	s.endUnwanted(j)
	s.more = s.more || !j.plain()
}

// finish takes leave of a command whose end the flow knows.
func (s *session) finish(c *command) {
	j := c.job
	if c.Phase == flow.Command {
		s.typesOf(c, -1)
	}
	s.turn(c, told)
	j.drop(c)
	if j.past != nil {
		j.past.covers(c)
	} else {
		j.last = c
	}
}

func nextWords(rec flow.Record) string {
	if rec.Phase == flow.Command && rec.To == flow.Rechecking {
		return "CHECK decides"
	}
	return "started again"
}

// endUnwanted ends what a flow does not want any more.
func (s *session) endUnwanted(j *job) {
	for _, step := range j.flow.Unwanted() {
		for _, c := range j.commands {
			if c.Step == step && c.killed == "" {
				s.end(c, "cancelled")
			}
		}
	}
}

// settle writes the outcome of a flow that has come to its end, or of a try.
func (s *session) settle(j *job) {
	if j.out() > 0 || !j.plain() && !s.settledDown(j) {
		return
	}
	e, over := j.flow.Ending()
	if over {
		if !s.settledDown(j) {
			return
		}
		s.conclude(j, e.Outcome, e.Text)
		return
	}
	st := j.flow.Standing(0)
	if j.plain() && st.State == flow.Ready && st.Try > 1 && j.last != nil {
		last := string(st.Outcome) + ": " + st.Text
		j.outcome, j.to = "", j.From
		j.text = uow.Again(st.Try, j.plan.Node(0).Tries, st.Due, last)
		j.logged = !s.logTells(j, st.Text)
		s.become(j, judged)
		s.write(j)
	}
}

// conclude writes an outcome that stands, and has the clean-ups run before the UOW
// leaves.
func (s *session) conclude(j *job, o flow.Outcome, text string) {
	j.outcome, j.to = o, destination(o)
	j.text = statusText(j, o, text)
	// The runner's own last line says how the command ended; where that is not
	// the whole of the outcome, the log says it as well.
	j.logged = j.typ != "" || !s.logTells(j, text)
	s.become(j, judged)
	if j.unstarted {
		// Its second link was made in this round and is to be on disk before anything
		// that only the link explains.
		j.unwritten, s.more = true, true
		return
	}
	if !j.plain() {
		s.tellContext(j)
		s.settledDown(j)
	}
	s.write(j)
}

// endUnstarted ends a UOW that will never start, from the queue it lies in. The
// second link tells recovery that it is on its way: its STATUS alone would look
// like a UOW that a person put back.
func (s *session) endUnstarted(e *spool.Entry, o flow.Outcome, text string) {
	u, c, err := s.readUnit(e.Queue, e.Name)
	if err != nil {
		s.fault(trouble(err))
		s.sp.Again(e)
		return
	}
	if s.justAdmitted(e) {
		// Its acceptance is told first: the mark of that is in the time that STATUS
		// changes.
		s.order.awaitTime(e, s.wall)
		s.more = true
		return
	}
	claim := spool.Claimed{UOW: e.Name, Name: e.Name, At: e.Queue, From: e.Queue, Ino: c.Stat.Ino, Dev: c.Stat.Dev, Enqueued: e.Enqueued}
	if s.jobs[claim.Ino] != nil {
		return // on its way already
	}
	if claim, err = s.sp.Adopt(claim, c.Stat); err != nil {
		if trouble(err, spool.ErrChanged) == nil {
			s.sp.Again(e)
			s.more = true
			return
		}
		s.fault(err)
		s.postpone(e)
		return
	}
	j := s.newJob(claim, u)
	j.unstarted = true
	e.State = spool.Parked
	s.enter(j)
	s.conclude(j, o, text)
	s.more = true
}

// healed tells of a second name that a crash left in an earlier state.
func (s *session) healed(e *spool.Entry, q spool.Queue) {
	s.forget(e)
	s.say("recovered", e.Name, fmt.Sprintf("had a second name in %s after a crash; it is in %s", s.sp.Name(e.Queue), s.sp.Name(q)))
}

// justAdmitted reports that e was accepted in this round.
func (s *session) justAdmitted(e *spool.Entry) bool {
	t := termsOf(e)
	return t != nil && t.admitted == s.turns
}

// bringBack undoes a person's mv of a UOW that runs: a run is ended with KILL
// JOB, never by moving its file.
func (s *session) bringBack(j *job, e *spool.Entry) {
	if j.unstarted {
		e.State = spool.Parked // it is about to leave by itself
		return
	}
	if j.state == leaving || j.state == gone {
		s.sp.Again(e)
		return
	}
	if st, err := s.sp.Dir(spool.Executing).Stat(j.Name); err == nil && st.Ino == j.Ino && st.Dev == j.Dev {
		// It is where it was: this is one more name of it, which a power cut or a
		// person gave it.
		if s.first {
			q, healed, err := s.sp.Twin(e)
			s.fault(err)
			if healed {
				s.healed(e, q)
				return
			}
		}
		s.stuck[e] = quoteName(j.UOW) + " runs, and this is another name of its file; it is looked at when that has ended"
		s.settleAgain(e, time.Second, true)
		return
	}
	from := e.Queue
	ev := s.event("moved", j.UOW)
	ev.From, ev.To, ev.Reason = s.sp.Name(from), s.sp.Name(spool.Executing), "it runs"
	name, err := s.sp.BringBack(j.Claimed, from, e.Name)
	if err != nil {
		s.fault(trouble(err))
		s.settleAgain(e, time.Second, true)
		return
	}
	j.Name = name
	s.forget(e)
	s.tells = append(s.tells, func() { s.journal.Tell(ev) })
	s.troubleSaid(fmt.Sprintf("%s was moved to %s while it runs; it is back (KILL JOB ends a run)", quoteName(j.UOW), s.sp.Name(from)))
}
