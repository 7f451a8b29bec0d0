package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

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
	if err := s.clearWork(); err != nil {
		return err
	}
	s.remember()
	if err := s.commit(); err != nil {
		return err
	}
	s.sp.Until(s.noteBoot)
	s.fault(s.flush())
	s.clearUp()
	s.told = nil
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
	s.recorded = map[string]bool{}
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
		s.recorded[f.start.Run] = true
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
	if u != nil && place.Queue.Ended() && !place.Lost {
		if goesOn, err := s.cleansOn(c, place, u, list); goesOn || err != nil {
			return err
		}
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
