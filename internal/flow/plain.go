package flow

import (
	"fmt"
	"time"
)

// A UOW without steps has no past of its own: its STATUS and the record of its last
// command tell where it stands.

// NewAt begins a UOW without steps at a later try: between two tries it waits in
// its queue, and its STATUS is all that is left of its past.
func NewAt(p *Plan, try int, due time.Time) (*Flow, []Change, error) {
	if !p.plain() || try < 1 {
		return nil, nil, fmt.Errorf("try %d of a flow follows from its past", try)
	}
	f, changes := New(p)
	st := &f.steps[0]
	if try == 1 || st.state != Ready {
		return f, changes, nil
	}
	f.fresh.remove(0)
	st.try, st.due = int32(try), due
	if p.nodes[0].Command {
		st.first, f.seq = 1, 1
	}
	f.await(0)
	return f, changes, nil
}

// RestorePlain makes of the command that a UOW without steps had out last the flow as
// it stood then: that command is out. For a CLEANUP, o is the outcome before it.
func RestorePlain(p *Plan, s Start, o Outcome) (*Flow, error) {
	if s.Phase == Cleanup {
		f, err := SettledPlain(p, o, true)
		if err == nil {
			_, err = f.Adopt(s)
		}
		return f, err
	}
	f, _, err := NewAt(p, s.Try, time.Time{})
	if err != nil {
		return nil, err
	}
	f.restored = true
	went := []struct{ phase, next Phase }{{Check, Command}, {Command, Recheck}}
	for _, w := range went {
		if !p.nodes[0].Check || s.Phase == w.phase {
			break
		}
		f.seq++
		if err := f.adopt(Start{Phase: w.phase, Try: s.Try, Seq: f.seq, At: s.At}); err != nil {
			return nil, err
		}
		f.apply(0, Record{Phase: w.phase, Seq: f.seq, To: stateOf(w.next)})
	}
	if _, err := f.Adopt(s); err != nil {
		return nil, err
	}
	f.Resume()
	return f, f.mistake()
}

// SettledPlain makes of the outcome of a UOW without steps the flow that had it.
// commanded tells that its COMMAND was started, so that its CLEANUP is due.
func SettledPlain(p *Plan, o Outcome, commanded bool) (*Flow, error) {
	f, _, err := NewAt(p, 1, time.Time{})
	if err != nil || f.settled {
		return f, err
	}
	f.seq = 1
	f.take(Start{Phase: f.Phase(0), Try: 1, Seq: 1})
	f.fresh.remove(0)
	rec := Record{Phase: f.steps[0].phase, Seq: 1, Outcome: o, To: Failed}
	if o == Done {
		rec.To = Succeeded
	}
	if commanded {
		f.steps[0].first = 1
	}
	f.apply(0, rec)
	if !commanded {
		f.steps[0].first = 0
	}
	f.settle()
	f.changes = nil
	return f, f.mistake()
}
