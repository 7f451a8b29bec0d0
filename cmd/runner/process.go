package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// becomeRunner makes this process what a runner has to be before its first
// fork, whoever started it with whatever: what a job inherits is decided here.
func becomeRunner(keep int) error {
	if err := emptyMask(); err != nil {
		return err
	}
	if err := closeOnExec(keep); err != nil {
		return fmt.Errorf("marking inherited descriptors: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming the subreaper of the jobs: %w", err)
	}
	debug.SetGCPercent(25) // a heap of one megabyte at most: many runners lie idle
	return nil
}

// emptyMask starts the program once more if signals came in blocked: the Go
// runtime gives each child the mask the process began with.
func emptyMask() error {
	var now, none unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &none, &now); err != nil {
		return fmt.Errorf("unblocking signals: %w", err)
	}
	if now == none {
		return nil
	}
	err := unix.Exec("/proc/self/exe", os.Args, os.Environ())
	return fmt.Errorf("starting again with no signal blocked: %w", err)
}

// closeOnExec keeps what the runner itself was given from its jobs, from
// descriptor 3 on.
func closeOnExec(from int) error {
	err := unix.CloseRange(uint(from), ^uint(0)>>32, unix.CLOSE_RANGE_CLOEXEC)
	if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		if fd, err := strconv.Atoi(name); err == nil && fd >= from {
			unix.CloseOnExec(fd)
		}
	}
	return err
}

// dropAmbient is for each thread that forks: a job gets no capability it was not
// given by its program file.
func dropAmbient() {
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
}

// inTime gives the calling thread, and what it forks, the timers of any process that
// nobody did anything about: see timer slack in prctl(2). The monitor has others, and
// what Go does in other threads of this process is in no hurry at all.
func inTime() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(50*time.Microsecond), 0, 0, 0) }

// signals are noticed, never ignored: a job inherits what its parent ignores.
type signals struct {
	term atomic.Bool // somebody sent SIGTERM
	wake int         // eventfd, readable when something came
}

func watchSignals() (*signals, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	s := &signals{wake: fd}
	came := make(chan os.Signal, 8)
	signal.Notify(came, unix.SIGTERM)
	survived := make(chan os.Signal, 1)
	signal.Notify(survived, unix.SIGINT, unix.SIGHUP, unix.SIGPIPE, unix.SIGXFSZ)
	resetIgnored()
	go func() { // lives as long as the process
		for range came {
			s.term.Store(true)
			_, _ = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		}
	}()
	return s, nil
}

// resetIgnored gives signals that came in ignored (nohup, a shell's trap) their
// default back; those the runtime handles are reset in the child anyway.
func resetIgnored() {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return
	}
	_, after, _ := strings.Cut(string(b), "\nSigIgn:\t")
	line, _, _ := strings.Cut(after, "\n")
	ignored, err := strconv.ParseUint(line, 16, 64)
	if err != nil {
		return
	}
	var byDefault [4]uint64 // struct sigaction of the kernel: SIG_DFL, no flags
	for sig := uintptr(1); sig <= 64; sig++ {
		if ignored>>(sig-1)&1 == 1 {
			_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
		}
	}
}

// scoreFile tells how gladly the kernel kills this process when memory is short.
const scoreFile = "/proc/self/oom_score_adj"

// withPlainScore runs fork while this process has the score jobs are to begin
// with, if its own is another.
func withPlainScore(own []byte, fork func() error) error {
	put := func(b []byte) error {
		fd, err := unix.Open(scoreFile, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		_, err = unix.Write(fd, b)
		return err
	}
	// Who may not lower it goes on with what it has: no reason not to run.
	if len(own) > 0 && put([]byte("0")) == nil {
		defer func() { _ = put(own) }()
	}
	return fork()
}
