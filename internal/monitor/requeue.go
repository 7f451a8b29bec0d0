package monitor

import (
	"errors"
	"fmt"
	"io/fs"

	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// requeueFrom has a flow that ended go on from a step: what the others got done is
// kept. Its STATUS says so, which is what tells a claim to look for the past.
//
//	crash after                   leaves
//	the past is rewritten         the old STATUS: the message is acted upon again, and finds what is kept
//	STATUS and the log's line     a file that begins from the step wherever it is put into a queue
func (s *session) requeueFrom(t target, step string) string {
	t = s.halfMoved(t)
	switch {
	case t.job != nil:
		return "not done: it is executing; KILL JOB ends it"
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
	records, err := s.readPast(c.Stat.Ino)
	if errors.Is(err, fs.ErrNotExist) {
		return "not done: nothing is left that tells what was done; REQUEUE without FROM begins anew"
	}
	if err != nil {
		s.fault(trouble(err))
		return "not done: " + firstLine(err.Error())
	}
	kept, err := flow.RestoreFrom(plan, records, step)
	if err != nil {
		return "not done: " + err.Error()
	}
	if err := s.rewritePast(c.Stat.Ino, t.name, kept); err != nil {
		s.fault(err)
		return "not done: " + err.Error()
	}
	text := uow.Again(1, 1, s.wall, fmt.Sprintf("from step %q; %s", step, u.Status.Text))
	if err := s.restatus(t, c.Stat, text, fmt.Sprintf("begins again from step %q; it had ended as %s", step, u.Status.Text)); err != nil {
		s.fault(trouble(err, spool.ErrChanged))
		return "not done: " + firstLine(err.Error())
	}
	done := 0
	for _, r := range kept {
		if r.Outcome == flow.Done {
			done++
		}
	}
	return s.transfer(t, spool.Wait, onlyEnded) + fmt.Sprintf(", from step %q: %d steps are kept", step, done)
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

// restatus overwrites STATUS in place, and adds a line to the log.
func (s *session) restatus(t target, read durable.Stat, text, line string) error {
	f, err := s.sp.Dir(t.queue).OpenWrite("finish:open", t.name)
	if err != nil {
		return err
	}
	done := func(err error) error { return errors.Join(err, f.Close()) }
	if st, err := f.Stat(); err != nil || !st.SameContent(read) {
		return done(errors.Join(err, spool.ErrChanged))
	}
	head, err := s.head(f)
	if err != nil {
		return done(err)
	}
	u, err := uow.Parse(t.name, head)
	if err != nil {
		return done(err)
	}
	if err := appendLine(f, "---- "+uow.Stamp(s.wall)+" "+line); err != nil {
		return done(err)
	}
	field, _ := uow.StatusField(text)
	if _, err := f.WriteAt("finish:status", field, u.StatusAt()); err != nil {
		return done(err)
	}
	return s.sp.Batch.File(f)
}
