package monitor

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"simplejobq/internal/flow"
	"simplejobq/internal/run"
)

// stage is where a command stands that the flow of a job has handed out.
type stage int

// Each says who enters it, who leaves it, and what a crash leaves.
const (
	starting stage = iota // start record written; left after the commit. A crash: a record without fork mark, never started
	alive                 // a runner has it; left by its end or its death. A crash: the record's lock tells, it is adopted
	ended                 // the end is known; edit leaves it in the next round. A crash: the end stands in the record
	told                  // the flow knows of it. A crash: the past, or STATUS, or the record
)

func (s stage) String() string {
	return [...]string{"starting", "alive", "ended", "told"}[s]
}

// The one table of what may follow.
var stages = map[stage][]stage{
	starting: {alive, ended, told}, // told: taken back, it never started
	alive:    {ended, told},
	ended:    {told},
}

// command is one run of one command of a job.
type command struct {
	flow.Start
	job   *job
	stage stage

	runID   string
	worker  *worker     // the runner that has it, nil if adopted
	spec    *run.Spec   // of the start record that was written
	record  *run.Record // of an adopted run
	keeper  int         // process number of the runner of an adopted run
	dead    *run.Record // of a runner that is gone: what became of its run is still to be found out
	stop    context.CancelFunc
	end     *run.End
	lost    string // why there is no end
	pid     int
	stalled unix.Errno // its runner waits for room to write its log
	killed  string     // reason of a wish to end it that is on its way
	witness bool       // nothing but its record tells its end yet
}

func (s *session) turn(c *command, to stage) {
	if !slices.Contains(stages[c.stage], to) {
		s.fault(&TransitionError{c.job.UOW, c.stage.String(), to.String()})
	}
	c.stage = to
}

// label is how the log's lines call a command.
func (c *command) label() string {
	n := c.job.plan.Node(c.Step)
	text := "try " + strconv.Itoa(c.Try)
	if n.Name != "" {
		text = "[" + n.Name + "] " + text
	}
	if n.Tries > 1 {
		text += " of " + strconv.Itoa(n.Tries)
	}
	if c.Phase != flow.Command {
		text += " " + string(c.Phase)
	}
	return text
}

// out are the commands that were started and whose end is not known.
func (j *job) out() (n int) {
	for _, c := range j.commands {
		if c.stage == starting || c.stage == alive {
			n++
		}
	}
	return n
}

// witnessed tells that the record of what came last is no witness any more: something
// else on its way to the disk tells of it.
func (j *job) witnessed() {
	if j.last != nil {
		j.last.witness, j.last = false, nil
	}
}

// drop forgets a command the flow knows the end of.
func (j *job) drop(c *command) {
	j.commands = slices.DeleteFunc(j.commands, func(o *command) bool { return o == c })
}

// shown is a command that is out, or the first whose end is not taken care of, for
// those who show it.
func (j *job) shown() *command {
	for _, c := range j.commands {
		if c.stage == starting || c.stage == alive {
			return c
		}
	}
	if len(j.commands) > 0 {
		return j.commands[0]
	}
	return nil
}

// TransitionError is a mistake in this package.
type TransitionError struct{ UOW, From, To string }

func (e *TransitionError) Error() string {
	return fmt.Sprintf("%s: illegal transition from %s to %s", e.UOW, e.From, e.To)
}
