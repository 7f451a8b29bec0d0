package monitor

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"simplejobq/internal/config"
	"simplejobq/internal/flow"
	"simplejobq/internal/messages"
	"simplejobq/internal/pattern"
	"simplejobq/internal/run"
	"simplejobq/internal/status"
	"simplejobq/internal/units"
	"simplejobq/internal/uow"
)

// changed tells of steps that went from one state to another: an event and a line in
// the log each. Of a UOW without steps its own events tell enough.
func (s *session) changed(j *job, changes []flow.Change) {
	if j.plain() {
		return
	}
	for _, ch := range changes {
		if j.isSaid(ch) {
			continue
		}
		step := j.plan.Node(ch.Step).Name
		j.events = append(j.events, s.stepEvent(j.UOW, step, ch, j.flow.Standing(ch.Step).Try))
		j.notices = append(j.notices, changeLine(step, ch))
	}
	s.digest.stale = true
}

func (s *session) stepEvent(uow, step string, ch flow.Change, try int) messages.Event {
	ev := s.event("step", uow)
	ev.Step, ev.From, ev.To, ev.Reason, ev.Try = step, ch.From.String(), ch.To.String(), ch.Text, try
	return ev
}

// tellEvents tells of something after the commit.
func (s *session) tellEvents(events ...messages.Event) {
	s.tells = append(s.tells, func() {
		for _, ev := range events {
			s.journal.Tell(ev)
		}
	})
}

func changeLine(step string, ch flow.Change) string {
	line := fmt.Sprintf("[%s] %s → %s", step, ch.From, ch.To)
	if ch.Text != "" {
		line += ": " + ch.Text
	}
	return line
}

// said is a step's command, or job type with its arguments, for STATUS.
func (j *job) said(step int) string {
	if j.plain() {
		return ""
	}
	text := commandOf(j.unit, step)
	if j.unit.StepOptions(step).Job == "" || j.kinds[step] == nil {
		return text
	}
	argv, faults := j.kinds[step].Fill(func(item string) (string, bool) { return j.unit.StepGet(step, item) })
	if len(faults) > 0 {
		return text
	}
	return text + ": " + run.CommandLine(argv)
}

// commandOf is what a step runs, as it is written.
func commandOf(u *uow.Unit, step int) string {
	o := u.StepOptions(step)
	if o.Job != "" {
		return "job " + o.Job
	}
	return cmp.Or(o.Command, o.Check)
}

func (c *command) stepName() string {
	if name := c.job.plan.Node(c.Step).Name; name != "" {
		return "[" + name + "]"
	}
	return ""
}

// output reads what the commands of a try added to the context. invalid is what is
// wrong with that, err what kept it from being read.
func (s *session) output(c *command) (values []flow.Value, invalid string, err error) {
	w, err := s.workOf(c)
	if w == nil || err != nil {
		return nil, "", err
	}
	f, err := w.dir.Open("output")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", nil
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENXIO), errors.Is(err, fs.ErrPermission):
		return nil, "invalid output: $MONITOR_OUTPUT is no file any more that can be read", nil
	case err != nil:
		return nil, "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size == 0 && st.Regular() {
		return nil, "", err
	}
	if !st.Regular() {
		return nil, "invalid output: $MONITOR_OUTPUT is no regular file any more", nil
	}
	b := make([]byte, min(st.Size, flow.MaxOutput+1))
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return nil, "", err
	}
	values, err = flow.ParseOutput(b[:n])
	if err != nil {
		return nil, err.Error(), nil //nolint:nilerr // it is the job's
	}
	return values, "", nil
}

// tellContext writes into the log and tells programs what the steps added.
func (s *session) tellContext(j *job) {
	values := j.flow.FinalContext()
	if len(values) == 0 {
		return
	}
	ev := s.event("context", j.UOW)
	ev.Context = map[string]string{}
	for _, v := range values {
		ev.Context[v.Name] = v.Content
		content := v.Content
		if strings.ContainsAny(content, "\n\r") {
			content = strconv.Quote(content)
		}
		if j.contextSaid--; j.contextSaid < 0 { // else the last monitor had said it
			j.notices = append(j.notices, "context "+v.Name+"="+content)
		}
	}
	s.tells = append(s.tells, func() { s.journal.Tell(ev) })
}

// overdue ends a flow whose time is over.
func (s *session) overdue(j *job) {
	if j.expires.IsZero() || s.now.Before(j.expires) {
		return
	}
	j.expires = j.expires.AddDate(100, 0, 0)
	s.cancel(j, flow.Limited, "timed out after "+units.Duration(*j.unit.Timeout))
}

// cancel ends a flow as a whole: what runs is ended, nothing is tried again. It
// reports false if it had come to its end.
func (s *session) cancel(j *job, cause flow.Cause, text string) bool {
	rec, changes := j.flow.Cancel(cause, text)
	s.changed(j, changes)
	if rec == nil {
		return false
	}
	j.past.add(*rec)
	// Crash window: ended and the wish not on disk: a failed try, no more. So it is
	// ended by the round that follows the commit.
	s.tells = append(s.tells, func() { s.endUnwanted(j) })
	s.more = true
	return true
}

// end has a command ended by its runner.
func (s *session) end(c *command, reason string) {
	c.killed = reason
	if c.stage == alive {
		s.fault(c.kill(reason))
	}
}

// kill asks the runner of a command that runs.
func (c *command) kill(reason string) error {
	switch {
	case c.worker != nil:
		return c.worker.runner.Kill(reason)
	case c.record != nil:
		// Without its reason it would be called terminated from outside.
		if err := c.record.RequestKill(c.runID, reason); err != nil {
			return err
		}
		return c.record.Terminate()
	}
	return nil
}

// steps counts how many of a UOW's steps are done, of those that are wanted.
func (j *job) steps() (done, of int) {
	if j.flow == nil {
		return 0, j.plan.Of()
	}
	t := j.flow.Tally()
	return t.Done, t.Of
}

// stepsOf is how many steps of a UOW that does not run are done, of those that are
// wanted; nil if it has none. Of one that ended STATUS tells.
func stepsOf(c *config.Config, u *uow.Unit) *status.Steps {
	if len(u.Steps) == 0 {
		return nil
	}
	plan, _, faults := planOf(c, u)
	if len(faults) > 0 {
		return nil
	}
	st := &status.Steps{All: plan.Of()}
	if m := doneSteps().FindStringSubmatch(u.Status.Text); m != nil {
		st.Done, _ = strconv.Atoi(m[1])
	}
	return st
}

var doneSteps = pattern.Lazy(`(?:^| )(\d+) done(?:,|$)`)
