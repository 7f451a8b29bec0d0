package monitor

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"simplejobq/internal/clock"
	"simplejobq/internal/flow"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// start gives commands to runners: first those of UOWs that hold a slot, then
// those whose turn it is.
func (s *session) start() {
	if s.sweep {
		s.sweep = false
		s.fault(s.sweepRecords())
	}
	for _, j := range s.jobs {
		if !s.advance(j) {
			return
		}
	}
	if s.slots >= s.conf.Slots || s.order.empty() || s.mayStart(true) != "" {
		return
	}
	for s.slots < s.conf.Slots {
		e := s.next()
		if e == nil {
			return
		}
		if s.idleWorker() == nil {
			return // its record is needed first; Ready brings us back
		}
		if !s.claim(e) {
			return
		}
	}
}

// awaitsRunner reports whether something could start but for a runner.
func (s *session) awaitsRunner() bool {
	for _, w := range s.workers {
		if w.record == nil || w.spent != nil {
			return s.slots < s.conf.Slots && s.mayStart(false) == "" && !s.order.empty()
		}
	}
	return false
}

// claim takes a UOW into currently-executing and prepares its first command. It
// reports whether to go on with the next.
func (s *session) claim(e *spool.Entry) bool {
	var u *uow.Unit
	c, err := s.sp.Claim(e, s.head, func(c spool.Content) (err error) {
		if u, err = s.parse(e.Name, c); err == nil && (!u.Complete() || u.Ended()) {
			err = spool.ErrChanged
		}
		return err
	})
	var wrong uow.Errors
	switch {
	case errors.Is(err, spool.ErrChanged) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, spool.ErrOdd):
		// Somebody was at it since: it is looked at again.
		s.order.take(e)
		s.sp.Again(e)
		s.more = true
		s.fault(trouble(err, spool.ErrChanged, spool.ErrOdd))
		return true
	case errors.As(err, &wrong):
		// Good when it was accepted, wrong by today's configuration or by an edit
		// that nobody told us of.
		s.order.take(e)
		s.refuse(e, wrong.Error())
		return true
	case err != nil:
		s.order.take(e)
		s.postpone(e)
		s.fault(err)
		return false
	}
	j := s.newJob(c, u)
	s.enter(j)
	ev := s.event("moved", j.UOW)
	ev.From, ev.To = s.sp.Name(j.From), s.sp.Name(spool.Executing)
	s.tells = append(s.tells, func() { s.journal.Tell(ev) })
	if err := s.commence(j); err != nil {
		s.fault(err) // it is tried again when there is room
		return true
	}
	return s.advance(j)
}

// advance hands commands of a job that holds a slot to idle runners. It reports
// whether there may be idle ones for others.
func (s *session) advance(j *job) bool {
	switch {
	case s.stop == stopping: // the next monitor goes on from here
		if !j.plain() {
			s.settledDown(j)
		}
		return true
	case j.state == cleaning:
		return s.cleanNext(j)
	case j.state != working:
		return true
	case j.flow == nil: // there was no room for its past
		if err := s.commence(j); err != nil {
			s.fault(err)
			s.later(2 * time.Second)
			return true
		}
	}
	if !j.plain() && !s.settledDown(j) {
		return true
	}
	if _, over := j.flow.Ending(); over {
		s.settle(j) // nothing was to be run
		return true
	}
	for j.flow.Due(s.wall) {
		w := s.idleWorker()
		if w == nil {
			return false
		}
		// That a run was interrupted is said right before the next one begins: a crash
		// in between would have it said again.
		if !s.settledDown(j) {
			return true
		}
		starts, changes := j.flow.ReadyIf(s.wall, 1, func(step int) bool { return s.stepCloses(j, step) == "" })
		if len(starts) == 0 {
			return true // a job type has no slot for it
		}
		s.changed(j, changes)
		if !s.prepare(j, starts[0], w) || !s.settledDown(j) {
			return true
		}
	}
	return true
}

// stepCloses says why a step may not start now though its flow would have it.
func (s *session) stepCloses(j *job, step int) string {
	if j.plain() || j.kinds[step] == nil {
		return ""
	}
	return s.kindCloses(j.kinds[step].Name)
}

// settledDown reports whether everything of a job's past is written that was to be,
// in its log and in its record: nothing more is started before.
//
//	crash between    leaves
//	log, past        a command the past does not know: its record has the lines said again
func (s *session) settledDown(j *job) bool {
	var err error
	for err == nil && len(j.notices) > 0 {
		n, size := 1, len(j.notices[0])
		for n < len(j.notices) && size < maxNotices {
			size += len(j.notices[n])
			n++
		}
		if err = s.appendLog(j.Claimed, j.notices[:n]...); err == nil {
			j.notices = j.notices[n:]
		}
	}
	var ended []*command
	if err == nil && len(j.events) > 0 {
		// Not before they stand in the log: recovery takes what stands there and was not
		// told for what is missing.
		s.tellEvents(j.events...)
		j.events = nil
	}
	if err == nil {
		ended, err = j.past.flush(s.sp.Batch)
	}
	if err != nil {
		s.fault(err)
		s.later(2 * time.Second)
	}
	if len(ended) > 0 {
		s.tells = append(s.tells, func() { s.triesOver(j, ended) })
	}
	return err == nil
}

// settleFlows does so for all flows, for some have nothing to start now.
func (s *session) settleFlows() {
	for _, j := range s.jobs {
		if len(j.events) > 0 {
			s.settledDown(j)
		}
	}
}

// maxNotices is about how many bytes of them are written at once: of thousands of
// steps each has some.
const maxNotices = 16 << 10

// prepare writes the start record of a command into an idle runner's record. The
// command itself is handed over after the commit.
func (s *session) prepare(j *job, start flow.Start, w *worker) bool {
	c := &command{Start: start, job: j, runID: s.ids.Next()}
	dir, err := s.workFor(c)
	if err != nil {
		s.fault(err)
		s.later(2 * time.Second)
		s.takeBack(c)
		return false
	}
	spec, err := s.spec(c, dir)
	if err != nil {
		// The configuration changed between acceptance and claim.
		j.commands = append(j.commands, c)
		c.end = &run.End{Run: c.runID, Reason: run.NotStarted, Text: "not started: " + err.Error(), ErrorIf: -1, FailIf: -1}
		c.stage, s.more = ended, true
		return true
	}
	err = w.record.WriteStart(run.Start{
		Run: c.runID, UOW: j.UOW, Dev: j.Dev, Ino: j.Ino, Claim: j.Token, Queue: s.sp.Name(j.From),
		Try: c.Try, Tries: j.plan.Node(c.Step).Tries, Step: j.plan.Node(c.Step).Name, Phase: string(c.Phase), Seq: c.Seq, At: c.At,
		Work: dir.name, Command: run.CommandLine(spec.Argv),
	})
	if err == nil {
		err = s.covered(w)
	}
	if err != nil {
		s.fault(err)
		s.later(2 * time.Second)
		s.takeBack(c)
		return false
	}
	w.has, c.worker, c.spec = c, w, spec
	j.commands = append(j.commands, c)
	if c.Phase == flow.Command {
		s.typesOf(c, 1)
	}
	j.witnessed() // this record tells what had come before it
	s.launch = append(s.launch, c)
	return true
}

// takeBack tells the flow that a command it handed out was never started.
func (s *session) takeBack(c *command) {
	changes, err := c.job.flow.NeverStarted(c.Step)
	s.fault(err)
	s.changed(c.job, changes)
	c.job.drop(c)
}

// typesOf counts a step's COMMAND where its job type counts.
func (s *session) typesOf(c *command, n int) {
	if k := c.job.kinds[c.Step]; k != nil && !c.job.plain() {
		s.types[k.Name] += n
	}
}

// covered has the commit of this round cover a record.
func (s *session) covered(w *worker) error {
	return s.sp.Batch.Covers(w.record.File)
}

// handOver starts what the commit has made safe to start.
func (s *session) handOver() {
	list := s.launch
	s.launch = nil
	for _, c := range list {
		if c.stage != starting {
			continue
		}
		j, w := c.job, c.worker
		if err := w.runner.Launch(c.spec); err != nil {
			// It was never started: the next idle runner gets it. A runner that is gone
			// tells so, and that wakes the loop.
			s.fault(fmt.Errorf("launch %s: %w", j.UOW, err))
			w.has, c.worker = nil, nil
			s.back(c)
			s.later(time.Second)
			continue
		}
		w.owed = ""
		s.turn(c, alive)
		if j.began.IsZero() {
			j.began = clock.Wall()
		}
		s.tellStarted(c)
		if c.killed != "" {
			s.fault(w.runner.Kill(c.killed))
		}
	}
	for _, w := range s.workers {
		if c := w.spent; c != nil && !c.witness {
			w.spent, w.owed = nil, c.runID
			s.more = s.more || s.lacking
		}
	}
	if s.slots == 0 {
		s.acknowledge()
	}
}

// acknowledge tells runners that their last end is taken care of, when nothing runs any
// more. One that gets another command need not be told: it would be woken for nothing.
func (s *session) acknowledge() {
	for _, w := range s.workers {
		if w.owed != "" && w.idle() {
			s.fault(w.runner.Ack(w.owed))
			w.owed = ""
		}
	}
}

// back is a command that was announced and provably never started.
func (s *session) back(c *command) {
	if c.Phase == flow.Command {
		s.typesOf(c, -1)
	}
	s.turn(c, told)
	s.takeBack(c)
}

// collect takes the end of a run whose runner is gone, or does without. A record
// that can't be read is no reason to call a run interrupted: then everything is
// looked at again from the beginning.
func (s *session) collect(c *command, r *run.Record, why string) error {
	j := c.job
	j.old = append(j.old, r)
	start, live, end, err := r.Read()
	if err != nil && !errors.Is(err, run.ErrDamaged) {
		return err
	}
	s.fault(err)
	switch {
	case end != nil && start.Run == c.runID:
		c.end = end
	case err == nil && !live.MayHaveRun(c.runID) && run.Boot(c.runID) == s.boot:
		// Its runner died before it forked: the next one gets it.
		j.notices = append(j.notices, c.label()+" was not started: its runner ended before it could; started by another one")
		s.back(c)
		s.recovered(j.UOW, "its runner ended before it started anything; started by another one")
		return nil
	default:
		if run.Boot(c.runID) == s.boot { // of another boot nothing is left, and numbers are others'
			if n, err := run.KillTree(c.runID, live); err != nil || n > 0 {
				s.fault(err)
				why += fmt.Sprintf("; what it left behind was ended (%d)", n)
			}
		}
		c.lost = why
	}
	s.turn(c, ended)
	return nil
}
