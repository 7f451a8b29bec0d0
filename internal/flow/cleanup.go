package flow

import (
	"fmt"
	"time"
)

// owes reports whether the CLEANUP of a step is still to run.
func (f *Flow) owes(i int) bool {
	n, st := &f.plan.nodes[i], &f.steps[i]
	return n.Cleanup && !n.NoAct && st.first > 0 && !st.cleaned
}

// Cleanups is how many clean-ups are still to be done: once the flow has settled,
// those of all steps whose COMMAND was ever started.
func (f *Flow) Cleanups() int { return len(f.cleanups) }

// NextCleanup hands out the next clean-up, the last first-started first and one at a
// time. It is answered by CleanupEnded, or by NeverStarted. DEFER CLEANUP keeps
// them all for CleanNow.
func (f *Flow) NextCleanup(now time.Time) (Start, bool) {
	if len(f.cleanups) == 0 || f.cleaning >= 0 || f.plan.opts.DeferCleanup && !f.cleanNow {
		return Start{}, false
	}
	f.seq++
	s := Start{Step: int(f.cleanups[len(f.cleanups)-1]), Phase: Cleanup, Try: 1, Seq: f.seq, At: now}
	f.cleaning = s.Step
	return s, true
}

// CleanupEnded is the end of a clean-up, however it ended. One that a crash cut
// short is due again: it has no record.
func (f *Flow) CleanupEnded(rep Report) (*Record, error) {
	if f.cleaning < 0 || rep.Step != f.cleaning {
		return nil, fmt.Errorf("no clean-up of step %d is running", rep.Step)
	}
	f.cleaning = -1
	if rep.Cause == Interrupted {
		return nil, nil
	}
	f.cleaned(rep.Step)
	return &Record{
		Kind: CleanupEnded, Step: f.plan.nodes[rep.Step].Name, Phase: Cleanup,
		Outcome: rep.Outcome, Cause: rep.Cause, Text: rep.Text, Run: rep.Run, Said: rep.Said,
	}, nil
}

// cleaned takes a step from the list of those to clean. It is the last one, but in
// a past that was written under another configuration.
func (f *Flow) cleaned(i int) {
	f.steps[i].cleaned = true
	for at := len(f.cleanups) - 1; at >= 0; at-- {
		if int(f.cleanups[at]) == i {
			f.cleanups = append(f.cleanups[:at], f.cleanups[at+1:]...)
			return
		}
	}
}

// CleanNow has deferred clean-ups run. Without a record there is nothing left to
// clean, or it is being done.
func (f *Flow) CleanNow() *Record {
	if len(f.cleanups) == 0 || f.cleanNow || !f.plan.opts.DeferCleanup {
		return nil
	}
	f.cleanNow = true
	return &Record{Kind: CleanAsked}
}

// Asked reports whether deferred clean-ups are to run.
func (f *Flow) Asked() bool { return f.cleanNow }

// Clean reports whether nothing is left of the flow: it has ended and so have its
// clean-ups.
func (f *Flow) Clean() bool { return f.settled && len(f.cleanups) == 0 }
