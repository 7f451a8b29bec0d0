package monitor

import (
	"runtime"
	"slices"
	"time"

	"simplejobq/internal/config"
	"simplejobq/internal/flow"
	"simplejobq/internal/messages"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// state is where a claimed UOW stands.
type state int

// Each state says who enters it, who leaves it, and what a crash leaves.
const (
	working  state = iota // its flow hands out commands; edit leaves it when that has ended, or another try is due. A crash: the records of what runs, and the past
	judged                // STATUS is written; left after the commit, for the clean-ups or for good. A crash: STATUS tells, or the past, or the record
	cleaning              // the outcome is on disk and the clean-ups run; edit leaves it. A crash: as in judged
	leaving               // STATUS is on disk; move leaves it. A crash: STATUS tells
	gone                  // moved. A crash: a second link that leads to an ended file
)

func (s state) String() string {
	return [...]string{"working", "judged", "cleaning", "leaving", "gone"}[s]
}

// The one table of transitions.
var transitions = map[state][]state{
	working:  {judged},
	judged:   {cleaning, leaving},
	cleaning: {judged},
	leaving:  {gone},
}

// job is a UOW between its claim and its final move. A plain one is a flow of one
// step.
type job struct {
	spool.Claimed
	state state
	unit  *uow.Unit
	typ   string            // job type of a plain one, "" for a COMMAND or a flow
	kinds []*config.JobType // of each step, as configured when it was claimed
	plan  *flow.Plan
	flow  *flow.Flow

	commands    []*command         // handed out by the flow, until it knows their end
	last        *command           // of a plain one: it has ended, and nothing but its record tells that yet
	old         []*run.Record      // of runs whose runners are gone: kept until the UOW has left
	past        *past              // of one with steps; nil for a plain one
	notices     []string           // to be said in the log before anything more is started
	events      []messages.Event   // of these, to be told once they stand there
	contextSaid int                // lines of the context that the last monitor had written
	tried       map[int]bool       // steps whose runner had written to the log since their last change
	ahead       map[int][]stepLine // what the last monitor had said of steps beyond what their past tells

	claimed    time.Time
	began      time.Time // the first command of this try, or of the flow
	expires    time.Time // TIMEOUT of the flow, by the monotonic clock; zero: none
	unwritten  bool      // STATUS is not written yet, or could not be: tried again
	written    int64     // in which round STATUS was
	logged     bool      // the outcome is to stand in the log too
	vacated    bool      // its slot is free again
	unstarted  bool      // never got a slot: expired, or what it comes after failed; or it has ended and is only cleaned up
	afterwards bool      // it lies where it ended, and its clean-ups run

	outcome flow.Outcome
	text    string // of STATUS
	to      spool.Queue
	ends    map[int]*run.End // of the last commands of steps that have failed
	work    *work
	works   map[int]*work // of steps in a try
	idle    []string      // directories of tries that are over
}

func (s *session) become(j *job, to state) {
	if !slices.Contains(transitions[j.state], to) {
		s.fault(&TransitionError{j.UOW, j.state.String(), to.String()})
	}
	j.state = to
}

// plain tells a UOW without steps.
func (j *job) plain() bool { return len(j.unit.Steps) == 0 }

// enter counts a job as executing.
func (s *session) enter(j *job) {
	s.jobs[j.Ino] = j
	if j.unstarted {
		return
	}
	s.names[j.UOW] = j
	s.types[j.typ]++
	s.slots++
}

// vacate gives its slot back: its end is written, if not yet on disk.
func (s *session) vacate(j *job) {
	if !j.unstarted && !j.vacated {
		s.types[j.typ]--
		s.slots--
	}
	j.vacated = true
}

// newJob makes a job of a UOW that was read. Its flow begins when it is claimed.
func (s *session) newJob(c spool.Claimed, u *uow.Unit) *job {
	plan, kinds, faults := planOf(s.conf, u)
	if len(faults) > 0 { // good when it was accepted
		plan, kinds = nothing, make([]*config.JobType, 1)
	}
	j := &job{Claimed: c, unit: u, typ: s.kindName(u), kinds: kinds, plan: plan, claimed: s.now}
	if faults != nil {
		j.notices = append(j.notices, "its steps can't be planned any more: "+faults[0].Error())
	}
	return j
}

// begin begins the flow of a job: anew, or at the try its STATUS tells.
func (s *session) begin(j *job) {
	if st := j.unit.Status; j.plain() && st.Kind == uow.TryAgain {
		// A try that is due now: what it waited for is over.
		j.flow, _, _ = flow.NewAt(j.plan, st.Try, time.Time{})
		return
	}
	var changes []flow.Change
	j.flow, changes = flow.New(j.plan)
	s.changed(j, changes)
}

// planOf makes the graph of a UOW, and finds the job type of each of its steps.
func planOf(c *config.Config, u *uow.Unit) (*flow.Plan, []*config.JobType, []flow.Fault) {
	opts := flow.Options{Parallel: u.Parallel, Goal: u.Goal, NoAct: u.NoAct, DeferCleanup: u.DeferCleanup}
	if opts.Parallel == 0 {
		opts.Parallel = runtime.NumCPU()
	}
	switch u.OnFailure {
	case uow.FailGoOn:
		opts.OnFailure = flow.GoOn
	case uow.FailKill:
		opts.OnFailure = flow.Kill
	}
	if len(u.Steps) == 0 {
		kind := c.Jobs[typeName(c, u)]
		n := flow.Node{Step: stepOf(c, u.Options, kind, u.NoAct), RetryDelay: delayOf(c, u.Options, kind)}
		plan, faults := flow.NewPlan([]flow.Node{n}, opts)
		return plan, []*config.JobType{kind}, faults
	}
	nodes, kinds := make([]flow.Node, len(u.Steps)), make([]*config.JobType, len(u.Steps))
	for i := range u.Steps {
		st, o := &u.Steps[i], u.StepOptions(i)
		kinds[i] = c.Jobs[o.Job]
		nodes[i] = flow.Node{
			Name: st.Name, After: st.After, Ordered: st.HasAfter, Skip: st.Skip, ContinueOnFailure: st.ContinueOnFailure,
			CheckText: o.Check, Line: st.Line,
			Step: stepOf(c, o, kinds[i], u.NoAct), RetryDelay: delayOf(c, o, kinds[i]),
		}
	}
	plan, faults := flow.NewPlan(nodes, opts)
	return plan, kinds, faults
}

// nothing is the plan of a UOW of which nothing can be run any more.
var nothing, _ = flow.NewPlan([]flow.Node{{Step: flow.Step{NoAct: true, Command: true}}}, flow.Options{NoAct: true})

// stepOf is what of a step matters to its flow.
func stepOf(c *config.Config, o uow.Options, kind *config.JobType, noAct bool) flow.Step {
	st := flow.Step{
		Check: o.Check != "", Command: o.Command != "" || o.Job != "" || kind != nil, Cleanup: o.Cleanup != "",
		Tries: c.Job.Tries, NoAct: noAct,
	}
	if kind != nil && kind.Tries != nil {
		st.Tries = *kind.Tries
	}
	if o.Tries > 0 {
		st.Tries = o.Tries
	}
	st.RetryInterrupted = o.RetryInterrupted != nil && *o.RetryInterrupted
	return st
}

// delayOf is the least time between the starts of two tries.
func delayOf(c *config.Config, o uow.Options, kind *config.JobType) time.Duration {
	switch {
	case o.RetryDelay != nil:
		return *o.RetryDelay
	case kind != nil && kind.RetryDelay != nil:
		return time.Duration(*kind.RetryDelay)
	}
	return time.Duration(c.Job.RetryDelay)
}

// retryDelay is that of a UOW without steps.
func (s *session) retryDelay(u *uow.Unit) time.Duration {
	return delayOf(s.conf, u.Options, s.conf.Jobs[s.kindName(u)])
}

// options are those of a step.
func (j *job) options(step int) uow.Options {
	if j.plain() {
		return j.unit.Options
	}
	return j.unit.StepOptions(step)
}

// try is the number of the try a plain job is in, or had last.
func (j *job) try() int {
	if j.flow == nil || !j.plain() {
		return 1
	}
	return j.flow.Standing(0).Try
}
