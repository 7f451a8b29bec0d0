package main

import (
	"time"

	"simplejobq/internal/run"

	"golang.org/x/sys/unix"
)

// What a job is in the middle of. It only goes down this list.
const (
	starting  = iota // not forked; what hinders may pass by itself
	running          // its first process lives, or has just ended
	lingering        // that has ended by itself, others have a last moment
	ending           // SIGTERM was sent to all of them
	killing          // SIGKILL is, until none is left
	closing          // none is left: the log and the end are written
)

// How often the tree is looked at while it is to vanish, and for the dead
// nobody else collects while it lives.
const (
	lookFirst  = 2 * time.Millisecond
	lookLast   = 100 * time.Millisecond
	killLast   = time.Second // each of these reads all of /proc
	reapEvery  = 5 * time.Second
	startRetry = 250 * time.Millisecond
	// Who ends all processes of a machine may reach the job before us.
	termDelay = 250 * time.Millisecond
	// Of a command that ends before, only that is told: nobody looks so fast, and the
	// monitor is not woken twice.
	announceAfter = 20 * time.Millisecond
)

// job is the one command a runner has.
type job struct {
	spec  *run.Spec
	phase int
	log   jobLog

	headed  bool      // the log's first line is written
	excused bool      // the log says why it does not start yet
	again   time.Time // when to try again what did not work

	pid    int
	pidfd  int // -1: its first process has ended, or never began
	out    int // -1: nothing more comes
	thread chan struct{}
	began  time.Time
	heard  time.Time // last output

	announce time.Time // when the monitor is told its number; zero: it was

	ended  bool // the first process has, with
	status unix.WaitStatus
	wall   time.Duration
	cpu    time.Duration
	peak   int64

	reason, text string    // why it was made to end, if it was
	asked        time.Time // when somebody asked for its end
	refused      string    // why it could not start

	look, until time.Time // next look at the tree; when the phase's patience ends
	pause       time.Duration
	settle      time.Time // until then somebody's SIGTERM may still arrive

	endless unix.Errno // why its end can't be written for now
	stalled unix.Errno // what the monitor was told of either
	closed  bool       // the log's last lines are written
	synced  bool
	end     run.End
}

func newJob(s *run.Spec) *job {
	return &job{spec: s, pidfd: -1, out: -1, log: jobLog{limit: s.LogSize, prefix: s.Prefix}}
}

// stop asks for the job's end. The first reason counts, and what comes after
// its first process ended by itself changes nothing about how it ended.
func (j *job) stop(reason, text string, now time.Time) {
	if j.asked.IsZero() && (reason == run.Killed || reason == run.Terminated) {
		j.asked = now
	}
	if j.reason == "" && !j.ended && j.phase <= running {
		j.reason, j.text = reason, text
	}
}

// due is the next time at which something has to be done, zero if never.
func (j *job) due() time.Time {
	var next time.Time
	at := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if j.log.blocked() {
		at(j.log.again)
	}
	switch j.phase {
	case starting:
		at(j.again)
	case running:
		at(j.look)
		at(j.announce)
		at(j.settle)
		if j.ended {
			break
		}
		if j.spec.Timeout > 0 {
			at(j.began.Add(j.spec.Timeout))
		}
		if j.spec.Silence > 0 && !j.log.blocked() {
			at(j.heard.Add(j.spec.Silence))
		}
	case lingering, ending, killing:
		at(j.look)
		at(j.until)
	case closing:
		at(j.again)
		if !j.asked.IsZero() && j.log.blocked() {
			at(j.asked.Add(j.spec.Grace))
		}
	}
	return next
}

func (j *job) close() {
	if j.out >= 0 {
		unix.Close(j.out)
	}
	if j.pidfd >= 0 {
		unix.Close(j.pidfd)
	}
	if j.thread != nil {
		close(j.thread)
	}
	if j.log.f != nil {
		_ = j.log.f.Close() // what had to be on disk was synced, and that error counted
	}
}
