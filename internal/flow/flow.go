package flow

import "fmt"

// Phase is one command of a try. Each is entered by the loop when it writes the
// start record, and left when the record's end is read.
type Phase string

// The phases of a try.
const (
	Check   Phase = "check"
	Command Phase = "command"
	Recheck Phase = "recheck"
	Cleanup Phase = "cleanup"
)

// Outcome is how a run, a try or the whole ended.
type Outcome string

// The outcomes, named as the queues they lead to.
const (
	Done  Outcome = "done"
	Error Outcome = "error"
	Fail  Outcome = "fail"
)

// Cause says more of an end than its outcome, where it decides what comes next.
type Cause int

// The causes.
const (
	Ended       Cause = iota // by itself, or by a limit of time
	Limited                  // by TIMEOUT or SILENCE: for a CHECK that is no answer
	NotStarted               // never tried again
	Killed                   // by request: ends everything, clean-up aside
	Interrupted              // runner gone, or terminated from outside
	BadOutput                // it would have been a success, but for what it wrote into its output file
)

// Step is what of a UOW matters here.
type Step struct {
	Check, Command, Cleanup bool
	Tries                   int
	RetryInterrupted        bool
	NoAct                   bool // run checks only
}

// Result is the end of one run.
type Result struct {
	Outcome Outcome
	Cause   Cause
	Text    string // the outcome in words, without its first word
}

// Do is what to do next.
type Do int

// The actions.
const (
	Run   Do = iota // start the command of Phase in try Try
	Again           // another try is due: Try is its number
	End             // the outcome stands
)

// Action is the next action.
type Action struct {
	Do      Do
	Phase   Phase
	Try     int
	Outcome Outcome // of the try that ended, for Again; of the whole, for End
	Text    string
	Repeat  bool // Run: the same command once more, because it was interrupted
}

// Begin is the first action of a try.
func Begin(s Step, try int) Action {
	if s.Check {
		return Action{Do: Run, Phase: Check, Try: try}
	}
	if s.NoAct {
		return Action{Do: End, Try: try, Outcome: Error, Text: "no act: there is no CHECK that could tell whether COMMAND is needed"}
	}
	return Action{Do: Run, Phase: Command, Try: try}
}

// Next is the action after a command of a try ended.
func Next(s Step, phase Phase, try int, r Result) Action {
	if r.Cause == Interrupted {
		switch {
		case phase == Command && s.Check:
			return Action{Do: Run, Phase: Recheck, Try: try}
		case phase != Command || s.RetryInterrupted:
			return Action{Do: Run, Phase: phase, Try: try, Repeat: true}
		}
		return Action{Do: End, Try: try, Outcome: Fail, Text: r.Text}
	}
	// A check's yes is exit 0 and nothing else; its no is any other end that it
	// came to by itself.
	final := r.Cause == Killed || r.Cause == NotStarted
	switch {
	case r.Cause == BadOutput:
		r.Outcome, phase = Error, Command // the text says it all
	case final || phase != Command && r.Cause == Limited:
		r.Outcome = Fail
	case phase == Check && r.Outcome != Done && s.NoAct:
		return Action{Do: End, Try: try, Outcome: Error, Text: "no act: " + said(phase, r.Text)}
	case phase == Check && r.Outcome != Done && s.Command:
		return Action{Do: Run, Phase: Command, Try: try}
	case phase == Command && s.Check:
		return Action{Do: Run, Phase: Recheck, Try: try}
	case phase != Command && r.Outcome != Done:
		r.Outcome = Error
	}
	a := Action{Do: End, Try: try, Outcome: r.Outcome, Text: said(phase, r.Text)}
	if r.Outcome != Done && !final && try < s.Tries && !s.NoAct {
		a.Do, a.Try = Again, try+1
	}
	return a
}

func said(phase Phase, text string) string {
	if phase == Command {
		return text
	}
	return fmt.Sprintf("%s %s", phase, text)
}
