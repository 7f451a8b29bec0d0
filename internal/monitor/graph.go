package monitor

import (
	"errors"
	"fmt"
	"io"

	"simplejobq/internal/config"
	"simplejobq/internal/flow"
	"simplejobq/internal/graph"
	"simplejobq/internal/uow"
)

// ErrNoSteps is what a UOW without STEP sections is told that is to be drawn.
var ErrNoSteps = errors.New("has no steps, so there is nothing to draw")

// Graph is the flow of a UOW of the spool, and how each of its steps stands.
func (v *View) Graph(name string) (*graph.Graph, error) {
	t, err := v.resolve(name)
	if err != nil {
		return nil, err
	}
	if t.job != nil && t.job.flow != nil && !t.job.plain() {
		return drawn(t.job.UOW, t.job.unit, t.job.plan, t.job.flow.Standing), nil
	}
	u, c, err := v.s.readUnit(t.queue, t.name)
	if err != nil {
		return nil, err
	}
	plan, err := planned(v.s.conf, u)
	if err != nil {
		return nil, err
	}
	if u.Ended() || u.Status.Kind == uow.TryAgain {
		records, err := v.s.readPast(c.Stat.Ino)
		if err == nil && len(records) > 0 {
			var fl *flow.Flow
			if fl, err = flow.Restore(plan, records); err == nil {
				fl.Resume()
				return drawn(t.name, u, plan, fl.Standing), nil
			}
		}
		if err != nil && !pastLost(err) {
			return nil, err
		}
	}
	f, err := v.s.sp.Dir(t.queue).Open(t.name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	from := int64(len(c.Head))
	return drawnByLog(t.name, u, plan, io.NewSectionReader(f, from, max(c.Stat.Size-from, 0)))
}

func planned(c *config.Config, u *uow.Unit) (*flow.Plan, error) {
	if len(u.Steps) == 0 {
		return nil, ErrNoSteps
	}
	plan, _, faults := planOf(c, u)
	if len(faults) > 0 {
		return nil, faults[0]
	}
	return plan, nil
}

// GraphOf is the flow of a file that need not lie in a spool. Of one that has ended its
// log tells how each step did; another one stands as it would begin.
func GraphOf(c *config.Config, name string, u *uow.Unit, log io.Reader) (*graph.Graph, error) {
	plan, err := planned(c, u)
	if err != nil {
		return nil, err
	}
	return drawnByLog(name, u, plan, log)
}

func drawnByLog(name string, u *uow.Unit, plan *flow.Plan, log io.Reader) (*graph.Graph, error) {
	begin, _ := flow.New(plan)
	if !u.Ended() {
		return drawn(name, u, plan, begin.Standing), nil
	}
	told, err := toldBy(plan, log)
	if err != nil {
		return nil, fmt.Errorf("read the log of %s: %w", name, err)
	}
	return drawn(name, u, plan, func(i int) flow.Standing {
		if st, known := told[i]; known {
			return st
		}
		if !plan.Counted(i) {
			return begin.Standing(i)
		}
		return flow.Standing{State: unknown}
	}), nil
}

// unknown is no state of a flow: the log does not tell it, as of a step that was renamed
// since.
const unknown flow.State = 255

// toldBy reads the states of steps from a log: the last of each since the flow began
// anew.
func toldBy(plan *flow.Plan, log io.Reader) (map[int]flow.Standing, error) {
	told := map[int]flow.Standing{}
	err := readSteps(log, func(l stepLine) {
		if l.kind == isAnew {
			clear(told)
		} else if i, known := plan.Index(l.step); known && l.kind == ofStep {
			told[i] = flow.Standing{State: l.to, Text: l.text}
		}
	})
	return told, err
}

// drawn makes a graph of a plan and how its steps stand.
func drawn(name string, u *uow.Unit, plan *flow.Plan, standing func(int) flow.Standing) *graph.Graph {
	g := &graph.Graph{Name: name, Title: u.Title, Status: u.Status.Text, Steps: make([]graph.Step, plan.Len())}
	for i := range g.Steps {
		n := plan.Node(i)
		s := graph.Step{Name: n.Name, After: plan.After(i), Command: commandOf(u, i), State: "unknown"}
		if st := standing(i); st.State != unknown {
			s.State, s.Text = st.State.String(), st.Text
			s.Note = note(n, st)
		}
		if n.Skip && s.Text == "" {
			s.Text = "SKIP" // when its turn comes
		}
		g.Steps[i] = s
	}
	return g
}

// note says more of how a step stands than its state.
func note(n flow.Node, st flow.Standing) string {
	switch {
	case n.Tries > 1 && st.Try > 0 && (st.Try > 1 || st.State == flow.Failed):
		return fmt.Sprintf("try %d of %d", st.Try, n.Tries)
	case st.Kept:
		return "in an earlier run"
	}
	return ""
}
