package monitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
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
}

// Longest time a [ready] command may take: one that hangs is a no.
const readyLimit = 30 * time.Second

// why is why jobs may not start, "" if they may.
func (r *readiness) why(s *session) string {
	command := s.conf.Ready.Command
	if command == "" {
		return ""
	}
	fresh := r.command == command && !r.asked.IsZero() && s.now.Sub(r.asked) < time.Duration(s.conf.SleepTime)
	if !fresh && !r.asking {
		r.asking, r.command = true, command
		argv := append(append([]string(nil), s.conf.Job.Shell...), command)
		env := append(s.account.env(s.conf, false), "MONITOR_ROOT="+s.conf.Root)
		dir := s.conf.Root
		go func() { s.send(event{kind: evReady, ready: ask(argv, env, dir)}) }()
	}
	switch {
	case r.asked.IsZero() || r.command != command:
		return "the [ready] command is being asked"
	case r.yes:
		return ""
	}
	r.again = r.asked.Add(time.Duration(s.conf.SleepTime))
	return "not ready: " + r.text
}

func (r *readiness) answered(err error, now time.Time) {
	r.asking, r.asked, r.yes, r.again = false, now, err == nil, time.Time{}
	if err != nil {
		r.text = err.Error()
	}
}

// next is when to ask again, zero if nobody waits for it.
func (r *readiness) next() time.Time { return r.again }

func ask(argv, env []string, dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = env, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("the [ready] command did not answer within %v", readyLimit)
	}
	last := out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:]
	var exit *exec.ExitError
	if text := strings.TrimSpace(string(last)); errors.As(err, &exit) && text != "" {
		return fmt.Errorf("the [ready] command said %.80q (%w)", text, err)
	}
	return fmt.Errorf("the [ready] command: %w", err)
}
