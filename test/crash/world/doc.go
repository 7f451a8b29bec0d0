// Package world is what the tests of never losing and never running twice share:
// a spool with a witness outside, real binaries built with faults
// (internal/durable/faults.go), and the one checker.
//
// How much such a test tries follows from the variable CRASH:
//
//	(none)    a fixed sample, for `make test`
//	change    the figures every change must reach, for CI (`make crash`)
//	torture   the long half (`make torture`)
//
// Each test that was told to try more than the sample prints one line of figures,
// see [Figures].
package world

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// Level is how much is tried.
type Level int

// The levels.
const (
	Quick Level = iota
	Change
	Torture
)

// At is the level asked for.
func At() Level {
	switch word := os.Getenv("CRASH"); word {
	case "":
		return Quick
	case "change":
		return Change
	case "torture":
		return Torture
	default:
		panic(fmt.Sprintf("CRASH=%q; it is change, torture or not set", word))
	}
}

// Pick is the amount for the level asked for.
func Pick[T any](quick, change, torture T) T { return []T{quick, change, torture}[At()] }

// Figures is one line of what a test did, which test/summary shows when more than
// the sample was tried.
func Figures(t testing.TB, format string, args ...any) {
	t.Helper()
	t.Logf("figures: "+format, args...)
}

// Bin is where the binaries with faults are. [Main] makes them.
var Bin string

// Main builds the binaries, runs the tests and removes what it built.
func Main(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "crash")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	Bin = dir
	return m.Run()
}

// Build puts monitor and runner, with faults, into dir.
func Build(dir string) error {
	build := exec.Command("go", "build", "-tags", "faults", "-o", dir+"/", "simplejobq/cmd/monitor", "simplejobq/cmd/runner")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

// Memory is a directory in memory, which is where crash tests are fast: they say
// themselves what a power cut leaves.
func Memory() string {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// Scratch is a directory for one spool, kept if the test fails and CRASH_KEEP is
// set.
func Scratch(t testing.TB, in string) string {
	t.Helper()
	dir, err := os.MkdirTemp(in, "spool")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("CRASH_KEEP") != "" {
			t.Logf("kept: %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove %s: %v", filepath.Base(dir), err)
		}
	})
	return dir
}

// Each calls try for each of the cases, several at a time; a monitor spends much of
// its time waiting.
func Each[T any](cases []T, try func(T)) {
	var todo sync.WaitGroup
	next := make(chan T)
	for range 4 * runtime.NumCPU() {
		todo.Go(func() {
			for c := range next {
				try(c)
			}
		})
	}
	for _, c := range cases {
		next <- c
	}
	close(next)
	todo.Wait()
}
