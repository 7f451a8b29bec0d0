package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type ending int

// How tests end.
const (
	passed ending = iota
	failed        // a test did
	broken        // no test ran: that is no catch
)

type result struct {
	end    ending
	by     string // the test that failed
	output string
}

// A mutant may hang where the real thing goes on: that counts as seen.
const patience = 5 * time.Minute

var (
	failure = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	hanging = regexp.MustCompile(`(?m)^panic: test timed out[^\n]*\n\s*running tests:\n\s*(\S+)`)
	crashed = regexp.MustCompile(`(?m)^(?:panic: |fatal error: )`)
)

// test runs tests, with a mutant if there is an overlay. What they build themselves
// has it too, by GOFLAGS.
func (h *hunt) test(s suite, overlay, name string) result {
	tmp, err := os.MkdirTemp(h.dir, name)
	if err != nil {
		return result{end: broken, output: err.Error()}
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	// Some tests run programs from there as another user.
	if err := errors.Join(os.Chmod(h.dir, 0o755), os.Chmod(tmp, 0o755)); err != nil {
		return result{end: broken, output: err.Error()}
	}
	limit := patience
	if overlay == "" {
		limit *= 4 // what is slow is not wrong
	}
	c := exec.CommandContext(h.ctx, "go", "test", "-count=1", "-vet=off", "-failfast", "-timeout="+limit.String(), "-run", s.run, "./"+s.pkg)
	c.Env = append(append(os.Environ(), "TMPDIR="+tmp, "CRASH="), strings.Fields(s.more)...)
	if overlay != "" {
		c.Env = append(c.Env, "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGINT) }
	c.WaitDelay = 10 * time.Second
	out, err := c.CombinedOutput()
	endFrom(tmp)
	return judge(string(out), err)
}

func judge(output string, err error) result {
	r := result{output: output}
	switch m, h := failure.FindStringSubmatch(output), hanging.FindStringSubmatch(output); {
	case err == nil && strings.Contains(output, "[no tests to run]"):
		r.end = broken
	case err == nil:
		r.end = passed
	case h != nil:
		r.end, r.by = failed, h[1]+" (it hung)"
	case m != nil:
		r.end, r.by = failed, m[1]
	case crashed.MatchString(output):
		r.end, r.by = failed, "a panic"
	default:
		r.end = broken
	}
	return r
}

// endFrom ends what runs from programs below dir: a test that was ended at its
// timeout leaves its monitors behind.
func endFrom(dir string) {
	all, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return
	}
	for _, exe := range all {
		if program, err := os.Readlink(exe); err == nil && strings.HasPrefix(program, dir+"/") {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(exe))); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}
