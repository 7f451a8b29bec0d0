package flow

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// node reads "name: kinds < after, after"; kinds are letters: k CHECK, c COMMAND,
// u CLEANUP, s SKIP, f CONTINUE ON FAILURE, i RETRY INTERRUPTED, a digit for TRIES.
func node(text string) Node {
	head, after, ordered := strings.Cut(text, "<")
	name, kinds, _ := strings.Cut(head, ":")
	n := Node{Name: strings.TrimSpace(name), Ordered: ordered, RetryDelay: 10 * time.Second}
	n.Tries = 1
	for _, k := range strings.TrimSpace(kinds) {
		switch k {
		case 'k':
			n.Check = true
		case 'c':
			n.Command = true
		case 'u':
			n.Cleanup = true
		case 's':
			n.Skip = true
		case 'f':
			n.ContinueOnFailure = true
		case 'i':
			n.RetryInterrupted = true
		default:
			n.Tries = int(k - '0')
		}
	}
	for a := range strings.SplitSeq(after, ",") {
		if a = strings.TrimSpace(a); a != "" {
			n.After = append(n.After, a)
		}
	}
	return n
}

func plan(t testing.TB, o Options, texts ...string) *Plan {
	t.Helper()
	var nodes []Node
	for _, text := range texts {
		nodes = append(nodes, node(text))
	}
	if o.Parallel == 0 {
		o.Parallel = 8
	}
	p, faults := NewPlan(nodes, o)
	if faults != nil {
		t.Fatal(faults)
	}
	return p
}

// play drives a flow by a script of words: "+name" starts what can be started and
// wants name to be among it, "name=end" is the end of its command, "10s" lets time
// go by, "cancel" is KILL JOB. It tells the states and the ending.
func play(t *testing.T, p *Plan, script string) string {
	t.Helper()
	f, _ := New(p)
	now := origin
	index := func(name string) int {
		i, ok := p.Index(name)
		if !ok {
			t.Fatalf("no step %q", name)
		}
		return i
	}
	ends := map[string]Result{"ok": ok, "no": no, "late": late, "none": none, "kill": kill, "lost": lost,
		"sig": {Outcome: Fail, Text: "killed by SIGSEGV"}}
	for word := range strings.FieldsSeq(script) {
		if d, err := time.ParseDuration(word); err == nil {
			now = now.Add(d)
			continue
		}
		if word == "cancel" {
			if rec, _ := f.Cancel(Killed, "killed by request"); rec == nil {
				t.Errorf("%s: the cancellation came too late", word)
			}
			continue
		}
		if list, ok := strings.CutPrefix(word, "+"); ok {
			starts, _ := f.Ready(now, 100)
			var got []string
			for _, s := range starts {
				got = append(got, fmt.Sprintf("%s.%s", p.Node(s.Step).Name, s.Phase))
			}
			if g := strings.Join(got, ","); g != list {
				t.Errorf("%s: started %q", word, g)
			}
			continue
		}
		name, end, _ := strings.Cut(word, "=")
		if end == "never" {
			if _, err := f.NeverStarted(index(name)); err != nil {
				t.Fatalf("%s: %v", word, err)
			}
			continue
		}
		if _, _, err := f.Ended(Report{Step: index(name), Result: ends[end], Said: "./" + name}); err != nil {
			t.Fatalf("%s: %v", word, err)
		}
	}
	var states []string
	for i := range p.Len() {
		states = append(states, p.Node(i).Name+" "+f.Standing(i).State.String())
	}
	text := strings.Join(states, ", ")
	if e, over := f.Ending(); over {
		text += " | " + string(e.Outcome) + ": " + e.Text
	}
	return text
}

// TestContract plays the sentences about order and failure.
func TestContract(t *testing.T) {
	goOn, killAll := Options{OnFailure: GoOn}, Options{OnFailure: Kill}
	for _, c := range []struct {
		name   string
		o      Options
		nodes  []string
		script string
		want   string
	}{
		{"without AFTER each comes after the one above it", Options{}, []string{"a:c", "b:c"},
			"+a.command + a=ok +b.command b=ok", "a succeeded, b succeeded | done: 2 done"},
		{"an empty AFTER starts at once", Options{}, []string{"a:c<", "b:c<"},
			"+a.command,b.command a=ok b=ok", "a succeeded, b succeeded | done: 2 done"},
		{"CHECK yes: COMMAND is not run", Options{}, []string{"a:kc"}, "+a.check a=ok", "a succeeded | done: 1 done"},
		{"however COMMAND ended, CHECK decides", Options{}, []string{"a:kc"},
			"+a.check a=no +a.command a=sig +a.recheck a=ok", "a succeeded | done: 1 done"},
		{"the example of STATUS", goOn, []string{"bowl:c<", "popcorn:kc5<bowl", "food:<popcorn", "x:c<"},
			"+bowl.command,x.command bowl=ok x=ok " + strings.Repeat("10s +popcorn.check popcorn=no +popcorn.command popcorn=ok +popcorn.recheck popcorn=no ", 5),
			`bowl succeeded, popcorn failed, food not-reached, x succeeded | error: step "popcorn" (try 5 of 5): recheck exit 1: ./popcorn; 2 done, 1 failed, 1 not reached`},
		{"a gate is tried again when its delay is over", Options{}, []string{"a:k2"},
			"+a.check a=no + 9s + 1s +a.check a=ok", "a succeeded | done: 1 done"},
		{"a failed try does not block, its step goes behind", Options{Parallel: 1}, []string{"a:c2<", "b:c<"},
			"+a.command a=no +b.command 10s + b=ok +a.command a=ok", "a succeeded, b succeeded | done: 2 done"},
		{"first those with the most steps behind them", Options{Parallel: 1}, []string{"a:c<", "b:c<", "c:c<b", "d:c<c"},
			"+b.command b=ok +c.command c=ok +a.command", "a running, b succeeded, c succeeded, d ready"},
		{"a group succeeds at once, and groups behind it", Options{}, []string{"a:c<", "g:<a", "h:<g"},
			"+a.command a=ok", "a succeeded, g succeeded, h succeeded | done: 3 done"},
		{"SKIP counts as done when its turn comes", Options{}, []string{"a:c", "b:cs", "c:c"},
			"+a.command a=ok +c.command c=ok", "a succeeded, b skipped, c succeeded | done: 3 done"},
		{"outside GOAL nothing is counted", Options{Goal: []string{"b"}}, []string{"a:c<", "b:c<a", "c:c<b"},
			"+a.command a=ok +b.command b=ok", "a succeeded, b succeeded, c skipped | done: 2 done"},
		{"not started is not tried again", Options{}, []string{"a:c3"}, "+a.command a=none",
			`a failed | fail: step "a" (try 1 of 3): not started: ./a; 0 done, 1 failed`},
		{"a CHECK that timed out fails the try as fail", Options{}, []string{"a:kc"}, "+a.check a=late",
			`a failed | fail: step "a" (try 1 of 1): check timed out: ./a; 0 done, 1 failed`},
		{"CONTINUE ON FAILURE: as if it had succeeded", Options{}, []string{"a:cf", "b:c"}, "+a.command a=no +b.command b=ok",
			"a failed, b succeeded | done: 1 done, 1 failed"},
		{"finish: a begun try goes on, nothing new starts", Options{}, []string{"a:c<", "b:kc<", "c:c2<", "d:c<c"},
			"+c.command,a.command,b.check c=no a=no b=no +b.command 20s + b=ok +b.recheck b=ok",
			`a failed, b succeeded, c failed, d not-reached | error: step "a" (try 1 of 1): exit 1: ./a; 1 done, 2 failed, 1 not reached`},
		{"finish: no further tries", Options{}, []string{"a:c<", "b:c3<"}, "+a.command,b.command a=no b=no",
			`a failed, b failed | error: step "a" (try 1 of 1): exit 1: ./a; 0 done, 2 failed`},
		{"go on: what is not behind is done, and the first is as written", goOn, []string{"a:c<", "b:c<", "c:c<a", "d:c<"},
			"+a.command,b.command,d.command b=no a=no d=ok",
			`a failed, b failed, c not-reached, d succeeded | error: step "a" (try 1 of 1): exit 1: ./a; 1 done, 2 failed, 1 not reached`},
		{"one that ended as fail makes it fail, and is named", goOn, []string{"a:c<", "b:c<"}, "+a.command,b.command a=no b=sig",
			`a failed, b failed | fail: step "a" (try 1 of 1): exit 1: ./a; step "b" (try 1 of 1): killed by SIGSEGV: ./b; 0 done, 2 failed`},
		{"kill: what runs is cancelled, which is no failure", killAll, []string{"a:c<", "b:c<", "c:kc<", "d:c<a"},
			"+a.command,b.command,c.check c=no a=no b=kill",
			`a failed, b cancelled, c cancelled, d not-reached | error: step "a" (try 1 of 1): exit 1: ./a; 0 done, 1 failed, 2 cancelled, 1 not reached`},
		{"KILL JOB", goOn, []string{"a:c<", "b:c2<", "c:c<a"}, "+a.command,b.command b=no cancel a=kill",
			"a cancelled, b failed, c not-reached | fail: killed by request; 0 done, 1 failed, 1 cancelled, 1 not reached"},
		{"KILL JOB too late for what had succeeded", goOn, []string{"a:c"}, "+a.command cancel a=ok", "a succeeded | done: 1 done"},
		{"KILL JOB before anything ran", Options{}, []string{"a:c", "b:"}, "cancel", "a not-reached, b not-reached | fail: killed by request; 0 done, 2 not reached"},
		{"an interrupted CHECK is repeated", Options{}, []string{"a:kc"}, "+a.check a=lost +a.check a=ok", "a succeeded | done: 1 done"},
		{"an interrupted COMMAND with a CHECK: that decides", Options{}, []string{"a:kc"},
			"+a.check a=no +a.command a=lost +a.recheck a=ok", "a succeeded | done: 1 done"},
		{"without, it fails as interrupted", Options{}, []string{"a:c2"}, "+a.command a=lost",
			`a failed | fail: step "a" (try 1 of 2): interrupted: ./a; 0 done, 1 failed`},
		{"unless RETRY INTERRUPTED", Options{}, []string{"a:ci"}, "+a.command a=lost +a.command a=ok", "a succeeded | done: 1 done"},
		{"what never started costs no try", Options{}, []string{"a:c"}, "+a.command a=never +a.command a=ok", "a succeeded | done: 1 done"},
		{"no act: checks only, once", Options{NoAct: true}, []string{"a:kc3<", "b:c<", "c:k<", "d:c<a", "e:<c"},
			"+a.check,c.check a=no c=ok",
			`a failed, b failed, c succeeded, d not-reached, e succeeded | error: step "a" (try 1 of 3): no act: check exit 1: ./a; 2 done, 2 failed, 1 not reached`},
		{"a plain UOW reads as ever", Options{}, []string{":c2"}, "+.command =no 10s +.command =sig", " failed | fail: killed by SIGSEGV"},
		{"a plain UOW that is killed", Options{}, []string{":c2"}, "+.command cancel =kill", " cancelled | fail: killed"},
		{"a plain UOW killed between two tries", Options{}, []string{":c2"}, "+.command =no cancel", " failed | fail: killed by request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := play(t, plan(t, c.o, c.nodes...), c.script); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestTransitionsAreChecked(t *testing.T) {
	p := plan(t, Options{}, "a:c")
	f, _ := New(p)
	if _, _, err := f.Ended(Report{Step: 0}); err == nil {
		t.Error("a command that is not out has ended")
	}
	if _, err := f.NeverStarted(7); err == nil {
		t.Error("there is no step 7")
	}
	if _, err := f.CleanupEnded(Report{Step: 0}); err == nil {
		t.Error("no clean-up runs")
	}
	good := Record{Kind: CommandEnded, Step: "a", Try: 1, Phase: Command, To: Succeeded, Seq: 1}
	for name, past := range map[string][]Record{
		"unknown step":       {{Kind: CommandEnded, Step: "b", Try: 1, Phase: Command, To: Failed}},
		"wrong try":          {{Kind: CommandEnded, Step: "a", Try: 2, Phase: Command, To: Failed}},
		"wrong phase":        {{Kind: CommandEnded, Step: "a", Try: 1, Phase: Recheck, To: Failed}},
		"no such transition": {{Kind: CommandEnded, Step: "a", Try: 1, Phase: Check, To: Rechecking}},
		"ended twice":        {good, good},
		"cleaned too early":  {{Kind: CleanupEnded, Step: "a"}},
		"cancelled too late": {good, {Kind: CleanAsked}, {Kind: FlowCancelled}},
	} {
		if f, err := Restore(p, past); err == nil || f != nil {
			t.Errorf("%s: restored as %v", name, f)
		}
	}
}

// TestClockSetBack: nobody waits for the hour that was put back.
func TestClockSetBack(t *testing.T) {
	f, _ := New(plan(t, Options{}, "a:c2"))
	f.Ready(origin, 1)
	if _, _, err := f.Ended(Report{Step: 0, Result: no}); err != nil {
		t.Fatal(err)
	}
	back := origin.Add(-time.Hour)
	if due, ok := f.NextDue(back); !ok || !due.Equal(back.Add(10*time.Second)) {
		t.Errorf("due at %v, %v", due, ok)
	}
	if starts, _ := f.Ready(back.Add(10*time.Second), 1); len(starts) != 1 {
		t.Error("it does not start")
	}
}

// TestFromStep: what REQUEUE … FROM keeps.
func TestFromStep(t *testing.T) {
	p := plan(t, Options{OnFailure: GoOn}, "a:c<", "b:cu<", "g:<a", "c:c<g", "d:c<b", "e:kc<", "x:c<")
	f, _ := New(p)
	var past []Record
	for range 3 {
		starts, _ := f.Ready(origin, 9)
		for _, s := range starts {
			r := ok
			if n := p.Node(s.Step).Name; n == "x" {
				r = no
			}
			rec, _, err := f.Ended(Report{Step: s.Step, Result: r, Output: []Value{{"N", p.Node(s.Step).Name}}})
			if err != nil {
				t.Fatal(err)
			}
			past = append(past, rec)
		}
	}
	kept := func(past []Record, step string) string {
		records, err := RestoreFrom(p, past, step)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Restore(p, records)
		if err != nil {
			t.Fatal(err)
		}
		f.Resume()
		var names []string
		for i := range p.Len() {
			if f.Standing(i).State == Succeeded {
				names = append(names, p.Node(i).Name)
			}
		}
		text := strings.Join(names, " ")
		for _, s := range []string{"c", "x"} {
			i, _ := p.Index(s)
			text += fmt.Sprintf(" %s%v", s, f.Environment(i))
		}
		return text
	}
	for step, want := range map[string]string{
		"x": "a b g c d e c[{N a}] x[]",
		"c": "a b g d e c[{N a}] x[]",
		"g": "a b g d e c[{N a}] x[]", // a group succeeds at once, c runs again
		"b": "a g c e c[{N a}] x[]",
	} {
		if got := kept(past, step); got != want {
			t.Errorf("from %s: kept %s, want %s", step, got, want)
		}
	}
	rep, ok := f.NextCleanup(origin)
	if !ok || p.Node(rep.Step).Name != "b" {
		t.Fatalf("clean-up %+v", rep)
	}
	rec, err := f.CleanupEnded(Report{Step: rep.Step, Result: no})
	if err != nil {
		t.Fatal(err)
	}
	cleaned := append(slices.Clone(past), *rec)
	if got, want := kept(cleaned, "x"), "a g c e c[{N a}] x[]"; got != want {
		t.Errorf("after the clean-up of b: kept %s, want %s", got, want)
	}
	// A clean-up that was deferred stays due, whether or not its step runs again.
	records, _ := RestoreFrom(p, past, "b")
	again, err := Restore(p, records)
	if err != nil {
		t.Fatal(err)
	}
	again.Cancel(Killed, "killed by request")
	if s, ok := again.NextCleanup(origin); !ok || p.Node(s.Step).Name != "b" {
		t.Errorf("the clean-up of b is gone: %+v", s)
	}
	if _, err := RestoreFrom(p, past, "nobody"); err == nil {
		t.Error("from a step that is not there")
	}
}

func TestContextLimit(t *testing.T) {
	f, _ := New(plan(t, Options{OnFailure: GoOn}, "a:c<", "b:c<"))
	f.Ready(origin, 2)
	big := Value{"BIG", strings.Repeat("x", MaxContext-10)}
	if _, _, err := f.Ended(Report{Step: 0, Result: ok, Output: []Value{big}}); err != nil {
		t.Fatal(err)
	}
	rec, _, err := f.Ended(Report{Step: 1, Result: ok, Output: []Value{{"B", "12345"}}})
	if err != nil || rec.To != Failed || rec.Outcome != Error || !strings.HasPrefix(rec.Text, "invalid output: all values of the flow") {
		t.Errorf("%+v, %v", rec, err)
	}
}

func TestNewAt(t *testing.T) {
	p := plan(t, Options{}, ":cu3")
	f, _, err := NewAt(p, 3, origin.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if due, ok := f.NextDue(origin.Add(55 * time.Second)); !ok || !due.Equal(origin.Add(time.Minute)) {
		t.Errorf("due %v, %v", due, ok)
	}
	starts, _ := f.Ready(origin.Add(time.Minute), 1)
	want := []Start{{Phase: Command, Try: 3, Seq: 2, At: origin.Add(time.Minute)}}
	if diff := cmp.Diff(want, starts, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if _, _, err := f.Ended(Report{Result: no}); err != nil {
		t.Fatal(err)
	}
	if e, over := f.Ending(); !over || e.Outcome != Error || f.Cleanups() != 1 {
		t.Errorf("%+v, %d clean-ups", e, f.Cleanups())
	}
	if _, _, err := NewAt(plan(t, Options{}, "a:c"), 2, origin); err == nil {
		t.Error("a flow has a past")
	}
}

// TestNothingIsOverBeforeResume: of two commands that were out at a crash the one
// is told, and fails, before the flow has heard of the other.
func TestNothingIsOverBeforeResume(t *testing.T) {
	p := plan(t, Options{}, "a:c<", "b:c<")
	f, err := Restore(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range []Result{no, ok} {
		if _, err := f.Adopt(Start{Step: i, Phase: Command, Try: 1, Seq: int64(i + 1)}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.Ended(Report{Step: i, Result: r}); err != nil {
			t.Fatal(err)
		}
	}
	if _, over := f.Ending(); over {
		t.Error("it is over before Resume")
	}
	f.Resume()
	if e, over := f.Ending(); !over || e.Text != `step "a" (try 1 of 1): exit 1; 1 done, 1 failed` {
		t.Errorf("%+v", e)
	}
}
