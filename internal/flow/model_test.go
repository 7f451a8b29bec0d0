package flow

import (
	"cmp"
	"slices"
	"time"
)

// model is the reference: a flow as the contract tells it, sentence by sentence,
// with no thought of speed. It decides everything from the graph each time it is
// asked, and shares nothing with the machine but the types.
type model struct {
	nodes    []Node
	opts     Options
	steps    []modelStep
	halt     string // "", "finish", "kill", "cancel"
	failures []int
	settled  bool
}

type modelStep struct {
	state      State
	try        int
	out, begun bool
	due        Phase
	began      time.Time
	notBefore  time.Time
	outcome    Outcome
	values     []Value
	commanded  int64
}

func newModel(nodes []Node, opts Options) *model {
	m := &model{nodes: nodes, opts: opts, steps: make([]modelStep, len(nodes))}
	for i := range m.steps {
		m.steps[i].try = 1
		if !m.wanted(i) {
			m.steps[i].state = Skipped
		}
	}
	m.turns()
	m.settle()
	return m
}

func (m *model) find(name string) int {
	return slices.IndexFunc(m.nodes, func(n Node) bool { return n.Name == name })
}

// before are the steps that a step names in its AFTER, or the one above it.
func (m *model) before(i int) (list []int) {
	if !slices.ContainsFunc(m.nodes, func(n Node) bool { return n.Ordered }) {
		if i > 0 {
			list = append(list, i-1)
		}
		return list
	}
	for _, name := range m.nodes[i].After {
		list = append(list, m.find(name))
	}
	return list
}

func (m *model) comesAfter(i, j int) bool {
	for _, b := range m.before(i) {
		if b == j || m.comesAfter(b, j) {
			return true
		}
	}
	return false
}

func (m *model) wanted(i int) bool {
	if len(m.opts.Goal) == 0 {
		return true
	}
	for _, g := range m.opts.Goal {
		if j := m.find(g); i == j || m.comesAfter(j, i) {
			return true
		}
	}
	return false
}

func (m *model) behind(i int) (n int) {
	for j := range m.nodes {
		if m.wanted(j) && m.comesAfter(j, i) {
			n++
		}
	}
	return n
}

func (m *model) passed(i int) bool {
	s := m.steps[i].state
	return s == Succeeded || s == Skipped || s == Failed && m.nodes[i].ContinueOnFailure
}

// turns gives their turn to all whose predecessors are through.
func (m *model) turns() {
	for again := true; again; {
		again = false
		for i, n := range m.nodes {
			if m.steps[i].state != Waiting || !m.all(m.before(i), m.passed) {
				continue
			}
			again = true
			switch {
			case n.Skip:
				m.steps[i].state = Skipped
			case !n.Check && !n.Command:
				m.steps[i].state = Succeeded
			case m.opts.NoAct && !n.Check:
				m.fail(i, Error)
			default:
				m.steps[i].state = Ready
			}
		}
	}
}

func (m *model) all(list []int, ok func(int) bool) bool {
	return !slices.ContainsFunc(list, func(i int) bool { return !ok(i) })
}

func (m *model) fail(i int, o Outcome) {
	m.steps[i].state, m.steps[i].outcome = Failed, o
	m.failures = append(m.failures, i)
	if m.nodes[i].ContinueOnFailure || m.opts.NoAct || m.halt == "cancel" || m.halt == "kill" {
		return
	}
	switch m.opts.OnFailure {
	case Finish:
		m.halt = "finish"
	case Kill:
		m.halt = "kill"
	}
}

func inTry(s State) bool { return s == Checking || s == Running || s == Rechecking }

func (m *model) count(ok func(modelStep) bool) (n int) {
	for _, s := range m.steps {
		if ok(s) {
			n++
		}
	}
	return n
}

// startable are the commands to start now, in their order.
func (m *model) startable(now time.Time, most int) (starts []Start) {
	var begun, fresh, again []int
	for i, s := range m.steps {
		switch {
		case inTry(s.state) && !s.out:
			begun = append(begun, i)
		case s.state == Ready && s.try == 1:
			fresh = append(fresh, i)
		case s.state == Ready && !s.notBefore.After(now):
			again = append(again, i)
		}
	}
	byRank := func(a, b int) int { return cmp.Or(m.behind(b)-m.behind(a), a-b) }
	slices.SortFunc(begun, byRank)
	slices.SortFunc(fresh, byRank)
	slices.SortFunc(again, func(a, b int) int {
		return cmp.Or(m.steps[a].notBefore.Compare(m.steps[b].notBefore), byRank(a, b))
	})
	switch m.halt {
	case "finish":
		fresh, again = nil, nil
	case "kill", "cancel":
		return nil
	}
	room := min(most, m.opts.Parallel-m.count(func(s modelStep) bool { return s.out }))
	tries := m.opts.Parallel - m.count(func(s modelStep) bool { return inTry(s.state) })
	for _, i := range begun {
		if room > 0 {
			starts = append(starts, Start{Step: i, Try: m.steps[i].try, Phase: m.steps[i].due})
			room--
		}
	}
	for _, i := range slices.Concat(fresh, again) {
		if room <= 0 || tries <= 0 {
			break
		}
		phase := Command
		if m.nodes[i].Check {
			phase = Check
		}
		starts = append(starts, Start{Step: i, Try: m.steps[i].try, Phase: phase})
		room, tries = room-1, tries-1
	}
	return starts
}

func (m *model) start(s Start) {
	st := &m.steps[s.Step]
	if st.state == Ready {
		st.began, st.begun = s.At, false
	}
	st.out, st.due = true, s.Phase
	st.state = map[Phase]State{Check: Checking, Command: Running, Recheck: Rechecking}[s.Phase]
}

func (m *model) neverStarted(i int) {
	st := &m.steps[i]
	if st.out = false; !st.begun {
		st.state = Ready
	}
	m.settle()
}

// ended is the table of kinds of steps, and that of failure.
func (m *model) ended(i int, s Start, r Result, output []Value, bad bool) {
	n, st := m.nodes[i], &m.steps[i]
	st.out = false
	if s.Phase == Command && r.Cause != NotStarted && st.commanded == 0 {
		st.commanded = s.Seq
	}
	const yes, no, never = "yes", "no", "never"
	verdict, outcome, next := no, r.Outcome, Phase("")
	switch {
	case r.Cause == Interrupted && (s.Phase != Command || !n.Check && n.RetryInterrupted):
		next = s.Phase
	case r.Cause == Interrupted && n.Check:
		next = Recheck
	case r.Cause == Interrupted, r.Cause == NotStarted, r.Cause == Killed:
		verdict, outcome = never, Fail
	case s.Phase == Command && n.Check:
		next = Recheck
	case r.Outcome == Done && bad:
		outcome = Error
	case r.Outcome == Done:
		verdict = yes
	case s.Phase == Command:
	case r.Cause == Limited:
		outcome = Fail
	case s.Phase == Check && n.Command && !m.opts.NoAct:
		next = Command
	default:
		outcome = Error
	}
	stopped := m.halt == "kill" || m.halt == "cancel"
	switch {
	case verdict == yes:
		st.state, st.values = Succeeded, output
	case stopped && (next != "" || r.Cause == Killed || r.Cause == Interrupted):
		st.state = Cancelled
	case next != "":
		st.due, st.begun = next, true
		st.state = map[Phase]State{Check: Checking, Command: Running, Recheck: Rechecking}[next]
	case verdict == no && st.try < n.Tries && !m.opts.NoAct && m.halt == "":
		st.state, st.outcome = Ready, outcome
		st.try++
		st.notBefore = st.began.Add(n.RetryDelay)
	default:
		m.fail(i, outcome)
	}
	m.turns()
	m.settle()
}

func (m *model) cancel() {
	m.halt = "cancel"
	m.settle()
}

// settle ends it when nothing runs and nothing can start.
func (m *model) settle() {
	if m.settled || m.count(func(s modelStep) bool { return s.out }) > 0 {
		return
	}
	ready := m.count(func(s modelStep) bool { return s.state == Ready })
	begun := m.count(func(s modelStep) bool { return inTry(s.state) })
	if m.halt == "" && ready+begun > 0 || m.halt == "finish" && begun > 0 {
		return
	}
	m.settled = true
	for i := range m.steps {
		switch s := &m.steps[i]; {
		case s.state == Ready && s.try > 1:
			s.state = Failed
			m.failures = append(m.failures, i)
		case s.state == Ready || s.state == Waiting:
			s.state = NotReached
		case inTry(s.state):
			s.state = Cancelled
		}
	}
}

func (m *model) outcome() Outcome {
	done := true
	for i, s := range m.steps {
		done = done && (s.state == Succeeded || s.state == Skipped || !m.wanted(i))
	}
	if m.halt == "cancel" && !done {
		return Fail
	}
	outcome := Done
	for _, i := range m.failures {
		switch {
		case m.nodes[i].ContinueOnFailure:
		case m.steps[i].outcome == Fail:
			return Fail
		default:
			outcome = Error
		}
	}
	return outcome
}

// cleanups are the steps whose COMMAND was ever started, the last first.
func (m *model) cleanups() (list []int) {
	for i, n := range m.nodes {
		if n.Cleanup && !m.opts.NoAct && m.steps[i].commanded > 0 {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b int) int { return cmp.Compare(m.steps[b].commanded, m.steps[a].commanded) })
	return list
}

// context is what the steps in list added, as the contract has it.
func (m *model) context(in func(i int) bool) (values []Value) {
	setters := map[string][]int{}
	for i, s := range m.steps {
		if s.state != Succeeded || !in(i) {
			continue
		}
		for _, v := range s.values {
			setters[v.Name] = append(setters[v.Name], i)
		}
	}
	for name, list := range setters {
		best := -1
		for _, i := range list {
			if !slices.ContainsFunc(list, func(j int) bool { return m.comesAfter(j, i) }) {
				best = max(best, i)
			}
		}
		at := slices.IndexFunc(m.steps[best].values, func(v Value) bool { return v.Name == name })
		values = append(values, m.steps[best].values[at])
	}
	slices.SortFunc(values, func(a, b Value) int { return cmp.Compare(a.Name, b.Name) })
	return values
}
