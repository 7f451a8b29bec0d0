package monitor

import (
	"errors"
	"io"
	"io/fs"
	"strconv"
	"time"

	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// past is the file below .monitor/flow that a UOW with steps has: one line for each
// command that ended and for each wish from outside, appended before the commit of
// the round in which it counts. It is named after the inode of its UOW, and its
// lines "begun" tell which claims of that it belongs to. It stays while the UOW
// lies in error-q or fail-q, or has clean-ups that wait to be asked for.
//
//	crash after                 leaves
//	past made, claim            a past without a run: taken over by the next claim
//	start record, end           a run the past does not know: its record tells
//	past appended, commit       half a line perhaps, cut off: the run's record tells
type past struct {
	name    string
	file    *durable.File
	size    int64
	begun   time.Time
	queue   []flow.Record // not written yet
	waiting []*command    // whose ends those tell
}

func pastName(ino uint64) string { return "u" + strconv.FormatUint(ino, 10) }

// add has a record written by the next flush.
func (p *past) add(r flow.Record) {
	if p != nil {
		p.queue = append(p.queue, r)
	}
}

// covers notes that what is added tells how a command ended.
func (p *past) covers(c *command) { p.waiting = append(p.waiting, c) }

// owes reports whether something is still to be written.
func (p *past) owes() bool { return p != nil && len(p.queue) > 0 }

// flush appends what is to be written, all or nothing, for the batch to sync. It
// returns the commands whose ends that tells.
func (p *past) flush(batch *durable.Batch) (told []*command, err error) {
	if !p.owes() {
		return nil, nil
	}
	var b []byte
	for _, r := range p.queue {
		b = r.Append(b)
	}
	if _, err := p.file.WriteAt("flow:append", b, p.size); err != nil {
		return nil, errors.Join(err, p.file.Truncate("flow:undo", p.size))
	}
	if err := cover(p.file, batch); err != nil {
		return nil, err // written there once more
	}
	p.size += int64(len(b))
	told, p.waiting, p.queue = p.waiting, nil, nil
	for _, c := range told {
		c.witness = false
	}
	return told, nil
}

// cover has the next commit sync a past that stays open.
func cover(f *durable.File, batch *durable.Batch) error {
	again, err := f.Dup()
	if err != nil {
		return err
	}
	return batch.File(again)
}

func (p *past) close() {
	if p != nil {
		_ = p.file.Close()
	}
}

// openPast opens the past of an inode and reads it. What was being written when the
// machine went down is cut off. What is believed may be in memory only, or marked
// clean by a sync that failed, so it is written once more for the next commit.
func (s *session) openPast(ino uint64) (*past, []flow.Record, error) {
	p := &past{name: pastName(ino)}
	f, err := s.flows.OpenWrite("flow:open", p.name)
	if err != nil {
		return nil, nil, err
	}
	p.file = f
	records, good, size, err := decodePast(f)
	if err == nil && good < size {
		err = f.Truncate("flow:cut", good)
	}
	if err == nil {
		err = s.gonePast(s.settlePast(f, good))
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	p.size = good
	return p, records, nil
}

func (s *session) settlePast(f *durable.File, size int64) error {
	s.sp.Batch.Dir(s.flows, 0)
	if err := copyOver(f, 0, size); err != nil {
		return err
	}
	return cover(f, s.sp.Batch)
}

// lastBegun is the last line "begun" of a past: whose it is, and since when.
func lastBegun(records []flow.Record) (begun flow.Record) {
	for _, r := range records {
		if r.Kind == flow.FlowBegun {
			begun = r
		}
	}
	return begun
}

// belongs reports whether a past is that of a claim: its last line "begun" names it.
func belongs(records []flow.Record, c spool.Claimed) (begun time.Time, yes bool) {
	r := lastBegun(records)
	return r.At, r.Kind == flow.FlowBegun && r.Run == c.Token && r.Text == c.UOW
}

// commence begins the flow of a job that was claimed just now: anew, or from what
// REQUEUE ... FROM left of it.
func (s *session) commence(j *job) error {
	if j.plain() && !j.unit.DeferCleanup {
		s.begin(j)
		return nil
	}
	goesOn := j.unit.Status.Kind == uow.TryAgain
	var p *past
	var why error
	if goesOn {
		if p, why = s.goOn(j); why != nil && !pastLost(why) {
			return why
		}
	}
	var ended *flow.Record
	if p == nil {
		var err error
		if p, err = s.newPast(j); err != nil {
			return err
		}
		s.begin(j)
		if goesOn && !j.plain() {
			// What must not be run again is not known: nothing of it is.
			ended = s.forgotten(j, why)
		}
	}
	s.sp.Batch.Dir(s.flows, 0)
	p.begun = s.wall
	p.add(flow.Record{Kind: flow.FlowBegun, Run: j.Token, At: s.wall.UTC(), Text: j.UOW})
	if ended != nil {
		p.add(*ended)
	}
	j.past = p
	s.limit(j)
	return nil
}

// goOn makes the flow of a job from its past.
func (s *session) goOn(j *job) (*past, error) {
	if err := s.findPast(j.UOW, j.Ino, func(uint64) bool { return true }); err != nil {
		return nil, err
	}
	p, records, err := s.openPast(j.Ino)
	if err != nil {
		return nil, err
	}
	f, err := flow.Restore(j.plan, records)
	if err != nil {
		p.close()
		return nil, err
	}
	j.flow = f
	// What was kept had stood so before, and REQUEUE told that the others wait again.
	var begun []flow.Change
	for i := range j.plan.Len() {
		if st := f.Standing(i); !st.Kept && st.State != flow.Waiting && j.plan.Counted(i) {
			begun = append(begun, flow.Change{Step: i, From: flow.Waiting, To: st.State, Text: st.Text})
		}
	}
	s.changed(j, append(begun, f.Resume()...))
	return p, nil
}

// pastLost reports whether an error tells that there is no past that could be gone on
// from: it is gone, or damaged, or not that of these steps.
func pastLost(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*flow.DamageError)) || errors.As(err, new(*flow.PastError))
}

// forgotten ends a flow that was to go on from a step, and of which nobody knows any
// more what it had done.
func (s *session) forgotten(j *job, err error) *flow.Record {
	why := "the record of that is gone"
	if !errors.Is(err, fs.ErrNotExist) {
		why = err.Error()
	}
	rec, changes := j.flow.Cancel(flow.Killed, "what it had done is not known any more, so it can't go on from a step: "+why+"; REQUEUE without FROM begins anew")
	s.changed(j, changes)
	return rec
}

// newPast begins an empty one, with an empty shared directory.
func (s *session) newPast(j *job) (*past, error) {
	if err := s.flows.RemoveAll("flow:remove", pastName(j.Ino)); err != nil {
		return nil, err
	}
	if err := s.works.RemoveAll("work:remove", ownWork(j.Ino)); err != nil {
		return nil, err
	}
	f, err := s.flows.Create("flow:create", pastName(j.Ino), 0o644)
	if err != nil {
		return nil, err
	}
	return &past{name: pastName(j.Ino), file: f}, nil
}

// limit sets when the time of a flow is over.
func (s *session) limit(j *job) {
	if t := j.unit.Timeout; t != nil && *t > 0 && !j.plain() {
		// The clock may have been set meanwhile; it is not given more than it had.
		left := min(max(*t-s.wall.Sub(j.past.begun), 0), *t)
		j.expires = s.now.Add(left)
	}
}

// dropPast removes the past and the shared directory of a UOW, once it is on disk
// that nobody needs them.
func (s *session) dropPast(ino uint64) {
	s.sp.Until(func() error {
		return errors.Join(s.flows.RemoveAll("flow:remove", pastName(ino)), s.works.RemoveAll("work:remove", ownWork(ino)))
	})
}

// readPast reads a past without the right to write to it.
func (s *session) readPast(ino uint64) ([]flow.Record, error) {
	dir := s.flows
	if dir == nil { // a View has none open
		d, err := s.sp.Private.Sub("flow")
		if err != nil {
			return nil, err
		}
		defer d.Close()
		dir = d
	}
	f, err := dir.Open(pastName(ino))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	records, _, _, err := decodePast(f)
	return records, err
}

// decodePast reads what a past holds; what is beyond good was not written whole.
func decodePast(f *durable.File) (records []flow.Record, good, size int64, err error) {
	st, err := f.Stat()
	if err != nil {
		return nil, 0, 0, err
	}
	b := make([]byte, st.Size)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return nil, 0, 0, err
	}
	records, whole, err := flow.DecodePast(b[:n])
	return records, int64(whole), st.Size, err
}
