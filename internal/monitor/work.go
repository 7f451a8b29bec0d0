package monitor

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
)

// work is where $MONITOR_OUTPUT, $MONITOR_STORE and $MONITOR_SHARED of a job
// lead. One is used again from job to job, because three new directories
// would cost a small job more than its commit; what a job left in it is cleared
// before the next. A UOW that may be tried again has one of its own, for
// $MONITOR_SHARED lasts over its tries.
type work struct {
	dir                   *durable.Dir
	name                  string
	output, store, shared string
	empty                 [len(workDirs)]durable.Stat // as it was when it was seen to be
}

var workDirs = [2]string{"store", "shared"}

func (s *session) openWork(name string) (*work, error) {
	if err := s.works.Mkdir("work:mkdir", name, 0o755); err != nil {
		return nil, err
	}
	d, err := s.works.Sub(name)
	if err != nil {
		return nil, err
	}
	w := &work{dir: d, name: name, output: d.Join("output"), store: d.Join("store"), shared: d.Join("shared")}
	for _, sub := range workDirs {
		if err := d.Mkdir("work:mkdir", sub, 0o755); err != nil {
			d.Close()
			return nil, err
		}
	}
	return w, nil
}

// clear makes it as new: for a try store and output, for a UOW shared as well.
func (w *work) clear(shared bool) error {
	st, err := w.dir.Stat("output")
	if err != nil || !st.Regular() || st.Size > 0 || st.Links > 1 {
		if err := w.dir.RemoveAll("work:remove", "output"); err != nil {
			return err
		}
		f, err := w.dir.Create("work:create", "output", 0o644)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	for i, sub := range workDirs {
		if i == 1 && !shared {
			continue
		}
		if w.untouched(i) {
			continue
		}
		if err := w.dir.RemoveAll("work:remove", sub); err != nil {
			return err
		}
		if err := w.dir.Mkdir("work:mkdir", sub, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// untouched reports an empty directory: the usual case, and much cheaper than a
// new one.
func (w *work) untouched(i int) bool {
	st, err := w.dir.Stat(workDirs[i])
	if err != nil {
		return false
	}
	if st == w.empty[i] {
		return true
	}
	d, err := w.dir.Sub(workDirs[i])
	if err != nil {
		return false
	}
	defer d.Close()
	empty := true
	err = d.List(func(durable.Name) bool { empty = false; return false })
	if err != nil || !empty {
		return false
	}
	// Times tell of changes only once the clock that they come from has moved on.
	if time.Since(time.Unix(0, st.Mtime)) > time.Second {
		w.empty[i] = st
	}
	return true
}

// ownWork is the name of the work directory of a UOW that may be tried again.
func ownWork(ino uint64) string { return pastName(ino) }

func keepsWork(j *job) bool { return j.plan.Node(0).Tries > 1 || j.past != nil }

// workFor prepares the work directory of a job's next command.
func (s *session) workFor(c *command) (*work, error) {
	j := c.job
	if !keepsWork(j) {
		return s.lent(j)
	}
	if j.work == nil {
		var err error
		if j.work, err = s.openWork(ownWork(j.Ino)); err != nil {
			return nil, err
		}
	}
	first := c.Phase == flow.Begin(j.plan.Node(c.Step).Step, c.Try).Phase
	afresh := first || c.Phase == flow.Cleanup
	if afresh {
		s.lendStep(j, c.Step)
	}
	w, err := s.workOf(c)
	if err != nil {
		return nil, err
	}
	switch {
	case w != j.work && afresh:
		err = w.clear(false)
	case first:
		err = w.clear(c.Try == 1)
	}
	if err == nil || durable.Passing(err) {
		return w, err
	}
	// A try before this one left what can't be removed: set aside. A step's directory
	// has one name always: the next monitor looks there for what a command added.
	s.fault(err)
	if w != j.work {
		if err := j.work.dir.Replace("work:aside", stepDir(c.Step), j.work.dir, freshWork()); err != nil {
			return nil, err
		}
		delete(j.works, c.Step)
		s.fault(w.dir.Close())
		return s.workOf(c)
	}
	s.fault(w.dir.Close())
	j.work, err = s.openWork(freshWork())
	return j.work, err
}

// freshWork is a name no other session used: an adopted run may still work in its own.
func freshWork() string { return "w" + strconv.FormatInt(time.Now().UnixNano(), 36) }

// lent is a directory that goes from job to job.
func (s *session) lent(j *job) (*work, error) {
	if j.work != nil {
		return j.work, nil
	}
	for n := len(s.spare); n > 0; n = len(s.spare) {
		w := s.spare[n-1]
		s.spare = s.spare[:n-1]
		err := w.clear(true)
		if err == nil {
			j.work = w
			return w, nil
		}
		// A job left what can't be removed, a mount say: set aside.
		s.fault(errors.Join(err, w.dir.Close()))
	}
	w, err := s.openWork(freshWork())
	if err == nil {
		err = w.clear(true)
	}
	if err != nil {
		return nil, err
	}
	j.work = w
	return w, nil
}

// workOf is the work directory a command has: of a UOW with steps each has its own
// below that of the UOW, which holds what they share. nil: there is none any more.
func (s *session) workOf(c *command) (*work, error) {
	j := c.job
	if j.plain() || j.work == nil {
		return j.work, nil
	}
	if w := j.works[c.Step]; w != nil {
		return w, nil
	}
	name := stepDir(c.Step)
	if err := j.work.dir.Mkdir("work:mkdir", name, 0o755); err != nil {
		return nil, err
	}
	d, err := j.work.dir.Sub(name)
	if err == nil {
		err = d.Mkdir("work:mkdir", workDirs[0], 0o755)
	}
	if err != nil {
		if d != nil {
			err = errors.Join(err, d.Close())
		}
		return nil, err
	}
	w := &work{dir: d, name: j.work.name, output: d.Join("output"), store: d.Join("store"), shared: j.work.shared}
	if j.works == nil {
		j.works = map[int]*work{}
	}
	j.works[c.Step] = w
	return w, nil
}

func stepDir(step int) string { return "s" + strconv.Itoa(step+1) }

// releaseStep lets go of the directory of a step's try that is over, and on disk: the
// next try of any step gets it, for new ones cost a small command more than its commit.
func (s *session) releaseStep(j *job, step int) {
	w := j.works[step]
	if w == nil {
		return
	}
	delete(j.works, step)
	s.fault(w.dir.Close())
	j.idle = append(j.idle, stepDir(step))
}

// lendStep gives a step that begins a try a directory that nobody needs any more. It
// is cleared as any that is found there.
func (s *session) lendStep(j *job, step int) {
	name := stepDir(step)
	if j.works[step] != nil || len(j.idle) == 0 {
		return
	}
	if i := slices.Index(j.idle, name); i >= 0 {
		j.idle = slices.Delete(j.idle, i, i+1)
		return
	}
	// Plainly, as all file systems can: what is there already is not empty.
	last := len(j.idle) - 1
	err := j.work.dir.Replace("work:lend", j.idle[last], j.work.dir, name)
	if !errors.Is(err, fs.ErrExist) {
		s.fault(err)
		j.idle = j.idle[:last]
	}
}

// triesOver lets go of the directories of tries whose ends are on disk.
func (s *session) triesOver(j *job, ended []*command) {
	for _, c := range ended {
		out := func(o *command) bool { return o.Step == c.Step }
		if !j.flow.Standing(c.Step).State.InTry() && !slices.ContainsFunc(j.commands, out) {
			s.releaseStep(j, c.Step)
		}
	}
}

// releaseWork takes back the work directory of a job that left its slot. again: it
// comes back for another try; kept: people may ask for more of it.
func (s *session) releaseWork(j *job, again, kept bool) {
	for step := range j.works {
		s.releaseStep(j, step)
	}
	for _, name := range j.idle {
		s.fault(j.work.dir.RemoveAll("work:remove", name))
	}
	if j.work == nil {
		if !again && !kept && keepsWork(j) {
			s.fault(s.works.RemoveAll("work:remove", ownWork(j.Ino)))
		}
		return
	}
	w := j.work
	j.work = nil
	if keepsWork(j) {
		s.fault(w.dir.Close())
		if !again && !kept {
			s.fault(s.works.RemoveAll("work:remove", w.name))
		}
		return
	}
	s.spare = append(s.spare, w)
}
