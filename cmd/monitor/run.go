package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"simplejobq/internal/durable"
	"simplejobq/internal/monitor"
)

func (p *program) newRun() *cobra.Command {
	var once bool
	var pprof string
	c := &cobra.Command{
		Use:   "run",
		Short: "work on the spool, in the foreground",
		Long: `run is the daemon. It stays in the foreground, tells what it does in the spool's
monitor_says, and stops on SIGTERM, SIGINT or the message SHUTDOWN; commands that
run then go on, and the next monitor finds them. SIGHUP reads the configuration
again. --pprof has profiles of the daemon ready for "go tool pprof": any user of
this machine may ask for them then.`,
		Example: `  monitor --root /srv/queue run
  monitor --root /srv/queue run --once    # until nothing can start or runs
  monitor --root /srv/queue run --pprof 127.0.0.1:6060
  go tool pprof http://127.0.0.1:6060/debug/pprof/profile?seconds=10`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.daemon(c.Context(), once, pprof)
		},
	}
	c.Flags().BoolVar(&once, "once", false, "end when nothing can start and nothing runs")
	c.Flags().StringVar(&pprof, "pprof", "", "loopback address and port at which profiles may be asked for, such as 127.0.0.1:6060")
	return c
}

// daemon wires the monitor to the process: signals, the service manager, the
// runner's binary.
func (p *program) daemon(ctx context.Context, once bool, pprof string) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if pprof != "" {
		if err := profiles(ctx, pprof); err != nil {
			return err
		}
	}
	conf, err := p.config()
	for said := false; durable.Passing(err); conf, err = p.config() {
		// A disk in trouble is no configuration in disorder.
		if !said {
			said = true
			fmt.Fprintf(p.stderr, "monitor: %v; waiting\n", err)
		}
		p.notify("EXTEND_TIMEOUT_USEC=15000000")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
	if err != nil {
		return err
	}
	runner, err := findRunner()
	if err != nil {
		return &exitError{exitConfig, err}
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	reloads := make(chan struct{})
	go func() {
		for {
			select {
			case <-hup:
				select {
				case reloads <- struct{}{}:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	beat, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		fmt.Fprintln(p.stderr, "monitor: WATCHDOG_USEC:", err)
	}
	relax()
	return monitor.Run(ctx, monitor.Config{
		Conf: conf, Reload: p.config, Runner: runner, Version: p.version, Once: once,
		Reloads: reloads, Notify: p.notify, Beat: beat / 3, Stderr: p.stderr,
	})
}

// relax lets the threads of this process wake up a millisecond late (timer slack, see
// prctl(2)). One of them is Go's own that looks after the others, many thousand times a
// second while jobs follow each other: without this that is a tenth of what the monitor
// costs. Who may not do that leaves it to the service manager (TimerSlackNSec=).
//
// And all that it does, it does in one loop: with more than one processor, Go's scheduler
// wakes threads that find nothing to do.
func relax() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	threads, _ := os.ReadDir("/proc/self/task")
	for _, t := range threads {
		//nolint:forbidigo // no file: a setting of a thread
		_ = os.WriteFile("/proc/"+t.Name()+"/timerslack_ns", []byte(strconv.Itoa(int(time.Millisecond))), 0)
	}
}

// notify tells the service manager. RELOADING needs a time since systemd 253;
// older ones pass over it.
func (p *program) notify(state string) {
	p.notifying.Lock() // beats come from beside the loop
	defer p.notifying.Unlock()
	if state == "WATCHDOG=1" {
		// As often as the loop turns, but not more than the service manager needs.
		if time.Since(p.beat) < 100*time.Millisecond {
			return
		}
		p.beat = time.Now()
	}
	if strings.HasPrefix(state, daemon.SdNotifyReloading) {
		state += "\n" + daemon.SdNotifyMonotonicUsec()
	}
	if _, err := daemon.SdNotify(false, state); err != nil && !p.deaf {
		p.deaf = true // said once: it will be the same at each beat
		fmt.Fprintln(p.stderr, "monitor: sd_notify:", err)
	}
}

// findRunner looks beside the monitor's own binary, then where packages put it.
func findRunner() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the runner: %w", err)
	}
	dir := filepath.Dir(self)
	var tried []string
	for _, path := range []string{filepath.Join(dir, "runner"), filepath.Join(dir, "..", "libexec", "simple-job-q", "runner")} {
		st, err := os.Stat(path)
		if err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return path, nil
		}
		tried = append(tried, strconv.Quote(path))
	}
	return "", errors.New("the runner is missing: neither " + strings.Join(tried, " nor ") + " is a program; build both with make build")
}
