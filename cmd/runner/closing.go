package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"simplejobq/internal/clock"
	"simplejobq/internal/durable"
	"simplejobq/internal/run"
	"simplejobq/internal/units"

	"golang.org/x/sys/unix"
)

// A log shorter than this is left to the monitor's commit.
const syncAbove = 1 << 20

// What is drained at most when somebody who was left running goes on writing.
const drainMost = 4 << 20

// copyOutput takes what the job wrote, a few buffers at a time.
func (r *runner) copyOutput(most int) {
	j := r.job
	for ; most > 0 && j.out >= 0 && !j.log.blocked(); most-- {
		n, err := unix.Read(j.out, r.buf)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			return
		}
		if err != nil || n == 0 { // a terminal says EIO when its last user is gone
			unix.Close(j.out)
			j.out = -1
			return
		}
		b := r.buf[:n]
		j.heard = time.Now()
		if r.rules.open() {
			r.rules.feed(b)
		}
		j.log.take(b)
		if j.spec.Tee {
			r.tee.write(b)
		}
		if n < len(r.buf) && !j.spec.Terminal {
			return
		}
	}
}

// stepClosing writes the last of the log and the end. Each part waits for room
// as long as nobody wants it to give up.
func (r *runner) stepClosing(now time.Time) (more bool) {
	j := r.job
	if now.Before(j.again) {
		return false
	}
	j.again = time.Time{}
	if j.log.blocked() && !j.asked.IsZero() && !now.Before(j.asked.Add(j.spec.Grace)) {
		j.log.giveUp()
	}
	for drained := j.log.output; j.out >= 0 && j.log.output-drained < drainMost && !j.log.blocked(); {
		had := j.log.output
		r.copyOutput(8)
		if j.log.output == had {
			break
		}
	}
	if j.log.blocked() {
		return false
	}
	if !j.closed {
		j.closed = true
		r.closeLog()
		if j.log.blocked() {
			return true
		}
	}
	if !j.synced {
		j.synced = true
		switch {
		case j.log.f == nil:
		case j.log.written <= syncAbove && !r.unattended() && j.spec.Prefix == "":
			j.end.LogFrom, j.end.LogTo, j.end.LogSum = j.log.from, j.log.end, j.log.sum
		case j.log.f.Sync("log:sync") != nil:
			j.log.lost = true // for good: a second try would prove nothing
		}
	}
	j.end.Unlogged = j.log.lost
	b, err := r.rec.WriteEnd(&j.end)
	if err != nil {
		// It has its room, so this is a disk in trouble. Without an end nobody
		// may be told of one.
		j.again = now.Add(logRetry)
		_ = errors.As(err, &j.endless)
		if durable.Passing(err) || !r.sig.term.Load() {
			return false
		}
	}
	if r.unattended() {
		_ = r.rec.Sync() // if that fails nothing better can be done
	}
	r.finished(b)
	return false
}

// closeLog writes what the log ends with, and says the same in the end.
func (r *runner) closeLog() {
	j := r.job
	r.rules.end()
	j.log.endLine()
	dropped := j.log.flushTail(j.spec.Label, func(n int64) string {
		return strconv.FormatInt(n, 10) + " bytes left out here"
	})
	j.end = run.End{
		Run: j.spec.Run, ErrorIf: r.rules.hit[errorRule], FailIf: r.rules.hit[failRule],
		Wall: j.wall, CPU: j.cpu, Peak: j.peak, Output: j.log.output, Dropped: dropped, Finished: clock.Wall(),
	}
	if j.ended && j.status.Exited() {
		j.end.Exit = j.status.ExitStatus()
	} else if j.ended && j.status.Signaled() {
		j.end.Signal = int(j.status.Signal())
	}
	if j.pid == 0 {
		j.end.ErrorIf, j.end.FailIf = -1, -1
	}
	if j.spec.Prefix != "" {
		for _, e := range j.spec.Env {
			if path, ok := strings.CutPrefix(e, "MONITOR_OUTPUT="); ok {
				j.end.NoteOutput(path)
			}
		}
	}
	j.end.Reason, j.end.Text = j.outcome()
	if j.log.f != nil {
		j.log.line(j.spec.Label, j.end.Text)
	} else {
		j.log.lost = true
	}
}

// outcome is why it ended, and the sentence about it.
func (j *job) outcome() (reason, text string) {
	after := " after " + units.Span(j.wall)
	if j.pid == 0 {
		after = " before it was started"
	}
	switch {
	case j.refused != "":
		return run.NotStarted, "not started: " + j.refused
	case j.reason == run.Timeout || j.reason == run.Silence:
		return j.reason, j.text
	case j.reason != "":
		return j.reason, j.text + after
	case j.status.Signaled():
		name := unix.SignalName(j.status.Signal())
		if name == "" {
			name = "signal " + strconv.Itoa(int(j.status.Signal()))
		}
		return run.Signalled, "killed by " + name + after
	}
	return run.Exit, "exit " + strconv.Itoa(j.status.ExitStatus()) + after
}
