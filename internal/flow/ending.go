package flow

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Tally counts how the steps stand that are counted.
type Tally struct {
	Of, Done, Failed, Cancelled, NotReached int
}

func (t Tally) String() string {
	text := fmt.Sprintf("%d done", t.Done)
	for _, c := range []struct {
		n    int
		what string
	}{{t.Failed, "failed"}, {t.Cancelled, "cancelled"}, {t.NotReached, "not reached"}} {
		if c.n > 0 {
			text += fmt.Sprintf(", %d %s", c.n, c.what)
		}
	}
	return text
}

// Tally is how the flow stands now.
func (f *Flow) Tally() Tally {
	return Tally{
		Of: f.plan.of, Done: f.counts[Succeeded] + f.counts[Skipped], Failed: f.counts[Failed],
		Cancelled: f.counts[Cancelled], NotReached: f.counts[NotReached],
	}
}

// Ending is the outcome of a flow.
type Ending struct {
	Outcome Outcome
	Text    string // for STATUS, without the outcome's word
	Step    int    // the step that Text names, -1 if it names none
}

// Cancel ends the flow as a whole: KILL JOB is Killed, its TIMEOUT Limited. What
// runs is Unwanted from now on, nothing is tried again. Without a record it came
// too late. The record is to be on disk before anything is ended for it, or a
// crash in between makes failures of what was cancelled.
func (f *Flow) Cancel(cause Cause, text string) (*Record, []Change) {
	f.resume()
	if f.settled || f.halt == cancelled {
		return nil, f.told()
	}
	rec := Record{Kind: FlowCancelled, Cause: cause, Outcome: Fail, Text: text}
	f.cancel(rec)
	f.settle()
	return &rec, f.told()
}

func (f *Flow) cancel(rec Record) {
	f.halt, f.why = cancelled, rec
}

// settle ends a flow in which nothing runs and nothing can start: only now is
// known which steps are not reached.
func (f *Flow) settle() {
	if f.settled || f.restored || f.running > 0 {
		return
	}
	waits := len(f.pending.items)
	if f.halt == going {
		waits += len(f.fresh.items) + len(f.delayed.items)
	}
	if waits > 0 && f.halt < killing {
		return
	}
	f.settled = true
	for i := range f.steps {
		switch st := &f.steps[i]; {
		case st.state == Waiting, st.state == Ready && st.try == 1:
			f.turn(i, NotReached, "")
		case st.state == Ready:
			st.try-- // the last one there was
			f.turn(i, Failed, st.text)
			f.failures = append(f.failures, int32(i))
		case st.state.InTry():
			st.mid, st.phase, st.text = false, "", "" // it is not its last command that ended it
			f.turn(i, Cancelled, "")
		}
		if f.owes(i) {
			f.cleanups = append(f.cleanups, int32(i))
		}
	}
	f.fresh.items, f.pending.items, f.delayed.items = nil, nil, nil
	slices.SortFunc(f.cleanups, func(a, b int32) int { return int(f.steps[a].first - f.steps[b].first) })
}

// Ending is the outcome, once nothing runs and nothing can start any more. Clean-ups
// may still be due: they change nothing of it.
func (f *Flow) Ending() (Ending, bool) { return f.EndingWithin(math.MaxInt) }

// EndingWithin is Ending for where Text has no more room than so many bytes: what the
// steps ran gives way first, then how they ended, and the counts never.
func (f *Flow) EndingWithin(most int) (Ending, bool) {
	if !f.settled {
		return Ending{}, false
	}
	if f.plan.plain() {
		return f.plainEnding(), true
	}
	tally := f.Tally()
	e := Ending{Outcome: Done, Text: tally.String(), Step: -1}
	if f.halt == cancelled && tally.Done < tally.Of {
		e.Outcome, e.Text = Fail, f.why.Text+"; "+e.Text
		return e, true
	}
	first, fail := -1, -1
	for _, i := range f.fatal() {
		if first < 0 {
			first = i
		}
		if fail < 0 && f.steps[i].outcome == Fail {
			fail = i
		}
	}
	if first < 0 {
		return e, true
	}
	e.Outcome, e.Step = Error, first
	steps := []int{first}
	if fail >= 0 {
		e.Outcome = Fail
		if fail != first {
			steps = append(steps, fail)
		}
	}
	const between = "; "
	e.Text = f.named(steps, most-len(between)-len(e.Text)) + between + e.Text
	return e, true
}

// fatal are the steps whose failure is that of the flow, the first one first:
// in time, for it stopped the rest; with go on, where nothing stops, as written, so
// that the same end reads the same.
func (f *Flow) fatal() (steps []int) {
	for _, i := range f.failures {
		if !f.plan.nodes[i].ContinueOnFailure {
			steps = append(steps, int(i))
		}
	}
	if f.plan.opts.OnFailure == GoOn {
		slices.Sort(steps)
	}
	return steps
}

// named says which steps ended how, and what they ran, in so many bytes: what the ends
// leave of them is shared, and what one command does not need is the other's.
func (f *Flow) named(steps []int, most int) string {
	ends := make([]string, len(steps))
	room, want := most-len("; ")*(len(steps)-1), 0
	for k, i := range steps {
		n, st := &f.plan.nodes[i], &f.steps[i]
		ends[k] = fmt.Sprintf("step %q (try %d of %d): %s", n.Name, st.try, max(n.Tries, int(st.try)), st.text)
		if st.said != "" {
			ends[k] += ": "
		}
		room -= len(ends[k])
		want += len(st.said)
	}
	for k, i := range steps {
		said := f.steps[i].said
		want -= len(said)
		said = cut(said, max(room/(len(steps)-k), room-want))
		room -= len(said)
		ends[k] += said
	}
	return cut(strings.Join(ends, "; "), most)
}

// cut leaves of a text what has room.
func cut(s string, most int) string {
	const more = "…"
	if len(s) <= most {
		return s
	}
	n := max(0, most-len(more))
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + more
}

// plainEnding is that of a UOW without steps: its one step's.
func (f *Flow) plainEnding() Ending {
	st := &f.steps[0]
	switch {
	case st.state == Succeeded || st.state == Skipped:
		return Ending{Done, st.text, 0}
	case f.halt != cancelled:
		return Ending{st.outcome, st.text, 0}
	case st.state == Cancelled && st.text != "":
		return Ending{Fail, st.text, 0}
	}
	return Ending{Fail, f.why.Text, 0}
}

// Standing is how a step stands, for those who show it.
type Standing struct {
	State   State
	Try     int       // the one that runs or is due; else the last
	Due     time.Time // of the next try, where another has failed
	Outcome Outcome   // of the last command that ended
	Text    string
	Kept    bool // it succeeded in an earlier run
}

// Standing tells how a step stands.
func (f *Flow) Standing(i int) Standing {
	st := &f.steps[i]
	s := Standing{State: st.state, Try: int(st.try), Outcome: st.outcome, Text: st.text, Kept: st.kept}
	if st.state == Ready && st.try > 1 {
		s.Due = st.due
	}
	return s
}

// Running is the number of commands that are out, a clean-up included.
func (f *Flow) Running() int {
	if f.cleaning >= 0 {
		return f.running + 1
	}
	return f.running
}
