//go:build faults

package durable

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A binary built with the tag faults obeys the variable MONITOR_FAULT (the
// runner: RUNNER_FAULT), so that crash tests reach every call to the kernel that
// changes something in the real program. It holds plans, separated by commas:
//
//	kill:N              SIGKILL itself at the N-th call, before it happens
//	kill:N:both         and before that its children, as if all were killed at once
//	err:ERRNO:N         the N-th call fails with that errno
//	err:ERRNO:N:D       that one and all that follow within the duration D
//	err:ERRNO:N:forever that one and all after it
//	err:ERRNO:SITE      every call of that site
//	err:ERRNO:SITE@D    the first call of that site, and all that follow within D
//	late:ERRNO:N        the N-th call is carried out, and fails nevertheless
//	look:ERRNO:N[:D]    the same for the N-th call that changes nothing
//	looks               the trace tells those too, as "N look"
//	noflags             renameat2 knows no flags, as on NFS
//	only:FILE           the plans are this process's only if it is the first to
//	                    need them, which FILE then tells
//
// Two errnos are none: SHORT has a write store half of what it was given; TORN
// too, and from there on the plan is that of ENOSPC.
//
// With MONITOR_FAULT_TRACE each call is appended to that file as "N site", one to
// which something was done as "N! site". The variables are taken out of the
// environment: a child is a program of its own.
func init() {
	name := strings.ToUpper(filepath.Base(os.Args[0])) + "_FAULT"
	plans, trace := os.Getenv(name), os.Getenv(name+"_TRACE")
	_ = os.Unsetenv(name)
	_ = os.Unsetenv(name + "_TRACE")
	if plans == "" && trace == "" {
		return
	}
	f, err := parseFaults(plans)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
	if trace != "" {
		f.trace, _ = unix.Open(trace, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC, 0o644)
	}
	Fault = f.at
	if f.looks || f.lookPlan != nil {
		Looking = f.look
	}
}

type faults struct {
	plans    []*plan
	lookPlan *plan
	looks    bool
	only     string
	trace    int

	mu    sync.Mutex
	count int64
	seen  int64 // calls that change nothing
	mine  bool  // only was asked, and it is this process
	asked bool
}

type plan struct {
	kill, both bool
	late       bool
	part       part
	errno      unix.Errno
	n          int64
	site       Site
	span       time.Duration
	until      time.Time // once it began
}

type part int

const (
	whole part = iota
	short
	torn
)

func parseFaults(plans string) (*faults, error) {
	f := &faults{trace: -1}
	for _, text := range strings.Split(plans, ",") {
		word := strings.Split(text, ":")
		switch {
		case text == "":
			continue
		case text == "noflags":
			renameat2 = func(from int, name string, to int, newName string, flags uint) error { return unix.EINVAL }
			continue
		case text == "looks":
			f.looks = true
			continue
		case word[0] == "look":
			p, err := parsePlan(append([]string{"err"}, word[1:]...))
			if err != nil {
				return nil, fmt.Errorf("%q is no fault: %w", text, err)
			}
			f.lookPlan = p
			continue
		case word[0] == "only":
			f.only = strings.TrimPrefix(text, "only:")
			continue
		}
		p, err := parsePlan(word)
		if err != nil {
			return nil, fmt.Errorf("%q is no fault: %w", text, err)
		}
		f.plans = append(f.plans, p)
	}
	return f, nil
}

func parsePlan(word []string) (p *plan, err error) {
	p = &plan{kill: word[0] == "kill", late: word[0] == "late"}
	if p.kill {
		word = append([]string{"err", "EIO"}, word[1:]...)
	}
	if len(word) < 3 || word[0] != "err" && !p.late {
		return nil, fmt.Errorf("it is kill:N, err:ERRNO:N or late:ERRNO:N")
	}
	errno := word[1]
	switch errno {
	case "SHORT":
		p.part, errno = short, "ENOSPC"
	case "TORN":
		p.part, errno = torn, "ENOSPC"
	}
	for e := unix.Errno(1); e < 134 && p.errno == 0; e++ {
		if unix.ErrnoName(e) == errno {
			p.errno = e
		}
	}
	if p.errno == 0 {
		return nil, fmt.Errorf("no errno %s", errno)
	}
	if p.n, err = strconv.ParseInt(word[2], 10, 64); err != nil {
		site, span, timed := strings.Cut(strings.Join(word[2:], ":"), "@")
		if p.site, p.n, p.span = Site(site), 1, 1<<62; timed {
			p.span, err = time.ParseDuration(span)
			return p, err
		}
		return p, nil
	}
	switch {
	case len(word) == 3:
	case p.kill && word[3] == "both":
		p.both = true
	case word[3] == "forever":
		p.span = 1 << 62
	default:
		p.span, err = time.ParseDuration(word[3])
	}
	return p, err
}

func (f *faults) at(site Site) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	for _, p := range f.plans {
		if p.due(f.count, site) && f.ours() {
			return f.carryOut(p, site)
		}
	}
	f.tell(f.count, "", site)
	return nil
}

// look is asked before each call that changes nothing.
func (f *faults) look() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen++
	p := f.lookPlan
	if p == nil || !p.due(f.seen, "look") {
		if f.looks {
			f.tell(f.seen, "", "look")
		}
		return nil
	}
	if p.until.IsZero() {
		p.begin()
		f.tell(f.seen, "!", "look")
	}
	return p.errno
}

// tell writes the trace.
func (f *faults) tell(n int64, mark string, site Site) {
	if f.trace >= 0 {
		_, _ = unix.Write(f.trace, fmt.Appendf(nil, "%d%s %s\n", n, mark, site))
	}
}

// due reports whether something is to be done to this call.
func (p *plan) due(n int64, site Site) bool {
	switch {
	case n < p.n || p.site != "" && p.site != site:
		return false
	case p.errno == unix.EACCES && strings.HasSuffix(string(site), ":lock"):
		return false // there it is an answer, no error: somebody else holds it
	case p.until.IsZero():
		return n == p.n || p.part == whole || p.span > 0 || p.site != "" // a write it is, if need be the next
	}
	return time.Now().Before(p.until)
}

// ours reports whether no other process was first.
func (f *faults) ours() bool {
	if f.only != "" && !f.asked {
		f.asked = true
		fd, err := unix.Open(f.only, unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
		if f.mine = err == nil; f.mine {
			unix.Close(fd)
		}
	}
	return f.only == "" || f.mine
}

func (f *faults) carryOut(p *plan, site Site) error {
	first := p.until.IsZero()
	if first && p.part == whole {
		p.begin()
	}
	switch {
	case p.kill:
		f.tell(f.count, "!", site)
		if p.both {
			killChildren()
		}
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	case p.part != whole:
		f.tell(f.count, "", site)
		return &half{f, p, site, f.count} // who writes tells that it was done
	case p.errno == unix.EINTR && !first:
		time.Sleep(time.Millisecond) // it is asked again and again
	default:
		f.tell(f.count, "!", site)
	}
	if p.late {
		return &Late{p.errno}
	}
	return p.errno
}

// begin: from here on the plan's time runs.
func (p *plan) begin() { p.until = time.Now().Add(p.span) }

// half is the error by which a write is told to store half.
type half struct {
	f    *faults
	p    *plan
	site Site
	n    int64
}

func (h *half) Error() string { return "half of it" }

func (h *half) Store(n int) int {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	h.f.tell(h.n, "!", h.site)
	if h.p.part == torn {
		// The rest of it fails, and what follows within the plan's time.
		h.p.part, h.p.n = whole, h.f.count+1
		return n / 2
	}
	if h.p.until.IsZero() {
		h.p.begin()
	}
	return (n + 1) / 2 // or it would never be through
}

// killChildren kills what this process started.
func killChildren() {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		b, _ := os.ReadFile(list)
		for _, word := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(word); err == nil {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
	}
}
