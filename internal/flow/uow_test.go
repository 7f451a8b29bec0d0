package flow_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"simplejobq/internal/flow"
	"simplejobq/internal/uow"
)

// judge is what whoever calls both packages does with a file.
func judge(name, text string) (*flow.Plan, error) {
	u, err := uow.Parse(name, []byte(text))
	if err != nil {
		return nil, err
	}
	var nodes []flow.Node
	for i, s := range u.Steps {
		o := u.StepOptions(i)
		nodes = append(nodes, flow.Node{
			Name: s.Name, After: s.After, Ordered: s.HasAfter, Skip: s.Skip, ContinueOnFailure: s.ContinueOnFailure, Line: s.Line,
			Step: flow.Step{Check: s.Check != "", Command: s.Command != "" || s.Job != "", Cleanup: s.Cleanup != "", Tries: max(1, o.Tries)},
		})
	}
	p, faults := flow.NewPlan(nodes, flow.Options{Goal: u.Goal})
	var all uow.Errors
	for _, f := range faults {
		all = append(all, u.StepFault(f.Step, f.Item, "%s", f.Text))
	}
	slices.SortStableFunc(all, func(a, b *uow.Error) int { return cmp.Compare(a.Line, b.Line) })
	if len(all) > 0 {
		return nil, all
	}
	return p, nil
}

// TestGraphFaultsHaveLines: the graph's faults come out as those of the file do.
func TestGraphFaultsHaveLines(t *testing.T) {
	text := `==== UNIT OF WORK
GOAL :: wine

==== STEP a
AFTER :: c, a
COMMAND :: true
==== STEP b
AFTER :: a, nobody
==== STEP c
after :: b
==== STEP d
`
	want := `night:2: item "GOAL": there is no step "wine" in this UOW (write names of its steps, with commas between them)
night:5: item "AFTER": a step can't come after itself (remove the name)
night:5: item "AFTER": these steps wait for one another: a → c → b → a (remove one of them from the AFTER of the one before it)
night:8: item "AFTER": there is no step "nobody" in this UOW (write names of its steps, with commas between them)
night:11: step "d": it has no AFTER, while step "a" in line 4 has one (give every step an AFTER, an empty one to those that start at once; or none)`
	if _, err := judge("night", text); err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestHundredThousandSteps(t *testing.T) {
	const n = 100_000
	var b strings.Builder
	b.WriteString("==== UNIT OF WORK\nTRIES :: 3\n\n")
	for i := range n {
		fmt.Fprintf(&b, "==== STEP s%d\nCOMMAND :: true\nAFTER ::", i)
		if i > 0 {
			fmt.Fprintf(&b, " s%d", (i-1)/2)
		}
		b.WriteString("\n")
	}
	p, err := judge("many", b.String())
	if err != nil {
		t.Fatal(err)
	}
	if p.Len() != n || p.Of() != n || p.Node(7).Tries != 3 {
		t.Errorf("%d steps, %+v", p.Len(), p.Node(7))
	}
}
