package world

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
)

// Trial is one of very many runs of a test: what fails is told under its name, and
// what it left behind goes when it is over, not when the test is.
type Trial struct {
	testing.TB
	name     string
	mu       sync.Mutex
	failed   bool
	cleanups []func()
}

// Of so many failures one learns nothing more.
const failuresTold = 12

var told struct {
	sync.Mutex
	by map[testing.TB]int
}

// Try carries out one trial and reports whether all was well.
func Try(t testing.TB, name string, run func(t *Trial)) bool {
	trial := &Trial{TB: t, name: name}
	done := make(chan struct{})
	go func() { // FailNow ends the goroutine
		defer close(done)
		defer trial.end()
		run(trial)
	}()
	<-done
	return !trial.Failed()
}

func (t *Trial) end() {
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.cleanups[i]()
	}
}

// Name is the trial's.
func (t *Trial) Name() string { return t.name }

// Cleanup is carried out at the end of the trial.
func (t *Trial) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

// Failed is about this trial only.
func (t *Trial) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// Fail fails the trial and its test.
func (t *Trial) Fail() {
	t.mu.Lock()
	t.failed = true
	t.mu.Unlock()
	t.TB.Fail()
}

// FailNow ends the trial.
func (t *Trial) FailNow() {
	t.Fail()
	runtime.Goexit()
}

// Errorf tells a failure, if not too many were told already.
func (t *Trial) Errorf(format string, args ...any) {
	t.Helper()
	t.Fail()
	told.Lock()
	defer told.Unlock()
	if told.by == nil {
		told.by = map[testing.TB]int{}
	}
	told.by[t.TB]++
	if n := told.by[t.TB]; n <= failuresTold || os.Getenv("CRASH_ALL") != "" {
		t.Logf("%s: %s", t.name, fmt.Sprintf(format, args...))
	} else if n == failuresTold+1 {
		t.Logf("and more like that")
	}
}

// Error is Errorf without a format.
func (t *Trial) Error(args ...any) {
	t.Helper()
	t.Errorf("%s", fmt.Sprintln(args...))
}

// Fatalf is Errorf and FailNow.
func (t *Trial) Fatalf(format string, args ...any) {
	t.Helper()
	t.Errorf(format, args...)
	runtime.Goexit()
}

// Fatal is Error and FailNow.
func (t *Trial) Fatal(args ...any) {
	t.Helper()
	t.Error(args...)
	runtime.Goexit()
}
