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
