package monitor

import (
	"fmt"
	"slices"
	"strings"

	"simplejobq/internal/flow"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
	"simplejobq/internal/units"
	"simplejobq/internal/uow"
)

// result makes of the end of a command what it means for its step.
func (c *command) result() flow.Result {
	if c.end == nil {
		return flow.Result{Outcome: flow.Fail, Cause: flow.Interrupted, Text: "interrupted: " + c.lost}
	}
	e := c.end
	r := flow.Result{Outcome: flow.Fail, Text: e.Text}
	var failIf, errorIf []string
	var failExit []int
	if k := c.job.kinds[c.Step]; k != nil && c.Phase == flow.Command {
		failIf, errorIf, failExit = k.FailIf, k.ErrorIf, k.FailExit
	}
	switch e.Reason {
	case run.NotStarted:
		r.Cause = flow.NotStarted
		return r
	case run.Killed:
		r.Cause = flow.Killed
	case run.Terminated:
		r.Cause = flow.Interrupted
	case run.Timeout, run.Silence:
		r.Cause = flow.Limited
	case run.Signalled:
	default:
		switch {
		case e.FailIf >= 0 && e.FailIf < len(failIf):
			r.Text = matched(failIf[e.FailIf], e.Text)
		case e.Exit != 0 && slices.Contains(failExit, e.Exit):
			r.Text = e.Text + ", which fail_exit calls trouble outside the job"
		case e.ErrorIf >= 0 && e.ErrorIf < len(errorIf):
			r.Outcome, r.Text = flow.Error, matched(errorIf[e.ErrorIf], e.Text)
		case e.Exit != 0:
			r.Outcome = flow.Error
		default:
			r.Outcome = flow.Done
		}
	}
	r.Text += usage(e)
	return r
}

func matched(pattern, text string) string { return fmt.Sprintf("output matched %q: %s", pattern, text) }

func usage(e *run.End) string {
	if e.Unlogged && e.Wall > 0 { // what never ran has nothing to log
		return fmt.Sprintf(" (cpu %s, peak %s; the log is not whole)", units.Span(e.CPU), units.Bytes(e.Peak))
	}
	return fmt.Sprintf(" (cpu %s, peak %s)", units.Span(e.CPU), units.Bytes(e.Peak))
}

// statusText is the STATUS line of an outcome that stands.
func statusText(j *job, outcome flow.Outcome, text string) string {
	status := string(outcome) + ": " + text
	if j.unstarted || !j.plain() { // of steps it says what there is to say of their tries
		return status
	}
	status += fmt.Sprintf(", try %d", j.try())
	if n := j.plan.Node(0).Tries; n > 1 {
		status += fmt.Sprintf(" of %d", n)
	}
	return status
}

// roomy is the text of STATUS as it stands in the file: what the steps of a flow ran is
// shortened there, so that there is room for how many of them did what.
func roomy(j *job, text string) string {
	if len(text) <= uow.StatusRoom || j.plain() || j.flow == nil {
		return text
	}
	e, over := j.flow.Ending()
	if !over || text != statusText(j, e.Outcome, e.Text) {
		return text
	}
	e, _ = j.flow.EndingWithin(uow.StatusRoom - len(statusText(j, e.Outcome, "")))
	return statusText(j, e.Outcome, e.Text)
}

// destination is the queue an outcome leads to.
func destination(o flow.Outcome) spool.Queue {
	switch o {
	case flow.Done:
		return spool.Done
	case flow.Error:
		return spool.Error
	}
	return spool.Fail
}

// tail is the last line of what a log's end holds, for digests.
func tail(b []byte) string {
	lines := strings.Split(strings.TrimRight(string(b), "\r\n"), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
