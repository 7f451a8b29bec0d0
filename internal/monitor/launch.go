package monitor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"simplejobq/internal/clock"
	"simplejobq/internal/config"
	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// worker is a runner as the loop sees it.
type worker struct {
	runner *run.Runner
	record *run.Record // nil until it is ready
	job    *job        // that has it
	spent  *job        // its record tells an end of this job that no commit covers yet
	spec   *run.Spec   // of the start record that was written

	spentRun string
}

func (w *worker) idle() bool { return w.record != nil && w.job == nil && w.spent == nil }

// start gives commands to runners: first those of UOWs that hold a slot, then
// those whose turn it is.
func (s *session) start() {
	if s.sweep {
		s.sweep = false
		s.fault(s.sweepRecords())
	}
	for _, j := range s.jobs {
		if j.state != due {
			continue
		}
		if s.idleWorker() == nil {
			return
		}
		s.prepare(j)
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

// idleWorker finds a runner without a command, or has one more started. There
// may be two per slot: while the end of one's command is being made durable, its
// record can't be used.
func (s *session) idleWorker() *worker {
	coming := 0
	for _, w := range s.workers {
		if w.idle() {
			return w
		}
		if w.record == nil {
			coming++
		}
	}
	if coming > 0 || len(s.workers) >= 2*s.conf.Slots+len(s.jobs) {
		return nil
	}
	s.fault(s.hire())
	return nil
}

// hire starts a runner.
func (s *session) hire() error {
	if s.now.Before(s.hireAt) {
		s.later(time.Until(s.hireAt))
		return nil
	}
	w := &worker{}
	stdout := (*os.File)(nil)
	if s.conf.Tee == config.TeeStdout {
		stdout = os.Stdout
	}
	// The runner calls from its own goroutine; the loop alone touches w.
	r, err := run.StartRunner(run.RunnerConfig{
		Path: s.Runner, Dir: s.sp.Run, Stdout: stdout, Stderr: os.Stderr,
		Event: func(_ *run.Runner, ev run.Event) { s.send(event{kind: evRunner, worker: w, runner: ev}) },
	})
	if err != nil {
		return fmt.Errorf("start a runner: %w", err)
	}
	w.runner = r
	s.workers = append(s.workers, w)
	return nil
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
	a := flow.Begin(j.step, j.try)
	if a.Do == flow.End { // nothing to run: NO ACT without a CHECK
		s.settleOutcome(j, a)
		return true
	}
	j.phase = a.Phase
	return s.prepare(j)
}

// prepare writes the start record of a job's next command into an idle runner's
// record. The command itself is handed over after the commit.
func (s *session) prepare(j *job) bool {
	w := s.idleWorker()
	if w == nil {
		return false
	}
	j.runID = s.ids.Next()
	dir, err := s.workFor(j)
	if err != nil {
		s.fault(err)
		s.later(2 * time.Second)
		return false
	}
	spec, err := s.spec(j, dir)
	if err != nil {
		// The configuration changed between acceptance and claim.
		s.turn(j, judged)
		s.conclude(j, flow.Fail, "not started: "+err.Error())
		return true
	}
	if j.notice != "" {
		if err := s.appendLog(j, j.notice); err != nil {
			s.fault(err)
			s.later(2 * time.Second)
			return false
		}
		j.notice = ""
	}
	err = w.record.WriteStart(run.Start{
		Run: j.runID, UOW: j.UOW, Dev: j.Dev, Ino: j.Ino, Claim: j.Token, Queue: s.sp.Name(j.From),
		Try: j.try, Tries: j.step.Tries, Phase: string(j.phase), Work: dir.name, Command: run.CommandLine(spec.Argv),
	})
	if err == nil {
		err = s.covered(w)
	}
	if err != nil {
		s.fault(err)
		s.later(2 * time.Second)
		return false
	}
	w.job, w.spec = j, spec
	j.worker, j.end, j.lost, j.pid, j.stalled = w, nil, "", 0, 0
	s.turn(j, starting)
	s.launch = append(s.launch, j)
	return true
}

// covered has the commit of this round cover a record.
func (s *session) covered(w *worker) error {
	f, err := w.record.File()
	if err != nil {
		return err
	}
	return s.sp.Batch.File(f)
}

// handOver starts what the commit has made safe to start.
func (s *session) handOver() {
	list := s.launch
	s.launch = nil
	for _, j := range list {
		if j.state != starting {
			continue
		}
		w := j.worker
		if err := w.runner.Launch(w.spec); err != nil {
			// It was never started: the next idle runner gets it. A runner that is gone
			// tells so, and that wakes the loop.
			s.fault(fmt.Errorf("launch %s: %w", j.UOW, err))
			w.job, j.worker = nil, nil
			s.turn(j, due)
			s.later(time.Second)
			continue
		}
		s.turn(j, alive)
		if j.began.IsZero() {
			j.began = clock.Wall()
		}
		j.commanded = j.commanded || j.phase == flow.Command
		s.tellStarted(j)
		if j.killed != "" {
			s.fault(w.runner.Kill(j.killed))
		}
	}
	for _, w := range s.workers {
		// A UOW that is still to get its next command, or its outcome written, has
		// no witness of its last one but this record.
		if w.spent != nil && !w.spent.unwritten && w.spent.state != due && w.spent.state != ended && !w.spent.owesCleanup() {
			s.fault(w.runner.Ack(w.spentRun))
			w.spent = nil
			s.more = true
		}
	}
}

// heard is what a runner tells.
func (s *session) heard(w *worker, ev run.Event) {
	switch ev := ev.(type) {
	case run.Ready:
		w.record = w.runner.Record()
	case run.Started:
		if j := w.job; j != nil && j.runID == ev.Run {
			j.pid = ev.PID
		}
	case run.Stalled:
		if j := w.job; j != nil && j.runID == ev.Run {
			if j.stalled = ev.Errno; j.stalled != 0 {
				s.fault(stalledError(j))
			}
		}
	case run.Ended:
		if j := w.job; j != nil && j.runID == ev.Run && j.state == alive {
			end := ev.End
			j.end = &end
			s.release(w)
			s.turn(j, ended)
		}
	case run.Gone:
		s.workers = without(s.workers, w)
		s.departed(w, ev)
	}
}

// sweepRecords removes what runners left that ended before they were ready.
func (s *session) sweepRecords() error {
	_, names, err := s.sp.Seconds()
	if err != nil {
		return err
	}
	for _, name := range names {
		r, err := run.OpenRecord(s.sp.Run, name)
		if err != nil {
			return trouble(err)
		}
		held, err := r.Locked()
		start, _, _, unread := r.Read()
		if err != nil || unread != nil || held || start.Run != "" {
			r.Close()
			continue
		}
		s.retire(r)
	}
	return nil
}

// release takes a runner back from its job. Its record stays untouched until a
// commit covers what is made of the end in it.
func (s *session) release(w *worker) {
	w.spent, w.spentRun = w.job, w.job.runID
	w.job.worker = nil
	w.job = nil
}

func without(list []*worker, w *worker) (out []*worker) {
	for _, o := range list {
		if o != w {
			out = append(out, o)
		}
	}
	return out
}

// departed is the end of a runner. If it had a command, its record tells what
// became of that.
func (s *session) departed(w *worker, ev run.Gone) {
	if w.record == nil { // it did not even get ready: a broken binary, a full disk
		s.hireAt, s.sweep = time.Now().Add(time.Second), true
		s.later(time.Second)
	}
	j := w.job
	if j == nil {
		if ev.Err != nil {
			s.fault(fmt.Errorf("a runner ended: %w", ev.Err))
		}
		switch {
		case w.record == nil:
		case w.spent != nil && w.spent.state != gone:
			// The only witness of an end whose STATUS may not be on disk yet: it goes
			// with the UOW.
			w.spent.old = append(w.spent.old, w.record)
		default:
			s.retire(w.record)
		}
		return
	}
	w.job, j.worker = nil, nil
	if !ev.Reaped {
		// It goes on alone, as if we had been restarted.
		j.record, j.keeper = w.record, w.runner.PID()
		s.await(j)
		return
	}
	j.dead = w.record // looked at in the next round
}

// retire removes a record nobody will write any more, once what was read from it
// is on disk. An idle runner that still holds it is waited for: it goes when it
// sees that its socket is closed.
func (s *session) retire(r *run.Record) {
	s.sp.Until(func() error {
		held, err := r.Locked()
		if err == nil && held {
			s.retiring.Go(func() {
				if r.Wait(s.patience) != nil || r.Remove("record:remove") != nil {
					_ = r.Close() // what is left is removed at the next start
				}
			})
			return nil
		}
		if err == nil {
			err = r.Remove("record:remove")
		}
		if err != nil && !durable.Passing(err) && !errors.Is(err, fs.ErrPermission) {
			s.fault(errors.Join(err, r.Close()))
			return nil
		}
		return err
	})
	s.sp.Batch.Dir(s.sp.Run, 0)
}

// collect takes the end of a run whose runner is gone, or does without. A record
// that can't be read is no reason to call a run interrupted: then everything is
// looked at again from the beginning.
func (s *session) collect(j *job, r *run.Record, why string) error {
	j.old = append(j.old, r)
	start, live, end, err := r.Read()
	if err != nil && !errors.Is(err, run.ErrDamaged) {
		return err
	}
	s.fault(err)
	switch {
	case end != nil && start.Run == j.runID:
		j.end = end
	case err == nil && !live.MayHaveRun(j.runID) && run.Boot(j.runID) == s.boot:
		// Its runner died before it forked: the next one gets it.
		j.state = due
		j.notice = label(j) + " was not started: its runner ended before it could; started by another one"
		s.recovered(j.UOW, "its runner ended before it started anything; started by another one")
		return nil
	default:
		if run.Boot(j.runID) == s.boot { // of another boot nothing is left, and numbers are others'
			if n, err := run.KillTree(j.runID, live); err != nil || n > 0 {
				s.fault(err)
				why += fmt.Sprintf("; what it left behind was ended (%d)", n)
			}
		}
		j.lost = why
	}
	if j.state == starting {
		s.turn(j, alive)
	}
	s.turn(j, ended)
	return nil
}
