package flow

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Node is a step as it is written.
type Node struct {
	Name    string // "" only if it is the only one: a plain UOW
	After   []string
	Ordered bool // it has an AFTER, if an empty one
	Step
	RetryDelay        time.Duration // least time between the starts of two tries
	Skip              bool
	ContinueOnFailure bool
	CheckText         string // CHECK as it is written, for STATUS
	Line              int    // for faults
}

// group tells a step that succeeds by itself.
func (n *Node) group() bool { return !n.Check && !n.Command }

// OnFailure is what becomes of the rest when a step has failed.
type OnFailure int

// The three ways.
const (
	Finish OnFailure = iota // a try that has begun goes to its end, nothing new starts
	GoOn                    // what is not behind the failed step is still done
	Kill                    // what runs is ended
)

// Options are those of the flow as a whole.
type Options struct {
	Parallel     int // commands at once; at least 1
	OnFailure    OnFailure
	Goal         []string // none: all steps
	NoAct        bool
	DeferCleanup bool
}

// Plan is the graph of a flow. It never changes and may be shared.
type Plan struct {
	nodes      []Node
	opts       Options
	index      map[string]int
	pred, succ edges
	inGoal     []bool
	of         int     // steps that are counted
	order, pos []int32 // topological, and where in it each step is
	behind     []int32
	rank       []int32 // of those that could start the one of the lowest does
}

// edges are lists of steps, one for each step, in two pieces of memory.
type edges struct{ at, to []int32 }

func (e edges) of(i int) []int32 { return e.to[e.at[i]:e.at[i+1]] }

// reversed turns every edge round; lists come out in the order of the steps.
func (e edges) reversed() edges {
	n := len(e.at) - 1
	r := edges{at: make([]int32, n+1), to: make([]int32, len(e.to))}
	for _, t := range e.to {
		r.at[t+1]++
	}
	for i := range n {
		r.at[i+1] += r.at[i]
	}
	fill := slices.Clone(r.at)
	for i := range n {
		for _, t := range e.of(i) {
			r.to[fill[t]] = int32(i)
			fill[t]++
		}
	}
	return r
}

// maxFaults of a plan are told.
const maxFaults = 1000

// Fault is one thing wrong with a plan.
type Fault struct {
	Step int    // its number; -1: the flow as a whole
	Item string // AFTER, GOAL; "" is the step itself
	Line int    // of the step; 0 for the flow as a whole
	Text string
	Flaw Flaw
}

// Flaw is what kind of fault one is.
type Flaw int

// The flaws of a plan.
const (
	BadName   Flaw = iota // of a step: none, or one that another has
	Unknown               // a step that is not there
	Unordered             // a step without AFTER among others with one
	Circular              // steps that wait for one another
)

func (f Fault) Error() string { return f.Text }

// planner makes a Plan and gathers what is wrong with it.
type planner struct {
	*Plan
	faults []Fault
}

func (p *planner) fault(step int, item string, flaw Flaw, format string, args ...any) {
	if len(p.faults) >= maxFaults {
		return
	}
	f := Fault{Step: step, Item: item, Flaw: flaw, Text: fmt.Sprintf(format, args...)}
	if step >= 0 {
		f.Line = p.nodes[step].Line
	}
	p.faults = append(p.faults, f)
}

// NewPlan makes the graph of these steps, or tells all that is wrong with it.
//
// Of several steps that could start, those with the most steps behind them go
// first, then as written. In a graph in which counting these would be long (some
// thousand steps with very many edges, or some ten thousand) the length of the
// longest chain behind a step stands for their number: it is the part of it that
// bounds how early the flow can end, is found in one pass, and is the same in a
// chain.
func NewPlan(nodes []Node, opts Options) (*Plan, []Fault) {
	p := &planner{Plan: &Plan{nodes: slices.Clone(nodes), opts: opts}}
	p.opts.Parallel = max(1, opts.Parallel)
	p.opts.Goal = slices.Clone(opts.Goal)
	if opts.NoAct {
		p.opts.OnFailure = GoOn
		for i := range p.nodes {
			p.nodes[i].NoAct = true
		}
	}
	p.names()
	p.connect()
	p.succ = p.pred.reversed()
	p.sort()
	if len(p.order) < len(nodes) {
		p.cycles()
	}
	p.goal()
	if len(p.faults) > 0 {
		return nil, p.faults
	}
	p.priorities()
	return p.Plan, nil
}

func (p *planner) names() {
	p.index = make(map[string]int, len(p.nodes))
	for i := range p.nodes {
		name := p.nodes[i].Name
		first, twice := p.index[name]
		switch {
		case name == "" && len(p.nodes) > 1:
			p.fault(i, "", BadName, "it has no name (write \"==== STEP name\")")
		case twice:
			p.fault(i, "", BadName, "there is one of this name already%s (give it another name)", p.where(first))
		default:
			p.index[name] = i
		}
	}
}

func (p *planner) where(step int) string {
	if line := p.nodes[step].Line; line > 0 {
		return fmt.Sprintf(" in line %d", line)
	}
	return ""
}

// connect finds what each step comes after.
func (p *planner) connect() {
	ordered, lacks := -1, -1
	for i := range p.nodes {
		if n := &p.nodes[i]; n.Ordered || len(n.After) > 0 {
			if ordered < 0 {
				ordered = i
			}
		} else if lacks < 0 {
			lacks = i
		}
	}
	if ordered >= 0 && lacks >= 0 {
		p.fault(lacks, "", Unordered, "it has no AFTER, while step %s%s has one (give every step an AFTER, an empty one to those that start at once; or none)",
			strconv.Quote(p.nodes[ordered].Name), p.where(ordered))
	}
	p.pred.at = make([]int32, 1, len(p.nodes)+1)
	for i := range p.nodes {
		if ordered < 0 && i > 0 {
			p.pred.to = append(p.pred.to, int32(i-1))
		}
		for _, name := range p.nodes[i].After {
			switch before, known := p.index[name]; {
			case !known:
				p.fault(i, "AFTER", Unknown, "there is no step %s in this UOW (write names of its steps, with commas between them)", strconv.Quote(name))
			case before == i:
				p.fault(i, "AFTER", Circular, "a step can't come after itself (remove the name)")
			default:
				p.pred.to = append(p.pred.to, int32(before))
			}
		}
		p.pred.at = append(p.pred.at, int32(len(p.pred.to)))
	}
}

// sort finds a topological order; what is on a cycle or behind one is not in it.
func (p *planner) sort() {
	n := len(p.nodes)
	missing := make([]int32, n)
	p.order, p.pos = make([]int32, 0, n), make([]int32, n)
	for i := range n {
		if missing[i] = int32(len(p.pred.of(i))); missing[i] == 0 {
			p.order = append(p.order, int32(i))
		}
	}
	for at := 0; at < len(p.order); at++ {
		i := p.order[at]
		p.pos[i] = int32(at)
		for _, j := range p.succ.of(int(i)) {
			if missing[j]--; missing[j] == 0 {
				p.order = append(p.order, j)
			}
		}
	}
}

// goal finds the steps that are wanted and what they come after.
func (p *planner) goal() {
	p.inGoal = make([]bool, len(p.nodes))
	var wanted []int32
	want := func(i int32) {
		if !p.inGoal[i] {
			p.inGoal[i] = true
			wanted = append(wanted, i)
		}
	}
	for _, name := range p.opts.Goal {
		if i, known := p.index[name]; known {
			want(int32(i))
		} else {
			p.fault(-1, "GOAL", Unknown, "there is no step %s in this UOW (write names of its steps, with commas between them)", strconv.Quote(name))
		}
	}
	for i := 0; len(p.opts.Goal) == 0 && i < len(p.nodes); i++ {
		want(int32(i))
	}
	for at := 0; at < len(wanted); at++ {
		for _, i := range p.pred.of(int(wanted[at])) {
			want(i)
		}
	}
	p.of = len(wanted)
}

// Len is the number of steps, those outside GOAL included.
func (p *Plan) Len() int { return len(p.nodes) }

// Node is a step as it was written. Its After must not be changed.
func (p *Plan) Node(i int) Node { return p.nodes[i] }

// Index finds a step by its name.
func (p *Plan) Index(name string) (int, bool) {
	i, ok := p.index[name]
	return i, ok
}

// After are the steps that a step comes after, next to it.
func (p *Plan) After(i int) []int { return ints(p.pred.of(i)) }

// Counted reports whether a step is wanted: GOAL, or what that comes after.
func (p *Plan) Counted(i int) bool { return p.inGoal[i] }

// Of is the number of steps that are counted.
func (p *Plan) Of() int { return p.of }

// Order are all steps, each behind those it comes after.
func (p *Plan) Order() []int { return ints(p.order) }

// Parallel is how many commands run at once.
func (p *Plan) Parallel() int { return p.opts.Parallel }

// plain tells a UOW without STEP sections.
func (p *Plan) plain() bool { return len(p.nodes) == 1 && p.nodes[0].Name == "" }

func ints(list []int32) []int {
	all := make([]int, len(list))
	for i, v := range list {
		all[i] = int(v)
	}
	return all
}
