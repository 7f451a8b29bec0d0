package monitor

import (
	"errors"
	"io/fs"
	"strings"
	"time"

	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/spool"
	"simplejobq/internal/units"
	"simplejobq/internal/uow"
)

// owesCleanup reports whether clean-ups are to run before a UOW leaves.
func (s *session) owesCleanup(j *job) bool {
	return j.to.Ended() && (!j.unstarted || j.afterwards) && j.flow != nil && j.flow.Cleanups() > 0 && (!j.unit.DeferCleanup || j.flow.Asked())
}

// cleanNext hands the next clean-up to an idle runner.
func (s *session) cleanNext(j *job) bool {
	if !s.settledDown(j) || j.flow.Running() > 0 || j.flow.Cleanups() == 0 {
		return true
	}
	w := s.idleWorker()
	if w == nil {
		return false
	}
	if start, ok := j.flow.NextCleanup(s.wall); ok {
		s.prepare(j, start, w)
	}
	return true
}

// cleaned is the end of a clean-up: it changes nothing of the outcome.
func (s *session) cleaned(c *command, r flow.Result) {
	j := c.job
	rec, err := j.flow.CleanupEnded(flow.Report{Step: c.Step, Result: r, Said: j.options(c.Step).Cleanup, Run: c.runID})
	s.fault(err)
	s.tellCommand(c, r)
	if rec == nil {
		j.notices = append(j.notices, c.label()+" "+r.Text+"; started again")
		s.say("recovered", j.UOW, j.notices[len(j.notices)-1])
	} else {
		if r.Outcome != flow.Done {
			s.say("cleanup", j.UOW, strings.TrimSpace(c.stepName()+" CLEANUP failed: ")+" "+r.Text+"; the outcome stays "+string(j.outcome))
		}
		j.past.add(*rec)
	}
	s.finish(c)
	s.more = true
}

// settleClean has a UOW leave when nothing is left to be cleaned. The commit covers
// its log before the round that moves the file.
func (s *session) settleClean(j *job) {
	if j.flow.Running() > 0 || j.flow.Cleanups() > 0 || !s.settledDown(j) {
		return
	}
	f, err := s.sp.Open("finish:open", j.Claimed)
	if errors.Is(err, spool.ErrVanished) {
		s.vanished(j)
		return
	}
	if err == nil {
		err = s.sp.Batch.File(f)
	}
	if err != nil { // the next round tries again
		s.fault(err)
		s.later(time.Second)
		return
	}
	j.witnessed()
	s.become(j, judged)
	s.vacate(j)
	s.more = true
}

// cleanUp has the clean-ups run that DEFER CLEANUP kept for this message.
func (s *session) cleanUp(t target) string {
	const none = "there is nothing left to clean"
	if j := t.job; j != nil {
		if j.state == cleaning || j.flow == nil || j.past == nil {
			return none + " that is not being done"
		}
		if rec := j.flow.CleanNow(); rec != nil {
			j.past.add(*rec)
			return "its clean-ups run when it has ended"
		}
		return "it runs; its clean-ups follow, or wait for this message when it has ended"
	}
	if t.queue == spool.Trash {
		return "not done: it lies in " + s.sp.Name(spool.Trash) + ", and what does is not cleaned up"
	}
	u, c, err := s.readUnit(t.queue, t.name)
	if err != nil {
		s.fault(trouble(err, spool.ErrChanged))
		return "not done: " + firstLine(err.Error())
	}
	switch {
	case !t.queue.Ended() && u.Status.Kind == uow.TryAgain:
		return "not done: it is queued, and goes on; its clean-ups follow when it has ended, or wait for this message then"
	case !t.queue.Ended() || !u.DeferCleanup || !u.Ended():
		return none
	}
	if err = s.findEnded(u, t.name, c.Stat.Ino); err != nil {
		s.fault(trouble(err))
		return "not done: " + firstLine(err.Error())
	}
	p, records, err := s.openPast(c.Stat.Ino)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return none
	case err != nil:
		s.fault(err)
		return "not done: " + firstLine(err.Error())
	}
	claim := spool.Claimed{UOW: t.name, Name: t.name, At: t.queue, From: spool.Wait, Ino: c.Stat.Ino, Dev: c.Stat.Dev, Enqueued: durable.Nanos(u.Enqueued)}
	j := s.newJob(claim, u)
	if j.flow, err = flow.Restore(j.plan, records); err != nil {
		p.close()
		return "not done: " + firstLine(err.Error())
	}
	j.flow.Resume()
	n := j.flow.Cleanups()
	if n == 0 {
		p.close()
		return none
	}
	if j.Claimed, err = s.sp.Adopt(claim, c.Stat); err != nil {
		p.close()
		s.fault(trouble(err, spool.ErrChanged))
		return "not done: " + firstLine(err.Error())
	}
	j.past, j.unstarted, j.afterwards = p, true, true
	p.add(flow.Record{Kind: flow.FlowBegun, Run: j.Token, At: s.wall.UTC(), Text: j.UOW})
	if rec := j.flow.CleanNow(); rec != nil {
		p.add(*rec)
	}
	j.outcome, j.text, j.to, j.state = flow.Outcome(u.Status.Kind), u.Status.Text, t.queue, judged
	s.enter(j)
	s.more = true
	return units.Count(n, "clean-up is run", "clean-ups are run")
}

// cleanupsLeft is how many clean-ups wait for a message.
func (s *session) cleanupsLeft(t target) int {
	u, c, err := s.readUnit(t.queue, t.name)
	if err != nil || !u.DeferCleanup {
		return 0
	}
	records, err := s.readPast(c.Stat.Ino)
	if err != nil {
		return 0
	}
	f, err := flow.Restore(s.newJob(spool.Claimed{UOW: t.name}, u).plan, records)
	if err != nil {
		return 0
	}
	f.Resume()
	return f.Cleanups()
}

// cleansOn takes up the clean-ups of a UOW that had ended before a message asked for
// them. It reports false if none of them is left.
func (s *session) cleansOn(c spool.Claimed, at spool.Place, u *uow.Unit, list []found) (bool, error) {
	if !u.Ended() || !u.DeferCleanup {
		return false, nil
	}
	c.At, c.Name = at.Queue, at.Name
	j := s.newJob(c, u)
	records, err := s.readPast(c.Ino)
	var f *flow.Flow
	if err == nil {
		if _, mine := belongs(records, c); !mine {
			return false, nil
		}
		f, err = flow.Restore(j.plan, records)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case pastLost(err): // what is to be cleaned is not known any more
		s.fault(err)
		return false, nil
	case err != nil:
		return false, err
	case !f.Asked() || f.Cleanups() == 0:
		return false, nil
	}
	j.unstarted, j.afterwards = true, true
	s.enter(j)
	if err := s.resumeFlow(j, list); err != nil {
		return true, err
	}
	j.to = at.Queue
	s.recovered(j.UOW, "its clean-ups, asked for by message, go on")
	return true, nil
}
