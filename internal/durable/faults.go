//go:build faults

package durable

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A binary built with the tag faults obeys the variable MONITOR_FAULT (the
// runner: RUNNER_FAULT), so that crash tests reach every durable operation of
// the real program:
//
//	kill:N                 SIGKILL itself at the N-th operation, before it happens
//	err:ERRNO:N            the N-th operation fails with that errno
//	err:ERRNO:N:forever    that one and all after it
//	err:ERRNO:SITE         every operation of that site
//
// With MONITOR_FAULT_TRACE each operation is appended to that file as "N site".
// The variables are taken out of the environment: a child is a program of its
// own.
func init() {
	name := strings.ToUpper(filepath.Base(os.Args[0])) + "_FAULT"
	plan, trace := os.Getenv(name), os.Getenv(name+"_TRACE")
	_ = os.Unsetenv(name)
	_ = os.Unsetenv(name + "_TRACE")
	if plan == "" && trace == "" {
		return
	}
	f, err := parseFault(plan)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
	if trace != "" {
		f.trace, _ = unix.Open(trace, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC, 0o644)
	}
	Fault = f.at
}

type faultPlan struct {
	kill    bool
	errno   unix.Errno
	n       int64
	forever bool
	site    Site
	trace   int
	count   atomic.Int64
}

func parseFault(plan string) (*faultPlan, error) {
	f := &faultPlan{trace: -1}
	word := strings.Split(plan, ":")
	var err error
	switch {
	case plan == "":
		return f, nil
	case word[0] == "kill" && len(word) == 2:
		f.kill = true
		f.n, err = strconv.ParseInt(word[1], 10, 64)
		return f, err
	case word[0] != "err" || len(word) < 3:
		return nil, fmt.Errorf("%q is no fault", plan)
	}
	for e := unix.Errno(1); e < 134 && f.errno == 0; e++ {
		if unix.ErrnoName(e) == word[1] {
			f.errno = e
		}
	}
	if f.errno == 0 {
		return nil, fmt.Errorf("%q is no errno", word[1])
	}
	if f.n, err = strconv.ParseInt(word[2], 10, 64); err != nil {
		f.site = Site(strings.Join(word[2:], ":"))
		return f, nil
	}
	f.forever = len(word) > 3 && word[3] == "forever"
	return f, nil
}

func (f *faultPlan) at(site Site) error {
	n := f.count.Add(1)
	if f.trace >= 0 {
		_, _ = unix.Write(f.trace, fmt.Appendf(nil, "%d %s\n", n, site))
	}
	switch {
	case f.site != "" && f.site == site, f.errno != 0 && n == f.n, f.errno != 0 && f.forever && n > f.n:
		return f.errno
	case f.kill && n == f.n:
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
	return nil
}
