package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"simplejobq/internal/config"
	"simplejobq/internal/durable"
	"simplejobq/internal/monitor"
	"simplejobq/internal/spool"
	"simplejobq/internal/status"
	"simplejobq/internal/uow"
)

// trail follows one UOW through the spool by its inode, whatever it is called
// and wherever it goes. It holds the file open, so the inode stays its own.
type trail struct {
	conf  *config.Config
	sp    *spool.Spool
	arg   string // as the user named it; "" for what was submitted here
	name  string
	queue spool.Queue
	file  *durable.File
	stat  durable.Stat
	older map[uint64]bool // the inodes that had ended under the name before
	lost  int             // how often in a row it was nowhere
}

// errGone is a UOW that was removed while it was followed.
var errGone = errors.New("was removed before it ended")

// How often a file that is in no directory is looked for again before it counts
// as removed: a look at all directories takes a moment, and files move meanwhile.
const patience = 20

// followName begins at what a name means.
func (p *program) followName(c *config.Config, sp *spool.Spool, arg string) (*trail, error) {
	t := &trail{conf: c, sp: sp, arg: arg, older: map[uint64]bool{}}
	err := p.ask(c, func(v *monitor.View) error {
		found, err := v.Find(arg)
		if err != nil {
			return err
		}
		return t.open(found)
	})
	if err != nil {
		t.close()
		return nil, err
	}
	for q := range spool.Queues {
		if st, there, err := sp.Find(q, t.name); err == nil && there && q.Ended() {
			t.older[st.Ino] = true
		}
	}
	return t, nil
}

// ask asks a view of the spool. A view is of one moment, and takes one to look
// around: a UOW that moves meanwhile can seem to be nowhere, so a no is asked
// for more than once.
func (p *program) ask(c *config.Config, question func(*monitor.View) error) error {
	for pace := (pace{}); ; {
		v, err := monitor.OpenView(c, p.version)
		if err != nil {
			return err
		}
		err = question(v)
		v.Close()
		if !errors.Is(err, monitor.ErrNobody) && !errors.Is(err, fs.ErrNotExist) || pace.d > 12*time.Millisecond {
			return err
		}
		time.Sleep(pace.next())
	}
}

func (t *trail) open(found monitor.Found) error {
	f, err := t.sp.Dir(found.Queue).Open(found.Name)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil && !st.Regular() {
		err = fmt.Errorf("%s is no regular file, so it is no unit of work", f.Path())
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if t.file != nil {
		if err := t.file.Close(); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	t.file, t.stat, t.name, t.queue = f, st, found.Name, found.Queue
	return nil
}

func (t *trail) close() {
	if t.file != nil {
		_ = t.file.Close() // read only
	}
}

// at reports whether the name in a queue is the file.
func (t *trail) at(q spool.Queue) (bool, error) {
	st, err := t.sp.Dir(q).Stat(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && st.Ino == t.stat.Ino && st.Dev == t.stat.Dev, err
}

// look finds where the file is now: found is false if it is nowhere at this
// moment. It is errGone if that will not change.
func (t *trail) look() (found bool, err error) {
	// In the order of a UOW's life: one that moves on meanwhile is met again.
	for _, q := range []spool.Queue{spool.Hold, spool.Wait, spool.Priority, spool.Executing, spool.Done, spool.Error, spool.Fail, spool.Archive, spool.Trash} {
		if here, err := t.at(q); err != nil {
			return false, err
		} else if here {
			t.queue, t.lost = q, 0
			return true, nil
		}
	}
	t.lost++
	st, err := t.file.Stat()
	if err != nil {
		return false, err
	}
	if st.Links == 0 {
		return t.again()
	}
	if t.lost%4 == 0 {
		if found, err := t.search(); found || err != nil {
			return found, err
		}
	}
	if t.lost > patience {
		return t.again()
	}
	return false, nil
}

// search looks for the inode under any name.
func (t *trail) search() (found bool, err error) {
	sp := t.sp
	for q := range spool.Queues {
		var name string
		err := sp.Dir(q).List(func(n durable.Name) bool {
			if n.Ino == t.stat.Ino && !spool.Ignored(n.Name) {
				name = n.Name
			}
			return name == ""
		})
		if err != nil {
			return false, err
		}
		if name != "" {
			t.name, t.queue, t.lost = name, q, 0
			return true, nil
		}
	}
	return false, nil
}

// again looks at the spool anew. The name may lead to another inode by now: the
// monitor's completed copy, or an editor's.
func (t *trail) again() (found bool, err error) {
	if t.lost%4 != 0 && t.lost <= patience {
		return false, nil
	}
	v, err := monitor.OpenView(t.conf, "")
	if err != nil {
		return false, err
	}
	defer v.Close()
	name := t.arg
	if name == "" {
		name = t.name
	}
	next, err := v.Find(name)
	same := err == nil && !t.older[next.Ino] && t.continues(v, next)
	switch {
	case err != nil && !errors.Is(err, monitor.ErrNobody) && !errors.Is(err, fs.ErrNotExist):
		return false, err
	case same:
		if err := t.open(next); errors.Is(err, fs.ErrNotExist) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		t.lost = 0
		return true, nil
	case t.lost > patience:
		return false, fmt.Errorf("%s %w", status.Name(t.name), errGone)
	}
	return false, nil
}

// continues reports whether a file is what the followed one became. What was
// submitted here is known by its timestamp; otherwise the name is what was asked
// for.
func (t *trail) continues(v *monitor.View, next monitor.Found) bool {
	if t.arg != "" {
		return true
	}
	was, err := t.unit()
	if err != nil {
		return false
	}
	u, _, err := monitor.ReadUnit(v.Spool(), next.Queue, next.Name, int64(t.conf.Limits.UOWSize))
	return err == nil && u.Enqueued.Equal(was.Enqueued)
}

// unit reads the followed file as a unit of work.
func (t *trail) unit() (*uow.Unit, error) {
	head, err := uow.Head(io.NewSectionReader(t.file, 0, 1<<62), int64(t.conf.Limits.UOWSize))
	if err != nil {
		return nil, err
	}
	return uow.Parse(t.name, head)
}

// settled makes sure that an ended UOW is on disk where it was found, and still
// there: only then may anybody be told.
func (t *trail) settled() (bool, error) {
	if !t.queue.Ended() {
		return false, nil
	}
	if err := t.sp.Dir(t.queue).Sync("wait:sync"); err != nil {
		return false, err
	}
	here, err := t.at(t.queue)
	if err != nil || !here {
		return false, err
	}
	runs, err := t.runs()
	return !runs, err
}

// runs reports whether a UOW that somebody moved into an ended queue is still being
// executed: it has no outcome, and the monitor its second link.
func (t *trail) runs() (yes bool, err error) {
	st, err := t.file.Stat()
	if err != nil || st.Links < 2 {
		return false, err
	}
	if u, err := t.unit(); err == nil && u.Ended() {
		return false, nil
	}
	err = t.sp.Run.List(func(n durable.Name) bool { yes = n.Ino == t.stat.Ino; return !yes })
	return yes, err
}

// pace is how long to sleep between two looks: short at first, because most
// jobs are.
type pace struct{ d time.Duration }

func (p *pace) next() time.Duration {
	p.d = min(max(p.d*5/4, 10*time.Millisecond), 150*time.Millisecond)
	return p.d
}
