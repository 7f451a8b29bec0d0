package monitor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"simplejobq/internal/flow"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
	"simplejobq/internal/units"
	"simplejobq/internal/uow"
)

// next finds the UOW whose turn it is, nil if none is startable. On its way it
// puts aside what waits and ends what can't be started any more.
func (s *session) next() *spool.Entry {
	s.hear()
	open := func(kind string) bool { return s.kindCloses(kind) == "" }
	for _, q := range []spool.Queue{spool.Priority, spool.Wait} {
		for e := s.order.first(q, open); e != nil; e = s.order.first(q, open) {
			if e.State == spool.Fresh {
				// Its turn may have come before the round got round to reading it.
				s.order.take(e)
				if err := s.judgeThese([]*spool.Entry{e}); err != nil {
					s.broken = err
					return nil
				}
				continue
			}
			g := s.gate(e)
			if g.open() {
				return e
			}
			s.order.take(e)
			s.putAside(e, g)
		}
	}
	return nil
}

// gate is why a UOW does not start.
type gate struct {
	why   string
	until time.Time // ask again then
	names []string  // ask again when something happens to one of these
	fail  string    // it never will: the text of its end
}

func (g gate) open() bool { return g.why == "" && g.fail == "" }

// gate asks what a UOW waits for, the cheapest first.
func (s *session) gate(e *spool.Entry) gate {
	t := termsOf(e)
	if t != nil {
		if g := clockGate(t, s.wall); !g.open() {
			return g
		}
		if g := s.afterGate(t); !g.open() {
			return g
		}
	}
	if s.names[e.Name] != nil {
		return gate{why: fmt.Sprintf("another UOW of the name %q is executing; one of a name runs at a time", e.Name), names: []string{e.Name}}
	}
	return gate{}
}

func clockGate(t *terms, now time.Time) gate {
	switch {
	case !t.expires.IsZero() && !now.Before(t.expires):
		return gate{fail: "not started: expired at " + uow.Stamp(t.expires)}
	case now.Before(t.notBefore):
		return gate{why: "not before " + uow.Stamp(t.notBefore), until: t.notBefore}
	case now.Before(t.due):
		return gate{why: "another try is due at " + uow.Stamp(t.due), until: t.due}
	}
	return gate{}
}

func (s *session) afterGate(t *terms) gate {
	var waits []string
	var names []string
	for _, name := range t.after {
		state, where := s.fate(name)
		switch state {
		case fateDone:
		case fateBad:
			return gate{fail: fmt.Sprintf("not started: it comes after %s, which is in %s", quoteName(name), where)}
		default:
			waits, names = append(waits, waitText(name, state, where)), append(names, plainName(name))
		}
	}
	for _, name := range t.afterAny {
		if slices.Contains(t.after, name) {
			continue // waited for already
		}
		if state, where := s.fate(name); state != fateDone && state != fateBad {
			waits, names = append(waits, waitText(name, state, where)), append(names, plainName(name))
		}
	}
	if len(waits) == 0 {
		return gate{}
	}
	return gate{why: "waits for " + strings.Join(waits, ", "), names: names}
}

func waitText(name string, state fate, where string) string {
	if state == fateUnknown {
		return quoteName(name) + " (nobody has seen it yet)"
	}
	return quoteName(name) + " (in " + where + ")"
}

type fate int

const (
	fateUnknown fate = iota // nobody has seen it
	fatePending             // queued, held or running
	fateDone
	fateBad // ended as error or fail
)

// fate is what became of the UOW that a name means.
func (s *session) fate(name string) (fate, string) {
	t, err := s.resolve(name, true)
	switch {
	case errors.Is(err, errNobody):
		return fateUnknown, ""
	case err != nil:
		s.fault(err)
		return fatePending, "a place that can't be read now"
	case t.queue == spool.Trash:
		return fateUnknown, ""
	case !t.queue.Ended() || t.job != nil:
		return fatePending, s.sp.Name(t.queue)
	case t.queue == spool.Done:
		return fateDone, ""
	case t.queue == spool.Archive:
		if u, _, err := s.readUnit(t.queue, t.name); err == nil && u.Status.Kind == uow.Done {
			return fateDone, ""
		} else if err != nil {
			s.fault(trouble(err))
		}
	}
	return fateBad, s.sp.Name(t.queue)
}

// plainName is the name without its queue.
func plainName(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[i+1:]
	}
	return name
}

// kindCloses says why no UOW of a job type can start now, "" if one can.
func (s *session) kindCloses(kind string) string {
	t := s.conf.Jobs[kind]
	if kind == "" || t == nil {
		return ""
	}
	if t.Slots > 0 && s.types[kind] >= t.Slots {
		return fmt.Sprintf("job type %s runs %d at once, and %s", kind, t.Slots, units.Count(s.types[kind], "runs", "run"))
	}
	if t.Process == "" {
		return ""
	}
	// One of ours counts from its claim on: its process may not be there yet.
	for other, n := range s.types {
		if o := s.conf.Jobs[other]; n > 0 && o != nil && o.Process == t.Process {
			return fmt.Sprintf("a job of type %s is running, and only one process %s may", other, t.Process)
		}
	}
	// A yes may be old, a no may not: it is asked for again in each round.
	g, asked := s.gates[t.Process]
	if !asked || g.pid == 0 && !g.at.Equal(s.now) || s.now.Sub(g.at) >= time.Duration(s.conf.SleepTime) {
		pid, err := findProcess(t.Process)
		if err != nil {
			s.fault(err)
			return "the processes of this machine can't be listed now"
		}
		g = gated{at: s.now, pid: pid}
		s.gates[t.Process] = g
	}
	if g.pid != 0 {
		return fmt.Sprintf("a process %s is running on this machine (pid %d)", t.Process, g.pid)
	}
	return ""
}

// gated is what the last look for a process found.
type gated struct {
	at  time.Time
	pid int
}

// findProcess looks for a process of a name: what the kernel calls it, or, for a
// script, the file its interpreter was given.
func findProcess(name string) (int, error) {
	procs, err := run.Processes()
	if err != nil {
		return 0, err
	}
	short := name[:min(len(name), 15)] // TASK_COMM_LEN without its NUL
	for _, p := range procs {
		if p.Dead() {
			continue
		}
		if p.Name == name {
			return p.PID, nil
		}
		// A longer name is cut there, and a script that its interpreter was given
		// by name is called after the interpreter.
		cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID), "cmdline"))
		if err != nil {
			continue // gone by now
		}
		for i, arg := range strings.SplitN(string(cmdline), "\x00", 4) {
			if filepath.Base(arg) == name && (p.Name == short || i == 1) {
				return p.PID, nil
			}
		}
	}
	return 0, nil
}

// putAside leaves a UOW that can't start until what it waits for changes.
func (s *session) putAside(e *spool.Entry, g gate) {
	if g.fail != "" {
		s.endUnstarted(e, flow.Fail, g.fail)
		return
	}
	if !g.until.IsZero() {
		s.order.awaitTime(e, g.until)
	}
	for _, n := range g.names {
		s.order.awaitName(e, n)
	}
	if t := termsOf(e); t != nil {
		slices.Sort(g.names)
		t.waits = len(slices.Compact(g.names))
	}
	// Only who is waited for can close a cycle: the last of it to be put aside.
	if s.order.awaited(e.Name) {
		s.breakCycle(e)
	}
}

// breakCycle ends every UOW of a cycle that e is in.
func (s *session) breakCycle(e *spool.Entry) {
	var path []*spool.Entry
	visited := map[*spool.Entry]bool{}
	var find func(at *spool.Entry) bool
	find = func(at *spool.Entry) bool {
		path = append(path, at)
		visited[at] = true
		if t := termsOf(at); t != nil {
			for _, n := range slices.Concat(t.after, t.afterAny) {
				r, err := s.resolve(n, false)
				if err != nil || r.entry == nil {
					continue
				}
				if r.entry == e || !visited[r.entry] && find(r.entry) {
					return true
				}
			}
		}
		path = path[:len(path)-1]
		return false
	}
	if !find(e) {
		return
	}
	if slices.ContainsFunc(path, s.justAdmitted) {
		for _, m := range path {
			s.order.awaitTime(m, s.wall)
		}
		s.more = true
		return
	}
	var names []string
	for _, m := range append(path, e) {
		names = append(names, quoteName(m.Name))
	}
	text := "not started: these wait for one another: " + strings.Join(names, " → ")
	for _, m := range path {
		s.endUnstarted(m, flow.Fail, text)
	}
}

// mayStart is why nothing at all starts, "" if UOWs may. could tells that there
// is something that could.
func (s *session) mayStart(could bool) string {
	switch {
	case s.viewing:
		return s.closed
	case s.stop != running:
		return "the monitor is stopping"
	case s.paused:
		return "paused (RESUME goes on)"
	}
	free, err := s.sp.Root.Free()
	if err != nil {
		s.fault(err)
	} else if s.stats.free = free; free < int64(s.conf.Ready.FreeSpace) {
		if could {
			s.glanceBy(s.now.Add(2 * time.Second))
		}
		return fmt.Sprintf("not ready: %s free on the spool's file system, [ready] free_space asks for %s",
			units.Bytes(free), units.Size(int64(s.conf.Ready.FreeSpace)))
	}
	return s.ready.why(s, could)
}
