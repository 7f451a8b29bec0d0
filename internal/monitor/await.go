package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// errLeft is the end of a monitor that was told to stop while the disk did not let it
// begin. The thread that waits for the disk has what it has for as long as it does,
// and goes with the process.
var errLeft = errors.New("stopped while the disk did not answer")

// guard stands by while the loop does what may block, on the thread that tid names. It
// costs a loop whose disk answers next to nothing: no other thread is woken for it.
type guard struct {
	c    Config
	pace time.Duration

	mu    sync.Mutex
	armed bool // beat comes by itself
	tid   int
	began time.Time // zero: the loop does nothing that may block
	slow  func(lasts time.Duration)
}

func (c Config) newGuard() *guard {
	g := &guard{c: c, pace: time.Second}
	if c.Beat > 0 {
		g.pace = min(g.pace, c.Beat)
	}
	return g
}

// during has slow called again and again for how long act hangs in the kernel.
func (g *guard) during(act func() error, slow func(lasts time.Duration)) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g.mu.Lock()
	g.tid, g.began, g.slow = gettid(), time.Now(), slow
	if !g.armed {
		g.armed = true
		time.AfterFunc(g.pace, g.beat)
	}
	g.mu.Unlock()
	defer func() {
		g.mu.Lock() // a beat that is just at it is waited for
		g.began, g.slow = time.Time{}, nil
		g.mu.Unlock()
	}()
	return act()
}

func (g *guard) beat() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.began.IsZero() {
		g.armed = false
		return
	}
	time.AfterFunc(g.pace, g.beat)
	if inKernel(os.Getpid(), g.tid) {
		g.c.notify("WATCHDOG=1")
		g.slow(time.Since(g.began))
	}
}

// carryOut does what may block. Of a disk that does not answer, people are told, and
// KILL JOB is heard meanwhile.
func (s *session) carryOut(round func() error) error {
	st, root := s.newStall(), s.conf.Root // a round may read another configuration
	began, listening, said := time.Now(), false, false
	err := s.guard.during(round, func(lasts time.Duration) {
		if s.starting != nil && s.starting.Err() == nil {
			s.notify(extend)
		}
		if lasts > stallHeard && !listening {
			listening = true
			st.listen()
		} else if lasts > stallSaid && !said {
			said = true
			s.notify("STATUS=waiting for the disk")
			st.say(fmt.Sprintf("the disk under %s has not answered for %v; nothing changes until it does, but KILL JOB is heard", root, lasts.Round(time.Second)))
		}
	})
	if listening {
		s.heardBeside(st.end())
	}
	if said {
		s.alarm(fmt.Sprintf("the disk answered after %v", time.Since(began).Round(time.Second)))
		s.noticed = ""
	}
	s.notify("WATCHDOG=1")
	return err
}

// extend has a service manager wait that would end a start that lasts too long.
const extend = "EXTEND_TIMEOUT_USEC=15000000"

// patiently does what may block while there is no session yet, on a thread that can be
// left behind: act's work is there only if the error is not errLeft. A disk that is slow
// or frozen is told from a loop that hangs by the thread's state: only what waits inside
// the kernel keeps the watchdog fed.
func (c Config) patiently(ctx context.Context, mem *memory, act func() error) error {
	g := c.newGuard()
	left, done := make(chan struct{}), make(chan error, 1)
	said := false
	slow := func(lasts time.Duration) {
		if ctx.Err() != nil && lasts > stallHeard {
			select {
			case <-left:
				return
			default:
			}
			fmt.Fprintln(c.Stderr, "monitor: told to stop while the disk does not answer; it ends as soon as the disk lets it")
			c.notify("STOPPING=1\nSTATUS=stopping when the disk answers")
			close(left)
			return
		}
		c.notify(extend)
		if lasts > stallSaid && !said {
			said = true
			c.notify("STATUS=waiting for the disk")
			fmt.Fprintf(c.Stderr, "monitor: the disk under %s has not answered for %v; nothing starts until it does\n", c.Conf.Root, lasts.Round(time.Second))
		}
	}
	began := time.Now()
	go func() { done <- g.during(act, slow) }()
	select {
	case <-left:
		return errLeft
	case err := <-done:
		if said {
			text := fmt.Sprintf("the disk under %s answered after %v", c.Conf.Root, time.Since(began).Round(time.Second))
			fmt.Fprintln(c.Stderr, "monitor:", text)
			if mem.cause == "" {
				mem.cause = text
			}
		}
		return err
	}
}
