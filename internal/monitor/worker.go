package monitor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"simplejobq/internal/config"
	"simplejobq/internal/durable"
	"simplejobq/internal/run"
)

// worker is a runner as the loop sees it.
type worker struct {
	runner *run.Runner
	record *run.Record // nil until it is ready
	has    *command    // that it is to carry out
	spent  *command    // its record tells the end of this one, and nothing else may yet
	owed   string      // the run whose end it is to be told is taken care of
}

func (w *worker) idle() bool { return w.record != nil && w.has == nil && w.spent == nil }

// idleWorker finds a runner without a command, or has one more started. There
// may be two per slot: while the end of one's command is being made durable, its
// record can't be used.
func (s *session) idleWorker() *worker {
	w := s.findWorker()
	s.lacking = s.lacking || w == nil
	return w
}

func (s *session) findWorker() *worker {
	coming := 0
	for _, w := range s.workers {
		if w.idle() {
			return w
		}
		if w.record == nil {
			coming++
		}
	}
	most := 2*s.conf.Slots + len(s.jobs)
	for _, j := range s.jobs {
		if !j.plain() {
			most += 2 * min(j.plan.Parallel(), j.plan.Of())
		}
	}
	if coming > 0 || len(s.workers) >= most {
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

// heard is what a runner tells.
func (s *session) heard(w *worker, ev run.Event) {
	switch ev := ev.(type) {
	case run.Ready:
		w.record = w.runner.Record()
	case run.Started:
		if c := w.has; c != nil && c.runID == ev.Run {
			c.pid = ev.PID
			s.digest.again(time.Duration(s.conf.Status.Interval))
		}
	case run.Stalled:
		if c := w.has; c != nil && c.runID == ev.Run {
			if c.stalled = ev.Errno; c.stalled != 0 {
				s.fault(stalledError(c))
			}
		}
	case run.Ended:
		if c := w.has; c != nil && c.runID == ev.Run && c.stage == alive {
			end := ev.End
			c.end = &end
			s.release(w)
			s.turn(c, ended)
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

// release takes a runner back from its command. Its record stays untouched until a
// commit covers what is made of the end in it.
func (s *session) release(w *worker) {
	w.spent, w.has = w.has, nil
	w.spent.worker, w.spent.witness = nil, true
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
	c := w.has
	if c == nil {
		if ev.Err != nil {
			s.fault(fmt.Errorf("a runner ended: %w", ev.Err))
		}
		switch {
		case w.record == nil:
		case w.spent != nil && w.spent.job.state != gone:
			// The only witness of an end whose STATUS may not be on disk yet: it goes
			// with the UOW.
			w.spent.job.old = append(w.spent.job.old, w.record)
		default:
			s.retire(w.record)
		}
		return
	}
	w.has, c.worker = nil, nil
	if !ev.Reaped {
		// It goes on alone, as if we had been restarted.
		c.record, c.keeper = w.record, w.runner.PID()
		s.await(c)
		return
	}
	c.dead = w.record // looked at in the next round
}

// retire removes a record nobody will write any more, once what was read from it
// is on disk. An idle runner that still holds it is waited for: it goes when it
// sees that its socket is closed.
func (s *session) retire(r *run.Record) {
	s.retired[r] = true
	s.sp.Until(func() error {
		held, err := r.Locked()
		if err == nil && held {
			delete(s.retired, r)
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
			err = nil
		}
		if err == nil {
			delete(s.retired, r)
		}
		return err
	})
	s.sp.Batch.Dir(s.sp.Run, 0)
}
