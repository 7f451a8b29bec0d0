package monitor

import (
	"errors"
	"maps"
	"slices"
	"strconv"

	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/spool"
)

// recoverEntries deals with what lies in currently-executing without a second
// link: a person put it there, or removed the link.
func (s *session) recoverEntries(here []durable.Name) error {
	for _, n := range here {
		if s.jobs[n.Ino] == nil {
			s.stranger(n)
		}
	}
	return nil
}

// strangers looks for files that a person put into currently-executing.
func (s *session) strangers() {
	here, err := s.sp.Executing()
	if err != nil {
		s.fault(err)
		return
	}
	for _, n := range here {
		if s.jobs[n.Ino] == nil {
			s.stranger(n)
		}
	}
}

// stranger is a file in currently-executing that no run record names. A valid
// UOW is launched or queued; anything else is left alone and counted.
func (s *session) stranger(n durable.Name) {
	c, err := s.sp.Read(spool.Executing, n.Name, s.head)
	if err != nil || c.Writer == durable.Written || !c.Newline {
		s.fault(trouble(err, spool.ErrOdd))
		return
	}
	u, err := s.parse(n.Name, c)
	if err != nil || spool.CheckName(n.Name) != nil {
		return
	}
	if to, ok := endedQueue(u.Status.Kind); ok {
		// Nobody puts what has ended here to have it run again.
		m, err := s.sp.Fetch("stranger", spool.Executing, n.Name, to)
		if err != nil {
			s.fault(trouble(err))
			return
		}
		s.more = true
		s.recovered(m.NewName, "had ended and lay in "+s.sp.Name(spool.Executing)+"; it is in "+s.sp.Name(to)+" now")
		s.tellMoved(m, "")
		return
	}
	var ran trace
	why := "a unit of work that nobody had started lay in " + s.sp.Name(spool.Executing)
	if s.replaces(n.Name) {
		why = "was replaced by another file while it runs, by an editor perhaps; that file counts as newly dropped"
	} else if u.Complete() && u.Status.Kind == "" {
		f, err := s.sp.Dir(spool.Executing).Open(n.Name)
		if err == nil {
			ran, err = traceIn(f, int64(len(c.Head)))
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			s.fault(trouble(err))
			return
		}
	}
	free := s.slots < s.conf.Slots && s.mayStart(true) == "" && s.names[n.Name] == nil && s.kindCloses(s.kindName(u)) == ""
	if free && u.Complete() && u.Status.Kind == "" && c.Stat.Links == 1 {
		claim := spool.Claimed{UOW: n.Name, Name: n.Name, At: spool.Executing, From: spool.Priority, Ino: c.Stat.Ino, Dev: c.Stat.Dev, Enqueued: durable.Nanos(u.Enqueued)}
		claim, err := s.sp.Adopt(claim, c.Stat)
		if err != nil {
			s.fault(trouble(err, spool.ErrChanged))
			return
		}
		j := s.newJob(claim, u)
		s.enter(j)
		s.fault(s.commence(j))
		switch ran.what {
		case brokeOff:
			s.cutOff(j)
			return
		case hadEnded:
			j.notices = append(j.notices, "lay in "+s.sp.Name(spool.Executing)+" without an outcome; "+startedAnew)
		}
		s.more = true
		s.recovered(n.Name, "a unit of work that nobody had started lies in "+s.sp.Name(spool.Executing)+"; started now")
		return
	}
	if ran.what == brokeOff {
		return // when there is a slot: it is told then what became of it
	}
	// Not complete, ended, or no slot: it takes the ordinary way, first in line.
	m, err := s.sp.Fetch("stranger", spool.Executing, n.Name, spool.Priority)
	if err != nil {
		s.fault(trouble(err))
		return
	}
	s.more = true
	s.recovered(n.Name, why+"; it is in "+s.sp.Name(spool.Priority)+" now")
	s.tellMoved(m, "")
}

// replaces reports whether a file has the name of a UOW that runs.
func (s *session) replaces(name string) bool {
	for _, j := range s.jobs {
		if j.Name == name && j.At == spool.Executing {
			return true
		}
	}
	return false
}

// endedQueue is the queue of an outcome.
func endedQueue(kind string) (spool.Queue, bool) {
	switch o := flow.Outcome(kind); o {
	case flow.Done, flow.Error, flow.Fail:
		return destination(o), true
	}
	return 0, false
}

// clearWork removes work directories nobody will use again.
func (s *session) clearWork() error {
	inUse := map[string]bool{}
	for _, j := range s.jobs {
		inUse[ownWork(j.Ino)] = true
		if j.work != nil {
			inUse[j.work.name] = true
		}
	}
	// Of flows that ended badly people may ask for more.
	if err := s.flows.List(func(n durable.Name) bool { inUse[n.Name] = true; return true }); err != nil {
		return err
	}
	own := map[uint64]string{} // of UOWs, by inode
	var left []string
	err := s.works.List(func(n durable.Name) bool {
		if inUse[n.Name] {
			return true
		}
		if ino, err := strconv.ParseUint(n.Name[1:], 10, 64); err == nil && ownWork(ino) == n.Name {
			own[ino] = n.Name
		} else {
			left = append(left, n.Name)
		}
		return true
	})
	for _, q := range spool.Live {
		if err == nil && len(own) > 0 {
			err = s.sp.Dir(q).List(func(n durable.Name) bool { delete(own, n.Ino); return true })
		}
	}
	if err != nil {
		return err
	}
	for _, name := range slices.AppendSeq(left, maps.Values(own)) {
		// What a job left and nobody can remove stays, and is said.
		s.fault(s.works.RemoveAll("work:remove", name))
	}
	return nil
}
