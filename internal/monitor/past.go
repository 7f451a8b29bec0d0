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

// flush appends what is to be written, all or nothing, for the batch to sync.
func (p *past) flush(batch *durable.Batch) error {
	if !p.owes() {
		return nil
	}
	var b []byte
	for _, r := range p.queue {
		b = r.Append(b)
	}
	if _, err := p.file.WriteAt("flow:append", b, p.size); err != nil {
		return errors.Join(err, p.file.Truncate("flow:undo", p.size))
	}
	p.size += int64(len(b))
	p.queue = nil
	for _, c := range p.waiting {
		c.witness = false
	}
	p.waiting = nil
	f, err := p.file.Dup()
	if err != nil {
		return err
	}
	return batch.File(f)
}

func (p *past) close() {
	if p != nil {
		_ = p.file.Close()
	}
}

// openPast opens the past of an inode and reads it. What was being written when the
// machine went down is cut off.
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
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	p.size = good
	return p, records, nil
}

// belongs reports whether a past is that of a claim: its last line "begun" names it.
func belongs(records []flow.Record, c spool.Claimed) (begun time.Time, yes bool) {
	for _, r := range records {
		if r.Kind == flow.FlowBegun {
			begun, yes = r.At, r.Run == c.Token && r.Text == c.UOW
		}
	}
	return begun, yes
}

// commence begins the flow of a job that was claimed just now: anew, or from what
// REQUEUE ... FROM left of it.
func (s *session) commence(j *job) error {
	if j.plain() && !j.unit.DeferCleanup {
		s.begin(j)
		return nil
	}
	p, records, err := s.openPast(j.Ino)
	var damaged *flow.DamageError
	switch {
	case err == nil && j.unit.Status.Kind == "again":
		if j.flow, err = flow.Restore(j.plan, records); err != nil {
			j.flow = nil
		} else {
			s.changed(j, j.flow.Resume())
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.As(err, &damaged):
		return err
	}
	if j.flow == nil {
		if p != nil {
			p.close()
		}
		if err := s.flows.RemoveAll("flow:remove", pastName(j.Ino)); err != nil {
			return err
		}
		f, err := s.flows.Create("flow:create", pastName(j.Ino), 0o644)
		if err != nil {
			return err
		}
		p = &past{name: pastName(j.Ino), file: f}
		if err := s.works.RemoveAll("work:remove", ownWork(j.Ino)); err != nil {
			return errors.Join(err, f.Close())
		}
		s.begin(j)
	}
	s.sp.Batch.Dir(s.flows, 0)
	p.begun = s.wall
	p.add(flow.Record{Kind: flow.FlowBegun, Run: j.Token, At: s.wall.UTC(), Text: j.UOW})
	j.past = p
	s.limit(j)
	return nil
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

// sweepPasts removes the pasts of UOWs that are gone, or were put back to begin anew.
func (s *session) sweepPasts() error {
	var names []string
	if err := s.flows.List(func(n durable.Name) bool { names = append(names, n.Name); return true }); err != nil {
		return err
	}
	for _, name := range names {
		ino, err := strconv.ParseUint(name[1:], 10, 64)
		if err != nil || pastName(ino) != name || s.jobs[ino] != nil {
			continue
		}
		needed, err := s.needsPast(ino)
		s.fault(err)
		if !needed {
			s.dropPast(ino)
		}
	}
	return nil
}

// needsPast asks for the UOW of a past by the name it was claimed under. One that can't
// be read now is kept.
func (s *session) needsPast(ino uint64) (bool, error) {
	records, err := s.readPast(ino)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) && !errors.As(err, new(*flow.DamageError)), trouble(err)
	}
	name := ""
	for _, r := range records {
		if r.Kind == flow.FlowBegun {
			name = r.Text
		}
	}
	for q := range spool.Queues {
		if q == spool.Archive || q == spool.Trash || name == "" {
			continue
		}
		st, there, err := s.sp.Find(q, name)
		if err != nil {
			return true, err
		}
		if there && st.Ino == ino {
			return true, nil
		}
	}
	return false, nil
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
