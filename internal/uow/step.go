package uow

import (
	"cmp"
	"fmt"
	"strings"
)

// Step is one STEP section of a flow. With the embedded Options come the items
// that mean the same as in UNIT OF WORK, as they stand in the section itself: see
// StepOptions.
type Step struct {
	Name string
	Line int // of its title
	Options
	After             []string
	HasAfter          bool // it has an AFTER, if an empty one
	Skip              bool
	ContinueOnFailure bool
	Own               []Item // the step's own, in order

	items  []Item // in order
	unread bool   // a line of it
}

// after reads the AFTER of a STEP, which may be empty: the step starts at once.
func after(st *Step, s string) string {
	st.HasAfter = true
	if s == "" {
		return ""
	}
	list, fault := splitSteps(s, "or leave it empty")
	st.After = list
	return fault
}

func goal(u *Unit, s string) string {
	list, fault := splitSteps(s, "or leave the item out")
	u.Goal = list
	return fault
}

// splitSteps reads names of steps. Whether there are such steps is for the graph
// to tell.
func splitSteps(s, or string) (list []string, fault string) {
	const write = "write names of steps, with commas between them"
	if s == "" {
		return nil, not(s, "", write+", "+or)
	}
	seen := map[string]bool{}
	for name := range strings.SplitSeq(s, ",") {
		name = strings.Trim(name, blanks)
		switch {
		case name == "":
			fault = cmp.Or(fault, "a name is missing beside a comma ("+write+", "+or+")")
		case seen[name]:
			fault = cmp.Or(fault, quote(name)+" stands there twice (write it once)")
		default:
			seen[name] = true
			list = append(list, name)
		}
	}
	return list, fault
}

// StepOptions are the options of a step over those that UNIT OF WORK gives to all.
// What a step runs is its own alone, and TIMEOUT of UNIT OF WORK is that of the
// flow as a whole.
func (u *Unit) StepOptions(i int) Options {
	o := u.Steps[i].Options
	fill(&o.Silence, u.Silence)
	fill(&o.RetryDelay, u.RetryDelay)
	fill(&o.RetryInterrupted, u.RetryInterrupted)
	fill(&o.Terminal, u.Terminal)
	fill(&o.Nice, u.Nice)
	fill(&o.Memory, u.Memory)
	fill(&o.CPUs, u.CPUs)
	if o.Tries == 0 {
		o.Tries = u.Tries
	}
	if o.Directory == "" {
		o.Directory = u.Directory
	}
	return o
}

func fill[T any](field **T, from *T) {
	if *field == nil {
		*field = from
	}
}

// StepGet returns the content of an item of a step, else that of UNIT OF WORK:
// what the arguments of a step's JOB are filled from.
func (u *Unit) StepGet(i int, item string) (string, bool) {
	if it, ok := find(u.Steps[i].items, item); ok {
		return it.Content, true
	}
	return u.Get(item)
}

// StepFault is an error about an item of a step, at its line; where the step has
// no such item, or none is given, at the line of its title. A negative i is UNIT
// OF WORK. It is for checks that need what this package does not know: the graph
// of the steps, the configuration.
func (u *Unit) StepFault(i int, item, format string, args ...any) *Error {
	if i < 0 {
		return u.Fault(item, format, args...)
	}
	st := &u.Steps[i]
	e := &Error{File: u.name, Line: st.Line, Text: fmt.Sprintf(format, args...)}
	it, ok := find(st.items, item)
	if ok {
		item, e.Line = it.Name, it.Line
	}
	if item != "" {
		e.Text = "item " + quote(item) + ": " + e.Text
	}
	if !ok {
		e.Text = "step " + quote(st.Name) + ": " + e.Text
	}
	return e
}
