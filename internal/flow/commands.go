package flow

import (
	"cmp"
	"fmt"
	"time"
)

// Ready hands out commands to start now, most of them at most, and takes them for
// started: each is answered by Ended, or by NeverStarted.
func (f *Flow) Ready(now time.Time, most int) ([]Start, []Change) {
	return f.ReadyIf(now, most, func(int) bool { return true })
}

// ReadyIf is Ready for steps that may start for all the caller knows: its turn passes
// to others where one may not.
func (f *Flow) ReadyIf(now time.Time, most int, may func(step int) bool) ([]Start, []Change) {
	f.resume()
	f.tick(now)
	var starts []Start
	for len(starts) < most && f.running < f.plan.opts.Parallel {
		i, ok := f.next(now, may)
		if !ok {
			break
		}
		f.seq++
		st := &f.steps[i]
		if st.state == Ready {
			st.phase = Begin(f.plan.nodes[i].Step, int(st.try)).Phase
		}
		s := Start{Step: i, Phase: st.phase, Try: int(st.try), Seq: f.seq, At: now}
		f.take(s)
		starts = append(starts, s)
	}
	return starts, f.told()
}

// Due reports whether a command could be handed out now.
func (f *Flow) Due(now time.Time) bool {
	if f.settled || f.running >= f.plan.opts.Parallel || f.halt >= killing {
		return false
	}
	if len(f.pending.items) > 0 {
		return true
	}
	return f.halt == going && f.active < f.plan.opts.Parallel &&
		(len(f.fresh.items) > 0 || len(f.delayed.items) > 0 && !f.steps[f.delayed.items[0]].due.After(now))
}

// next takes out the step whose turn it is: first the tries that have begun, then
// steps never tried, then those that were.
func (f *Flow) next(now time.Time, may func(step int) bool) (int, bool) {
	if f.halt >= killing {
		return 0, false
	}
	always := func(int32) bool { return true }
	if i, ok := f.pending.pick(may, always); ok {
		return i, true
	}
	if f.halt != going || f.active >= f.plan.opts.Parallel {
		return 0, false
	}
	if i, ok := f.fresh.pick(may, always); ok {
		return i, true
	}
	return f.delayed.pick(may, func(i int32) bool { return !f.steps[i].due.After(now) })
}

// take marks the command as out.
func (f *Flow) take(s Start) {
	st := &f.steps[s.Step]
	if st.state == Ready {
		st.began = s.At
		f.turn(s.Step, stateOf(s.Phase), "")
	}
	st.out, st.phase, st.seq, st.at = true, s.Phase, s.Seq, s.At
	f.running++
}

// NextDue is when the delay of the next step is over that could start then; what
// could start at once is for Ready.
func (f *Flow) NextDue(now time.Time) (time.Time, bool) {
	f.tick(now)
	if f.halt != going || f.active >= f.plan.opts.Parallel || len(f.delayed.items) == 0 {
		return time.Time{}, false
	}
	due := f.steps[f.delayed.items[0]].due
	return due, due.After(now)
}

// tick looks at the clock. One that was set back must not make a step wait for
// the difference: no step waits longer than its delay from now.
func (f *Flow) tick(now time.Time) {
	back := now.Before(f.seen) || f.seen.IsZero()
	f.seen = now
	if !back {
		return
	}
	items := f.delayed.items
	f.delayed.items = nil
	for _, i := range items {
		st := &f.steps[i]
		if latest := now.Add(f.plan.nodes[i].RetryDelay); st.due.After(latest) {
			st.due = latest
		}
		f.delayed.push(i)
	}
}

// NeverStarted takes a command back that Ready handed out: it provably never ran.
// It costs no try and leaves nothing in the past.
func (f *Flow) NeverStarted(step int) ([]Change, error) {
	if step == f.cleaning {
		f.cleaning = -1
		return nil, nil
	}
	if err := f.outstanding(step); err != nil {
		return nil, err
	}
	st := &f.steps[step]
	f.running--
	st.out, st.seq, st.at = false, 0, time.Time{}
	if st.mid {
		f.pending.push(int32(step))
	} else {
		f.turn(step, Ready, "")
		st.phase, st.began = "", time.Time{}
		f.await(step)
	}
	f.settle()
	return f.told(), f.mistake()
}

// await has a step that is ready wait for its start.
func (f *Flow) await(step int) {
	if f.steps[step].try > 1 {
		f.delayed.push(int32(step))
	} else {
		f.fresh.push(int32(step))
	}
}

func (f *Flow) outstanding(step int) error {
	if step < 0 || step >= len(f.steps) {
		return fmt.Errorf("there is no step %d of %d", step, len(f.steps))
	}
	if st := &f.steps[step]; !st.out {
		return &TransitionError{f.plan.nodes[step].Name, st.state, st.state}
	}
	return nil
}

// mistake is the first illegal transition since it was last called.
func (f *Flow) mistake() error {
	err := f.fault
	f.fault = nil
	return err
}

// WantsOutput reports whether what the try wrote into its output file matters,
// should the command of a step have ended so: it does when the try succeeds.
func (f *Flow) WantsOutput(step int, r Result) bool {
	st := &f.steps[step]
	a := Next(f.plan.nodes[step].Step, st.phase, int(st.try), r)
	return a.Do == End && a.Outcome == Done
}

// Ended is the end of a command that Ready handed out. The record is to be on disk
// before anything is made of the changes.
func (f *Flow) Ended(rep Report) (Record, []Change, error) {
	if err := f.outstanding(rep.Step); err != nil {
		return Record{}, nil, err
	}
	rec := f.decide(rep)
	f.apply(rep.Step, rec)
	f.settle()
	return rec, f.told(), f.mistake()
}

// decide is what follows from the end of a command.
func (f *Flow) decide(rep Report) Record {
	n, st := &f.plan.nodes[rep.Step], &f.steps[rep.Step]
	r := rep.Result
	a := Next(n.Step, st.phase, int(st.try), r)
	succeeded := func() bool { return a.Do == End && a.Outcome == Done }
	if succeeded() {
		if fault := cmp.Or(rep.Invalid, f.tooMuch(rep.Output)); fault != "" {
			r = Result{Outcome: Error, Cause: BadOutput, Text: fault}
			a = Next(n.Step, st.phase, int(st.try), r)
		}
	}
	rec := Record{
		Kind: CommandEnded, Step: n.Name, Try: int(st.try), Phase: st.phase, Cause: r.Cause, Outcome: a.Outcome, Text: a.Text,
		Seq: st.seq, At: st.at, Run: rep.Run, Said: n.whose(st.phase, r.Cause, rep.Said),
	}
	switch {
	case succeeded():
		rec.To, rec.Values = Succeeded, rep.Output
	case f.halt >= killing && (a.Do == Run || r.Cause == Killed || r.Cause == Interrupted):
		rec.To = Cancelled
	case a.Do == Run:
		rec.To = stateOf(a.Phase)
	case a.Do == Again && f.halt == going:
		rec.To = Ready
	default:
		rec.To = Failed
	}
	if a.Do == Run {
		rec.Outcome, rec.Text = r.Outcome, r.Text
	}
	return rec
}

// whose is what an end is one of, for STATUS. As a rule that is what the step runs, also
// where CHECK says afterwards that it was in vain. But it is CHECK where nothing else
// has run, or where CHECK came to no answer at all.
func (n *Node) whose(phase Phase, cause Cause, said string) string {
	none := cause == Limited || cause == NotStarted || cause == Killed
	if phase == Check || phase == Recheck && none {
		return cmp.Or(n.CheckText, said)
	}
	return said
}

// apply makes of a flow in which a command is out the one in which it has ended as
// the record tells: now, or when the past is gone through.
func (f *Flow) apply(i int, rec Record) {
	st := &f.steps[i]
	f.running--
	st.out, st.seq, st.at = false, 0, time.Time{}
	if rec.Phase == Command && rec.Cause != NotStarted && st.first == 0 {
		st.first = rec.Seq
	}
	st.outcome, st.text, st.said = rec.Outcome, rec.Text, rec.Said
	if rec.To.InTry() {
		f.turn(i, rec.To, rec.Text)
		st.mid, st.phase = true, phaseOf(rec.To)
		f.pending.push(int32(i))
		return
	}
	began := st.began
	st.mid, st.phase, st.began = false, "", time.Time{}
	switch rec.To {
	case Ready:
		f.turn(i, Ready, rec.Text)
		st.try++
		st.due = began.Add(f.plan.nodes[i].RetryDelay)
		f.await(i)
	case Succeeded:
		f.turn(i, Succeeded, rec.Text)
		st.values = rec.Values
		f.size += weight(rec.Values)
		f.enter(f.release(i, nil))
	case Failed:
		if f.failed(i) {
			f.enter(f.release(i, nil))
		}
	default:
		f.turn(i, rec.To, rec.Text)
	}
}

// Unwanted are the steps whose command is to be ended: a step has failed and ON
// FAILURE says so, or the flow was cancelled.
func (f *Flow) Unwanted() (steps []int) {
	for i := 0; f.halt >= killing && i < len(f.steps); i++ {
		if f.steps[i].out {
			steps = append(steps, i)
		}
	}
	return steps
}

// Phase is what a step is in, or what its next try begins with.
func (f *Flow) Phase(step int) Phase {
	if st := &f.steps[step]; st.phase != "" {
		return st.phase
	}
	return Begin(f.plan.nodes[step].Step, int(f.steps[step].try)).Phase
}
