package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"simplejobq/internal/durable"

	"golang.org/x/sys/unix"
)

// RunnerConfig is what a kept runner is started with.
type RunnerConfig struct {
	Path           string               // the runner's binary
	Dir            *durable.Dir         // the run directory
	Stdout, Stderr *os.File             // nil: /dev/null
	Event          func(*Runner, Event) // called from the runner's one goroutine, in order
}

// Event is what a runner tells: Ready, Started, Ended or Gone.
type Event interface{ event() }

// Ready: it has its record and waits for a command.
type Ready struct{}

// Started: the command of that run was forked.
type Started struct {
	Run string
	PID int
}

// Ended: the end stands in the record, not yet durably. The runner is free for
// the next command, unless Leaves.
type Ended struct {
	Run string
	End End
}

// Stalled: the log of that run can't be written for now, because of Errno; 0: it
// can again.
type Stalled struct {
	Run   string
	Errno unix.Errno
}

// Gone is the last event. Reaped: its process has ended; if not, it goes on with
// its command alone, and the record's lock tells when it is through.
type Gone struct {
	Err    error // nil: it went as it should
	Reaped bool
}

func (Ready) event()   {}
func (Started) event() {}
func (Ended) event()   {}
func (Gone) event()    {}
func (Stalled) event() {}

// The errors of a launch that never was one.
var (
	ErrBusy   = errors.New("the runner has a command already")
	ErrClosed = errors.New("the runner is closed")
)

// Limits of patience with a runner: it answers in microseconds or is stopped.
const (
	sendPatience = time.Second
	exitPatience = 2 * time.Second
)

// Runner is a kept runner of this monitor.
type Runner struct {
	cfg    RunnerConfig
	pid    int
	exited *os.File // pidfd
	conn   *os.File
	done   chan struct{}
	ctx    context.Context // ends the wait for the process; of the goroutine, not of a call
	leave  context.CancelFunc

	mu     sync.Mutex
	rec    *Record
	run    string // launched and not ended
	closed bool
}

// StartRunner starts one and does not wait for it: Ready tells that it is there.
// It lies in a session of its own, so that what is typed at the monitor's
// terminal does not reach it.
func StartRunner(cfg RunnerConfig) (*Runner, error) {
	r := &Runner{cfg: cfg, done: make(chan struct{})}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("starting runner %s: socket pair: %w", cfg.Path, err)
	}
	pidfd := -1
	r.pid, err = r.spawn(ends[1], &pidfd)
	unix.Close(ends[1])
	if err != nil {
		unix.Close(ends[0])
		return nil, fmt.Errorf("starting runner %s: %w", cfg.Path, err)
	}
	r.conn = os.NewFile(uintptr(ends[0]), "socket of runner "+strconv.Itoa(r.pid))
	if pidfd >= 0 {
		_ = unix.SetNonblock(pidfd, true) // else the poller would not take it
		r.exited = os.NewFile(uintptr(pidfd), "runner "+strconv.Itoa(r.pid))
	}
	r.ctx, r.leave = context.WithCancel(context.Background())
	go r.listen()
	return r, nil
}

func (r *Runner) spawn(socket int, pidfd *int) (int, error) {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(null)
	files := []uintptr{uintptr(null), uintptr(null), uintptr(null), uintptr(socket), uintptr(r.cfg.Dir.Fd())}
	if r.cfg.Stdout != nil {
		files[1] = r.cfg.Stdout.Fd()
	}
	if r.cfg.Stderr != nil {
		files[2] = r.cfg.Stderr.Fd()
	}
	// One processor is all it can use; it sets no other example for its memory.
	env := append(os.Environ(), "GOMAXPROCS=1")
	// Go's own thread that looks after the others would wake up thousands of times a
	// second while commands follow each other: it inherits that it is in no hurry. The
	// runner sees to itself and its commands.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if own, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err == nil {
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(10*time.Millisecond), 0, 0, 0)
		defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(own), 0, 0, 0) }()
	}
	return syscall.ForkExec(r.cfg.Path, []string{r.cfg.Path, "--kept"}, &syscall.ProcAttr{
		Dir: "/", Env: env, Files: files, Sys: &syscall.SysProcAttr{Setsid: true, PidFD: pidfd},
	})
}

// PID is the runner's process number.
func (r *Runner) PID() int { return r.pid }

// Record is its record, nil before Ready. Whoever got Gone closes or removes it.
func (r *Runner) Record() *Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rec
}

// Launch hands it a command. The start in its record must be durable. An error
// means that nothing was and nothing will be started.
func (r *Runner) Launch(s *Spec) error {
	b, err := s.Encode()
	if err != nil {
		return err
	}
	r.mu.Lock()
	if r.run != "" {
		err = ErrBusy
	} else if r.rec == nil || r.closed {
		err = ErrClosed
	} else {
		r.run = s.Run
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}
	// A launch that is not sent whole is none; after a part of it nothing else
	// may follow, so the socket is closed and Gone follows.
	if err := r.send(MsgLaunch, b); err != nil {
		r.mu.Lock()
		r.run = ""
		r.mu.Unlock()
		return err
	}
	return nil
}

// Kill asks for the end of the run it has; without one it does nothing. The
// reason is what its log and end will say: "killed by request".
func (r *Runner) Kill(reason string) error {
	r.mu.Lock()
	run := r.run
	r.mu.Unlock()
	if run == "" {
		return nil
	}
	return r.send(MsgKill, []byte(run+"\x00"+reason))
}

// Ack tells it that the end of that run is durable elsewhere: an idle runner
// that exits then takes its record with it.
func (r *Runner) Ack(run string) error { return r.send(MsgAck, []byte(run)) }

func (r *Runner) send(kind byte, body []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	b, err := r.sendNow(AppendMessage(nil, kind, body))
	if err == nil && len(b) > 0 { // its socket is full: it hangs, or is being stopped
		if err = r.conn.SetWriteDeadline(time.Now().Add(sendPatience)); err == nil {
			_, err = r.conn.Write(b)
			err = errors.Join(err, r.conn.SetWriteDeadline(time.Time{}))
		}
	}
	if err != nil {
		r.closed = true
		r.conn.Close()
		return fmt.Errorf("telling runner %d: %w", r.pid, err)
	}
	return nil
}

// sendNow sends what there is room for, without the timer that waiting needs, and
// returns the rest.
func (r *Runner) sendNow(b []byte) ([]byte, error) {
	raw, err := r.conn.SyscallConn()
	if err != nil {
		return b, err
	}
	werr := raw.Write(func(fd uintptr) bool {
		var n int
		if n, err = unix.SendmsgN(int(fd), b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); err == nil {
			b = b[n:]
		}
		return err != unix.EINTR
	})
	if err == unix.EAGAIN {
		err = nil
	}
	return b, errors.Join(werr, err)
}

// Close ends the conversation: an idle runner exits, a busy one finishes alone.
// Gone follows.
func (r *Runner) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		r.conn.Close()
	}
	r.leave()
}

// Done is closed when its goroutine has ended, after Gone.
func (r *Runner) Done() <-chan struct{} { return r.done }

// listen owns what comes from the runner, up to the end of its process.
func (r *Runner) listen() {
	defer close(r.done)
	err := r.read()

	r.mu.Lock()
	asked := r.closed
	alone := asked && r.run != ""
	if !r.closed {
		r.closed = true
		r.conn.Close()
	}
	r.mu.Unlock()

	if alone { // it may go on for days
		r.cfg.Event(r, Gone{})
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), exitPatience)
		gone, why := r.reap(ctx)
		cancel()
		switch {
		case asked, gone && why == nil && errors.Is(err, errEOF):
			err = nil // it was told to, or had its reason
		case why != nil && !errors.As(err, new(*failure)):
			err = why
		}
		r.cfg.Event(r, Gone{Err: err, Reaped: gone})
		if !gone && !asked { // it ends alone; its remains are ours to collect
			_, _ = r.reap(r.ctx)
		}
	}
	if r.exited != nil {
		r.exited.Close()
	}
}

// reap collects the process; why is how it ended if that was not of its own.
func (r *Runner) reap(ctx context.Context) (gone bool, why error) {
	if r.exited != nil && awaitReadable(ctx, r.exited) != nil {
		return false, nil
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(r.pid, &status, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
		case err != nil: // somebody else collected it
			return true, nil
		case pid == 0:
			if sleep(ctx, 5*time.Millisecond) != nil {
				return false, nil
			}
		case status.Signaled():
			return true, fmt.Errorf("by %s", unix.SignalName(status.Signal()))
		case status.ExitStatus() != 0:
			return true, fmt.Errorf("with status %d", status.ExitStatus())
		default:
			return true, nil
		}
	}
}

// failure is why a runner could not begin, as it said.
type failure struct {
	text  string
	errno unix.Errno
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() error {
	if f.errno == 0 {
		return nil
	}
	return f.errno
}

var errEOF = errors.New("it closed its socket")

// read passes on what the runner says until it says no more.
func (r *Runner) read() error {
	buf := make([]byte, 0, 2*areaSize)
	for {
		if len(buf) == cap(buf) {
			return fmt.Errorf("runner %d: %w", r.pid, errFrame)
		}
		n, err := r.conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		rest := buf
		for {
			kind, body, after, err := NextMessage(rest)
			if err == nil && kind != 0 {
				err = r.hear(kind, body)
			}
			if errors.As(err, new(*failure)) {
				return err
			}
			if err != nil {
				return fmt.Errorf("runner %d: %w", r.pid, err)
			}
			if rest = after; kind == 0 {
				break
			}
		}
		buf = buf[:copy(buf, rest)]
		if err != nil {
			return fmt.Errorf("runner %d: %w", r.pid, errEOF)
		}
	}
}

func (r *Runner) hear(kind byte, body []byte) error {
	switch kind {
	case MsgReady:
		protocol, name, _ := strings.Cut(string(body), " ")
		if protocol != Protocol || !IsRecord(name) {
			return fmt.Errorf("its binary is of another version (it says %q)", body)
		}
		rec, err := OpenRecord(r.cfg.Dir, name)
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.rec = rec
		r.mu.Unlock()
		r.cfg.Event(r, Ready{})
	case MsgStarted:
		run, number, _ := strings.Cut(string(body), "\x00")
		pid, err := strconv.Atoi(number)
		if err != nil {
			return errFrame
		}
		r.cfg.Event(r, Started{Run: run, PID: pid})
	case MsgStalled:
		run, number, _ := strings.Cut(string(body), "\x00")
		n, err := strconv.Atoi(number)
		if err != nil {
			return errFrame
		}
		r.cfg.Event(r, Stalled{Run: run, Errno: unix.Errno(n)})
	case MsgFailed:
		number, text, _ := strings.Cut(string(body), " ")
		n, err := strconv.Atoi(number)
		if err != nil {
			return errFrame
		}
		return &failure{text: text, errno: unix.Errno(n)}
	case MsgEnded:
		end := decodeEnd(body)
		if end == nil {
			return errFrame
		}
		r.mu.Lock()
		r.run = ""
		r.mu.Unlock()
		r.cfg.Event(r, Ended{Run: end.Run, End: *end})
	default:
		return errFrame
	}
	return nil
}
