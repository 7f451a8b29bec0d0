package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"simplejobq/internal/uow"
)

// spool is a monitor at work on a spool of its own.
type spool struct {
	root, monitor string
	cmd           *exec.Cmd
	err           bytes.Buffer
}

// newSpool makes a spool in which nothing is started before RESUME.
func (b *bench) newSpool(name, config string) (*spool, error) {
	s := &spool{root: filepath.Join(b.dir, name), monitor: filepath.Join(b.bin, "monitor")}
	if out, err := exec.Command(s.monitor, "init", s.root).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("init: %w\n%s", err, out)
	}
	return s, errors.Join(
		os.WriteFile(filepath.Join(s.root, "config.toml"), []byte(config), 0o644),
		s.pause(),
	)
}

func (s *spool) pause() error { return os.WriteFile(s.path(".monitor/paused"), nil, 0o644) }

func (s *spool) path(name string) string { return filepath.Join(s.root, name) }

func (s *spool) start() error {
	s.cmd = exec.Command(s.monitor, "run", "--root", s.root)
	s.cmd.Stderr = &s.err
	return s.cmd.Start()
}

func (s *spool) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("monitor: %w\n%s", err, &s.err)
	}
	return nil
}

// until waits until something is so.
func until(what string, ok func() bool) error {
	for end := time.Now().Add(10 * time.Minute); !ok(); time.Sleep(2 * time.Millisecond) { // a look costs who is measured
		if time.Now().After(end) {
			return errors.New("waited ten minutes for " + what)
		}
	}
	return nil
}

// put writes a UOW beside the queue and renames it in.
func (s *spool) put(name, text string) error {
	tmp := s.path("." + name)
	return errors.Join(os.WriteFile(tmp, []byte("==== UNIT OF WORK\n"+text), 0o644), os.Rename(tmp, s.path("wait-q/"+name)))
}

// putKnown puts a UOW there as it is after its acceptance: many are queued so in a
// moment, and a monitor that starts finds them so.
func (s *spool) putKnown(name, text string) error {
	u, err := uow.Parse(name, []byte("==== UNIT OF WORK\n"+text))
	if err != nil {
		return err
	}
	now := time.Now().Truncate(time.Millisecond)
	tmp := s.path("." + name)
	return errors.Join(os.WriteFile(tmp, u.Completed(now), 0o644), os.Chtimes(tmp, now, now), os.Rename(tmp, s.path("wait-q/"+name)))
}

func (s *spool) send(line string) error {
	f, err := os.OpenFile(s.path("monitor_reads"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}

// entries is how many there are in a queue; the README of each is none.
func (s *spool) entries(queue string) int {
	d, err := os.Open(s.path(queue))
	if err != nil {
		return -1
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return -1
	}
	return len(names) - 1
}

// status is what the digest tells.
type status struct {
	Monitor struct{ Rounds int }
	Queues  map[string]int
	Unseen  int `json:"not_looked_at"`
}

func (s *spool) status() (st status) {
	text, err := os.ReadFile(s.path("status/status.json"))
	if err == nil {
		_ = json.Unmarshal(text, &st) // of a digest that is not there yet nothing is known
	}
	return st
}

// accepted waits until that many are queued and on disk, and what that left to do is done.
func (s *spool) accepted(n int) error {
	err := until("acceptance", func() bool { st := s.status(); return st.Queues["wait-q"] == n && st.Unseen == 0 })
	var last time.Duration
	for calm := 0; calm < 3 && err == nil; time.Sleep(300 * time.Millisecond) {
		var now time.Duration
		if now, err = s.cpu(); now-last > 5*time.Millisecond {
			calm = 0
		} else {
			calm++
		}
		last = now
	}
	return err
}

func (s *spool) proc(file string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, file))
	if err != nil {
		return ""
	}
	return string(text)
}

// kilobytes is a figure of a file of proc.
func kilobytes(text, name string) float64 {
	_, rest, _ := strings.Cut(text, name+":")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.ParseFloat(fields[0], 64)
	return kb
}

// cpu is the time the monitor has used, to the microsecond.
func (s *spool) cpu() (total time.Duration, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	if err != nil || len(tasks) == 0 {
		return 0, errors.New("no schedstat")
	}
	for _, t := range tasks {
		text, err := os.ReadFile(t)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a thread that ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text) + " x")[0], 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(ns)
	}
	return total, nil
}

// drain is how many jobs a second a monitor ends that were queued while it was paused,
// and how many of them a commit covered.
func (s *spool) drain(n int, last string) (rate, covered float64, err error) {
	if err = errors.Join(s.start(), s.accepted(n)); err != nil {
		return 0, 0, err
	}
	before := s.status().Monitor.Rounds
	done := s.entries("done-q")
	began := time.Now()
	err = errors.Join(s.send("RESUME"),
		// One look at a name costs the others nothing; the list of all is looked at last.
		until("the last", func() bool { return exists(s.path("done-q/" + last)) }),
		until("the end", func() bool { return s.entries("done-q") == done+n }))
	if err != nil {
		return 0, 0, err
	}
	took := time.Since(began)
	err = s.stop()
	return float64(n) / took.Seconds(), float64(n) / float64(max(s.status().Monitor.Rounds-before, 1)), err
}

func nth(i int) string { return fmt.Sprintf("job%07d", i) }

func (s *spool) noops(from, n int) error {
	for i := from; i < from+n; i++ {
		if err := s.put(nth(i), "COMMAND :: "+noop+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// Over the ceiling and over the bare rate, as issue 5 of the project has them.
var (
	overCeiling = map[int]string{1: "≥ 0.75", 2: "≥ 0.80", 8: "≥ 0.80"}
	overBare    = map[int]string{1: "≥ 0.54", 2: "≥ 0.60", 8: "≥ 0.72"}
)

func (b *bench) measureDrain() error {
	for _, n := range slots {
		s, err := b.newSpool(fmt.Sprint("slots", n), fmt.Sprintf("slots = %d\n", n))
		if err == nil {
			err = s.noops(0, jobs)
		}
		if err != nil {
			return err
		}
		rate, covered, err := s.drain(jobs, nth(jobs-1))
		if err != nil {
			return err
		}
		commit, err := b.commitCost(max(int(covered+0.5), 1))
		if err != nil {
			return err
		}
		ceiling := 1 / (1/b.bare[n] + commit.Seconds()/covered)
		at := fmt.Sprintf(", %d slots", n)
		b.add("drain"+at+", /s", "", rate)
		b.add("drain over bare spawn"+at, overBare[n], rate/b.bare[n])
		b.add("drain over ceiling"+at, overCeiling[n], rate/ceiling)
		b.add("jobs a commit covered"+at, "", covered)
		b.add("commit that covers those"+at+", µs", "", float64(commit.Microseconds()))
	}
	return nil
}

// measureLatency is from a drop by rename on an idle queue to the first instruction: of
// the main of an ordinary program, as peers are measured, and of a program that has
// nothing before it.
func (b *bench) measureLatency() error {
	ordinary, err := b.ordinary()
	if err != nil {
		return err
	}
	if err := b.latency("", ordinary, "≤ 1.7", "≤ 6"); err != nil {
		return err
	}
	return b.latency(" of a program without start-up", b.probe, "", "")
}

// idle is how long nobody does anything between two submissions: whoever is measured
// has to be woken.
const idle = 20 * time.Millisecond

func (b *bench) latency(what, probe, half, most string) error {
	c, err := b.newClock()
	if err != nil {
		return err
	}
	const n = 200
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}}
	bare, err := c.latencies(n, func(int) error { return spawn(probe, []string{probe, c.path}, attr) }, func(int) error {
		time.Sleep(idle)
		return nil
	})
	if err != nil {
		return err
	}
	s, err := b.newSpool("latency"+filepath.Base(probe), "")
	if err == nil {
		err = errors.Join(os.Remove(s.path(".monitor/paused")), s.start())
	}
	if err == nil {
		err = until("up", func() bool { return s.status().Queues != nil })
	}
	if err != nil {
		return err
	}
	ours, err := c.latencies(n, func(i int) error {
		return s.put(fmt.Sprint("job", i), "COMMAND :: "+probe+" "+c.path+"\n")
	}, func(i int) error {
		err := until("the end", func() bool { return exists(s.path(fmt.Sprint("done-q/job", i))) })
		time.Sleep(idle)
		return err
	})
	if err = errors.Join(err, s.stop()); err != nil {
		return err
	}
	base := quantile(bare, 0.5)
	b.add("bare spawn to first instruction"+what+", p50, ms", "", base)
	b.add("dropped to first instruction"+what+", p50, ms", "", quantile(ours, 0.5))
	b.add("dropped to first instruction"+what+", p99, ms", "", quantile(ours, 0.99))
	b.add("dropped to first instruction"+what+", p50 over bare p50", half, quantile(ours, 0.5)/base)
	b.add("dropped to first instruction"+what+", p99 over bare p50", most, quantile(ours, 0.99)/base)
	return nil
}

// A flow of 1,000 no-op steps against as many UOWs: in a chain against one slot, and
// without dependencies 8 at once against 8 slots.
func (b *bench) measureFlow() error {
	for _, c := range []struct {
		name  string
		slots int
		each  string // of each step
		goal  string
	}{{"in a chain", 1, "", "≤ 1.3"}, {"8 at once", 8, "AFTER ::\n", "≤ 1.1"}} {
		alone, err := b.newSpool(fmt.Sprint("alone", c.slots), fmt.Sprintf("slots = %d\n", c.slots))
		if err == nil {
			err = alone.noops(0, jobs)
		}
		if err != nil {
			return err
		}
		uows, _, err := alone.drain(jobs, nth(jobs-1))
		if err != nil {
			return err
		}
		flow, err := b.newSpool(fmt.Sprint("flow", c.slots), "")
		if err != nil {
			return err
		}
		var text strings.Builder
		fmt.Fprintf(&text, "PARALLEL :: %d\n", c.slots)
		for i := range jobs {
			fmt.Fprintf(&text, "==== STEP s%d\n%sCOMMAND :: %s\n", i, c.each, noop)
		}
		if err := flow.put("flow", text.String()); err != nil {
			return err
		}
		flows, _, err := flow.drain(1, "flow")
		if err != nil {
			return err
		}
		b.add("a flow of 1,000 steps "+c.name+", time over that of as many UOWs", c.goal, uows/(flows*jobs))
	}
	return nil
}
