package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"simplejobq/internal/durable"
	"simplejobq/internal/run"

	"golang.org/x/sys/unix"
)

// runner is one thread that waits in one place:
//
//	socket ──┐
//	output ──┤
//	pidfd  ──┼──► poll ──► what came ──► step of the job ──► poll …
//	signals──┤
//	timers ──┘
type runner struct {
	dir  *durable.Dir
	rec  *run.Own
	sig  *signals
	sock int  // -1: no monitor (any more)
	mute bool // nobody reads what we tell
	null int  // /dev/null, the jobs' standard input

	in      []byte    // from the socket, not yet a whole message
	idle    time.Time // when to give memory back, if no command came by then
	acked   string    // run whose end the monitor has taken care of
	leaving bool      // exits after this command
	umask   int
	oom     []byte // this process's out-of-memory score, if jobs get another
	tee     tee
	rules   rules
	job     *job
	buf     []byte
}

// The one buffer output passes through; untouched pages of it cost nothing.
var outputBuffer [64 << 10]byte

// newRunner returns a runner with its error too: it can say why it is none.
func newRunner(dir *durable.Dir, sock int) (*runner, error) {
	r := &runner{dir: dir, sock: sock, buf: outputBuffer[:], umask: 0o077}
	var err error
	if r.sig, err = watchSignals(); err != nil {
		return r, err
	}
	dropAmbient()
	inTime()
	// A monitor that was given a better or worse priority of its own keeps it to
	// itself; without the right to a better one, a job has what there is.
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 0)
	if own, err := os.ReadFile(scoreFile); err == nil && string(own) != "0\n" {
		r.oom = own
	}
	unix.Umask(r.umask)
	if r.null, err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return r, fmt.Errorf("opening /dev/null: %w", err)
	}
	r.rec, err = run.CreateRecord(dir)
	return r, err
}

// errTold is a failure that the monitor knows of: saying it is the monitor's affair.
var errTold = errors.New("the monitor knows why")

// kept is the runner of a monitor.
func kept() error {
	const socket, directory = 3, 4
	if err := becomeRunner(3); err != nil {
		return err
	}
	if err := unix.SetNonblock(socket, true); err != nil {
		return errors.New("descriptor 3 is not the monitor's socket: " + err.Error())
	}
	dir, err := durable.InheritDir(directory)
	if err != nil {
		return err
	}
	r, err := newRunner(dir, socket)
	if err != nil {
		var errno unix.Errno
		_ = errors.As(err, &errno)
		r.tell(run.MsgFailed, []byte(strconv.Itoa(int(errno))+" "+err.Error()))
		if !r.mute {
			return errTold
		}
		return err
	}
	r.tell(run.MsgReady, []byte(run.Protocol+" "+r.rec.Name()))
	r.loop()
	// Nothing to collect: no start, or one whose end was acknowledged.
	if id, err := r.rec.Start(); err == nil && (id == "" || id == r.acked) {
		return r.rec.Remove()
	}
	return nil
}

// loop goes on until there is nothing more to do for anybody.
func (r *runner) loop() {
	for r.job != nil || r.sock >= 0 && !r.leaving && !r.sig.term.Load() {
		var fds [4]unix.PollFd
		watch := func(i, fd int, want bool) {
			fds[i] = unix.PollFd{Fd: -1, Events: unix.POLLIN}
			if want {
				fds[i].Fd = int32(fd)
			}
		}
		j := r.job
		watch(0, r.sig.wake, true)
		watch(1, r.sock, r.sock >= 0)
		watch(2, 0, false)
		watch(3, 0, false)
		if j != nil {
			watch(2, j.pidfd, j.pidfd >= 0)
			watch(3, j.out, j.out >= 0 && !j.log.blocked())
		}
		if _, err := unix.Poll(fds[:], r.patience()); err != nil && err != unix.EINTR {
			time.Sleep(time.Millisecond) // ENOMEM: nothing else can be done about it
		}
		turn := time.Now()
		if fds[0].Revents != 0 {
			var b [8]byte
			_, _ = unix.Read(r.sig.wake, b[:])
		}
		if fds[1].Revents != 0 {
			r.hear()
		}
		if j != nil && fds[3].Revents != 0 {
			r.copyOutput(8)
		}
		if j != nil && fds[2].Revents != 0 {
			r.reap()
		}
		if r.job == nil {
			r.giveBack(time.Now())
		}
		if r.job != nil && time.Since(turn) > stalledTurn {
			// We hung in a disk that did not answer, and could not hear the job.
			r.job.heard = time.Now()
		}
		for r.job != nil && r.step(time.Now()) {
		}
	}
}

// A turn that takes so long has waited for a disk.
const stalledTurn = 100 * time.Millisecond

// patience is the time to the next thing that is due, in milliseconds.
func (r *runner) patience() int {
	due := r.idle
	if r.job != nil {
		due = r.job.due()
	}
	if due.IsZero() {
		return -1
	}
	return int(min(max(time.Until(due)+time.Millisecond-1, 0)/time.Millisecond, 1<<30))
}

// hear reads from the monitor. Its end, or nonsense from it, ends the
// conversation and no command.
func (r *runner) hear() {
	for r.sock >= 0 {
		if len(r.in) == cap(r.in) {
			grown := make([]byte, len(r.in), max(4<<10, 2*cap(r.in)))
			copy(grown, r.in)
			r.in = grown
		}
		n, _, err := unix.Recvfrom(r.sock, r.in[len(r.in):cap(r.in)], unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			return
		}
		if err != nil || n == 0 {
			r.alone()
			return
		}
		r.in = r.in[:len(r.in)+n]
		rest := r.in
		for {
			kind, body, after, err := run.NextMessage(rest)
			if err != nil || kind != 0 && !r.obey(kind, body) {
				r.alone()
				return
			}
			if rest = after; kind == 0 {
				break
			}
		}
		short := len(r.in) < cap(r.in)
		if r.in = r.in[:copy(r.in, rest)]; len(r.in) == 0 && cap(r.in) > 64<<10 {
			r.in = nil
		}
		if short {
			return
		}
	}
}

func (r *runner) obey(kind byte, body []byte) bool {
	switch kind {
	case run.MsgLaunch:
		spec, err := run.DecodeSpec(body)
		if err != nil || r.job != nil || r.leaving || r.sig.term.Load() {
			return false
		}
		r.job = newJob(spec)
	case run.MsgKill:
		id, reason, _ := strings.Cut(string(body), "\x00")
		if r.job != nil && r.job.spec.Run == id {
			if reason == "" {
				reason = "killed by request"
			}
			r.job.stop(run.Killed, reason, time.Now())
		}
	case run.MsgAck:
		r.acked = string(body)
	default:
		return false
	}
	return true
}

// tell sends a message. The monitor reads each answer before it asks again, so
// there is always room; where there is none it has to read the record instead.
func (r *runner) tell(kind byte, body []byte) {
	if r.sock < 0 || r.mute {
		return
	}
	b := run.AppendMessage(nil, kind, body)
	for len(b) > 0 && !r.mute {
		n, err := unix.SendmsgN(r.sock, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err == nil {
			b = b[n:]
		} else if err != unix.EINTR {
			// Nobody listens any more. What was sent to us before that, a wish to
			// end the command for one, is still to be read up to its end.
			r.mute = true
			_ = unix.Shutdown(r.sock, unix.SHUT_WR)
		}
	}
}

// announce tells the monitor that the job runs, if it was not told.
func (r *runner) announce() {
	if j := r.job; !j.announce.IsZero() {
		j.announce = time.Time{}
		r.tell(run.MsgStarted, startedMessage(j.spec.Run, j.pid))
	}
}

// tellStall tells the monitor once that the log, or the end, waits for room, and
// once that it does not any more.
func (r *runner) tellStall() {
	j, why := r.job, unix.Errno(0)
	if j.log.blocked() {
		why = j.log.why
	} else {
		why = j.endless
	}
	if why != j.stalled {
		r.announce()
		j.stalled = why
		r.tell(run.MsgStalled, []byte(j.spec.Run+"\x00"+strconv.Itoa(int(why))))
	}
}

// alone: from here on the record is all there is to tell anybody.
func (r *runner) alone() {
	if r.sock >= 0 {
		unix.Close(r.sock)
		r.sock = -1
	}
	r.in = nil
}

// finished takes leave of the job.
func (r *runner) finished(end []byte) {
	r.job.close()
	r.job = nil
	r.tell(run.MsgEnded, end)
	r.idle = time.Now().Add(giveBackAfter)
}

// Many runners lie idle: what the last command took is given back, but not
// between two that follow each other.
const giveBackAfter = time.Second

func (r *runner) giveBack(now time.Time) {
	if !r.idle.IsZero() && !now.Before(r.idle) {
		r.idle = time.Time{}
		debug.FreeOSMemory()
	}
}

// unattended reports whether nobody else is going to sync what this run wrote.
func (r *runner) unattended() bool { return r.sock < 0 || r.mute || r.sig.term.Load() }

func startedMessage(id string, pid int) []byte {
	return []byte(id + "\x00" + strconv.Itoa(pid))
}

// single carries out the one command of a file.
func single(path string) error {
	if err := becomeRunner(3); err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s, err := run.DecodeSingle(b)
	if err != nil {
		return errors.New(path + ": " + err.Error())
	}
	dir, err := durable.OpenDir(s.Dir)
	if err != nil {
		return err
	}
	r, err := newRunner(dir, -1)
	if err != nil {
		return err
	}
	start := run.Start{Run: s.Spec.Run, UOW: s.Spec.UOW, Command: run.CommandLine(s.Spec.Argv)}
	if st, err := dir.Stat(s.Spec.Link); err == nil {
		start.Dev, start.Ino = st.Dev, st.Ino
	}
	if err := r.rec.WriteStart(start); err != nil {
		return err
	}
	// Durable before the fork, as with a monitor.
	if err := r.rec.Sync(); err != nil {
		return err
	}
	r.job = newJob(s.Spec)
	for r.step(time.Now()) {
	}
	r.loop()
	return nil
}
