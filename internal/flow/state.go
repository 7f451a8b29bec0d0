package flow

import (
	"fmt"
	"slices"
)

// State is where a step stands.
type State uint8

// The states. None of them lives anywhere but in memory: after a crash they
// follow from the past.
const (
	Waiting    State = iota // for steps it comes after; left when the last of them has succeeded, or at the end
	Ready                   // to be started, at once or when its delay is over; left by Ready
	Checking                // in a try, up to the end of its CHECK
	Running                 // in a try, COMMAND is due or runs
	Rechecking              // in a try, CHECK decides
	Succeeded               // for good
	Failed                  // for good: out of tries, or no more are given
	Skipped                 // SKIP, when its turn came; or outside GOAL, from the beginning
	Cancelled               // it was in a try when all was ended: no failure
	NotReached              // the flow ended before its turn came

	stateCount = int(NotReached) + 1
)

var stateNames = [stateCount]string{
	"waiting", "ready", "checking", "running", "rechecking", "succeeded", "failed", "skipped", "cancelled", "not-reached",
}

func (s State) String() string {
	if int(s) < stateCount {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// StateNamed is the state of a name, as String tells it.
func StateNamed(name string) (State, bool) {
	i := slices.Index(stateNames[:], name)
	return State(max(i, 0)), i >= 0
}

// Final reports whether nothing follows on it.
func (s State) Final() bool { return s >= Succeeded }

// InTry tells that a try of the step has begun and is not over.
func (s State) InTry() bool { return s == Checking || s == Running || s == Rechecking }

// The one table of transitions.
var transitions = [stateCount][]State{
	Waiting:    {Ready, Succeeded, Skipped, NotReached},        // succeeded: a group, or kept from an earlier run
	Ready:      {Checking, Running, Failed, NotReached},        // failed: between two tries when no more are given; COMMAND only, and NO ACT
	Checking:   {Ready, Running, Succeeded, Failed, Cancelled}, // ready: the try failed, or never started
	Running:    {Ready, Rechecking, Succeeded, Failed, Cancelled},
	Rechecking: {Ready, Succeeded, Failed, Cancelled},
}

// TransitionError is a mistake of the caller, or a past that is not this flow's.
type TransitionError struct {
	Step     string
	From, To State
}

func (e *TransitionError) Error() string {
	return fmt.Sprintf("step %q: illegal transition from %v to %v", e.Step, e.From, e.To)
}

// stateOf is the state of a step whose try has come to a phase.
func stateOf(p Phase) State {
	switch p {
	case Check:
		return Checking
	case Recheck:
		return Rechecking
	}
	return Running
}

// phaseOf is the phase a try in this state has come to.
func phaseOf(s State) Phase {
	switch s {
	case Checking:
		return Check
	case Rechecking:
		return Recheck
	}
	return Command
}

// Change is a step that went from one state to another.
type Change struct {
	Step     int
	From, To State
	Text     string // how its last command ended, where that is why
}

// turn is the only place where a state changes.
func (f *Flow) turn(i int, to State, text string) {
	st := &f.steps[i]
	if st.state == to {
		return // another command of the same phase
	}
	if !slices.Contains(transitions[st.state], to) && f.fault == nil {
		f.fault = &TransitionError{f.plan.nodes[i].Name, st.state, to}
	}
	f.changes = append(f.changes, Change{i, st.state, to, text})
	if f.plan.inGoal[i] {
		f.counts[st.state]--
		f.counts[to]++
	}
	if st.state.InTry() {
		f.active--
	}
	if to.InTry() {
		f.active++
	}
	if to == Skipped {
		st.text = text // nothing of it ever runs that could tell more
	}
	st.state = to
}
