package monitor

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/clock"
	"simplejobq/internal/durable"
	"simplejobq/internal/messages"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
	"simplejobq/internal/units"
)

// A disk that is this slow is listened past.
const (
	stallHeard = 2 * time.Second
	stallSaid  = 10 * time.Second
)

// stall is what goes on while a round waits for a disk that does not answer. The
// round has the session's state, so a stall has only what it was given before:
// where monitor_reads was read up to, and how to reach the running commands. It
// hears KILL JOB, which does no harm when the round, back from the disk, reads the
// same line again.
//
// Its files may hang as well. Hence a goroutine that only reads, which a frozen
// file system allows, and others for what may block.
type stall struct {
	ear     *messages.Ear
	running []reach
	records *durable.Dir
	queue   string // of running UOWs
	grace   time.Duration
	say     func(text string)

	quit, over chan struct{}
	killed     []string // names of UOWs
	asked      []string // runs
}

// reach is how a running command is ended without the session's state.
type reach struct {
	uow, run string
	runner   *run.Runner // nil: adopted; closed between two sessions
	pid      int         // of the runner
	record   string
}

// reachable lists the running commands, while the loop has the turn.
func (s *session) reachable() (list []reach) {
	for _, j := range s.jobs {
		for _, c := range j.commands {
			switch {
			case c.stage != alive:
			case c.worker != nil:
				list = append(list, reach{uow: j.UOW, run: c.runID, runner: c.worker.runner, pid: c.worker.runner.PID(), record: c.worker.record.Name()})
			case c.record != nil:
				list = append(list, reach{uow: j.UOW, run: c.runID, pid: c.keeper, record: c.record.Name()})
			}
		}
	}
	return list
}

// newStall is made before a round begins and costs next to nothing; listen is
// called when the round hangs.
func (s *session) newStall() *stall {
	st := &stall{
		ear: s.inbox.Ear(), running: s.reachable(), records: s.sp.Run, queue: s.sp.Name(spool.Executing), grace: time.Duration(s.conf.Job.KillGrace),
	}
	root, says := s.sp.Root, s.conf.Files.Says
	st.say = func(text string) {
		fmt.Fprintln(s.Stderr, "monitor:", text)
		go func() { _ = messages.SayBeside(root, says, clock.Wall(), "trouble", text) }()
	}
	return st
}

func (st *stall) listen() {
	st.quit, st.over = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(st.over)
		pace := time.NewTicker(500 * time.Millisecond)
		defer pace.Stop()
		for {
			st.hear()
			select {
			case <-pace.C:
			case <-st.quit:
				return
			}
		}
	}()
}

// end stops listening and returns the UOWs whose end was asked for.
func (st *stall) end() []string {
	close(st.quit)
	<-st.over
	return st.killed
}

func (st *stall) hear() {
	if st.ear == nil {
		return
	}
	// What can't be read now is read by the round, in its time.
	lines, err := st.ear.Lines()
	if err != nil {
		return
	}
	for _, line := range lines {
		m, err := messages.Parse(line)
		switch {
		case err != nil:
		case m.Keyword == "KILL JOB":
			n := 0
			for _, r := range st.running {
				if st.means(m, r.uow) {
					st.kill(r)
					n++
				}
			}
			what := "nothing that runs is meant"
			if n > 0 {
				what = units.Count(n, "running UOW is being ended", "running UOWs are being ended")
			}
			st.say(fmt.Sprintf("heard while the disk does not answer: %s; %s", messages.Quote(line), what))
		default:
			st.say(fmt.Sprintf("heard while the disk does not answer: %s; it is acted upon when the disk answers", messages.Quote(line)))
		}
	}
}

// means reports whether a KILL JOB is for a running UOW.
func (st *stall) means(m messages.Message, uow string) bool {
	if m.Args == "" {
		return true
	}
	for _, name := range []string{m.Args, m.Args + " #" + m.ID} {
		plain, err := strconv.Unquote(name)
		if err != nil {
			plain = name
		}
		pattern, here := strings.CutPrefix(name, st.queue+"/")
		match, _ := path.Match(pattern, uow)
		if name == uow || plain == uow || here && (match || pattern == uow) {
			return true
		}
	}
	return false
}

// kill has a command ended by its runner or, where that waits for the same disk,
// without it: it finds out why when it wakes up.
func (st *stall) kill(r reach) {
	if slices.Contains(st.asked, r.run) {
		return
	}
	st.asked = append(st.asked, r.run)
	if !slices.Contains(st.killed, r.uow) {
		st.killed = append(st.killed, r.uow)
	}
	go func() {
		if r.runner != nil && r.runner.Kill(killReason) == nil {
			return
		}
		if rec, err := run.OpenRecord(st.records, r.record); err == nil {
			if err = rec.RequestKill(r.run, killReason); err == nil {
				_ = rec.Terminate()
			}
			_ = rec.Close()
		}
	}()
	go func() {
		if !st.pause(time.Second) || r.pid == 0 || !inKernel(r.pid, r.pid) {
			return
		}
		_ = run.SignalTree(r.run, unix.SIGTERM)
		if st.pause(st.grace) && inKernel(r.pid, r.pid) {
			_ = run.SignalTree(r.run, unix.SIGKILL)
		}
	}()
}

// pause waits, and reports false if the disk answered meanwhile.
func (st *stall) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-st.quit:
		return false
	}
}

// inKernel reports whether a thread waits inside the kernel for something other
// than the passing of time and other threads.
func inKernel(pid, tid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/syscall", pid, tid))
	if err != nil { // a kernel that does not tell: then only what can't be interrupted
		b, _ = os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", pid, tid))
		_, state, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
		return strings.HasPrefix(state, "D")
	}
	number, _, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return false // it is running
	}
	switch n {
	case unix.SYS_FUTEX, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_EPOLL_PWAIT, unix.SYS_PPOLL:
		return false
	}
	return !oldWait(n)
}
