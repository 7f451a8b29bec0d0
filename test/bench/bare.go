package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	jobs = 1000
	noop = "/bin/true"
)

var slots = []int{1, 2, 8}

// measureBare is what the machine can do: start and collect processes, and commit.
func (b *bench) measureBare() error {
	b.bare = map[int]float64{}
	for _, n := range slots {
		rate, err := spawnRate(n, jobs)
		if err != nil {
			return err
		}
		b.bare[n] = rate
		b.add(fmt.Sprintf("bare spawn of %s, %d at once, /s", noop, n), "", rate)
	}
	return nil
}

// spawnRate is how many processes a second so many workers start and collect.
func spawnRate(workers, n int) (float64, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}}
	return rate(workers, n, func(int) error { return spawn(noop, []string{noop}, attr) })
}

func spawn(path string, argv []string, attr *syscall.ProcAttr) error {
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return err
	}
	var status syscall.WaitStatus
	for {
		if _, err = syscall.Wait4(pid, &status, 0, nil); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil && status.ExitStatus() != 0 {
		err = fmt.Errorf("%s: exit %d", path, status.ExitStatus())
	}
	return err
}

// rate is how many times a second workers do something.
func rate(workers, n int, do func(worker int) error) (float64, error) {
	var wg sync.WaitGroup
	var next atomic.Int64
	errs := make([]error, workers)
	began := time.Now()
	for w := range workers {
		wg.Go(func() {
			for next.Add(1) <= int64(n) && errs[w] == nil {
				errs[w] = do(w)
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(began).Seconds(), errors.Join(errs...)
}

// commitCost is what one commit takes that covers so many jobs: for each two renames
// and 300 bytes overwritten, then one syncfs. The rounds are as many as the jobs give.
func (b *bench) commitCost(each int) (time.Duration, error) {
	for _, d := range []string{"a", "b"} {
		if err := os.MkdirAll(filepath.Join(b.dir, d), 0o755); err != nil {
			return 0, err
		}
	}
	dir, err := os.Open(b.dir)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	name := func(d string, i int) string { return filepath.Join(b.dir, d, fmt.Sprintf("f%05d", i)) }
	n := max(200/each, 20) * each
	for i := range n {
		if err := os.WriteFile(name("a", i), make([]byte, 1000), 0o644); err != nil {
			return 0, err
		}
	}
	unix.Sync()
	var took time.Duration
	for i := 0; i < n; i += each {
		began := time.Now()
		for k := i; k < i+each; k++ {
			if err := touchJob(name("a", k), name("b", k)); err != nil {
				return 0, err
			}
		}
		if err := unix.Syncfs(int(dir.Fd())); err != nil {
			return 0, err
		}
		took += time.Since(began)
	}
	return took / time.Duration(n/each), nil
}

func touchJob(from, to string) error {
	f, err := os.OpenFile(from, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, 300), 100)
	return errors.Join(err, f.Close(), os.Rename(from, to), os.Rename(to, from))
}
