package flow

import (
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var origin = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

// drawFlow draws a graph of a few steps in any written order.
func drawFlow(t *rapid.T) ([]Node, Options) {
	n := rapid.IntRange(1, 8).Draw(t, "steps")
	ordered := n == 1 || rapid.IntRange(0, 4).Draw(t, "ordered") > 0
	place := rapid.Permutation(ints(upTo(n))).Draw(t, "order")
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i].Name = fmt.Sprintf("s%d", i)
	}
	if n == 1 && rapid.Bool().Draw(t, "plain") {
		nodes[0].Name = ""
	}
	for i := range nodes {
		nd := &nodes[i]
		nd.Ordered = ordered
		for j := range nodes {
			if ordered && place[j] < place[i] && rapid.IntRange(0, 2).Draw(t, "edge") == 0 {
				nd.After = append(nd.After, nodes[j].Name)
			}
		}
		kind := rapid.IntRange(0, 7).Draw(t, "kind")
		nd.Check, nd.Command = kind&1 != 0, kind&6 != 0
		nd.Cleanup = nd.Command && rapid.Bool().Draw(t, "cleanup")
		nd.Tries = rapid.IntRange(1, 3).Draw(t, "tries")
		nd.RetryInterrupted = rapid.Bool().Draw(t, "retry interrupted")
		nd.RetryDelay = time.Duration(rapid.IntRange(0, 5).Draw(t, "delay")) * time.Second
		nd.Skip = rapid.IntRange(0, 9).Draw(t, "skip") == 0
		nd.ContinueOnFailure = nd.Name != "" && rapid.IntRange(0, 3).Draw(t, "continue") == 0
	}
	o := Options{
		Parallel:     rapid.IntRange(1, 4).Draw(t, "parallel"),
		OnFailure:    rapid.SampledFrom([]OnFailure{GoOn, Finish, Kill}).Draw(t, "on failure"),
		NoAct:        rapid.IntRange(0, 5).Draw(t, "no act") == 0,
		DeferCleanup: rapid.IntRange(0, 3).Draw(t, "defer") == 0,
	}
	if nodes[0].Name != "" && rapid.IntRange(0, 3).Draw(t, "goal") == 0 {
		for i := range nodes {
			if rapid.Bool().Draw(t, "wanted") {
				o.Goal = append(o.Goal, nodes[i].Name)
			}
		}
	}
	return nodes, o
}

func upTo(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(i)
	}
	return list
}

var drawResult = rapid.SampledFrom([]Result{ok, ok, no, no, late, none, lost, lost, kill, {Outcome: Fail, Text: "killed by SIGSEGV"}})

func drawOutput(t *rapid.T) (values []Value) {
	for _, name := range []string{"A", "B", "C"} {
		if rapid.IntRange(0, 2).Draw(t, "value") == 0 {
			values = append(values, Value{name, rapid.StringOf(rapid.RuneFrom([]rune("x\n\" ü\x00"))).Draw(t, "content")})
		}
	}
	return values
}

// moment is what a flow was when so many records had been written.
type moment struct {
	records int
	out     []Start
	flow    shot
}

// shot is everything that matters of a Flow.
type shot struct {
	Steps                             []progress
	Fresh, Pending, Delayed, Cleanups []int32
	Counts                            [stateCount]int
	Running, Active, Size, Cleaning   int
	Halt                              halt
	Why                               Record
	Failures                          []int32
	Settled, CleanNow                 bool
}

func shoot(f *Flow) shot {
	sorted := func(h heap) []int32 { return slices.Sorted(slices.Values(h.items)) }
	s := shot{slices.Clone(f.steps), sorted(f.fresh), sorted(f.pending), sorted(f.delayed), slices.Clone(f.cleanups),
		f.counts, f.running, f.active, f.size, f.cleaning, f.halt, f.why, slices.Clone(f.failures), f.settled, f.cleanNow}
	return s
}

func differ(a, b shot) string {
	if reflect.DeepEqual(a, b) { // the usual case, and much faster
		return ""
	}
	return cmp.Diff(a, b, cmp.AllowUnexported(progress{}, set{}), cmpopts.EquateEmpty())
}

// world runs a flow beside its model.
type world struct {
	*rapid.T
	plan    *Plan
	flow    *Flow
	model   *model
	now     time.Time
	past    []byte
	records []Record
	out     []Start
	moments []moment
	lost    int
}

func (w *world) same() {
	w.Helper()
	for i, s := range w.model.steps {
		if got := w.flow.Standing(i).State; got != s.state {
			w.Fatalf("step %d is %v, the model has it %v", i, got, s.state)
		}
	}
	if _, over := w.flow.Ending(); over != w.model.settled {
		w.Fatalf("over: %v, in the model %v", over, w.model.settled)
	}
	if w.flow.Running() > w.plan.Parallel() {
		w.Fatalf("%d commands run, %d may", w.flow.Running(), w.plan.Parallel())
	}
	w.moments = append(w.moments, moment{len(w.records), slices.Clone(w.out), shoot(w.flow)})
}

func (w *world) record(r Record) {
	w.past = r.Append(w.past)
	w.records = append(w.records, r)
}

func (w *world) start() {
	most := rapid.IntRange(1, 4).Draw(w.T, "most")
	want := w.model.startable(w.now, most)
	got, _ := w.flow.Ready(w.now, most)
	if len(got) != len(want) {
		w.Fatalf("started %+v, want %+v", got, want)
	}
	for i, s := range got {
		if s.Step != want[i].Step || s.Try != want[i].Try || s.Phase != want[i].Phase {
			w.Fatalf("started %+v, want %+v", got, want)
		}
		if s.Try > w.plan.nodes[s.Step].Tries {
			w.Fatalf("try %d of %d", s.Try, w.plan.nodes[s.Step].Tries)
		}
		env := w.model.context(func(i int) bool { return w.model.comesAfter(s.Step, i) })
		if diff := cmp.Diff(env, w.flow.Environment(s.Step), cmpopts.EquateEmpty()); diff != "" {
			w.Fatalf("environment of step %d (-want +got):\n%s", s.Step, diff)
		}
		w.model.start(s)
		w.out = append(w.out, s)
	}
}

func (w *world) pick() Start {
	i := rapid.IntRange(0, len(w.out)-1).Draw(w.T, "which")
	s := w.out[i]
	w.out = slices.Delete(w.out, i, i+1)
	return s
}

func (w *world) end() {
	s := w.pick()
	r := drawResult.Draw(w.T, "result")
	if r.Cause == Interrupted {
		if w.lost++; w.lost > 6 {
			r = ok
		}
	}
	rep := Report{Step: s.Step, Result: r, Said: "./x", Run: fmt.Sprint("r", s.Seq)}
	if w.flow.WantsOutput(s.Step, r) {
		rep.Output = drawOutput(w.T)
		if rapid.IntRange(0, 5).Draw(w.T, "bad") == 0 {
			rep.Output, rep.Invalid = nil, "invalid output in line 1: x"
		}
	}
	rec, _, err := w.flow.Ended(rep)
	if err != nil {
		w.Fatal(err)
	}
	w.record(rec)
	w.model.ended(s.Step, s, r, rep.Output, rep.Invalid != "")
}

// crash goes on with what is on disk, the last line perhaps torn.
func (w *world) crash() {
	tail := Record{Kind: CommandEnded, Step: "s0", Text: "torn"}.Append(nil)
	torn := append(slices.Clone(w.past), tail[:rapid.IntRange(0, len(tail)-1).Draw(w.T, "torn")]...)
	records, good, err := DecodePast(torn)
	if err != nil || good != len(w.past) {
		w.Fatalf("decoded %d of %d bytes: %v", good, len(w.past), err)
	}
	f := w.restore(records, w.out)
	if diff := differ(shoot(w.flow), shoot(f)); diff != "" {
		w.Fatalf("restored (-live +restored):\n%s", diff)
	}
	w.flow = f
}

func (w *world) restore(records []Record, out []Start) *Flow {
	f, err := Restore(w.plan, records)
	if err != nil {
		w.Fatal(err)
	}
	for _, s := range out {
		if _, err := f.Adopt(s); err != nil {
			w.Fatal(err)
		}
		if _, err := f.Adopt(s); err == nil {
			w.Fatalf("%+v was adopted twice", s)
		}
	}
	f.Resume()
	return f
}

// TestAgainstModel: whatever the graph, the ends and the crashes, the machine does
// what the model does, comes to an end, and is the same when it is restored from
// any beginning of its past.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes, opts := drawFlow(t)
		p, faults := NewPlan(nodes, opts)
		if faults != nil {
			t.Fatalf("faults: %v", faults)
		}
		w := &world{T: t, plan: p, model: newModel(nodes, opts), now: origin}
		w.flow, _ = New(p)
		w.same()
		for op := 0; !w.model.settled; op++ {
			if op > 2000 {
				t.Fatal("it does not end")
			}
			switch what := rapid.IntRange(0, 19).Draw(t, "op"); {
			case what < 5:
				w.start()
			case what < 11 && len(w.out) > 0:
				w.end()
			case what < 12 && len(w.out) > 0:
				s := w.pick()
				if _, err := w.flow.NeverStarted(s.Step); err != nil {
					t.Fatal(err)
				}
				w.model.neverStarted(s.Step)
			case what < 14:
				w.crash()
			case what < 15 && op > 20 && rapid.IntRange(0, 9).Draw(t, "cancel") == 0:
				if rec, _ := w.flow.Cancel(Killed, "killed by request"); rec != nil {
					w.record(*rec)
					w.model.cancel()
				}
			default:
				w.now = w.now.Add(time.Second)
				continue
			}
			w.same()
		}
		w.afterwards()
		for _, m := range w.moments {
			f := w.restore(w.records[:m.records], m.out)
			if diff := differ(m.flow, shoot(f)); diff != "" {
				t.Fatalf("restored from %d records (-live +restored):\n%s", m.records, diff)
			}
		}
	})
}

// afterwards checks the end and runs the clean-ups.
func (w *world) afterwards() {
	e, _ := w.flow.Ending()
	if want := w.model.outcome(); e.Outcome != want {
		w.Fatalf("outcome %+v, want %s", e, want)
	}
	all := w.model.context(func(int) bool { return true })
	if diff := cmp.Diff(all, w.flow.FinalContext(), cmpopts.EquateEmpty()); diff != "" {
		w.Fatalf("final context (-want +got):\n%s", diff)
	}
	want := w.model.cleanups()
	if s, ok := w.flow.NextCleanup(w.now); ok && w.plan.opts.DeferCleanup {
		w.Fatalf("%+v was deferred", s)
	} else if ok {
		w.flow.NeverStarted(s.Step)
	}
	if rec := w.flow.CleanNow(); rec != nil {
		w.record(*rec)
	}
	for op := 0; len(want) > 0; op++ {
		s, ok := w.flow.NextCleanup(w.now)
		if !ok || s.Step != want[0] {
			w.Fatalf("clean-up %+v (%v), want %v", s, ok, want)
		}
		w.out = []Start{s}
		w.same()
		if rapid.Bool().Draw(w.T, "crash") {
			w.crash()
		}
		r := drawResult.Draw(w.T, "result")
		if op > 30 {
			r = no
		}
		rec, err := w.flow.CleanupEnded(Report{Step: s.Step, Result: r})
		if err != nil || (rec == nil) != (r.Cause == Interrupted) {
			w.Fatalf("record %+v, %v", rec, err)
		}
		w.out = nil
		if rec != nil {
			w.record(*rec)
			want = want[1:]
		}
		w.same()
	}
	if !w.flow.Clean() {
		w.Fatal("something is left to clean")
	}
}

// TestInterleavingDoesNotMatter: with go on and commands that end the same way
// each time, all orders and any PARALLEL come to the same end.
func TestInterleavingDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes, opts := drawFlow(t)
		opts.OnFailure = GoOn
		seed := rapid.Uint32().Draw(t, "seed")
		var want, got string
		for run := range 3 {
			opts.Parallel = rapid.IntRange(1, 4).Draw(t, "parallel")
			p, _ := NewPlan(nodes, opts)
			got = perform(t, p, seed)
			if run == 0 {
				want = got
			}
			if got != want {
				t.Fatalf("one order ends as\n%s\nanother as\n%s", want, got)
			}
		}
	})
}

// perform runs a flow whose commands' ends depend on seed, and tells the end.
func perform(t *rapid.T, p *Plan, seed uint32) string {
	f, _ := New(p)
	now := origin
	var out []Start
	runs := map[Start]int{}
	for {
		if _, over := f.Ending(); over {
			break
		}
		starts, _ := f.Ready(now, rapid.IntRange(1, 4).Draw(t, "most"))
		out = append(out, starts...)
		now = now.Add(time.Second)
		if len(out) == 0 {
			continue
		}
		i := rapid.IntRange(0, len(out)-1).Draw(t, "which")
		s := out[i]
		out = slices.Delete(out, i, i+1)
		h := fnv.New32a()
		this := Start{Step: s.Step, Try: s.Try, Phase: s.Phase}
		runs[this]++
		fmt.Fprintln(h, seed, this, runs[this])
		results := []Result{ok, no, late, none, lost, ok, no}
		rep := Report{Step: s.Step, Result: results[h.Sum32()%uint32(len(results))], Said: "./x"}
		rep.Output = []Value{{Name: string("ABC"[h.Sum32()>>8%3]), Content: fmt.Sprint(s.Step)}}
		if _, _, err := f.Ended(rep); err != nil {
			t.Fatal(err)
		}
	}
	e, _ := f.Ending()
	text := fmt.Sprintf("%+v\n%v\n", e, f.FinalContext())
	for i := range p.Len() {
		text += fmt.Sprintln(i, f.Standing(i).State, f.Standing(i).Try)
	}
	return text
}
