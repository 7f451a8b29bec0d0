package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"simplejobq/internal/config"
	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// recover makes of what the last monitor left what this one goes on with. It is
// the only place that looks at currently-executing as a whole, and running it
// twice changes nothing: each thing it does is one the loop may do as well.
func (s *session) recover() error {
	s.recovering = true
	defer func() { s.recovering = false }()
	// A monitor that was killed leaves names that only memory knows; nothing may
	// be made of them before they are on disk.
	if err := s.sp.Sync(); err != nil {
		return err
	}
	s.wentDown = s.rebooted()
	said, err := s.sp.Clear()
	if err != nil {
		return err
	}
	for _, text := range said {
		s.recovered("", text)
	}
	links, names, err := s.sp.Seconds()
	if err != nil {
		return err
	}
	records, err := s.readRecords(names)
	if err != nil {
		return err
	}
	for _, l := range links {
		if err := s.gonePast(s.rewrite(l.Claimed)); err != nil {
			return err
		}
	}
	// From here on what is believed is on disk.
	if err := s.commit(); err != nil {
		return err
	}
	here, err := s.sp.Executing()
	if err != nil {
		return err
	}
	for _, l := range links {
		key := claimKey{l.Ino, l.Token}
		if err := s.recoverLink(l, here, records[key]); err != nil {
			return err
		}
		delete(records, key)
	}
	// What is left of the records belongs to UOWs that have left: nobody needs
	// them once their runners have let go.
	for _, list := range records {
		for _, r := range list {
			s.retire(r.record)
		}
	}
	if err := s.recoverEntries(here); err != nil {
		return err
	}
	if err := errors.Join(s.sweepPasts(), s.clearWork()); err != nil {
		return err
	}
	s.remember()
	if err := s.commit(); err != nil {
		return err
	}
	s.sp.Until(s.noteBoot)
	s.fault(s.flush())
	s.clearUp()
	return nil
}

func (s *session) recovered(name, text string) {
	if what := name + "\x00" + text; s.recovering {
		if s.mem.recovered[what] {
			return // by the session before this one
		}
		s.mem.recovered[what] = true
	}
	ev := s.event("recovered", name)
	ev.Reason = text
	s.journal.Tell(ev)
	s.say("recovered", name, text)
}

// found is a run record of the last monitor.
type found struct {
	record *run.Record
	start  run.Start
	live   run.Live
	end    *run.End
	locked bool
}

// claimKey is one claim of one file. The inode alone would not do: it may have
// been claimed before, put back, or belong to another file by now.
type claimKey struct {
	ino   uint64
	token string
}

// readRecords reads all run records, by the claim they tell of, the youngest run
// first.
func (s *session) readRecords(names []string) (map[claimKey][]found, error) {
	all := map[claimKey][]found{}
	for _, name := range names {
		r, err := run.OpenRecord(s.sp.Run, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // an idle runner took it with it
		}
		if err != nil {
			return nil, err
		}
		s.opened = append(s.opened, r)
		f := found{record: r}
		// The lock first: a runner that lets go in between has written its end.
		if f.locked, err = r.Locked(); err != nil {
			return nil, err
		}
		if f.start, f.live, f.end, err = r.Read(); err != nil {
			if !errors.Is(err, run.ErrDamaged) {
				return nil, err
			}
			s.recovered(f.start.UOW, fmt.Sprintf("run record %s: %v", name, err))
		}
		if !f.locked {
			if err := s.gonePast(s.rewriteRecord(r)); err != nil {
				return nil, err
			}
		}
		key := claimKey{f.start.Ino, f.start.Claim}
		all[key] = append(all[key], f)
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b found) int {
			if here, there := run.Boot(a.start.Run) == s.boot, run.Boot(b.start.Run) == s.boot; here != there {
				return map[bool]int{true: -1, false: 1}[here]
			}
			return cmp.Or(-cmp.Compare(len(a.start.Run), len(b.start.Run)), -cmp.Compare(a.start.Run, b.start.Run))
		})
	}
	return all, nil
}

// recoverLink goes on with one UOW that had been claimed.
func (s *session) recoverLink(l spool.Second, here []durable.Name, list []found) error {
	c := l.Claimed
	for _, n := range here {
		if n.Ino != c.Ino {
			continue
		}
		// A long name is cut in the link's; the file has all of it.
		whole := c
		whole.UOW = n.Name
		if c.Name = n.Name; whole.Link() == c.Link() {
			c.UOW = n.Name
		}
	}
	if len(list) > 0 {
		c.UOW = list[0].start.UOW
		if q, ok := s.sp.ByName(list[0].start.Queue); ok {
			c.From = q
		}
	}
	place, err := s.sp.Where(c)
	if err != nil {
		return err
	}
	var u *uow.Unit
	switch head, err := s.readLink(c); {
	case err == nil:
		if u, err = uow.Parse(c.UOW, head); err == nil {
			c.Enqueued = durable.Nanos(u.Enqueued)
		}
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, uow.ErrTooLarge):
		return err
	}
	alive := slices.ContainsFunc(list, func(f found) bool { return f.locked && f.end == nil && f.start.Run != "" })
	open := len(list) > 0 && (alive || list[0].end != nil || list[0].live.MayHaveRun(list[0].start.Run) ||
		// The mark of the fork was not synced: after another boot its absence says nothing.
		place.Lost && list[0].start.Run != "" && run.Boot(list[0].start.Run) != s.boot)
	// Where STATUS tells no end, a file in an ended queue was put there by a person.
	finished := place.Queue.Ended() && !alive && (!open || u != nil && u.Ended())
	switch {
	case place.Lost && !open && (u == nil || !u.Ended()):
		// It had not run, and somebody removed it: kept, but not run.
		s.drop(list)
		m, _, err := s.sp.Finish(c, spool.Trash)
		if err != nil {
			return err
		}
		s.sp.DropLater(c)
		s.recovered(c.UOW, "was removed by somebody before it ran; its last link is in "+s.sp.Name(spool.Trash)+" as "+quoteName(m.NewName))
		return nil
	case place.Lost, place.Queue == spool.Executing:
	case finished:
		// Its final move is done: the link was next to go. Whether that was told
		// nobody knows.
		s.drop(list)
		if u != nil && u.Ended() {
			s.retell(c, place, u)
		} else {
			s.recovered(c.UOW, "was moved to "+s.sp.Name(place.Queue)+" by somebody before it ran")
		}
		s.onceTold = append(s.onceTold, func() { s.sp.DropLater(c) })
		return nil
	case open && place.Queue.Ended(): // it leaves from there when its run has ended
	case open:
		// A person moved it while its run went on.
		if c.Name, err = s.sp.BringBack(c, place.Queue, place.Name); err != nil {
			return err
		}
		s.recovered(c.UOW, "had been moved to "+s.sp.Name(place.Queue)+" while it ran; it is back")
	case u != nil && u.Status.Kind == uow.Failed && len(list) == 0:
		// On its way to fail-q without ever having started.
		j := s.newJob(c, u)
		j.At, j.unstarted, j.outcome, j.text, j.to = place.Queue, true, flow.Fail, u.Status.Text, spool.Fail
		j.state = judged
		s.enter(j)
		return nil
	default:
		// The claim came to nothing: it is queued as before.
		if len(list) > 0 && run.Boot(list[0].start.Run) != s.boot {
			// Whether it was forked is not known for sure: the mark of that was not
			// synced, and somebody may have moved the file.
			if err := s.noteDoubt(c); err != nil {
				return err
			}
		}
		s.drop(list)
		return s.sp.DropSecond(c)
	}
	if u == nil || !u.Complete() {
		return s.recoverEdited(c, list)
	}
	return s.resume(c, u, list)
}

// retell tells the end of a UOW that may not have been told.
func (s *session) retell(c spool.Claimed, place spool.Place, u *uow.Unit) {
	moved := s.event("moved", place.Name)
	moved.From, moved.To = s.sp.Name(spool.Executing), s.sp.Name(place.Queue)
	s.journal.Tell(moved)
	ev := s.event("ended", place.Name)
	if u != nil {
		ev.Outcome, ev.Reason = u.Status.Kind, u.Status.Text
	}
	s.journal.Tell(ev)
	s.say("recovered", place.Name, "had ended when the last monitor did: "+ev.Reason+", in "+moved.To)
}

// retellAccepted tells of an acceptance in the round in which it was claimed, if
// that round was never told of.
func (s *session) retellAccepted(j *job) {
	st, err := s.sp.Run.Stat(j.Link())
	if err != nil || st.Mtime != durable.Nanos(j.unit.Enqueued)+int64(SubmitMark) {
		return
	}
	ev := s.event("accepted", j.UOW)
	ev.To = s.sp.Name(j.From)
	s.journal.Tell(ev)
}

func (s *session) drop(list []found) {
	for _, f := range list {
		s.retire(f.record)
	}
}

func (s *session) readLink(c spool.Claimed) ([]byte, error) {
	f, err := s.sp.Run.Open(c.Link())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return s.head(f)
}

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
	case !f.live.MayHaveRun(f.start.Run) && run.Boot(f.start.Run) == s.boot:
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
		// Its file was edited, or somebody was at our directory: what had ended is not
		// known any more, so nothing of it is run again.
		s.drop(list)
		s.fault(err)
		p.close()
		j.flow, _ = flow.New(j.plan)
		_, _ = j.flow.Cancel(flow.Interrupted, "interrupted: "+err.Error())
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case !mine:
		// Nothing was started: that follows the commit which covers its past.
		p.close()
		s.drop(list)
		s.recovered(j.UOW, "had been claimed and was never started; started now")
		return s.commence(j)
	}
	j.past, j.began = p, p.begun
	s.limit(j)
	known := map[string]bool{}
	for _, r := range records {
		known[r.Run] = true
	}
	for _, f := range slices.Backward(list) { // in the order in which they were started
		if known[f.start.Run] || f.start.Run == "" {
			j.old = append(j.old, f.record)
			continue
		}
		c := s.found(j, f)
		if err := s.reopenWork(j, f); err != nil {
			return err
		}
		changes, err := j.flow.Adopt(c.Start)
		if err != nil {
			s.fault(err)
			j.old = append(j.old, f.record)
			continue
		}
		cut, err := s.cutShort(c, f)
		if err != nil {
			return err
		}
		s.changed(j, changes)
		if err := s.rejoin(c, f, cut); err != nil {
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

// await waits, in a goroutine, until an adopted run lets go of its record.
func (s *session) await(c *command) {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	record := c.record
	go func() {
		if record.Wait(ctx) == nil {
			s.send(event{kind: evAdopted, command: c})
		}
	}()
}

// adopted is the end of a run that another monitor started.
func (s *session) adopted(c *command) {
	if c.record == nil || c.stage != alive {
		return
	}
	c.stop()
	c.dead, c.record = c.record, nil // looked at in the next round
}
