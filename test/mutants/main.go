// Command mutants is the tests' own test: it switches off one rule of durability at a
// time, in a copy of the file the compiler is shown in place of the real one, and
// runs the tests that have to notice. A mutant they do not notice is a hole in
// them, and this program then ends with status 1.
//
//	go run ./test/mutants              # all: table.go
//	go run ./test/mutants 'fsync|lock' # those whose name matches
//	go run ./test/mutants -list
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(stderr)
	list := flags.Bool("list", false, "only list them")
	at := flags.Int("p", max(1, runtime.NumCPU()/2), "how many at a time")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: mutants [-list] [-p N] [PATTERN]")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil || flags.NArg() > 1 {
		return 2
	}
	which, err := regexp.Compile(flags.Arg(0))
	if err != nil {
		fmt.Fprintln(stderr, "mutants:", err)
		return 2
	}
	chosen := slices.DeleteFunc(slices.Clone(table), func(m mutant) bool { return !which.MatchString(m.name) })
	if *list {
		for _, m := range chosen {
			fmt.Fprintf(stdout, "%-28s %s\n", m.name, m.rule)
		}
		return 0
	}
	if len(chosen) == 0 {
		fmt.Fprintln(stderr, "mutants: none of that name")
		return 2
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = (&hunt{ctx: ctx, dir: dir, out: stdout, at: *at}).all(chosen)
	}
	if err != nil {
		fmt.Fprintln(stderr, "mutants:", err)
		return 1
	}
	return 0
}

// hunt is one run of this program.
type hunt struct {
	ctx context.Context
	dir string
	out io.Writer
	at  int
	red []suite    // that fail without a mutant
	mu  sync.Mutex // guards out
}

func (h *hunt) say(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Fprintf(h.out, format+"\n", args...)
}

func (h *hunt) all(list []mutant) error {
	began := time.Now()
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	// Before anything runs: a table that has rotted proves nothing.
	var faults []error
	for _, m := range list {
		_, err := m.apply(root)
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	h.red = h.green(list)
	var mu sync.Mutex
	bad := 0
	each(h.at, list, func(m mutant) {
		if !h.one(root, m) {
			mu.Lock()
			bad++
			mu.Unlock()
		}
	})
	if err := h.ctx.Err(); err != nil {
		return err
	}
	h.say("%d mutants, %d caught, in %v", len(list), len(list)-bad, time.Since(began).Round(time.Second))
	if bad+len(h.red) > 0 {
		return fmt.Errorf("%d mutants were not caught, %d sets of tests are not green without one: what tests do not notice is not tested", bad, len(h.red))
	}
	return nil
}

// green runs without a mutant what is to be red with one, and returns what is red
// anyway: that can catch nothing.
func (h *hunt) green(list []mutant) (red []suite) {
	began := time.Now()
	var suites []suite
	for _, m := range list {
		for _, s := range m.tests {
			if !slices.Contains(suites, s) {
				suites = append(suites, s)
			}
		}
	}
	var mu sync.Mutex
	each(h.at, suites, func(s suite) {
		began := time.Now()
		r := h.test(s, "", "green")
		if r.end == passed {
			h.say("green: %s, in %v", s, time.Since(began).Round(time.Second))
		} else if h.ctx.Err() == nil {
			h.say("NOT GREEN without a mutant: %s\n%s", s, r.output)
			mu.Lock()
			defer mu.Unlock()
			red = append(red, s)
		}
	})
	if h.ctx.Err() != nil {
		return nil
	}
	h.say("%d of %d sets of tests are green without a mutant, in %v", len(suites)-len(red), len(suites), time.Since(began).Round(time.Second))
	return red
}

// one reports whether a mutant was caught.
func (h *hunt) one(root string, m mutant) bool {
	began := time.Now()
	overlay, err := m.overlay(root, filepath.Join(h.dir, m.dirName()))
	if err != nil {
		h.say("%-28s %v", m.name, err)
		return false
	}
	for _, s := range m.tests {
		if slices.Contains(h.red, s) {
			continue
		}
		r := h.test(s, overlay, m.dirName())
		switch r.end {
		case failed:
			h.say("%-28s caught by %s in %v", m.name, r.by, time.Since(began).Round(time.Second))
			return true
		case broken:
			if h.ctx.Err() == nil {
				h.say("%-28s DOES NOT RUN: %s\n%s", m.name, s, r.output)
			}
			return false
		}
	}
	h.say("%-28s SURVIVED %v in %v; rule: %s", m.name, m.tests, time.Since(began).Round(time.Second), m.rule)
	return false
}

// each calls do for all of list, so many at a time.
func each[T any](at int, list []T, do func(T)) {
	var all sync.WaitGroup
	next := make(chan T)
	for range at {
		all.Go(func() {
			for x := range next {
				do(x)
			}
		})
	}
	for _, x := range list {
		next <- x
	}
	close(next)
	all.Wait()
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	return string(out[:len(out)-1]), nil
}
