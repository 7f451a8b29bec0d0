package monitor

import (
	"cmp"
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
	"simplejobq/internal/spool"
	"simplejobq/internal/status"
	"simplejobq/internal/uow"
)

// List calls yield for each UOW of a queue, in order. Each file is opened and read once,
// without a lease: what a writer has half done shows as that, and nothing follows from it.
func (v *View) List(q spool.Queue, yield func(status.Job) bool) error {
	s := v.s
	if err := v.readJobs(); err != nil {
		return err
	}
	if q == spool.Executing {
		var jobs []status.Job
		for _, j := range s.jobs {
			jobs = append(jobs, s.describeJob(j))
		}
		slices.SortFunc(jobs, byStart)
		for _, j := range jobs {
			if !yield(j) {
				return nil
			}
		}
		return nil
	}
	parts, err := v.rows(q)
	if err != nil {
		return err
	}
	if q == spool.Wait && !v.surveyed {
		if s.ahead, err = CountDir(s.sp, spool.Priority); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(parts, func(p *rows) bool { return p.waits }) {
		// What they wait for is asked for by name.
		if err := v.survey(); err != nil {
			return err
		}
	}
	for {
		var first *rows
		for _, p := range parts {
			if len(p.list) > 0 && (first == nil || p.list[0].before(first.list[0]) < 0) {
				first = p
			}
		}
		if first == nil {
			return nil
		}
		r := first.list[0]
		first.list = first.list[1:]
		if !yield(v.describe(q, r)) {
			return nil
		}
	}
}

// row is what the list tells of a file.
type row struct {
	name     string
	at       int64 // its place in the order
	size     int64
	enqueued time.Time
	title    string
	status   string
	steps    *status.Steps
	try      int
	state    spool.State
	odd      bool
	terms    *terms
}

func (r *row) before(o *row) int {
	if c := cmp.Compare(r.at, o.at); c != 0 {
		return c
	}
	return strings.Compare(r.name, o.name)
}

// rows is a part of a list: those that one goroutine read.
type rows struct {
	v     *View
	queue spool.Queue
	list  []*row
	room  []row
	buf   []byte
	waits bool // for a UOW of a name
	err   error
}

// How many names a goroutine is given at once.
const namesAtOnce = 512

// rows reads the files of a queue, on all processors: the kernel has most of the work.
func (v *View) rows(q spool.Queue) ([]*rows, error) {
	names := make(chan []durable.Name, 2*runtime.NumCPU())
	parts := make([]*rows, runtime.NumCPU())
	var readers sync.WaitGroup
	for i := range parts {
		p := &rows{v: v, queue: q, buf: make([]byte, 8<<10)}
		parts[i] = p
		readers.Go(func() {
			for list := range names {
				for _, n := range list {
					p.read(n)
				}
			}
			slices.SortFunc(p.list, (*row).before)
		})
	}
	batch := make([]durable.Name, 0, namesAtOnce)
	err := v.s.sp.Dir(q).List(func(n durable.Name) bool {
		if !counts(q, n.Name) {
			return true
		}
		if batch = append(batch, n); len(batch) == cap(batch) {
			names <- batch
			batch = make([]durable.Name, 0, namesAtOnce)
		}
		return true
	})
	names <- batch
	close(names)
	readers.Wait()
	for _, p := range parts {
		err = errors.Join(err, p.err)
	}
	return parts, err
}

// read adds a file, unless it is gone by now.
func (p *rows) read(n durable.Name) {
	s := p.v.s
	if len(p.room) == 0 {
		p.room = make([]row, namesAtOnce)
	}
	r := &p.room[0]
	*r = row{name: n.Name}
	u, size, err := p.unit(n)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if r.size = size; u == nil || u.Enqueued.IsZero() && !p.queue.Ended() {
		st, err := s.sp.Dir(p.queue).Stat(n.Name)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			p.err = errors.Join(p.err, err)
			return
		}
		r.size, r.at, r.odd = st.Size, st.Mtime, !st.Regular()
	}
	if u != nil {
		if !u.Enqueued.IsZero() || p.queue.Ended() {
			r.at = durable.Nanos(u.Enqueued)
		}
		// Of the text no more is kept than is told.
		r.title, r.status, r.steps = strings.Clone(u.Title), strings.Clone(u.Status.Text), stepsOf(s.conf, u)
		r.enqueued, r.try = u.Enqueued, tryOf(u.Status)
	}
	if !p.queue.Ended() && !r.odd {
		r.state = spool.Settling
		if u != nil {
			if u.Complete() && !u.Ended() {
				r.state = spool.Accepted
			}
			if r.terms = s.termsFor(&spool.Entry{Enqueued: r.at}, u); r.terms != nil {
				r.terms.clone()
				p.waits = p.waits || len(r.terms.after)+len(r.terms.afterAny) > 0
			}
		}
	}
	p.room = p.room[1:]
	p.list = append(p.list, r)
}

// unit reads a file as a unit of work, nil if it can't be read as that.
func (p *rows) unit(n durable.Name) (*uow.Unit, int64, error) {
	if n.Type != unix.DT_REG && n.Type != unix.DT_UNKNOWN {
		return nil, 0, nil
	}
	s := p.v.s
	limit := int64(s.conf.Limits.UOWSize)
	got, size, err := s.sp.Dir(p.queue).ReadSmall(n.Name, p.buf)
	if err != nil {
		return nil, 0, err
	}
	head, ok, err := uow.HeadIn(p.buf[:got], int64(got) == size, limit)
	if !ok { // a long one
		u, c, err := s.readUnit(p.queue, n.Name)
		return u, c.Stat.Size, err
	}
	if err != nil {
		return nil, size, err
	}
	u, err := uow.Parse(n.Name, head)
	return u, size, err
}

// clone keeps of a text no more than these words of it.
func (t *terms) clone() {
	t.kind = strings.Clone(t.kind)
	for _, list := range [][]string{t.after, t.afterAny} {
		for i := range list {
			list[i] = strings.Clone(list[i])
		}
	}
}

func (v *View) describe(q spool.Queue, r *row) status.Job {
	j := status.Job{
		Name: r.name, Queue: v.s.sp.Name(q), State: stateOf(q), Size: max(r.size, 0),
		Title: r.title, Status: r.status, Steps: r.steps, Try: r.try,
	}
	if !r.enqueued.IsZero() {
		j.Enqueued = status.At(r.enqueued)
	}
	if q == spool.Wait || q == spool.Priority {
		e := &spool.Entry{Name: r.name, Queue: q, State: r.state, Odd: r.odd, Enqueued: r.at}
		if r.terms != nil {
			e.Note = r.terms
		}
		j.Why = v.s.whyWaits(e)
	}
	return j
}
