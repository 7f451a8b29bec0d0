package run

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// How long KillTree goes on with processes that do not die.
	killPatience = 10 * time.Second
	// How many looks in a row have to find nobody. Of 1,500 trees that were just
	// forking 198 escaped one look, 7 two, none three.
	quietLooks = 3
)

// KillTree ends what a run left behind whose runner is gone: each process of
// the job's session and each that carries the run's id in its environment, again
// and again until none is found. It tells how many it ended; the error says that
// some would not die. What left the session and cleared its environment escapes:
// that is not known to anybody.
func KillTree(run string, live Live) (ended int, err error) {
	if run == "" {
		return 0, nil
	}
	killed := map[Proc]bool{}
	deadline := time.Now().Add(killPatience)
	for quiet := 0; ; {
		left, err := treeOf(run, live)
		if err != nil {
			return len(killed), fmt.Errorf("looking for what is left of run %s: %w", run, err)
		}
		// One look can miss a tree that forks just then: its parents end after they
		// were listed, its children are born behind the listing.
		if len(left) > 0 {
			quiet = 0
		} else if quiet++; quiet == quietLooks {
			return len(killed), nil
		}
		for _, p := range left {
			killed[Proc{PID: p.PID, Start: p.Start}] = true
			if err := signal(p, unix.SIGKILL); err != nil {
				return len(killed), fmt.Errorf("ending %s (pid %d), left of run %s: %w", p.Name, p.PID, run, err)
			}
		}
		if len(left) > 0 && time.Now().After(deadline) {
			return len(killed), fmt.Errorf("%d processes left of run %s do not die, one is %s (pid %d)", len(left), run, left[0].Name, left[0].PID)
		}
		time.Sleep(2 * time.Millisecond) // they need a moment to die
	}
}

func treeOf(run string, live Live) ([]Proc, error) {
	all, err := Processes()
	if err != nil {
		return nil, err
	}
	ours := live.Forked == run && live.PID > 1 && sameSession(all, run, live)
	var tree []Proc
	for _, p := range all {
		if p.Dead() || p.PID == os.Getpid() {
			continue
		}
		of, known := runOf(p.PID)
		// An id tells best. In the session without one: a cleared environment.
		if of == run || ours && p.Session == live.PID && born(p) >= earliest(run) && (!known || of == "") {
			tree = append(tree, p)
		}
	}
	return tree, nil
}

const tick = int64(time.Second / 100) // USER_HZ, the grain of birth times

// born is when a process was, in nanoseconds since boot.
func born(p Proc) int64 { return int64(p.Start) * tick }

// earliest is when a process of that run can have been born.
func earliest(run string) int64 { return bootTime(run) - 2*tick }

// sameSession reports whether the number of the job's session can still be that
// session's, and not another's since: its leader is the process that was forked. Where
// that is gone the kernel keeps the number from others while any member lives, in the
// space that gave it out; in another one it means somebody else. A record that does not
// tell its space is of an older runner.
func sameSession(all []Proc, run string, live Live) bool {
	space := numberSpace()
	if live.Space != "" && live.Space != space {
		return false
	}
	for _, p := range all {
		if p.PID == live.PID {
			return born(p) >= earliest(run) && born(p) <= live.Born+2*tick
		}
	}
	return space != "" && live.Space == space
}

// signal reaches p and nobody who got its number since.
func signal(p Proc, sig unix.Signal) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err == nil {
		defer unix.Close(fd)
		now, gone := Process(p.PID)
		if gone != nil || now.Start != p.Start {
			return nil
		}
		err = unix.PidfdSendSignal(fd, sig, nil, 0)
	}
	if err == unix.ESRCH {
		return nil
	}
	return err
}

// SignalTree sends a signal to each process that carries the run's id: for a
// runner that can't do it now.
func SignalTree(run string, sig unix.Signal) error {
	tree, err := treeOf(run, Live{})
	if err != nil {
		return fmt.Errorf("looking for the processes of run %s: %w", run, err)
	}
	for _, p := range tree {
		if err := signal(p, sig); err != nil {
			return fmt.Errorf("signalling %s (pid %d) of run %s: %w", p.Name, p.PID, run, err)
		}
	}
	return nil
}
