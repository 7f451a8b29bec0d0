package flow

import (
	"strings"
	"testing"
)

// TestEndingWithin: where there is little room the commands give way, then how the
// steps ended, and the counts never.
func TestEndingWithin(t *testing.T) {
	long := strings.Repeat("ä", 200)
	for _, c := range []struct {
		a, b string // what the steps ran
		most int
		want string
	}{
		{"./a", "./b", 130, `step "a" (try 1 of 1): exit 1: ./a; step "b" (try 1 of 1): killed by SIGSEGV: ./b; 0 done, 2 failed, 1 not reached`},
		{"./a", "./b", 116, `step "a" (try 1 of 1): exit 1: ./a; step "b" (try 1 of 1): killed by SIGSEGV: ./b; 0 done, 2 failed, 1 not reached`},
		{long, "./b", 130, `step "a" (try 1 of 1): exit 1: ääääääää…; step "b" (try 1 of 1): killed by SIGSEGV: ./b; 0 done, 2 failed, 1 not reached`},
		{"./a", long, 130, `step "a" (try 1 of 1): exit 1: ./a; step "b" (try 1 of 1): killed by SIGSEGV: ääääääää…; 0 done, 2 failed, 1 not reached`},
		{long, long, 130, `step "a" (try 1 of 1): exit 1: ääää…; step "b" (try 1 of 1): killed by SIGSEGV: ääää…; 0 done, 2 failed, 1 not reached`},
		{long, long, 100, `step "a" (try 1 of 1): exit 1: …; step "b" (try 1 of 1): kille…; 0 done, 2 failed, 1 not reached`},
		{long, long, 30, `…; 0 done, 2 failed, 1 not reached`},
	} {
		f, _ := New(plan(t, Options{}, "a:c<", "b:c<", "c:c<a,b"))
		f.Ready(origin, 2)
		for i, r := range []Report{{Result: no, Said: c.a}, {Result: Result{Outcome: Fail, Text: "killed by SIGSEGV"}, Said: c.b}} {
			r.Step = i
			if _, _, err := f.Ended(r); err != nil {
				t.Fatal(err)
			}
		}
		e, over := f.EndingWithin(c.most)
		if !over || e.Outcome != Fail || e.Text != c.want {
			t.Errorf("%d: %+v\nwant %q", c.most, e, c.want)
		}
		if len(e.Text) > c.most && c.most > 50 {
			t.Errorf("%d bytes, %d have room", len(e.Text), c.most)
		}
	}
}

// TestNamedCommand: STATUS names the command whose end it tells.
func TestNamedCommand(t *testing.T) {
	gate := node("a:k")
	both := node("a:kc")
	noAct := Options{NoAct: true}
	for _, c := range []struct {
		node   Node
		o      Options
		script []Result // of one command after the other
		want   string
	}{
		{both, Options{}, []Result{late}, "check timed out: ./check"},
		{both, Options{}, []Result{none}, "check not started: ./check"},
		{both, noAct, []Result{no}, "no act: check exit 1: ./check"},
		{both, Options{}, []Result{no, no, no}, "recheck exit 1: ./command"},
		{both, Options{}, []Result{no, late, no}, "recheck exit 1: ./command"},
		{both, Options{}, []Result{no, none}, "not started: ./command"},
		{both, Options{}, []Result{no, ok, late}, "recheck timed out: ./check"},
		{both, Options{}, []Result{no, ok, none}, "recheck not started: ./check"},
		{node("a:c"), Options{}, []Result{late}, "timed out: ./command"},
		{gate, Options{}, []Result{no}, "check exit 1: ./check"},
	} {
		c.node.CheckText = "./check"
		p, faults := NewPlan([]Node{c.node}, c.o)
		if faults != nil {
			t.Fatal(faults)
		}
		f, _ := New(p)
		for _, r := range c.script {
			if starts, _ := f.Ready(origin, 1); len(starts) != 1 {
				t.Fatalf("%q: started %v", c.want, starts)
			}
			if _, _, err := f.Ended(Report{Result: r, Said: "./command"}); err != nil {
				t.Fatal(err)
			}
		}
		if e, over := f.Ending(); !over || e.Text != `step "a" (try 1 of 1): `+c.want+"; 0 done, 1 failed" {
			t.Errorf("%v %q, want %q", over, e.Text, c.want)
		}
	}
}
