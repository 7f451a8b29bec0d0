package monitor

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

const (
	// How many files one round reads, so that a flood of them does not keep
	// those waiting that are due.
	readsPerRound = 512
	// Without a lease nothing but time tells that nobody writes.
	blindSettle = 5 * time.Second
	// A file that `monitor submit` made says so by this fraction of a
	// millisecond in its time: it is whole, even if no lease can be had. One that
	// was accepted has it until that was told.
	SubmitMark = time.Nanosecond
)

// scan brings what is known of the live queues up to date.
func (s *session) scan() error {
	found, err := s.sp.Look(s.timer, s.now)
	var lost *spool.LostError
	if errors.As(err, &lost) {
		return lost
	}
	s.fault(err)
	blind := err != nil
	if s.timer {
		s.scanned = time.Now()
		moved, back, err := s.sp.Follow()
		if errors.As(err, &lost) {
			return lost
		}
		s.fault(err)
		found.Moved, found.Back = append(found.Moved, moved...), append(found.Back, back...)
		s.lookAround(blind)
	}
	for _, q := range found.Back {
		s.troubleSaid(fmt.Sprintf("%s is there again", s.sp.Dir(q).Path()))
	}
	for _, q := range found.Moved {
		s.troubleSaid(fmt.Sprintf("%s was replaced by another directory; that one is followed from now on", s.sp.Dir(q).Path()))
	}
	if len(found.Moved)+len(found.Back) > 0 || s.timer {
		s.renewWatch()
	}
	for _, q := range found.Readmes {
		s.readmes(q)
	}
	for _, e := range found.Gone {
		s.forget(e)
	}
	// In order of time: what lies there already is accepted in the order in which it
	// was put there, however much that is, and not in that of the directory.
	slices.SortFunc(found.Fresh, byTime)
	for _, e := range found.Fresh {
		s.unread = append(s.unread, e)
		s.order.push(e)
	}
	return nil
}

// look judges what was found, and what has become due.
func (s *session) look() error {
	if err := s.scan(); err != nil {
		return err
	}
	if s.timer {
		again := s.postponed
		s.postponed = nil
		for _, e := range again {
			s.order.push(e)
		}
	}
	s.order.elapsed(s.now)
	for _, e := range s.order.clock(s.wall) {
		// What has expired is ended though no slot is free and nothing may start.
		if t := termsOf(e); t != nil && e.State == spool.Accepted && e.Queue != spool.Hold {
			if g := clockGate(t, s.wall); g.fail != "" {
				s.endUnstarted(e, flow.Fail, g.fail)
			}
		}
	}
	err := s.judge()
	if len(s.unread) == 0 {
		s.first = false
	}
	s.thrift()
	return err
}

// lookAround is what only the timer does, because nobody notifies us. blind: not all of
// the live queues could be read.
func (s *session) lookAround(blind bool) {
	changed := false
	for q := range spool.Queues {
		if !q.Ended() {
			continue
		}
		st, err := s.sp.Dir(q).Now()
		if err != nil {
			s.fault(err)
			continue
		}
		// One that changed within the last second may change again unseen.
		if st.Mtime != s.looked[q] || s.wall.UnixNano()-st.Mtime < int64(time.Second) {
			s.looked[q], changed = st.Mtime, true
			s.readmes(q)
		}
	}
	if changed {
		s.order.recheck()
		if !blind {
			s.fault(s.sweepPasts())
		}
	}
	s.strangers()
}

func (s *session) readmes(q spool.Queue) {
	moved, err := s.sp.Readmes(q)
	s.fault(err)
	for _, m := range moved {
		s.tellMoved(m, "an older README; one per directory stays")
	}
}

func (s *session) forget(e *spool.Entry) {
	delete(s.stuck, e)
	delete(s.blank, s.sp.Name(e.Queue)+"/"+e.Name)
	s.order.news(e.Name)
}

// takenDown takes in what was on the spool's shelf.
func (s *session) takenDown(e *spool.Entry) {
	if e.State == spool.Fresh {
		s.unread = append(s.unread, e)
	}
	s.order.push(e)
}

// judge reads files that are new, changed or due, and accepts or refuses them.
func (s *session) judge() error {
	due := s.settles.ripe(s.now)
	s.sp.Unread(readsPerRound - len(s.unread)) // see takenDown
	n := min(len(s.unread), readsPerRound)
	due = append(due, s.unread[:n]...)
	s.unread = s.unread[n:]
	if s.sp.Unread(readsPerRound - len(s.unread)); len(s.unread) == 0 {
		s.unread = nil
	} else {
		s.more = true
	}
	// In order of time, so that those of one round get their timestamps so.
	slices.SortFunc(due, byTime)
	due = slices.Compact(due)
	return s.judgeThese(due)
}

func byTime(a, b *spool.Entry) int {
	return cmp.Or(cmp.Compare(a.Mtime, b.Mtime), cmp.Compare(a.Name, b.Name))
}

func (s *session) judgeThese(list []*spool.Entry) error {
	var good []*spool.Acceptance
	var units []*uow.Unit
	for _, e := range list {
		if e.Gone || e.State == spool.Accepted || e.State == spool.Parked {
			continue
		}
		if a, u := s.examine(e); a != nil {
			good, units = append(good, a), append(units, u)
		}
	}
	if len(good) == 0 {
		return nil
	}
	if err := s.sp.Accept(good); err != nil {
		return err
	}
	for i, a := range good {
		switch {
		case errors.Is(a.Err, spool.ErrChanged) || errors.Is(a.Err, fs.ErrNotExist):
			s.fault(trouble(a.Err, spool.ErrChanged))
			s.settleAgain(a.Entry, time.Duration(s.conf.SettleTime), false)
			s.sp.Again(a.Entry)
		case errors.Is(a.Err, unix.EBUSY) && len(s.onceTold) > 0:
			// It ended a moment ago: its second link goes as soon as that is told.
			s.urgent, s.more = true, true
			s.settleAgain(a.Entry, 0, false)
		case a.Err != nil:
			s.stick(a.Entry, a.Err, time.Second, false)
		default:
			s.accepted(a, units[i])
		}
	}
	return nil
}

// trouble is err without the parts that only tell of a lost race.
func trouble(err error, races ...error) error {
	for _, r := range append(races, fs.ErrNotExist) {
		if err == nil || errors.Is(err, r) && !durable.Passing(err) {
			return nil
		}
	}
	return err
}

func (s *session) settleAgain(e *spool.Entry, in time.Duration, closed bool) {
	e.State = spool.Settling
	s.settles.add(e, s.now.Add(max(in, time.Millisecond)), closed)
}

// stick says what keeps a file from being accepted, and tries again. closed: whoever
// ends when there is nothing left to do does not wait for it, unless it passes.
func (s *session) stick(e *spool.Entry, err error, in time.Duration, closed bool) {
	s.fault(err)
	s.stuck[e] = err.Error()
	if durable.Passing(err) {
		closed = false
	} else {
		// What no passing of time mends needs no haste.
		in = max(in, time.Duration(s.conf.SettleTime), time.Duration(s.conf.SleepTime)/3)
	}
	s.settleAgain(e, in, closed)
}

func (s *session) head(r io.Reader) ([]byte, error) {
	return uow.Head(r, int64(s.conf.Limits.UOWSize))
}

// examine decides about one file: nil if it has to wait or was refused.
func (s *session) examine(e *spool.Entry) (*spool.Acceptance, *uow.Unit) {
	if e.Odd {
		s.refuse(e, "is "+s.kindOf(e)+", not a text file with a unit of work; it was moved as it is")
		return nil, nil
	}
	if err := spool.CheckName(e.Name); err != nil {
		s.refuse(e, err.Error())
		return nil, nil
	}
	if j := s.jobs[e.Ino]; j != nil {
		s.bringBack(j, e)
		return nil, nil
	}
	c, err := s.sp.Read(e.Queue, e.Name, s.head)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.sp.Again(e)
		return nil, nil
	case errors.Is(err, spool.ErrOdd):
		e.Odd = true
		return s.examine(e)
	case errors.Is(err, fs.ErrPermission):
		s.stick(e, fmt.Errorf("%w; the monitor must be allowed to read it", err), time.Duration(s.conf.SleepTime), true)
		return nil, nil
	case err != nil:
		s.stick(e, err, time.Second, true)
		return nil, nil
	}
	if s.first && c.Stat.Links > 1 {
		if q, healed, err := s.sp.Twin(e); err != nil {
			s.fault(err)
		} else if healed {
			s.healed(e, q)
			return nil, nil
		}
	}
	still := e.Still(c.Stat, s.now)
	if c.Writer == durable.Written {
		s.settleAgain(e, time.Duration(s.conf.SettleTime), true)
		return nil, nil
	}
	if uow.Blank(c.Head) && c.HeadErr == nil {
		s.sayBlank(e, c.Stat)
		s.settleAgain(e, time.Duration(s.conf.SleepTime), true)
		return nil, nil
	}
	unit, fault := s.parse(e.Name, c)
	if fault != nil {
		if need := time.Duration(s.conf.SleepTime); still < need {
			s.settleAgain(e, need-still, e.Queue == spool.Hold)
		} else if e.Queue == spool.Hold {
			e.State = spool.Parked
			s.say("held", e.Name, "not a valid unit of work; it stays in "+s.sp.Name(spool.Hold)+" and is judged when it leaves: "+firstLine(fault.Error()))
		} else {
			s.refuse(e, fault.Error())
		}
		return nil, nil
	}
	known := unit.Complete() && c.Stat.Mtime == durable.Nanos(unit.Enqueued)
	need := time.Duration(s.conf.SettleTime)
	switch submitted := unit.Complete() && c.Stat.Mtime == durable.Nanos(unit.Enqueued)+int64(SubmitMark); {
	case !c.Newline:
		need = time.Duration(s.conf.SleepTime)
	case submitted || known:
		need = 0
	case c.Writer == durable.Unknown:
		need = max(need, blindSettle)
	case s.sp.MovedIn(e, c):
		need = 0
	}
	if still < need {
		s.settleAgain(e, need-still, false)
		return nil, nil
	}
	return s.acceptance(e, c, unit), unit
}

func firstLine(text string) string {
	line, _, _ := bytes.Cut([]byte(text), []byte("\n"))
	return string(line)
}

func (s *session) kindOf(e *spool.Entry) string {
	st, err := s.sp.Dir(e.Queue).Stat(e.Name)
	if err != nil {
		return "no regular file"
	}
	return kindName(st.Mode)
}

func (s *session) sayBlank(e *spool.Entry, st durable.Stat) {
	key := s.sp.Name(e.Queue) + "/" + e.Name
	if s.blank[key] != st.Ctime {
		s.blank[key] = st.Ctime
		s.say("waiting", e.Name, "the file is empty; it is looked at again when something is written to it")
	}
}

// parse reads a file as a unit of work that this configuration can run.
func (s *session) parse(name string, c spool.Content) (*uow.Unit, error) {
	if c.HeadErr != nil {
		return nil, headError(name, c.HeadErr, s.conf)
	}
	return Check(s.conf, name, c.Head)
}
