package main

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"simplejobq/internal/durable"
	"simplejobq/internal/run"

	"golang.org/x/sys/unix"
)

// start tries to get the job going. What can pass by itself (no descriptors, no
// memory, a full disk) is tried again until it is stopped; what will be the same
// tomorrow is its end.
func (r *runner) start(now time.Time) {
	j := r.job
	err := r.prepare(now)
	if err == nil && !j.log.blocked() {
		err = r.fork()
	}
	switch {
	case err == nil && j.phase == running:
	case err == nil: // the log's first line waits for room
		j.again = j.log.again
	case durable.Passing(err) || errors.As(err, new(recordError)):
		j.again = now.Add(startRetry)
		if j.headed && !j.excused {
			j.excused = true
			j.log.line(j.spec.Label, "can't start yet: "+err.Error())
		}
	default:
		j.refused = err.Error()
		j.phase = closing
	}
}

// recordError is trouble with the runner's own record: none of its command's making.
type recordError struct{ error }

func (e recordError) Unwrap() error { return e.error }

// prepare opens the log and writes its first line, once.
func (r *runner) prepare(now time.Time) error {
	j := r.job
	if j.log.f == nil {
		if err := j.log.open(r.dir, j.spec.Link); err != nil {
			return err
		}
	}
	if !j.headed {
		j.headed = true
		j.log.line(j.spec.Label, run.CommandLine(j.spec.Argv))
	}
	j.log.retry(now)
	return nil
}

func (r *runner) fork() error {
	j := r.job
	if err := r.rules.begin(j.spec.ErrorIf, j.spec.FailIf); err != nil {
		return err
	}
	program, err := findProgram(j.spec)
	if err != nil {
		return err
	}
	out, in, err := openOutput(j.spec.Terminal)
	if err != nil {
		return err
	}
	defer unix.Close(in)
	// Crash window: marked and not forked. Recovery calls the run interrupted,
	// which is not true but never starts anything twice.
	if err := r.rec.Forking(j.spec.Run); err != nil {
		unix.Close(out)
		return recordError{err}
	}
	if r.umask != j.spec.Umask {
		r.umask = j.spec.Umask
		unix.Umask(r.umask)
	}
	pidfd := -1
	attr := &syscall.ProcAttr{
		Dir: j.spec.Dir, Env: withRun(j.spec.Env, j.spec.Run), Files: []uintptr{uintptr(r.null), uintptr(in), uintptr(in)},
		Sys: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, PidFD: &pidfd},
	}
	began := time.Now()
	var pid int
	err = withPlainScore(r.oom, func() (err error) {
		if j.spec.Nice != nil {
			pid, err = j.forkNice(program, attr)
			return err
		}
		pid, err = syscall.ForkExec(program, j.spec.Argv, attr)
		return err
	})
	if err != nil {
		unix.Close(out)
		return whyNot(j.spec, program, err)
	}
	j.pid, j.pidfd, j.out, j.began, j.heard = pid, pidfd, out, began, began
	j.phase, j.look = running, began.Add(reapEvery)
	// If it can't be written nobody finds the session by its number; the run id
	// in the environment is still there.
	_ = r.rec.Forked(run.Live{PID: pid, Started: began})
	j.announce = began.Add(announceAfter)
	return nil
}

// forkNice forks from a thread of its own that has the priority already, so that
// it holds from the job's first instruction. The thread lives as long as the
// job, which dies with it, and then ends: its priority is of no use to others.
func (j *job) forkNice(program string, attr *syscall.ProcAttr) (pid int, err error) {
	forked := make(chan struct{})
	over := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		dropAmbient()
		inTime()
		if err = unix.Setpriority(unix.PRIO_PROCESS, 0, *j.spec.Nice); err != nil {
			err = niceError{*j.spec.Nice, err}
		} else {
			pid, err = syscall.ForkExec(program, j.spec.Argv, attr)
		}
		close(forked)
		<-over
	}()
	<-forked
	if err != nil {
		close(over)
	} else {
		j.thread = over
	}
	return pid, err
}

type niceError struct {
	nice int
	err  error
}

func (e niceError) Error() string {
	return "NICE " + strconv.Itoa(e.nice) + " may not be set: " + e.err.Error()
}

func (e niceError) Unwrap() error { return e.err }

// openOutput makes the way from the job to us: a large pipe or a terminal.
func openOutput(terminal bool) (out, in int, err error) {
	if terminal {
		return openTerminal()
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, fmt.Errorf("making a pipe: %w", err)
	}
	if err := unix.SetNonblock(p[0], true); err != nil {
		unix.Close(p[0])
		unix.Close(p[1])
		return -1, -1, err
	}
	_, _ = unix.FcntlInt(uintptr(p[0]), unix.F_SETPIPE_SZ, 1<<20) // fewer wake-ups; not everybody may
	return p[0], p[1], nil
}

// withRun makes sure that the job can be found by its run.
func withRun(env []string, id string) []string {
	const name = "MONITOR_RUN="
	kept := make([]string, 0, len(env)+1)
	for _, e := range env {
		if !strings.HasPrefix(e, name) {
			kept = append(kept, e)
		}
	}
	return append(kept, name+id)
}
