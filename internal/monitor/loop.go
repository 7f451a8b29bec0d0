package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/clock"
	"simplejobq/internal/config"
	"simplejobq/internal/run"
	"simplejobq/internal/units"
)

// event is what others send the loop.
type event struct {
	kind    int
	worker  *worker   // evRunner
	runner  run.Event // evRunner
	command *command  // evAdopted: the lock of its record is free
	ready   error     // evReady: nil if jobs may start
}

const (
	evHint = iota
	evRunner
	evAdopted
	evReady
)

// work recovers what the last monitor left, then turns round after round.
func (s *session) work(ctx context.Context) (err error) {
	defer func() {
		// Closing writes, too.
		_ = s.guard.during(func() error { s.close(); return nil }, func(time.Duration) {})
	}()
	defer func() {
		if err != nil {
			s.mem.stall = s.newStall()
		}
	}()
	if !s.mem.before {
		s.mem.before = true
		s.journal.Tell(s.event("up", ""))
		s.say("up", "", fmt.Sprintf("monitor %s, pid %d, on %s", s.Version, os.Getpid(), s.conf.Root))
	}
	s.resumed()
	s.starting = ctx
	if err := s.carryOut(s.recover); err != nil {
		return err
	}
	s.starting = nil
	s.noticed = s.summary()
	s.notify("READY=1\nSTATUS=" + s.noticed)
	err = s.loop(ctx)
	if err == nil {
		s.journal.Tell(s.event("down", ""))
		s.say("down", "", s.farewell())
		s.notify("STOPPING=1\nSTATUS=" + s.farewell())
		// What a full disk does not take now is no reason to stay.
		err = s.carryOut(func() error {
			s.fault(errors.Join(s.flush(), s.sp.ClearUp(), s.writeDigest(true)))
			return nil
		})
	}
	return err
}

func (s *session) loop(ctx context.Context) error {
	for {
		if err := s.carryOut(s.round); err != nil {
			return err
		}
		if err := s.tell(); err != nil {
			return err
		}
		if s.finished() {
			return nil
		}
		if !s.more {
			s.sleep(ctx)
		}
		for !s.absorb(ctx) {
			s.sleep(ctx)
		}
	}
}

// round is one turn: see the package comment for what one commit covers.
func (s *session) round() error {
	s.turns++
	s.now, s.wall = time.Now(), clock.Wall()
	s.more, s.lacking, s.glance = false, false, time.Time{}
	if err := s.readMessages(); err != nil {
		return err
	}
	if s.inbox.Unended() {
		s.glanceBy(s.now.Add(2 * time.Second))
	}
	if err := s.look(); err != nil {
		return err
	}
	s.move()
	s.edit()
	s.start()
	s.settleFlows()
	if s.broken != nil {
		return s.broken
	}
	err := s.commit()
	s.timer = false
	s.moveSoon()
	return err
}

func (s *session) commit() error {
	began := time.Now()
	dirty := s.sp.Batch.Dirty()
	err := s.sp.Commit()
	if dirty {
		s.digest.stale = true
		s.stats.rounds++
		s.stats.slowCommit = max(s.stats.slowCommit, time.Since(began))
		s.stats.slowRound = max(s.stats.slowRound, time.Since(s.now))
	}
	s.watchTrouble()
	return err
}

// glanceBy has a round come by then, whoever else wants one later.
func (s *session) glanceBy(t time.Time) {
	if s.glance.IsZero() || t.Before(s.glance) {
		s.glance = t
	}
}

// heardBeside notes whose end was asked for while the disk did not answer.
func (s *session) heardBeside(killed []string) {
	for _, name := range killed {
		if j := s.names[name]; j != nil {
			for _, c := range j.commands {
				if c.killed == "" {
					c.killed = killReason
				}
			}
		}
	}
}

func gettid() int { return unix.Gettid() }

// tell does what had to wait for the commit.
func (s *session) tell() error {
	tells := s.tells
	s.tells = nil
	s.digest.stale = s.digest.stale || len(tells) > 0 || len(s.launch) > 0
	for _, f := range tells {
		f()
		if s.says.Full() || s.journal.Full() {
			if err := s.carryOut(func() error { s.flushMany(); return nil }); err != nil {
				return err
			}
		}
	}
	if s.accepts && len(s.launch) > 0 {
		// An acceptance is told before its command can change the file that says it
		// was not.
		if err := s.carryOut(func() error { s.fault(s.journal.Flush()); return nil }); err != nil {
			return err
		}
	}
	s.handOver()
	lag := s.mayLag()
	s.accepts = false
	written := s.digest.written
	err := s.carryOut(func() error {
		if !lag {
			s.fault(s.flush())
		}
		s.fault(s.messagesDone())
		s.fault(s.post())
		s.clearUp()
		s.fault(s.writeDigest(false))
		return nil
	})
	if text := s.summary(); s.digest.written != written && text != s.noticed {
		s.noticed = text
		s.notify("STATUS=" + text)
	}
	return err
}

// clearUp does what waited for the commit. Marks and second links go last, when all
// is told: until then a crash has what they stand for told once more.
func (s *session) clearUp() {
	if s.journal.Written() {
		for _, f := range s.onceTold {
			f()
		}
		s.onceTold = nil
	}
	s.fault(s.sp.ClearUp())
}

// flushMany keeps lines that are many at once from being too many to be kept.
func (s *session) flushMany() {
	if s.says.Full() || s.journal.Full() {
		s.fault(s.flush())
	}
}

func (s *session) flush() error {
	s.urgent, s.flushed = false, time.Now()
	return errors.Join(s.says.Flush(), s.journal.Flush())
}

// finished reports whether there is nothing left to do for who wants to end.
func (s *session) finished() bool {
	if s.stop == stopping {
		// What a disk does not take now, recovery makes good.
		return !s.unsettledEnds() || !s.stopped.IsZero() && time.Since(s.stopped) > 5*time.Second
	}
	if s.more || s.unsettledEnds() {
		return false
	}
	switch {
	case s.stop == draining:
		return len(s.jobs) == 0
	case s.Once:
		return s.retry.IsZero() && len(s.jobs) == 0 && len(s.unread) == 0 && s.settles.open() == 0 && !s.awaitsRunner() && !s.ready.asking
	}
	return false
}

func (s *session) farewell() string {
	if n := len(s.jobs); n > 0 {
		return "monitor stopped; " + units.Count(n, "UOW runs on under its runner", "UOWs run on under their runners")
	}
	return "monitor stopped; nothing is running"
}

// sleep waits until there is something to do.
func (s *session) sleep(ctx context.Context) {
	until := s.scanned.Add(time.Duration(s.conf.SleepTime))
	earlier := func(t time.Time) {
		if !t.IsZero() && t.Before(until) {
			until = t
		}
	}
	earlier(s.settles.due())
	if t := s.order.due(); !t.IsZero() {
		earlier(time.Now().Add(t.Sub(clock.Wall())))
	}
	earlier(s.order.nextSpan())
	for _, j := range s.jobs {
		earlier(j.expires)
		if j.state == working && j.flow != nil {
			if t, later := j.flow.NextDue(clock.Wall()); later {
				earlier(time.Now().Add(t.Sub(clock.Wall())))
			}
		}
	}
	earlier(s.retry)
	earlier(s.glance)
	earlier(s.digest.due)
	earlier(s.ready.next())
	if s.Beat > 0 {
		earlier(time.Now().Add(s.Beat))
	}
	timer := time.NewTimer(max(time.Until(until), 0))
	defer timer.Stop()
	select {
	case ev := <-s.events:
		s.late = append(s.late, ev)
	case <-timer.C:
	case <-done(ctx, s.stop):
	case <-s.Reloads:
		if err := s.reload(); err == nil {
			s.say("reloaded", "", "configuration read again")
		} else {
			s.say("trouble", "", err.Error())
		}
		s.sp.Overlook()
		s.timer = true
	}
	s.notify("WATCHDOG=1")
}

// absorb takes in what has come, and reports whether that asks for a round: that a
// command was forked does not.
func (s *session) absorb(ctx context.Context) (round bool) {
	for yielded := false; ; {
		select {
		case ev := <-s.events:
			s.late = append(s.late, ev)
			continue
		default:
		}
		if yielded || len(s.late) == 0 {
			break
		}
		// Others have something to tell as well by now, and wait for a processor to do so:
		// one round for all of it, and one commit.
		runtime.Gosched()
		yielded = true
	}
	late := s.late
	s.late = nil
	round = s.more || len(late) == 0
	for _, ev := range late {
		_, started := ev.runner.(run.Started)
		round = round || !started
		switch ev.kind {
		case evRunner:
			s.heard(ev.worker, ev.runner)
		case evAdopted:
			s.adopted(ev.command)
		case evReady:
			s.ready.answered(ev.ready, time.Now())
			s.digest.stale = true
		}
	}
	if ctx.Err() != nil {
		s.stopAs(stopping)
	}
	if s.stop == stopping && s.stopped.IsZero() {
		s.stopped = time.Now()
		s.later(time.Second)
	}
	now := time.Now()
	if !s.retry.IsZero() && !now.Before(s.retry) {
		s.retry, s.timer = time.Time{}, true
	}
	if !s.ready.again.IsZero() && !now.Before(s.ready.again) {
		s.ready.again = time.Time{}
	}
	if now.Sub(s.scanned) >= time.Duration(s.conf.SleepTime) {
		s.timer, s.scanned = true, now
	}
	return round || ctx.Err() != nil
}

// reload reads the configuration again, all or nothing.
func (s *session) reload() error {
	s.notify("RELOADING=1")
	defer func() { s.notify("READY=1\nSTATUS=" + s.summary()) }()
	next, err := s.Reload()
	if err == nil {
		err = fixed(s.conf, next)
	}
	if err != nil {
		err = fmt.Errorf("configuration not reloaded, the old one stays in force: %w", err)
		e := s.event("trouble", "")
		e.Reason = err.Error()
		s.journal.Tell(e)
		return err
	}
	s.conf, s.mem.conf = next, next
	s.order.reopen()
	s.sp.Overlook()
	s.journal.Tell(s.event("reloaded", ""))
	return nil
}

// fixed refuses what can't change while the monitor works.
func fixed(old, next *config.Config) error {
	switch {
	case old.Root != next.Root:
		return fmt.Errorf("root was %q and is now %q; restart the monitor for that", old.Root, next.Root)
	case old.Dirs != next.Dirs:
		return errors.New("[dirs] changed; restart the monitor for that")
	case old.Files != next.Files:
		return errors.New("[files] changed; restart the monitor for that")
	case old.SaysSize != next.SaysSize || old.SaysKeep != next.SaysKeep:
		return errors.New("says_size or says_keep changed; restart the monitor for that")
	}
	return nil
}

// stopAs is how the monitor is to end. A session that follows on a broken disk knows
// it too.
func (s *session) stopAs(how stopKind) { s.stop, s.mem.stop = how, how }

// done is ctx's channel, until it was heard: then the loop ends by itself.
func done(ctx context.Context, stop stopKind) <-chan struct{} {
	if stop == stopping {
		return nil
	}
	return ctx.Done()
}
