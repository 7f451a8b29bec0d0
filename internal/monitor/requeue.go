package monitor

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/spool"
	"simplejobq/internal/units"
	"simplejobq/internal/uow"
)

// requeueFrom has a flow that ended go on from a step: what the others got done is
// kept. Its STATUS says so, which is what tells a claim to look for the past.
//
// If it can't be moved then, both are put back.
//
//	crash after                   leaves
//	the past is rewritten         the old STATUS: the message is acted upon again, and finds what is kept
//	STATUS and the log's line     a file that begins from the step wherever it is put into a queue
func (s *session) requeueFrom(t target, step string) string {
	t = s.halfMoved(t)
	switch {
	case t.job != nil:
		return "not done: " + s.busy(t.job)
	case t.queue != spool.Error && t.queue != spool.Fail && t.queue != spool.Done:
		return fmt.Sprintf("not done: what was done is kept only of what lies in %s or %s (it is in %s)",
			s.sp.Name(spool.Error), s.sp.Name(spool.Fail), s.sp.Name(t.queue))
	}
	u, c, err := s.readUnit(t.queue, t.name)
	if err != nil {
		return "not done: " + firstLine(err.Error())
	}
	if len(u.Steps) == 0 {
		return "not done: it has no steps; REQUEUE without FROM begins anew"
	}
	plan, _, faults := planOf(s.conf, u)
	if len(faults) > 0 {
		return "not done: " + faults[0].Error()
	}
	err = s.findEnded(u, t.name, c.Stat.Ino)
	var records []flow.Record
	if err == nil {
		records, err = s.readPast(c.Stat.Ino)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "not done: nothing is left that tells what was done; REQUEUE without FROM begins anew"
	}
	if err != nil {
		s.fault(trouble(err))
		return "not done: " + firstLine(err.Error())
	}
	was, begun := endedAs(u)
	kept, err := flow.RestoreFrom(plan, records, step)
	if err != nil {
		return "not done: " + err.Error()
	}
	answer, moved, again := "", false, waitAgain(plan, records, kept)
	err = s.rewritePast(c.Stat.Ino, t.name, kept)
	if err == nil {
		begun = true
		text := uow.Again(1, 1, s.wall, fmt.Sprintf("from step %q; %s", step, was))
		asRead := func(st durable.Stat, _ *uow.Unit) bool { return st.SameContent(c.Stat) }
		lines := []string{fmt.Sprintf("begins again from step %q; it had ended as %s", step, was)}
		for _, ch := range again {
			lines = append(lines, changeLine(plan.Node(ch.Step).Name, ch))
		}
		err = s.restatus(t, asRead, text, lines)
	}
	if err == nil {
		answer, moved = s.transferred(t, spool.Wait, onlyEnded)
	} else {
		s.fault(trouble(err, spool.ErrChanged))
		answer = "not done: " + firstLine(err.Error())
	}
	if !moved {
		if begun && !errors.Is(err, spool.ErrChanged) { // else it is not what was read
			s.takeBackFrom(t, c.Stat.Ino, was, records)
		}
		return answer
	}
	for _, ch := range again {
		s.tellEvents(s.stepEvent(t.name, plan.Node(ch.Step).Name, ch, 0))
	}
	done := 0
	for _, r := range kept {
		if r.Outcome == flow.Done {
			done++
		}
	}
	stays := "nothing of what was done is kept"
	if done > 0 {
		stays = units.Count(done, "step is kept", "steps are kept")
	}
	return answer + fmt.Sprintf(", from step %q: %s", step, stays)
}

// waitAgain is what becomes of the steps that had come to an end and are not kept. Of a
// UOW whose steps were edited meanwhile nobody knows how they stood.
func waitAgain(plan *flow.Plan, records, kept []flow.Record) (changes []flow.Change) {
	old, err := flow.Restore(plan, records)
	if err != nil {
		return nil
	}
	old.Resume()
	stays := map[string]bool{}
	for _, r := range kept {
		stays[r.Step] = r.Outcome == flow.Done
	}
	for i := range plan.Len() {
		if st := old.Standing(i); plan.Counted(i) && !stays[plan.Node(i).Name] && st.State != flow.Waiting {
			changes = append(changes, flow.Change{Step: i, From: st.State, To: flow.Waiting})
		}
	}
	return changes
}

// takeBackFrom undoes what was done for REQUEUE ... FROM, now or when that can be done.
func (s *session) takeBackFrom(t target, ino uint64, was string, records []flow.Record) {
	// What failed may have been done nevertheless, and that may not be known: the file
	// itself tells.
	ours := func(st durable.Stat, u *uow.Unit) bool {
		_, begun := endedAs(u)
		return begun && st.Ino == ino
	}
	s.fault(s.sp.Now(func() error {
		err := s.rewritePast(ino, t.name, records)
		if err == nil {
			err = s.restatus(t, ours, was, nil)
		}
		return trouble(err, spool.ErrChanged) // else it is somebody else's by now
	}))
}

// endedAs is the STATUS a flow had ended with; begun if a crash came while this was acted
// upon before, and it stands there as what was last.
func endedAs(u *uow.Unit) (text string, begun bool) {
	_, last, is := strings.Cut(u.Status.Text, "; last: from step ")
	if u.Status.Kind != uow.TryAgain || !is {
		return u.Status.Text, false
	}
	step, err := strconv.QuotedPrefix(last)
	if err != nil {
		return last, true
	}
	return strings.TrimPrefix(last[len(step):], "; "), true
}

// rewritePast puts what is kept in the place of a past.
func (s *session) rewritePast(ino uint64, name string, kept []flow.Record) error {
	const next = "next"
	if err := s.flows.RemoveAll("flow:remove", next); err != nil {
		return err
	}
	f, err := s.flows.Create("flow:create", next, 0o644)
	if err != nil {
		return err
	}
	b := flow.Record{Kind: flow.FlowBegun, Text: name, At: s.wall.UTC()}.Append(nil)
	for _, r := range kept {
		b = r.Append(b)
	}
	_, err = f.Write("flow:write", b)
	if err == nil {
		err = f.Sync("flow:sync")
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	s.sp.Batch.Dir(s.flows, 0)
	return s.flows.Replace("flow:rename", next, s.flows, pastName(ino))
}

// restatus overwrites STATUS in place, and adds lines to the log: of a
// file that is still the one meant.
func (s *session) restatus(t target, meant func(durable.Stat, *uow.Unit) bool, text string, lines []string) error {
	f, err := s.sp.Dir(t.queue).OpenWrite("finish:open", t.name)
	if err != nil {
		return err
	}
	done := func(err error) error { return errors.Join(err, f.Close()) }
	st, err := f.Stat()
	if err != nil {
		return done(err)
	}
	head, err := s.head(f)
	if err != nil && !errors.Is(err, uow.ErrTooLarge) {
		return done(err)
	}
	// It was a unit of work when it was read.
	u, wrong := uow.Parse(t.name, head)
	if err != nil || wrong != nil || !meant(st, u) {
		return done(spool.ErrChanged)
	}
	if len(lines) > 0 {
		if err := s.logLines(f, lines...); err != nil {
			return done(err)
		}
	}
	field, _ := uow.StatusField(text)
	if _, err := f.WriteAt("finish:status", field, u.StatusAt()); err != nil {
		return done(err)
	}
	return s.sp.Batch.File(f)
}
