package flow

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// randomNodes are steps in layers, each after a few of those above it: the shape
// of a build or of a data flow. Three of four add a value.
func randomNodes(n, degree int) []Node {
	r := rand.New(rand.NewPCG(1, 2))
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{Name: fmt.Sprintf("step-%d", i), Ordered: true, Step: Step{Command: true, Tries: 1}}
		for d := 0; d < degree && i > 0; d++ {
			if j := max(0, i-1-r.IntN(2000)); j != i {
				nodes[i].After = append(nodes[i].After, nodes[j].Name)
			}
		}
	}
	return nodes
}

func chainNodes(n int) []Node {
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{Name: fmt.Sprintf("step-%d", i), Step: Step{Command: true, Tries: 1}}
	}
	return nodes
}

func wideNodes(n int) []Node {
	nodes := chainNodes(n)
	for i := range nodes {
		nodes[i].Ordered = true
	}
	return nodes
}

var shapes = []struct {
	name  string
	nodes func(n int) []Node
}{
	{"chain", chainNodes},
	{"wide", wideNodes},
	{"random", func(n int) []Node { return randomNodes(n, 3) }},
}

func BenchmarkNewPlan(b *testing.B) {
	for _, s := range shapes {
		for _, n := range []int{10_000, 100_000} {
			nodes := s.nodes(n)
			b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) {
				for b.Loop() {
					if _, faults := NewPlan(nodes, Options{Parallel: 8}); faults != nil {
						b.Fatal(faults)
					}
				}
			})
		}
	}
}

// BenchmarkFlow runs whole flows; decisions are the commands started and ended.
func BenchmarkFlow(b *testing.B) {
	for _, s := range shapes {
		for _, n := range []int{10_000, 100_000} {
			for _, values := range []int{0, 1} {
				p, _ := NewPlan(s.nodes(n), Options{Parallel: 8})
				b.Run(fmt.Sprintf("%s/%d/values=%d", s.name, n, values), func(b *testing.B) {
					for b.Loop() {
						drive(b, p, values)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/decision")
				})
			}
		}
	}
}

// drive runs a flow to its end; one in a hundred steps adds a value.
func drive(tb testing.TB, p *Plan, values int) (past []Record) {
	f, _ := New(p)
	now := time.Unix(0, 0)
	var out []Start
	for {
		starts, _ := f.Ready(now, p.Parallel())
		out = append(out, starts...)
		if len(out) == 0 {
			break
		}
		s := out[0]
		out = out[1:]
		f.Environment(s.Step)
		rep := Report{Step: s.Step, Result: Result{Outcome: Done, Text: "exit 0"}}
		if values > 0 && s.Step%100 == 0 {
			rep.Output = []Value{{fmt.Sprintf("V%d", s.Step%1000), "x"}}
		}
		rec, _, err := f.Ended(rep)
		if err != nil {
			tb.Fatal(err)
		}
		past = append(past, rec)
	}
	if e, over := f.Ending(); !over || e.Outcome != Done {
		tb.Fatalf("%+v", e)
	}
	return past
}

func BenchmarkRestore(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		p, _ := NewPlan(randomNodes(n, 3), Options{Parallel: 8})
		var file []byte
		for _, r := range drive(b, p, 1) {
			file = r.Append(file)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				past, _, err := DecodePast(file)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := Restore(p, past); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
