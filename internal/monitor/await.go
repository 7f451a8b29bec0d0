package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// errLeft is the end of a monitor that was told to stop while the disk did not let it
// begin. The thread that waits for the disk has what it has for as long as it does,
// and goes with the process.
var errLeft = errors.New("stopped while the disk did not answer")

// waitFor waits for what a disk goroutine carries out. A disk that is slow or frozen is
// told from a loop that hangs by the thread's state: only what waits inside the kernel
// keeps the watchdog fed. slow is told again and again for how long that lasts, and
// may end the waiting with an error.
func (c Config) waitFor(d *disk, events <-chan event, came func(event), slow func(lasts time.Duration) error) error {
	began := time.Now()
	pace := time.Second
	if c.Beat > 0 {
		pace = min(pace, c.Beat)
	}
	beat := time.NewTimer(pace)
	defer beat.Stop()
	for {
		select {
		case err := <-d.done:
			return err
		case ev := <-events:
			came(ev)
		case <-beat.C:
			beat.Reset(pace)
			if !inKernel(os.Getpid(), d.tid) {
				continue
			}
			c.notify("WATCHDOG=1")
			if err := slow(time.Since(began)); err != nil {
				return err
			}
		}
	}
}

// carryOut has the disk goroutine do what may block, and waits for it.
func (s *session) carryOut(round func() error) error {
	st := s.newStall()
	s.disk.rounds <- round
	began, listening, said := time.Now(), false, false
	err := s.waitFor(s.disk, s.events, func(ev event) {
		if n := len(s.late); n == 0 || ev.kind != evHint || s.late[n-1].kind != evHint {
			s.late = append(s.late, ev)
		}
	}, func(lasts time.Duration) error {
		if s.starting != nil && s.starting.Err() == nil {
			s.notify(extend)
		}
		if lasts > stallHeard && !listening {
			listening = true
			st.listen()
		} else if lasts > stallSaid && !said {
			said = true
			s.notify("STATUS=waiting for the disk")
			st.say(fmt.Sprintf("the disk under %s has not answered for %v; nothing changes until it does, but KILL JOB is heard", s.conf.Root, lasts.Round(time.Second)))
		}
		return nil
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

// patiently does what may block while there is no session yet. What act leaves behind
// is there only if the error is not errLeft.
func (c Config) patiently(ctx context.Context, mem *memory, act func() error) error {
	d := startDisk()
	defer d.end()
	began, said := time.Now(), false
	d.rounds <- act
	err := c.waitFor(d, nil, nil, func(lasts time.Duration) error {
		if ctx.Err() != nil && lasts > stallHeard {
			fmt.Fprintln(c.Stderr, "monitor: told to stop while the disk does not answer; it ends as soon as the disk lets it")
			c.notify("STOPPING=1\nSTATUS=stopping when the disk answers")
			return errLeft
		}
		c.notify(extend)
		if lasts > stallSaid && !said {
			said = true
			c.notify("STATUS=waiting for the disk")
			fmt.Fprintf(c.Stderr, "monitor: the disk under %s has not answered for %v; nothing starts until it does\n", c.Conf.Root, lasts.Round(time.Second))
		}
		return nil
	})
	if said && !errors.Is(err, errLeft) {
		text := fmt.Sprintf("the disk under %s answered after %v", c.Conf.Root, time.Since(began).Round(time.Second))
		fmt.Fprintln(c.Stderr, "monitor:", text)
		if mem.cause == "" {
			mem.cause = text
		}
	}
	return err
}
