package trouble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// run starts the monitor. If it is supervised it is started again after a second
// when it could not begin, as the unit does, unless it says that only a person can
// help.
func (c *course) run(supervised bool) {
	t := c.T
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended, gone, started := make(chan error, 1), make(chan struct{}), make(chan struct{})
	c.ended = ended
	go func() {
		defer close(gone)
		for first := true; ; first = false {
			cmd := c.Command(ctx, "")
			cmd.Env = append(cmd.Env, c.env...)
			if c.user > 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(c.user), Gid: uint32(c.user)}}
			}
			err := cmd.Start()
			if err == nil {
				c.pid.Store(int64(cmd.Process.Pid))
			}
			if first {
				close(started)
			}
			if err == nil {
				err = cmd.Wait()
			}
			var exit *exec.ExitError
			const hopeless = 78
			if !supervised || !errors.As(err, &exit) || !exit.Exited() || exit.ExitCode() == hopeless {
				ended <- err
				return
			}
			c.restarts.Add(1)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
		}
	}()
	<-started
	t.Cleanup(func() { cancel(); <-gone })
}

// send sends the monitor a signal.
func (c *course) send(signal syscall.Signal) {
	c.T.Helper()
	if err := syscall.Kill(int(c.pid.Load()), signal); err != nil {
		c.T.Fatal(err)
	}
}

// kill is SIGKILL for the monitor; its runners live on.
func (c *course) kill() {
	c.T.Helper()
	c.send(syscall.SIGKILL)
	c.ended <- <-c.ended
}

// alive fails the test if the monitor ended.
func (c *course) alive() {
	c.T.Helper()
	select {
	case err := <-c.ended:
		c.ended <- err
		c.T.Fatalf("the monitor ended: %v\n%s", err, c.Story())
	default:
	}
}

// stop asks the monitor to end, which is what it must do.
func (c *course) stop() {
	t := c.T
	t.Helper()
	c.send(syscall.SIGTERM)
	select {
	case err := <-c.ended:
		c.ended <- err
		if err != nil {
			t.Errorf("the monitor ended with %v\n%s", err, c.Story())
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("the monitor does not end\n%s", c.Story())
	}
}

// runners are the monitor's children.
func (c *course) runners() (pids []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", c.pid.Load()))
	for _, task := range tasks {
		b, _ := os.ReadFile(task)
		for _, word := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// cpu is the time that the monitor and its runners used so far.
func (c *course) cpu() (used time.Duration) {
	for _, pid := range append(c.runners(), int(c.pid.Load())) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		f := strings.Fields(rest)
		for _, field := range f[11:13] { // utime, stime, in hundredths of a second
			n, _ := strconv.Atoi(field)
			used += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return used
}
