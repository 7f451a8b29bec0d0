package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The peers are Debian's, with their own clients, the same job and a directory on the
// same disk. Where a peer can hold its queue back, the jobs are queued behind one that
// waits for a FIFO to be opened, as ours are behind PAUSE.

// client is a program of a peer's: its environment is beside that of this process.
func client(env []string, argv ...string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out)
	}
	return nil
}

// barrier is a FIFO that holds back who opens it to read.
func (b *bench) barrier(name string) (path string, err error) {
	path = filepath.Join(b.dir, name)
	return path, syscall.Mkfifo(path, 0o600)
}

func open(barrier string) error {
	f, err := os.OpenFile(barrier, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// peerDrain is the rate at which a peer runs jobs that were queued behind barriers, one
// for each slot, told by a last job that leaves a file.
func (b *bench) peerDrain(name string, slots, n int, submit func(argv ...string) error) error {
	last := filepath.Join(b.dir, "last")
	var barriers []string
	for i := range slots {
		path, err := b.barrier(fmt.Sprint("barrier", i))
		if err == nil {
			err = submit("/bin/cat", path)
		}
		if err != nil {
			return err
		}
		barriers = append(barriers, path)
	}
	for range n {
		if err := submit(noop); err != nil {
			return err
		}
	}
	if err := submit("/usr/bin/touch", last); err != nil {
		return err
	}
	began := time.Now()
	for _, path := range barriers {
		if err := open(path); err != nil {
			return err
		}
	}
	if err := until("the end", func() bool { return exists(last) }); err != nil {
		return err
	}
	b.over(name, slots, float64(n)/time.Since(began).Seconds())
	for _, path := range append(barriers, last) {
		_ = os.Remove(path)
	}
	return nil
}

// over notes the rate of a peer as part of the bare rate.
func (b *bench) over(name string, slots int, rate float64) {
	b.add(fmt.Sprintf("%s over bare spawn, %d slots", name, slots), "", rate/b.bare[slots])
}

// measureTsp: more than 900 wait for the select() of its server.
func (b *bench) measureTsp() error {
	for _, n := range slots {
		env := []string{fmt.Sprintf("TS_SOCKET=%s/tsp%d", b.dir, n), "TMPDIR=" + b.dir}
		if err := client(env, "tsp", "-S", fmt.Sprint(n)); err != nil {
			return err
		}
		err := b.peerDrain("task-spooler", n, 900, func(argv ...string) error {
			return client(env, append([]string{"tsp", "-n"}, argv...)...)
		})
		if err == nil && n == 1 {
			err = b.peerLatency("task-spooler", func(argv ...string) error { return client(env, append([]string{"tsp", "-n"}, argv...)...) })
		}
		if err = errors.Join(err, client(env, "tsp", "-K")); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) measureNq() error {
	env := []string{"NQDIR=" + filepath.Join(b.dir, "nq")}
	submit := func(argv ...string) error { return client(env, append([]string{"nq", "-q"}, argv...)...) }
	if err := b.peerDrain("nq", 1, jobs, submit); err != nil {
		return err
	}
	env[0] += "-idle"
	return b.peerLatency("nq", submit)
}

// peerLatency is from the start of a submission to the first instruction of its job.
func (b *bench) peerLatency(name string, submit func(argv ...string) error) error {
	c, err := b.newClock()
	if err != nil {
		return err
	}
	probe, err := b.ordinary()
	if err != nil {
		return err
	}
	over := func(int) error {
		time.Sleep(idle)
		return nil
	}
	bare, err := c.latencies(100, func(int) error {
		return spawn(probe, []string{probe, c.path}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
	}, over)
	if err != nil {
		return err
	}
	theirs, err := c.latencies(100, func(int) error { return submit(probe, c.path) }, over)
	if err != nil {
		return err
	}
	b.add(name+", submission to first instruction, p50 over bare p50", "", quantile(theirs, 0.5)/quantile(bare, 0.5))
	return nil
}

func (b *bench) measureParallel() error {
	const n = 500
	list := filepath.Join(b.dir, "list")
	if err := os.WriteFile(list, []byte(strings.Repeat(noop+"\n", n)), 0o644); err != nil {
		return err
	}
	for _, s := range slots {
		began := time.Now()
		if err := client(nil, "parallel", "--will-cite", "-j", fmt.Sprint(s), "--joblog", fmt.Sprint(list, ".log", s), "-a", list); err != nil {
			return err
		}
		b.over("GNU parallel", s, n/time.Since(began).Seconds())
	}
	return nil
}

// measureAt: at has no slots, all that is due starts at once; atd is started once the
// jobs are queued.
func (b *bench) measureAt() error {
	const n = 300
	atd, err := exec.LookPath("/usr/sbin/atd")
	if err != nil {
		return &exec.Error{Name: "atd", Err: err}
	}
	last := filepath.Join(b.dir, "ran")
	for range n {
		cmd := exec.Command("at", "now")
		cmd.Stdin = strings.NewReader(noop + "; echo >> " + last + "\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("at: %w\n%s", err, out)
		}
	}
	daemon := exec.Command(atd, "-f", "-b", "0")
	began := time.Now()
	if err := daemon.Start(); err != nil {
		return err
	}
	err = until("at's jobs", func() bool { st, err := os.Stat(last); return err == nil && st.Size() >= n })
	rate := n / time.Since(began).Seconds()
	_ = daemon.Process.Kill()
	_ = daemon.Wait()
	b.over("at (no slots)", 1, rate)
	return err
}
