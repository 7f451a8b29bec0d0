package flow

import "fmt"

// PastError is a past that does not belong to this plan.
type PastError struct {
	Record int // from 1
	Text   string
}

func (e *PastError) Error() string {
	return fmt.Sprintf("record %d of the flow does not fit its steps: %s", e.Record, e.Text)
}

// Restore makes of the past of a flow the flow as it stood then. What was running is
// not known from it: that is told by Adopt, and nothing is over before Resume.
func Restore(p *Plan, past []Record) (*Flow, error) {
	f := blank(p)
	for _, r := range past {
		f.seq = max(f.seq, r.Seq)
		if i, known := p.index[r.Step]; known && r.Kind == StepKept {
			f.keep(i, r)
		}
	}
	f.begin()
	f.restored = true
	for n, r := range past {
		if err := f.replay(r); err != nil {
			return nil, &PastError{n + 1, err.Error()}
		}
	}
	f.changes = nil
	return f, nil
}

// keep takes over what an earlier run left of a step. What Seq counts begins anew
// in each run, and goes on behind that of what was kept.
func (f *Flow) keep(i int, r Record) {
	st := &f.steps[i]
	if r.Outcome == Done {
		st.kept, st.values = true, r.Values
		f.size += weight(r.Values)
	}
	st.first = r.Seq
}

// replay goes one record on.
func (f *Flow) replay(r Record) error {
	switch r.Kind {
	case FlowBegun, StepKept: // one of a step that is gone was said when the run began
		return nil
	case FlowCancelled:
		if f.settled {
			return fmt.Errorf("the flow had ended before it was cancelled")
		}
		f.cancel(r)
		return nil
	}
	if r.Kind == CleanAsked {
		f.resume()
		f.cleanNow = true
		return nil
	}
	i, known := f.plan.index[r.Step]
	if !known {
		return fmt.Errorf("there is no step %q", r.Step)
	}
	if r.Kind == CleanupEnded {
		f.resume()
		f.cleaned(i)
		return f.over(r.Step)
	}
	if err := f.adopt(Start{Step: i, Phase: r.Phase, Try: r.Try, Seq: r.Seq, At: r.At}); err != nil {
		return err
	}
	f.apply(i, r)
	return f.mistake()
}

// over is an error if the flow has not ended.
func (f *Flow) over(step string) error {
	if !f.settled {
		return fmt.Errorf("step %q was cleaned up before the flow had ended", step)
	}
	return nil
}

// Adopt tells a restored flow of a command that was handed out and whose end is not
// in its past: it runs, or its end is known and Ended comes next. It is an error,
// and nothing changes, if the past tells that this command can't be out.
func (f *Flow) Adopt(s Start) ([]Change, error) {
	if s.Step < 0 || s.Step >= len(f.steps) {
		return nil, fmt.Errorf("there is no step %d of %d", s.Step, len(f.steps))
	}
	if s.Phase == Cleanup {
		return f.adoptCleanup(s)
	}
	if err := f.adopt(s); err != nil {
		return nil, err
	}
	return f.told(), f.mistake()
}

func (f *Flow) adopt(s Start) error {
	st := &f.steps[s.Step]
	name := f.plan.nodes[s.Step].Name
	fits := !st.out && s.Try == int(st.try)
	switch {
	case !fits:
	case st.mid && st.phase == s.Phase:
		f.pending.remove(int32(s.Step))
		f.take(s)
	case st.state == Ready && (s.Phase == Check || s.Phase == Command):
		if st.try > 1 {
			f.delayed.remove(int32(s.Step))
		} else {
			f.fresh.remove(int32(s.Step))
		}
		f.take(s)
	default:
		fits = false
	}
	if !fits {
		return fmt.Errorf("step %q is %v in try %d, it can't be in %s of try %d", name, st.state, st.try, s.Phase, s.Try)
	}
	f.seq = max(f.seq, s.Seq)
	return nil
}

func (f *Flow) adoptCleanup(s Start) ([]Change, error) {
	f.resume()
	n := len(f.cleanups)
	if !f.settled || f.cleaning >= 0 || n == 0 || int(f.cleanups[n-1]) != s.Step {
		return f.told(), fmt.Errorf("the CLEANUP of step %q can't be running", f.plan.nodes[s.Step].Name)
	}
	f.cleaning = s.Step
	f.seq = max(f.seq, s.Seq)
	return f.told(), nil
}

// Resume ends what Restore began: what was running has been told. Ready and Cancel
// do it as well.
func (f *Flow) Resume() []Change {
	f.resume()
	return f.told()
}

func (f *Flow) resume() {
	f.restored = false
	f.settle()
}

// RestoreFrom makes the past with which a flow begins anew from a step: kept are the
// successes, with what they added, of all steps but that one, those whose CLEANUP
// has run, and everything behind these. Clean-ups that were deferred stay due.
// Steps of the past that are not in the plan are left out: the UOW was edited.
func RestoreFrom(p *Plan, past []Record, step string) ([]Record, error) {
	from, known := p.index[step]
	if !known {
		return nil, fmt.Errorf("there is no step %q", step)
	}
	kept := make([]Record, p.Len())
	gone := make([]bool, p.Len())
	list := []int32{int32(from)}
	gone[from] = true
	for _, r := range past {
		i, known := p.index[r.Step]
		if !known {
			continue
		}
		k := &kept[i]
		switch {
		case r.Kind == CleanupEnded:
			k.Seq = 0
			if !gone[i] {
				gone[i] = true
				list = append(list, int32(i))
			}
			continue
		case r.Kind == StepKept:
			k.Outcome, k.Values, k.Seq = r.Outcome, r.Values, r.Seq
			continue
		case r.Kind != CommandEnded:
			continue
		}
		if r.Phase == Command && r.Cause != NotStarted && k.Seq == 0 {
			k.Seq = r.Seq
		}
		k.Outcome, k.Values = "", nil
		if r.To == Succeeded {
			k.Outcome, k.Values = Done, r.Values
		}
	}
	for at := 0; at < len(list); at++ {
		for _, j := range p.succ.of(int(list[at])) {
			if !gone[j] {
				gone[j] = true
				list = append(list, j)
			}
		}
	}
	var records []Record
	for i, k := range kept {
		if gone[i] {
			k.Outcome, k.Values = "", nil
		}
		if k.Outcome != "" || k.Seq > 0 && p.nodes[i].Cleanup {
			k.Kind, k.Step = StepKept, p.nodes[i].Name
			records = append(records, k)
		}
	}
	return records, nil
}
