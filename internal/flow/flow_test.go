package flow

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var (
	ok    = Result{Outcome: Done, Text: "exit 0"}
	no    = Result{Outcome: Error, Text: "exit 1"}
	late  = Result{Outcome: Fail, Cause: Limited, Text: "timed out"}
	none  = Result{Outcome: Fail, Cause: NotStarted, Text: "not started"}
	kill  = Result{Outcome: Fail, Cause: Killed, Text: "killed"}
	lost  = Result{Outcome: Fail, Cause: Interrupted, Text: "interrupted"}
	plain = Step{Command: true, Tries: 1}
	both  = Step{Check: true, Command: true, Tries: 2}
	gate  = Step{Check: true, Tries: 3}
)

func TestNext(t *testing.T) {
	retry := plain
	retry.Tries = 3
	again := plain
	again.RetryInterrupted = true
	noAct := both
	noAct.NoAct = true
	for _, c := range []struct {
		name  string
		step  Step
		phase Phase
		try   int
		r     Result
		want  Action
	}{
		{"command done", plain, Command, 1, ok, Action{Do: End, Try: 1, Outcome: Done, Text: "exit 0"}},
		{"command error", plain, Command, 1, no, Action{Do: End, Try: 1, Outcome: Error, Text: "exit 1"}},
		{"error, tries left", retry, Command, 1, no, Action{Do: Again, Try: 2, Outcome: Error, Text: "exit 1"}},
		{"timeout, tries left", retry, Command, 2, late, Action{Do: Again, Try: 3, Outcome: Fail, Text: "timed out"}},
		{"tries used up", retry, Command, 3, no, Action{Do: End, Try: 3, Outcome: Error, Text: "exit 1"}},
		{"not started is final", retry, Command, 1, none, Action{Do: End, Try: 1, Outcome: Fail, Text: "not started"}},
		{"killed is final", retry, Command, 1, kill, Action{Do: End, Try: 1, Outcome: Fail, Text: "killed"}},
		{"interrupted is final", retry, Command, 1, lost, Action{Do: End, Try: 1, Outcome: Fail, Text: "interrupted"}},
		{"unless asked", again, Command, 1, lost, Action{Do: Run, Phase: Command, Try: 1, Repeat: true}},
		{"check yes", both, Check, 1, ok, Action{Do: End, Try: 1, Outcome: Done, Text: "check exit 0"}},
		{"check no", both, Check, 1, no, Action{Do: Run, Phase: Command, Try: 1}},
		{"check timed out fails the try", both, Check, 1, late, Action{Do: Again, Try: 2, Outcome: Fail, Text: "check timed out"}},
		{"check not started", both, Check, 1, none, Action{Do: End, Try: 1, Outcome: Fail, Text: "check not started"}},
		{"check interrupted", both, Check, 2, lost, Action{Do: Run, Phase: Check, Try: 2, Repeat: true}},
		{"recheck decides after an error", both, Command, 1, no, Action{Do: Run, Phase: Recheck, Try: 1}},
		{"recheck decides after a timeout", both, Command, 1, late, Action{Do: Run, Phase: Recheck, Try: 1}},
		{"recheck decides after an interruption", both, Command, 1, lost, Action{Do: Run, Phase: Recheck, Try: 1}},
		{"kill ends all", both, Command, 1, kill, Action{Do: End, Try: 1, Outcome: Fail, Text: "killed"}},
		{"recheck yes", both, Recheck, 1, ok, Action{Do: End, Try: 1, Outcome: Done, Text: "recheck exit 0"}},
		{"recheck no", both, Recheck, 1, no, Action{Do: Again, Try: 2, Outcome: Error, Text: "recheck exit 1"}},
		{"recheck by a signal is a no", both, Recheck, 2, Result{Outcome: Fail, Text: "killed by SIGSEGV"},
			Action{Do: End, Try: 2, Outcome: Error, Text: "recheck killed by SIGSEGV"}},
		{"gate no", gate, Check, 3, no, Action{Do: End, Try: 3, Outcome: Error, Text: "check exit 1"}},
		{"no act, needed", noAct, Check, 1, no, Action{Do: End, Try: 1, Outcome: Error, Text: "no act: check exit 1"}},
		{"no act, not needed", noAct, Check, 1, ok, Action{Do: End, Try: 1, Outcome: Done, Text: "check exit 0"}},
	} {
		if diff := cmp.Diff(c.want, Next(c.step, c.phase, c.try, c.r)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, diff)
		}
	}
}

func TestBegin(t *testing.T) {
	if a := Begin(both, 2); a.Phase != Check || a.Try != 2 {
		t.Errorf("a step with a CHECK begins with %+v", a)
	}
	if a := Begin(plain, 1); a.Phase != Command {
		t.Errorf("a plain step begins with %+v", a)
	}
	if a := Begin(Step{Command: true, NoAct: true, Tries: 5}, 1); a.Do != End || a.Outcome != Error {
		t.Errorf("no act without a check: %+v", a)
	}
}

// Whatever happens, tries are never exceeded, COMMAND never runs in a no-act
// step, and without interruptions every step comes to an end.
func TestAnyStepEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Step{
			Check: rapid.Bool().Draw(t, "check"), Tries: rapid.IntRange(1, 4).Draw(t, "tries"),
			RetryInterrupted: rapid.Bool().Draw(t, "retry"), NoAct: rapid.Bool().Draw(t, "noact"),
		}
		s.Command = !s.Check || rapid.Bool().Draw(t, "command")
		a, interruptions := Begin(s, 1), 0
		for runs := 0; a.Do != End; runs++ {
			if runs > 3*s.Tries+interruptions {
				t.Fatalf("%d runs of a step with %d tries", runs, s.Tries)
			}
			if a.Do == Again {
				a = Begin(s, a.Try)
				continue
			}
			if a.Try > s.Tries || a.Phase == Command && s.NoAct {
				t.Fatalf("illegal action %+v of %+v", a, s)
			}
			r := rapid.SampledFrom([]Result{ok, no, late, none, kill, lost}).Draw(t, "result")
			if r.Cause == Interrupted {
				if interruptions++; interruptions > 3 {
					r = ok
				}
			}
			a = Next(s, a.Phase, a.Try, r)
		}
	})
}
