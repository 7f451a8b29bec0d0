package flow

import (
	"cmp"
	"time"
)

// Start is a command that is to be started, or was.
type Start struct {
	Step  int
	Phase Phase
	Try   int
	Seq   int64     // counts the commands of a flow in the order of their starts
	At    time.Time // when
}

// Report is how a command ended.
type Report struct {
	Step int
	Result
	Said    string  // the step's command, or job with its arguments, for STATUS
	Output  []Value // of the try's output file, and what is wrong with that:
	Invalid string  // both are looked at only where WantsOutput asks for them
	Run     string  // the caller's name of the run, kept in the record
}

// progress is how a step stands.
type progress struct {
	state   State
	out     bool // a command of it was handed out and has not ended
	mid     bool // a command of this try has ended
	kept    bool // its success in an earlier run counts when its turn comes
	cleaned bool
	try     int32
	missing int32     // steps it comes after that have not succeeded
	sees    *set      // the setters before it, near or far, see context.go
	passes  *set      // what those behind it see
	phase   Phase     // of the command that is out, or due in this try
	began   time.Time // this try
	due     time.Time // the next try
	at      time.Time // the command that is out
	seq     int64
	first   int64 // of its first COMMAND ever, 0 if there was none
	outcome Outcome
	text    string
	said    string
	values  []Value
}

// halt is how far the flow has been stopped; it only grows.
type halt int

const (
	going     halt = iota
	finishing      // a step has failed: tries that have begun go to their end
	killing        // a step has failed: what runs is to be ended
	cancelled      // from outside, as a whole
)

// Flow is a plan that runs. It is for one goroutine.
type Flow struct {
	plan     *Plan
	steps    []progress
	counts   [stateCount]int // of the steps that are counted
	fresh    heap            // never tried
	pending  heap            // in a try, the next command is due
	delayed  heap            // between two tries
	running  int             // commands that are out
	active   int             // steps in a try
	halt     halt
	why      Record  // of the cancellation
	failures []int32 // in the order in which they failed
	seq      int64
	seen     time.Time // the last time we were told
	size     int       // of all values
	restored bool      // Adopt may still be called: nothing is over yet
	settled  bool      // all has ended but the clean-ups
	cleaning int       // the step whose CLEANUP is out, -1
	cleanNow bool
	cleanups []int32 // still to be done, the next one last
	changes  []Change
	fault    error
	setters  []int32        // the steps that added values
	merged   [recent]merged // what was asked for of late
	mergedAt int
}

// New begins a flow. The changes are those before anything runs: steps that are
// ready, groups that have succeeded already, what GOAL leaves out.
func New(p *Plan) (*Flow, []Change) {
	f := blank(p)
	f.begin()
	f.settle()
	return f, f.told()
}

func blank(p *Plan) *Flow {
	n := len(p.nodes)
	f := &Flow{plan: p, steps: make([]progress, n), cleaning: -1}
	slot := make([]int32, n)
	byRank := func(a, b int32) bool { return p.rank[a] < p.rank[b] }
	f.fresh = heap{slot: slot, less: byRank}
	f.pending = heap{slot: slot, less: byRank}
	f.delayed = heap{slot: slot, less: func(a, b int32) bool {
		return cmp.Or(f.steps[a].due.Compare(f.steps[b].due), cmp.Compare(p.rank[a], p.rank[b])) < 0
	}}
	for i := range f.steps {
		f.steps[i].try = 1
		f.steps[i].missing = int32(len(p.pred.of(i)))
	}
	f.counts[Waiting] = p.of
	return f
}

// begin lets every step have its turn that comes after none.
func (f *Flow) begin() {
	for i := range f.steps {
		if !f.plan.inGoal[i] {
			f.turn(i, Skipped, "outside GOAL")
		}
	}
	var first []int32
	for i := range f.steps {
		if f.steps[i].missing == 0 && f.steps[i].state == Waiting {
			first = append(first, int32(i))
		}
	}
	f.enter(first)
}

// told hands out the changes since it was last called.
func (f *Flow) told() []Change {
	c := f.changes
	f.changes = nil
	return c
}

// enter gives their turn to steps that nothing holds back any more, and to those
// that come after them, as far as nothing is to be run for it.
func (f *Flow) enter(turn []int32) {
	for at := 0; at < len(turn); at++ {
		i := int(turn[at])
		n, st := &f.plan.nodes[i], &f.steps[i]
		f.inherit(i)
		switch {
		case st.kept:
			f.turn(i, Succeeded, "")
		case n.Skip:
			f.turn(i, Skipped, "SKIP")
		case n.group():
			f.turn(i, Succeeded, "")
		default:
			f.turn(i, Ready, "")
			a := Begin(n.Step, 1)
			if a.Do == Run {
				f.fresh.push(int32(i))
				continue
			}
			st.outcome, st.text = a.Outcome, a.Text
			if !f.failed(i) {
				continue
			}
		}
		turn = f.release(i, turn)
	}
}

// release tells the steps behind one that it holds them back no longer, and adds
// those to turn whose turn has come.
func (f *Flow) release(i int, turn []int32) []int32 {
	f.pass(i)
	for _, j := range f.plan.succ.of(i) {
		st := &f.steps[j]
		if st.missing--; st.missing == 0 && st.state == Waiting {
			turn = append(turn, j)
		}
	}
	return turn
}

// failed is a step that failed for good. It reports whether those behind it go on
// all the same.
func (f *Flow) failed(i int) bool {
	f.turn(i, Failed, f.steps[i].text)
	f.failures = append(f.failures, int32(i))
	if f.plan.nodes[i].ContinueOnFailure {
		return true
	}
	switch f.plan.opts.OnFailure {
	case Finish:
		f.halt = max(f.halt, finishing)
	case Kill:
		f.halt = max(f.halt, killing)
	}
	return false
}
