package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// measureDepth compares the rate with many queued with that of a short queue.
func (b *bench) measureDepth(deep int) error {
	const short, rounds = 100, 10
	s, err := b.newSpool("short", "")
	if err != nil {
		return err
	}
	var took float64
	for i := range rounds {
		err := errors.Join(s.pause(), s.noops(i*short, short))
		if err != nil {
			return err
		}
		rate, _, err := s.drain(short, nth((i+1)*short-1))
		if err != nil {
			return err
		}
		took += short / rate
	}
	s, err = b.newSpool("deep", "")
	if err == nil {
		for i := range deep {
			err = errors.Join(err, s.putKnown(nth(i), "COMMAND :: "+noop+"\n"))
		}
		err = errors.Join(err, s.start(), s.accepted(deep))
	}
	if err != nil {
		return err
	}
	// The short queue's were synced by their acceptance; of these many the first commit would
	// have to write all.
	syscall.Sync()
	const n = short * rounds
	began := time.Now()
	if err := errors.Join(s.send("RESUME"), until("the first", func() bool { return exists(s.path("done-q/" + nth(n-1))) })); err != nil {
		return err
	}
	rate := float64(s.entries("done-q")) / time.Since(began).Seconds()
	b.add(fmt.Sprintf("drain rate with %d queued over that with %d", deep, short), "≥ 0.9", rate/(n/took))
	return s.stop()
}

// measureQueued is what many that wait cost: memory, the start, a wake-up, a list.
func (b *bench) measureQueued(n int) error {
	const few = 100
	small, err := b.newSpool("few", "")
	if err == nil {
		err = errors.Join(small.noops(0, few), small.start(), small.accepted(few))
	}
	if err != nil {
		return err
	}
	least, err := small.wakeUp()
	if err = errors.Join(err, small.stop()); err != nil {
		return err
	}
	c, err := b.newClock()
	if err != nil {
		return err
	}
	s, err := b.newSpool("many", "")
	if err != nil {
		return err
	}
	text := "COMMAND :: " + b.probe + " " + c.path + "\n"
	for i := range n {
		if err := s.putKnown(nth(i), text); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := errors.Join(s.start(), s.accepted(n)); err != nil {
		return err
	}
	with := fmt.Sprintf(" with %d queued", n)
	b.add("looked at at the start"+with+", /s", "", float64(n)/time.Since(began).Seconds())
	most, err := s.wakeUp()
	if err != nil {
		return err
	}
	b.add("one drop, CPU of the monitor"+with+", ms", "", most.Seconds()*1000)
	b.add("one drop, CPU of the monitor"+with+" over that with 100", "≤ 2", most.Seconds()/least.Seconds())
	b.add("resident memory"+with+", MB", map[bool]string{true: "≤ 64", false: "≤ 25"}[n > 100_000], kilobytes(s.proc("status"), "VmRSS")/1000)
	listing := exec.Command(s.monitor, "--root", s.root, "list")
	began = time.Now()
	out, err := listing.Output()
	if err != nil || strings.Count(string(out), "\n") < n {
		return fmt.Errorf("list: %d bytes: %w", len(out), err)
	}
	b.add("monitor list"+with+", s", map[bool]string{false: "≤ 0.3"}[n > 100_000], time.Since(began).Seconds())
	if err := s.stop(); err != nil {
		return err
	}
	b.add("resident memory, highest"+with+", MB", "", float64(s.cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1000)

	// Once more, and now they may run: the order comes from names and times.
	if err := os.Remove(s.path(".monitor/paused")); err != nil {
		return err
	}
	at, err := monotonic()
	if err = errors.Join(err, s.start()); err != nil {
		return err
	}
	first, err := c.wait()
	if err != nil {
		return err
	}
	b.add("start to the first job's first instruction"+with+", s", map[bool]string{false: "≤ 0.5"}[n > 100_000], (first - at).Seconds())
	go func() {
		for { // the jobs after it would wait for who reads
			if _, err := c.wait(); err != nil {
				return
			}
		}
	}()
	private, err := s.runner()
	if err != nil {
		return err
	}
	b.add("private memory of a runner, MiB", "≤ 1", private/1024)
	return s.stop()
}

// wakeUp is what one drop costs a monitor that is paused, from the rename until it is
// idle again: the median of some.
func (s *spool) wakeUp() (time.Duration, error) {
	time.Sleep(20 * time.Second) // what the acceptance of the others left to do
	var all []time.Duration
	for i := range 15 {
		before, err := s.cpu()
		if err == nil {
			err = s.put(fmt.Sprint("one", i), "COMMAND :: "+noop+"\n")
		}
		if err != nil {
			return 0, err
		}
		time.Sleep(time.Second)
		after, err := s.cpu()
		if err != nil {
			return 0, err
		}
		all = append(all, after-before)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// runner is the private memory of one of the monitor's, in kB: what it has written to.
// The pages of its program are shared by all runners, though with a single one the
// kernel counts them as private, too.
func (s *spool) runner() (float64, error) {
	exes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return 0, err
	}
	want := filepath.Join(filepath.Dir(s.monitor), "runner")
	for _, e := range exes {
		if at, err := os.Readlink(e); err != nil || at != want {
			continue
		}
		text, err := os.ReadFile(filepath.Join(filepath.Dir(e), "smaps_rollup"))
		if err != nil {
			continue // it ended
		}
		return kilobytes(string(text), "Private_Dirty"), nil
	}
	return 0, errors.New("no runner is there")
}
