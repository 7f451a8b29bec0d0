package flow

import (
	"fmt"
	"slices"
	"strings"
)

// Value is one value of the context, as a command wrote it.
type Value struct {
	Name    string // letters, digits and _, in capitals
	Content string
}

const (
	// MaxValue is the most one value may hold, in bytes.
	MaxValue = 64 << 10
	// MaxContext bounds what all steps of a flow add, names included.
	MaxContext = 1 << 20
)

// weight is what values count towards MaxContext.
func weight(values []Value) (n int) {
	for _, v := range values {
		n += len(v.Name) + len(v.Content) + 2
	}
	return n
}

// tooMuch tells what is wrong with values that would be more than a flow may have.
func (f *Flow) tooMuch(values []Value) string {
	if more := f.size + weight(values); more > MaxContext && len(values) > 0 {
		return fmt.Sprintf("invalid output: all values of the flow together would be %d bytes (at most %d; write large things into a file in $MONITOR_SHARED)", more, MaxContext)
	}
	return ""
}

// The values of a step are kept with the step alone. Steps that added any are
// numbered in the order in which they succeeded, which is one in which each comes
// behind those it comes after. What a step sees is a set of these numbers; the
// values are merged when somebody asks.

// inherit finds what a step sees, when its turn has come.
func (f *Flow) inherit(i int) {
	var sees *set
	for _, p := range f.plan.pred.of(i) {
		sees = sees.union(f.steps[p].passes)
	}
	f.steps[i].sees = sees
}

// pass makes of what a step sees and of what it added what those behind it see.
func (f *Flow) pass(i int) {
	st := &f.steps[i]
	st.passes = st.sees
	if len(st.values) > 0 {
		st.passes = st.sees.with(len(f.setters))
		f.setters = append(f.setters, int32(i))
	}
}

// Environment is what the steps before a step, near or far, added to the context,
// sorted by name. A step's value goes before those of the steps it comes after; of
// two side by side the later written one's does. It is known from when the step is
// ready, and must not be changed.
func (f *Flow) Environment(step int) []Value {
	sees := f.steps[step].sees
	if sees == nil {
		return nil
	}
	for _, m := range f.merged {
		if m.sees == sees {
			return m.values
		}
	}
	m := merged{sees, f.merge(sees.list())}
	f.merged[f.mergedAt%recent] = m
	f.mergedAt++
	return m.values
}

// recent merges are kept: the commands of a try, and steps one after another, see
// the same values.
const recent = 32

type merged struct {
	sees   *set
	values []Value
}

// FinalContext is what all steps added, as a step would get it that came after
// all: what the log tells at the end, and what clean-ups get.
func (f *Flow) FinalContext() []Value {
	all := make([]int, len(f.setters))
	for n := range all {
		all[n] = n
	}
	return f.merge(all)
}

// merge finds whose value counts among these setters, given in their order: going
// back from the last, a value counts only if its step comes before none that sets
// the same name, and of those that are left the later written one's does.
func (f *Flow) merge(setters []int) []Value {
	type winner struct {
		value Value
		step  int32
		hides *set // the setters that come before one that sets the name
	}
	found := map[string]*winner{}
	for _, n := range slices.Backward(setters) {
		i := f.setters[n]
		st := &f.steps[i]
		for _, v := range st.values {
			w := found[v.Name]
			switch {
			case w == nil:
				found[v.Name] = &winner{v, i, st.sees}
			case w.hides.has(n):
			default:
				w.hides = w.hides.union(st.sees)
				if i > w.step {
					w.value, w.step = v, i
				}
			}
		}
	}
	values := make([]Value, 0, len(found))
	for _, w := range found {
		values = append(values, w.value)
	}
	slices.SortFunc(values, func(a, b Value) int { return strings.Compare(a.Name, b.Name) })
	return values
}
