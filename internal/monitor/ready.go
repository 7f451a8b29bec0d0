package monitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// readiness is what the [ready] command said last. It is asked in a goroutine of
// its own, at most once per sleep_time, and only while something could start.
type readiness struct {
	asking  bool
	asked   time.Time // when the last answer came
	yes     bool
	text    string
	again   time.Time
	command string
	cancel  context.CancelFunc // ends the one that is being asked
}

const (
	// Longest time a [ready] command may take: one that hangs is a no.
	readyLimit = 30 * time.Second
	// Of its output only the end is looked at.
	readyOutput = 4 << 10
)

// why is why jobs may not start, "" if they may. It asks if something could start
// and the last answer is too old.
func (r *readiness) why(s *session, could bool) string {
	command := s.conf.Ready.Command
	if command == "" {
		return ""
	}
	if r.asking && r.command != command {
		r.cancel() // by a RELOAD; the new one is asked when this has ended
	}
	known := r.command == command && !r.asked.IsZero()
	fresh := known && s.now.Sub(r.asked) < time.Duration(s.conf.SleepTime)
	if !fresh && !r.asking && could {
		if !known {
			r.asked = time.Time{}
		}
		r.asking, r.command = true, command
		var ctx context.Context
		ctx, r.cancel = context.WithTimeout(context.Background(), readyLimit)
		argv := append(append([]string(nil), s.conf.Job.Shell...), command)
		env := append(s.account.env(s.conf, false), "MONITOR_ROOT="+s.conf.Root)
		dir := s.conf.Root
		go func(cancel context.CancelFunc) {
			defer cancel()
			s.send(event{kind: evReady, ready: ask(ctx, argv, env, dir)})
		}(r.cancel)
	}
	switch {
	case known && !r.yes:
		if could {
			r.again = r.asked.Add(time.Duration(s.conf.SleepTime))
		}
		return "not ready: " + r.text
	case fresh:
		return ""
	case r.asking:
		return "the [ready] command is being asked"
	}
	return "" // not asked, because nothing could start
}

func (r *readiness) answered(err error, now time.Time) {
	r.asking, r.asked, r.yes, r.again = false, now, err == nil, time.Time{}
	if err != nil {
		r.text = err.Error()
	}
}

// next is when to ask again, zero if nobody waits for it.
func (r *readiness) next() time.Time { return r.again }

func ask(ctx context.Context, argv, env []string, dir string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = env, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out := &lastBytes{}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay): // exit 0; what it left behind holds the output
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("the [ready] command did not answer within %v", readyLimit)
	}
	text := bytes.TrimSpace(out.b)
	text = text[bytes.LastIndexByte(text, '\n')+1:]
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(text) > 0 {
		return fmt.Errorf("the [ready] command said %.80q (%w)", text, err)
	}
	return fmt.Errorf("the [ready] command: %w", err)
}

// lastBytes keeps the end of what is written to it.
type lastBytes struct{ b []byte }

func (l *lastBytes) Write(b []byte) (int, error) {
	l.b = append(l.b, b[max(len(b)-readyOutput, 0):]...)
	if n := len(l.b) - readyOutput; n > 0 {
		l.b = append(l.b[:0], l.b[n:]...)
	}
	return len(b), nil
}
