package monitor

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"simplejobq/internal/config"
	"simplejobq/internal/flow"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// resume rebuilds a job from its UOW and its records.
func (s *session) resume(c spool.Claimed, u *uow.Unit, list []found) error {
	j := s.newJob(c, u)
	s.enter(j)
	s.retellAccepted(j)
	if !j.plain() || u.DeferCleanup {
		return s.resumeFlow(j, list)
	}
	if len(list) == 0 || list[0].start.Run == "" {
		s.drop(list)
		if lost, err := s.recordLost(j); lost || err != nil {
			return err
		}
		return s.resumeByStatus(j, false)
	}
	f := list[0]
	// The records go when the UOW has left: until STATUS is on disk they alone tell
	// that something ran.
	for _, older := range list[1:] {
		j.old = append(j.old, older.record)
	}
	cmd := s.found(j, f)
	j.began = f.live.Started
	if err := s.reopenWork(j, f); err != nil {
		return err
	}
	cut, err := s.cutShort(cmd, f)
	if err != nil {
		return err
	}
	st := j.unit.Status
	told := st.Kind != "" && (st.Kind != uow.TryAgain || st.Try > cmd.Try)
	if cut == "" && told && cmd.Phase != flow.Cleanup && !(f.locked && f.end == nil) {
		// The outcome was written before the crash; the record is older news.
		j.old = append(j.old, f.record)
		return s.resumeByStatus(j, cmd.Phase != flow.Check || cmd.Try > 1)
	}
	if j.flow, err = flow.RestorePlain(j.plan, cmd.Start, flow.Outcome(st.Kind)); err != nil {
		return err
	}
	if cmd.Phase == flow.Cleanup {
		j.outcome, j.text, j.to, j.state = flow.Outcome(st.Kind), st.Text, destination(flow.Outcome(st.Kind)), cleaning
	}
	return s.rejoin(cmd, f, cut)
}

// found is a command that a record tells of.
func (s *session) found(j *job, f found) *command {
	c := &command{job: j, runID: f.start.Run, pid: f.live.PID, stage: alive}
	c.Phase, c.Try, c.Seq, c.At = flow.Phase(f.start.Phase), max(f.start.Try, 1), f.start.Seq, f.start.At
	c.Step, _ = j.plan.Index(f.start.Step)
	return c
}

// neverRan reports whether a run of this boot was announced, and no more.
func (f found) neverRan(boot string) bool {
	return f.end == nil && !f.live.MayHaveRun(f.start.Run) && run.Boot(f.start.Run) == boot
}

// cutShort says why a run of before the last boot counts as interrupted, "" if it does
// not.
func (s *session) cutShort(c *command, f found) (string, error) {
	if run.Boot(f.start.Run) == s.boot || f.locked {
		return "", nil
	}
	cut, err := s.powerCut(c.job, f, c.Try)
	if cut != "" || err != nil || f.end == nil || c.job.plain() {
		return cut, err
	}
	// What a step added to the context is a part of its end.
	w, err := s.workOf(c)
	if err == nil && (w == nil && f.end.OutputSize > 0 || w != nil && !f.end.OutputWhole(w.output)) {
		cut = "the machine went down before what it had written was on disk"
	}
	return cut, err
}

func (s *session) reopenWork(j *job, f found) (err error) {
	if f.start.Work == "" || j.work != nil {
		return nil
	}
	if _, err := s.works.Stat(f.start.Work); err == nil {
		j.work, err = s.openWork(f.start.Work)
		return err
	}
	return nil
}

// rejoin goes on with a command the flow has been told of. cut says why its end does
// not count.
func (s *session) rejoin(c *command, f found, cut string) error {
	j := c.job
	j.commands = append(j.commands, c)
	if c.Phase == flow.Command {
		s.typesOf(c, 1)
	}
	switch {
	case cut != "":
		j.old = append(j.old, f.record)
		c.stage, c.lost = ended, cut
		s.recovered(j.UOW, c.label()+" interrupted: "+cut)
	case f.end != nil:
		j.old = append(j.old, f.record)
		c.end, c.stage = f.end, ended
		s.recovered(j.UOW, c.label()+" had been started by the last monitor, and has ended: "+f.end.Text)
	case f.locked:
		c.record, c.keeper, c.stage = f.record, f.live.Runner, alive
		s.recovered(j.UOW, fmt.Sprintf("runs on under its runner, %s; adopted", c.label()))
		s.await(c)
	case f.neverRan(s.boot):
		j.old = append(j.old, f.record)
		s.back(c)
		s.recovered(j.UOW, "was about to start when the last monitor ended; started now")
	default:
		if err := s.collect(c, f.record, lostBoth); err != nil {
			return err
		}
		s.recovered(j.UOW, c.label()+" interrupted: "+c.lost)
	}
	return nil
}

// resumeFlow rebuilds a job with steps: its past tells what had ended, the records what
// was out.
func (s *session) resumeFlow(j *job, list []found) error {
	p, records, err := s.openPast(j.Ino)
	mine := false
	if err == nil {
		p.begun, mine = belongs(records, j.Claimed)
		if mine {
			j.flow, err = flow.Restore(j.plan, records)
		}
	}
	var damaged *flow.DamageError
	var foreign *flow.PastError
	switch {
	case errors.As(err, &damaged), errors.As(err, &foreign):
		s.fault(err)
		p.close()
		s.pastGone(j, list, err.Error())
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case !mine:
		p.close()
		ran, err := s.traceOf(j)
		if err != nil {
			return err
		}
		if ran.what != nothingRan || slices.ContainsFunc(list, func(f found) bool { return f.end != nil || f.live.MayHaveRun(f.start.Run) }) {
			s.pastGone(j, list, "it had been started, and the record of what it had done is gone")
			return nil
		}
		// Nothing was started: that follows the commit which covers its past.
		s.drop(list)
		s.recovered(j.UOW, "had been claimed and was never started; started now")
		return s.commence(j)
	}
	j.past, j.began = p, p.begun
	s.limit(j)
	if err := s.gonePast(s.retellSteps(j)); err != nil {
		return err
	}
	known := map[string]bool{}
	for _, r := range records {
		known[r.Run] = true
	}
	type out struct {
		found
		command *command
		changes []flow.Change
	}
	// One that never ran may have been given to another runner since: it comes last, and
	// counts only if there is room for it.
	var ran, never []found
	for _, f := range slices.Backward(list) { // in the order in which they were started
		switch {
		case known[f.start.Run] || f.start.Run == "":
			j.old = append(j.old, f.record)
		case f.neverRan(s.boot):
			never = append(never, f)
		default:
			ran = append(ran, f)
		}
	}
	var outs []out
	for n, f := range slices.Concat(ran, never) {
		c := s.found(j, f)
		changes, err := j.flow.Adopt(c.Start)
		if err != nil && (n >= len(ran) || run.Boot(f.start.Run) != s.boot) {
			j.old = append(j.old, f.record)
			continue
		}
		if err != nil {
			s.fault(err)
			s.pastGone(j, list, "the record of what it had done does not know what runs: "+err.Error())
			return nil
		}
		outs = append(outs, out{f, c, changes})
	}
	if step := s.unknownTry(j); step != "" {
		s.pastGone(j, list, fmt.Sprintf("a try of step %q had begun, and nothing is left that tells what became of it", step))
		return nil
	}
	for _, o := range outs {
		if err := s.reopenWork(j, o.found); err != nil {
			return err
		}
		cut, err := s.cutShort(o.command, o.found)
		if err != nil {
			return err
		}
		s.changed(j, o.changes)
		if err := s.rejoin(o.command, o.found, cut); err != nil {
			return err
		}
	}
	s.changed(j, j.flow.Resume())
	e, over := j.flow.Ending()
	if st := j.unit.Status; over && st.Kind == string(e.Outcome) {
		// Its outcome is written; clean-ups may be due, or run.
		j.outcome, j.text, j.to, j.state = e.Outcome, st.Text, destination(e.Outcome), judged
		if len(j.commands) > 0 {
			j.state = cleaning
		}
		if !s.owesCleanup(j) && len(j.commands) == 0 {
			s.vacate(j)
		}
	}
	return nil
}

// pastGone ends a flow of which it is not known any more what it had done: its file was
// edited, or somebody was at our directory. What still runs of it is ended, and nothing
// of it is run again.
func (s *session) pastGone(j *job, list []found, why string) {
	for _, f := range list {
		if run.Boot(f.start.Run) == s.boot && f.end == nil {
			_, err := run.KillTree(f.start.Run, f.live)
			s.fault(err)
		}
	}
	s.drop(list)
	j.past.close()
	j.past, j.old, j.ahead = nil, nil, nil
	j.flow, _ = flow.New(j.plan)
	text := "interrupted: " + why + s.endUnknown(j.UOW)
	s.recovered(j.UOW, text)
	_, _ = j.flow.Cancel(flow.Interrupted, text)
}

const lostBoth = "monitor and runner both ended while it ran"

// resumeByStatus goes on with a UOW in currently-executing of which nothing runs or
// has ended that STATUS does not tell. commanded: its COMMAND was started.
func (s *session) resumeByStatus(j *job, commanded bool) error {
	switch st := j.unit.Status; st.Kind {
	case "":
		s.begin(j)
		if _, over := j.flow.Ending(); !over {
			s.recovered(j.UOW, "had been claimed and was never started; started now")
		}
	case uow.TryAgain:
		j.state, j.to, j.text = judged, j.From, st.Text
		s.vacate(j)
	default:
		j.outcome, j.text, j.state = flow.Outcome(st.Kind), st.Text, judged
		j.to = destination(j.outcome)
		var err error
		if j.flow, err = flow.SettledPlain(j.plan, j.outcome, commanded); err != nil {
			return err
		}
		if !s.owesCleanup(j) {
			s.vacate(j)
		}
	}
	return nil
}

// recoverEdited is a claimed UOW whose text is none any more: an editor was at
// it. Its end is known from the record alone, and it goes where that leads.
func (s *session) recoverEdited(c spool.Claimed, list []found) error {
	j := &job{Claimed: c, unit: &uow.Unit{}, plan: bare, kinds: make([]*config.JobType, 1), claimed: s.now}
	s.enter(j)
	j.flow, _ = flow.New(j.plan)
	started := len(list) > 0 && list[0].start.Run != ""
	if !started {
		s.drop(list)
		_, _ = j.flow.Cancel(flow.Interrupted, "interrupted: its file was rewritten before it ran and is no unit of work any more")
		return nil
	}
	f := list[0]
	s.drop(list[1:])
	cmd := s.found(j, f)
	cmd.Step, cmd.Phase, cmd.Try = 0, flow.Command, 1
	if _, err := j.flow.Adopt(cmd.Start); err != nil {
		return err
	}
	j.commands = append(j.commands, cmd)
	switch {
	case f.end != nil:
		cmd.end, cmd.stage = f.end, ended
		j.old = append(j.old, f.record)
	case f.locked:
		cmd.record, cmd.keeper = f.record, f.live.Runner
		s.await(cmd)
	default:
		return s.collect(cmd, f.record, lostBoth)
	}
	return nil
}

// bare is the plan of a UOW whose text is none any more.
var bare, _ = flow.NewPlan([]flow.Node{{Step: flow.Step{Command: true, Tries: 1}}}, flow.Options{})
