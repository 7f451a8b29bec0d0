package monitor

import (
	"strings"
	"testing"
	"time"

	"simplejobq/internal/config"
	"simplejobq/internal/flow"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// The table of the outcomes: what happened, where it leads, what STATUS says.
func TestOutcome(t *testing.T) {
	kind := &config.JobType{FailIf: []string{"UNREACHABLE!"}, ErrorIf: []string{"^fatal: "}, FailExit: []int{75}}
	end := func(reason string, exit int, text string) *run.End {
		return &run.End{Reason: reason, Exit: exit, Text: text, ErrorIf: -1, FailIf: -1, CPU: 41 * time.Second, Peak: 210e6}
	}
	matched := func(e *run.End, errorIf, failIf int) *run.End { e.ErrorIf, e.FailIf = errorIf, failIf; return e }
	for what, c := range map[string]struct {
		end   *run.End
		kind  *config.JobType
		phase flow.Phase
		want  string
		cause flow.Cause
	}{
		"exit 0":                   {end(run.Exit, 0, "exit 0 after 3m"), nil, flow.Command, "done: exit 0 after 3m (cpu 41.0s, peak 210 MB), try 1", flow.Ended},
		"exit 2":                   {end(run.Exit, 2, "exit 2 after 1s"), nil, flow.Command, "error: exit 2 after 1s (cpu", flow.Ended},
		"error_if though exit 0":   {matched(end(run.Exit, 0, "exit 0 after 1s"), 0, -1), kind, flow.Command, `error: output matched "^fatal: ": exit 0 after 1s (cpu`, flow.Ended},
		"fail_if before error_if":  {matched(end(run.Exit, 2, "exit 2 after 1s"), 0, 0), kind, flow.Command, `fail: output matched "UNREACHABLE!": exit 2`, flow.Ended},
		"fail_exit":                {end(run.Exit, 75, "exit 75 after 1s"), kind, flow.Command, "fail: exit 75 after 1s, which fail_exit", flow.Ended},
		"fail_exit before error":   {matched(end(run.Exit, 75, "exit 75 after 1s"), 0, -1), kind, flow.Command, "fail: exit 75 after 1s, which fail_exit", flow.Ended},
		"75 without a type":        {end(run.Exit, 75, "exit 75 after 1s"), nil, flow.Command, "error: exit 75", flow.Ended},
		"75 of a check":            {end(run.Exit, 75, "exit 75 after 1s"), kind, flow.Check, "error: exit 75", flow.Ended},
		"an index beyond the type": {matched(end(run.Exit, 0, "exit 0 after 1s"), 7, 7), kind, flow.Command, "done: exit 0", flow.Ended},
		"signal":                   {end(run.Signalled, 0, "killed by SIGSEGV after 1s"), nil, flow.Command, "fail: killed by SIGSEGV after 1s", flow.Ended},
		"timeout":                  {end(run.Timeout, 0, "timed out after 30m"), nil, flow.Command, "fail: timed out after 30m", flow.Limited},
		"silence":                  {end(run.Silence, 0, "silent for 10m"), nil, flow.Command, "fail: silent for 10m", flow.Limited},
		"killed":                   {end(run.Killed, 0, "killed by request after 1s"), nil, flow.Command, "fail: killed by request after 1s", flow.Killed},
		"not started":              {end(run.NotStarted, 0, "not started: no such directory"), nil, flow.Command, "fail: not started: no such directory", flow.NotStarted},
		"terminated":               {end(run.Terminated, 0, "interrupted: terminated from outside"), nil, flow.Command, "fail: interrupted: ", flow.Interrupted},
		"lost":                     {nil, nil, flow.Command, "fail: interrupted: the machine went down", flow.Interrupted},
	} {
		t.Run(what, func(t *testing.T) {
			j := &job{unit: &uow.Unit{}, kinds: []*config.JobType{c.kind}, plan: bare}
			cmd := &command{job: j, Start: flow.Start{Phase: c.phase, Try: 1}, end: c.end, lost: "the machine went down"}
			r := cmd.result()
			if got := statusText(j, r.Outcome, r.Text); !strings.HasPrefix(got, c.want) || !strings.HasSuffix(got, ", try 1") {
				t.Errorf("%q, want %q", got, c.want)
			}
			if r.Cause != c.cause {
				t.Errorf("cause %v, want %v", r.Cause, c.cause)
			}
			if q := destination(r.Outcome); q != map[string]spool.Queue{"done": spool.Done, "error": spool.Error, "fail:": spool.Fail, "fail": spool.Fail}[strings.SplitN(c.want, ":", 2)[0]] {
				t.Errorf("goes to %v", q)
			}
		})
	}
	plan, _ := flow.NewPlan([]flow.Node{{Step: flow.Step{Command: true, Tries: 3}}}, flow.Options{})
	second, _, err := flow.NewAt(plan, 2, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	j := &job{unit: &uow.Unit{}, plan: plan, flow: second}
	if got := statusText(j, flow.Done, "exit 0"); got != "done: exit 0, try 2 of 3" {
		t.Errorf("%q", got)
	}
	if j.unstarted = true; statusText(j, flow.Fail, "not started: expired") != "fail: not started: expired" {
		t.Error("one that never started has a try")
	}
}

func TestTail(t *testing.T) {
	for in, want := range map[string]string{"": "", "a": "a", "a\nb\n": "b", "a\r\n\r\n": "a", "a\n  b  \n": "b"} {
		if got := tail([]byte(in)); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// Every state but the last can be left, and nothing comes back from the dead.
func TestTransitions(t *testing.T) {
	for s := working; s < gone; s++ {
		if len(transitions[s]) == 0 {
			t.Errorf("%v is never left", s)
		}
	}
	for s := starting; s < told; s++ {
		if len(stages[s]) == 0 {
			t.Errorf("%v is never left", s)
		}
	}
	if len(transitions[gone]) > 0 {
		t.Error("gone is left")
	}
}
