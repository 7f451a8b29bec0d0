package monitor

import (
	"errors"
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
		if w.untouched(sub) {
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
func (w *work) untouched(sub string) bool {
	d, err := w.dir.Sub(sub)
	if err != nil {
		return false
	}
	defer d.Close()
	empty := true
	err = d.List(func(durable.Name) bool { empty = false; return false })
	return err == nil && empty
}

// ownWork is the name of the work directory of a UOW that may be tried again.
func ownWork(j *job) string { return "u" + strconv.FormatUint(j.Ino, 10) }

func keepsWork(j *job) bool { return j.step.Tries > 1 }

// workFor prepares the work directory of a job's next command.
func (s *session) workFor(j *job) (*work, error) {
	fresh := j.phase == flow.Begin(j.step, j.try).Phase
	if !keepsWork(j) {
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
	if j.work == nil {
		var err error
		if j.work, err = s.openWork(ownWork(j)); err != nil {
			return nil, err
		}
	}
	if !fresh {
		return j.work, nil
	}
	err := j.work.clear(j.try == 1)
	if err == nil || durable.Passing(err) {
		return j.work, err
	}
	// A try before this one left what can't be removed: set aside.
	s.fault(errors.Join(err, j.work.dir.Close()))
	j.work, err = s.openWork(freshWork())
	return j.work, err
}

// freshWork is a name no other session used: an adopted run may still work in its own.
func freshWork() string { return "w" + strconv.FormatInt(time.Now().UnixNano(), 36) }

// releaseWork takes back the work directory of a job that left its slot.
func (s *session) releaseWork(j *job, again bool) {
	if j.work == nil {
		if !again && keepsWork(j) {
			s.fault(s.works.RemoveAll("work:remove", ownWork(j)))
		}
		return
	}
	w := j.work
	j.work = nil
	if keepsWork(j) {
		s.fault(w.dir.Close())
		if !again {
			s.fault(s.works.RemoveAll("work:remove", w.name))
		}
		return
	}
	s.spare = append(s.spare, w)
}
