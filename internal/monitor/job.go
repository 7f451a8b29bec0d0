package monitor

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/config"
	"simplejobq/internal/flow"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// state is where a claimed UOW stands.
type state int

// Each state says who enters it, who leaves it, and what a crash leaves.
const (
	due      state = iota // a command is to be started; launch leaves it. A crash: a UOW without a record, or an end that leads here again
	starting              // start record written; left after the commit. A crash: a record without fork mark, never started
	alive                 // a runner has it; left by its end or its death. A crash: the record's lock tells, it is adopted
	ended                 // the end is known; edit leaves it in the next round. A crash: the end stands in the record
	judged                // STATUS is written; left after the commit, for the clean-up or for good. A crash: STATUS tells, or the record
	leaving               // STATUS is on disk; move leaves it. A crash: STATUS tells
	gone                  // moved. A crash: a second link that leads to an ended file
)

func (s state) String() string {
	return [...]string{"due", "starting", "alive", "ended", "judged", "leaving", "gone"}[s]
}

// The one table of transitions.
var transitions = map[state][]state{
	due:      {starting, judged},
	starting: {alive, due, ended},
	alive:    {ended},
	ended:    {due, judged},
	judged:   {leaving, due},
	leaving:  {gone},
}

// TransitionError is a mistake in this package.
type TransitionError struct {
	UOW      string
	From, To state
}

func (e *TransitionError) Error() string {
	return fmt.Sprintf("%s: illegal transition from %v to %v", e.UOW, e.From, e.To)
}

// job is a UOW between its claim and its final move.
type job struct {
	spool.Claimed
	state state
	unit  *uow.Unit
	typ   string          // job type, "" for a COMMAND
	kind  *config.JobType // its configuration when it was claimed
	step  flow.Step

	try       int
	phase     flow.Phase
	runID     string
	worker    *worker       // the runner that has it, nil if adopted or between two commands
	record    *run.Record   // of an adopted run
	keeper    int           // process number of the runner of an adopted run
	dead      *run.Record   // of a runner that is gone: what became of its run is still to be found out
	old       []*run.Record // of runs whose runners are gone: kept until the UOW has left
	stop      context.CancelFunc
	end       *run.End
	lost      string // why there is no end
	claimed   time.Time
	began     time.Time // the first command of this try
	pid       int
	commanded bool   // COMMAND was started in some try
	cleaning  bool   // the outcome stands, CLEANUP runs before it leaves
	unwritten bool   // STATUS could not be written: tried again
	written   int64  // in which round STATUS was
	logged    bool   // the outcome is to stand in the log too
	vacated   bool   // its slot is free again
	unstarted bool   // never got a slot: expired, or what it comes after failed
	notice    string // said in the log before the next command

	outcome flow.Outcome
	text    string // of STATUS
	to      spool.Queue
	last    *run.End   // of the command that decided
	stalled unix.Errno // its runner waits for room to write its log
	killed  string     // reason of a KILL JOB that is on its way
	work    *work
}

func (s *session) turn(j *job, to state) {
	for _, allowed := range transitions[j.state] {
		if allowed == to {
			j.state = to
			return
		}
	}
	s.fault(&TransitionError{j.UOW, j.state, to})
	j.state = to
}

// owesCleanup reports whether its CLEANUP is still to be started: until then the
// record of the command before it alone tells that there is something to clean up.
func (j *job) owesCleanup() bool { return j.state == judged && j.cleaning && j.phase != flow.Cleanup }

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

// stepOf is the one step a plain UOW is.
func stepOf(c *config.Config, u *uow.Unit, kind *config.JobType) flow.Step {
	st := flow.Step{
		Check: u.Check != "", Command: u.Command != "" || kind != nil, Cleanup: u.Cleanup != "",
		Tries: c.Job.Tries, NoAct: u.NoAct,
	}
	if kind != nil && kind.Tries != nil {
		st.Tries = *kind.Tries
	}
	if u.Tries > 0 {
		st.Tries = u.Tries
	}
	st.RetryInterrupted = u.RetryInterrupted != nil && *u.RetryInterrupted
	return st
}

// newJob makes a job of a UOW that was read.
func (s *session) newJob(c spool.Claimed, u *uow.Unit) *job {
	typ := s.kindName(u)
	kind := s.conf.Jobs[typ]
	j := &job{Claimed: c, unit: u, typ: typ, kind: kind, step: stepOf(s.conf, u, kind), try: 1, claimed: s.now}
	if u.Status.Kind == uow.TryAgain {
		j.try = u.Status.Try
		j.commanded = true
	}
	return j
}

// retryDelay is the least time between the starts of two tries.
func (s *session) retryDelay(u *uow.Unit) time.Duration {
	kind := s.conf.Jobs[s.kindName(u)]
	switch {
	case u.RetryDelay != nil:
		return *u.RetryDelay
	case kind != nil && kind.RetryDelay != nil:
		return time.Duration(*kind.RetryDelay)
	}
	return time.Duration(s.conf.Job.RetryDelay)
}
