package main

import (
	"time"

	"simplejobq/internal/run"
	"simplejobq/internal/units"

	"golang.org/x/sys/unix"
)

// step does what is due and reports whether the phase changed, so that more may
// be due at once.
func (r *runner) step(now time.Time) bool {
	j := r.job
	if j == nil {
		return false
	}
	if r.sig.term.Load() && j.asked.IsZero() {
		j.stop(r.whoTerminates())
	}
	if j.log.blocked() {
		j.log.retry(now)
		if !j.log.blocked() {
			j.heard = time.Now() // SILENCE was suspended
		}
	}
	r.tellStall()
	before := j.phase
	switch j.phase {
	case starting:
		if j.reason != "" {
			j.phase = closing
		} else if !now.Before(j.again) {
			r.start(now)
		}
	case running:
		r.stepRunning(now)
	case lingering:
		switch {
		case r.lookNow(now) && r.reap():
			j.phase = closing
		case !now.Before(j.until) || !j.asked.IsZero():
			j.tellLeft(descendants(), "ended")
			r.terminate(now)
		}
	case ending:
		switch {
		case r.lookNow(now) && r.reap():
			j.phase = closing
		case !now.Before(j.until):
			j.phase, j.look, j.pause, j.until = killing, time.Time{}, 0, time.Time{}
		}
	case killing:
		if r.lookNow(now) {
			seen := killAll()
			if r.reap() {
				j.phase = closing
			} else if !seen { // somebody is there who is never where we look
				chase()
				j.pause = 0
			}
		}
	case closing:
		return r.stepClosing(now)
	}
	return j.phase != before
}

// whoTerminates tells a kill request from other people's SIGTERM.
func (r *runner) whoTerminates() (reason, text string, now time.Time) {
	if wish := r.rec.KillRequest(r.job.spec.Run); wish != "" {
		return run.Killed, wish, time.Now()
	}
	return run.Terminated, "interrupted: terminated from outside", time.Now()
}

// lookNow paces the looks at a tree that is to vanish.
func (r *runner) lookNow(now time.Time) bool {
	j := r.job
	if now.Before(j.look) {
		return false
	}
	longest := lookLast
	if j.phase == killing {
		longest = killLast
	}
	j.pause = min(max(2*j.pause, lookFirst), longest)
	j.look = now.Add(j.pause)
	return true
}

func (r *runner) stepRunning(now time.Time) {
	j := r.job
	if !j.announce.IsZero() && !now.Before(j.announce) {
		r.announce()
	}
	switch {
	case j.ended:
		r.stepEnded(now)
	case j.reason != "":
		r.terminate(now)
	case j.spec.Timeout > 0 && !now.Before(j.began.Add(j.spec.Timeout)):
		j.stop(run.Timeout, "timed out after "+units.Duration(j.spec.Timeout), now)
		r.terminate(now)
	case j.spec.Silence > 0 && !j.log.blocked() && !now.Before(j.heard.Add(j.spec.Silence)):
		j.stop(run.Silence, "silent for "+units.Duration(j.spec.Silence), now)
		r.terminate(now)
	case !now.Before(j.look):
		j.look = now.Add(reapEvery)
		// Who killed it may have told us why while we waited for a disk.
		r.hear()
		r.reap()
		if j.ended {
			r.stepEnded(now)
		}
	}
}

// stepEnded: the first process has ended, by itself as far as we know.
func (r *runner) stepEnded(now time.Time) {
	j := r.job
	if j.reason == "" && j.status != 0 {
		if r.sig.term.Load() {
			j.reason, j.text, j.asked = r.whoTerminates()
		} else if j.status.Signal() == unix.SIGTERM || j.status.ExitStatus() == 128+int(unix.SIGTERM) {
			if j.settle.IsZero() {
				j.settle = now.Add(termDelay)
			}
			if now.Before(j.settle) {
				return
			}
		}
	}
	j.settle, j.look, j.pause = time.Time{}, time.Time{}, 0
	if r.reap() {
		j.phase = closing
		return
	}
	if j.spec.Leave && j.reason == "" {
		r.leaving = true // the next command's tree must be its own
		j.tellLeft(descendants(), "left running")
		j.phase = closing
		return
	}
	if j.reason != "" {
		r.terminate(now)
		return
	}
	j.phase, j.until = lingering, now.Add(j.spec.Linger)
}

// terminate asks the whole tree to end, and gives it its grace.
func (r *runner) terminate(now time.Time) {
	j := r.job
	signalAll(unix.SIGTERM, unix.SIGCONT)
	j.phase, j.until = ending, now.Add(j.spec.Grace)
	j.look, j.pause = time.Time{}, 0
}

// reap collects the dead and reports whether nobody is left: without a child a
// subreaper has no descendant.
func (r *runner) reap() (none bool) {
	j := r.job
	for {
		var status unix.WaitStatus
		var usage unix.Rusage
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, &usage)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return true
		case pid == 0:
			return false
		}
		j.cpu += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		j.peak = max(j.peak, usage.Maxrss<<10)
		// Once it is collected its number may come again among the others.
		if pid == j.pid && !j.ended {
			j.ended, j.status, j.wall = true, status, time.Since(j.began)
			unix.Close(j.pidfd)
			j.pidfd = -1
			j.look = time.Time{} // it may have been the last
		}
	}
}
