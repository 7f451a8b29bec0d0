package flow

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		nodes []string
		goal  []string
		want  []string
	}{
		{"unknown", []string{"a:c<x", "b:c<a,y"}, []string{"z"}, []string{
			`1 AFTER: there is no step "x" in this UOW (write names of its steps, with commas between them)`,
			`2 AFTER: there is no step "y" in this UOW (write names of its steps, with commas between them)`,
			`0 GOAL: there is no step "z" in this UOW (write names of its steps, with commas between them)`}},
		{"itself", []string{"a:c<a"}, nil, []string{`1 AFTER: a step can't come after itself (remove the name)`}},
		{"twice", []string{"a:c", "a:c"}, nil, []string{`2 : there is one of this name already in line 1 (give it another name)`}},
		{"no name", []string{"a:c", ":c"}, nil, []string{`2 : it has no name (write "==== STEP name")`}},
		{"mix", []string{"a:c", "b:c<", "c:c"}, nil, []string{
			`1 : it has no AFTER, while step "b" in line 2 has one (give every step an AFTER, an empty one to those that start at once; or none)`}},
		{"cycle", []string{"a:c<b", "b:c<c", "c:c<a", "d:c<a"}, nil, []string{
			`1 AFTER: these steps wait for one another: a → b → c → a (remove one of them from the AFTER of the one before it)`}},
		{"two that share a step, the shorter first", []string{"a:c<b", "b:c<c", "c:c<a,b"}, nil, []string{
			`2 AFTER: these steps wait for one another: b → c → b (remove one of them from the AFTER of the one before it)`,
			`1 AFTER: these steps wait for one another: a → b → c → a (remove one of them from the AFTER of the one before it)`}},
		{"two apart", []string{"a:c<b", "b:c<a", "c:c<d", "d:c<c"}, nil, []string{
			`1 AFTER: these steps wait for one another: a → b → a (remove one of them from the AFTER of the one before it)`,
			`3 AFTER: these steps wait for one another: c → d → c (remove one of them from the AFTER of the one before it)`}},
	} {
		var nodes []Node
		for i, text := range c.nodes {
			n := node(text)
			n.Line = i + 1
			nodes = append(nodes, n)
		}
		p, faults := NewPlan(nodes, Options{Goal: c.goal})
		var got []string
		for _, f := range faults {
			got = append(got, fmt.Sprintf("%d %s: %s", f.Line, f.Item, f.Text))
		}
		if diff := cmp.Diff(c.want, got); diff != "" || p != nil {
			t.Errorf("%s: plan %v (-want +got):\n%s", c.name, p, diff)
		}
	}
}

// TestHugeGraphs: nothing overflows, nothing is quadratic.
func TestHugeGraphs(t *testing.T) {
	const n = 100_000
	ring := wideNodes(n)
	for i := range ring {
		ring[i].After = []string{ring[(i+1)%n].Name}
	}
	if _, faults := NewPlan(ring, Options{}); len(faults) != 1 || !strings.Contains(faults[0].Text, "step-0 → step-1 → ") || len(faults[0].Text) > 20_000 {
		t.Errorf("a ring of %d: %d faults", n, len(faults))
	}
	strangers := wideNodes(n)
	for i := range strangers {
		strangers[i].After = []string{"nobody"}
	}
	if _, faults := NewPlan(strangers, Options{}); len(faults) != maxFaults {
		t.Errorf("%d faults", len(faults))
	}
	groups := chainNodes(n)
	for i := range groups {
		groups[i].Step = Step{}
	}
	p, _ := NewPlan(groups, Options{})
	if f, changes := New(p); !f.Clean() || len(changes) != n {
		t.Errorf("a chain of groups: %d changes, %v", len(changes), f.Tally())
	}
	drive(t, must(NewPlan(chainNodes(n), Options{})), 1)
}

func must(p *Plan, faults []Fault) *Plan {
	if faults != nil {
		panic(faults)
	}
	return p
}

// TestBehind compares the counts of both ways with the definition.
func TestBehind(t *testing.T) {
	nodes := randomNodes(1500, 2)
	p := &planner{Plan: must(NewPlan(nodes, Options{Goal: []string{"step-1400", "step-700"}}))}
	for i := range nodes {
		seen := map[int32]bool{}
		list := []int32{int32(i)}
		for at := 0; at < len(list); at++ {
			for _, j := range p.succ.of(int(list[at])) {
				if p.inGoal[j] && !seen[j] {
					seen[j] = true
					list = append(list, j)
				}
			}
		}
		if int(p.behind[i]) != len(seen) {
			t.Fatalf("behind step %d are %d, counted %d", i, len(seen), p.behind[i])
		}
	}
	chain := &planner{Plan: must(NewPlan(chainNodes(1000), Options{}))}
	if diff := cmp.Diff(chain.countBehind(), chain.chainBehind()); diff != "" {
		t.Errorf("in a chain both ways are the same: %s", diff)
	}
}
