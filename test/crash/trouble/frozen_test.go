package trouble

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

// A frozen file system lets everybody read and makes who writes wait, in a sleep
// that not even SIGKILL ends.

// freeze freezes the place. Whatever happens to the test, it thaws.
func (p *place) freeze() {
	p.t.Helper()
	need(p.t, "fsfreeze")
	guard := exec.Command("sh", "-c", `sleep 120; exec fsfreeze -u "$1"`, "sh", p.mount)
	if err := guard.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = exec.Command("fsfreeze", "-u", p.mount).Run() // refused if it is not frozen
		_ = guard.Process.Kill()
		_ = guard.Wait()
	})
	command(p.t, "fsfreeze", "-f", p.mount)
}

func (p *place) thaw() {
	p.t.Helper()
	command(p.t, "fsfreeze", "-u", p.mount)
}

// ears is the service manager's end of NOTIFY_SOCKET.
type ears struct {
	path  string
	heard chan string
}

func listen(t *testing.T, dir string) *ears {
	t.Helper()
	e := &ears{path: filepath.Join(dir, "notify"), heard: make(chan string, 1024)}
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: e.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(e.path, 0o777); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			n, err := socket.Read(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			e.heard <- string(b[:n])
		}
	}()
	t.Cleanup(func() {
		_ = socket.Close()
		<-done
	})
	return e
}

// during collects what is heard for a while: the longest time without a beat of the
// watchdog, and everything else.
func (e *ears) during(d time.Duration) (silence time.Duration, states []string) {
	last := time.Now()
	for over := time.After(d); ; {
		select {
		case state := <-e.heard:
			if state == "WATCHDOG=1" {
				silence, last = max(silence, time.Since(last)), time.Now()
			} else {
				states = append(states, state)
			}
		case <-over:
			return max(silence, time.Since(last)), states
		}
	}
}

// frozen is a course on a disk that is about to freeze. Messages come from another
// file system, so people can write them all the time.
func frozen(t *testing.T) (*course, *ears) {
	t.Helper()
	need(t, "fsfreeze")
	p := image(t, 32, "ext4", "-q -F -m 0")
	c := newCourse(t, p)
	// Its runner hangs in the disk when it is to be ended.
	noisy := unit("noisy", "wait-q", "fail-q", "fail: killed by request", `echo $$ > "$W/noisy.pid"; `+writes("noisy", "never"))
	c.long = append(c.long, noisy)
	c.prepare("0B")
	reads := filepath.Join(p.dir, "reads")
	if err := errors.Join(os.WriteFile(reads, nil, 0o666), os.Symlink(reads, filepath.Join(c.Root, "monitor_reads"))); err != nil {
		t.Fatal(err)
	}
	e := listen(t, p.dir)
	c.env = []string{"NOTIFY_SOCKET=" + e.path, "WATCHDOG_USEC=3000000"}
	c.start()
	c.Until(20*time.Second, "noisy writes", func() bool { _, err := os.Stat(filepath.Join(c.W, "noisy.at")); return err == nil })
	return c, e
}

// lives reports whether the first process of a job does.
func (c *course) lives(name string) bool {
	c.T.Helper()
	b, err := os.ReadFile(filepath.Join(c.W, name+".pid"))
	if err != nil {
		c.T.Fatal(err)
	}
	b, err = os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(b)), "stat"))
	return err == nil && !strings.Contains(string(b), ") Z ") && !strings.Contains(string(b), ") X ")
}

// While a commit hangs messages are heard, jobs can be killed, the watchdog is fed,
// and it is said; when the disk answers everything goes on as if nothing had been.
func TestFrozen(t *testing.T) {
	t.Parallel()
	c, e := frozen(t)
	e.during(0)
	c.place.freeze()
	began := time.Now()
	c.signal("end")
	c.Tell("KILL JOB noisy\n" + strings.TrimSpace(wishes))
	var killed time.Duration
	before := c.cpu()
	heard := make(chan struct{})
	var silence time.Duration
	var states []string
	lasts := world.Pick[time.Duration](8, 16, 120) * time.Second
	go func() {
		silence, states = e.during(lasts)
		close(heard)
	}()
	c.Until(lasts, "the jobs are killed while the disk does not answer", func() bool { return !c.lives("victim") && !c.lives("noisy") })
	killed = time.Since(began)
	if status, err := c.Ask("status"); err != nil {
		t.Errorf("status: %v\n%s", err, status)
	}
	<-heard
	cpu := c.cpu() - before
	c.alive()
	c.undisturbed()
	if silence > 3*time.Second {
		t.Errorf("the watchdog was not fed for %v; it fires after 3 s", silence)
	}
	if cpu > lasts/4 {
		t.Errorf("monitor and runners used %v of CPU in %v", cpu, lasts)
	}
	stderr, err := os.ReadFile(filepath.Join(c.Out, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	if lasts > 12*time.Second {
		if n := strings.Count(string(stderr), "has not answered"); n != 1 {
			t.Errorf("that the disk does not answer was said %d times:\n%s", n, stderr)
		}
		if !slices.Contains(states, "STATUS=waiting for the disk") {
			t.Errorf("the service manager was not told: %q", states)
		}
	}

	c.place.thaw()
	if err := c.drop(); err != nil {
		t.Fatal(err)
	}
	progress := c.goesOn(c.within())
	c.signal("stop")
	c.Until(c.within(), "the writer ends", func() bool { return len(c.missing(c.units())) == 0 })
	c.stop()
	lines := c.log()
	c.settled("frozen for " + lasts.String())
	world.Figures(t, "frozen for %v: jobs killed after %.1f s, %v of CPU, the watchdog fed at least every %.1f s; then %v; log of %d lines whole",
		lasts, killed.Seconds(), cpu, silence.Seconds(), progress, lines)
}

// A monitor that is asked to stop while the disk is frozen stops when it thaws, and
// the next one goes on.
func TestStopFrozen(t *testing.T) {
	if world.At() == world.Quick {
		t.Skip("tried in CI (make crash)")
	}
	t.Parallel()
	c, e := frozen(t)
	c.place.freeze()
	c.signal("end")
	e.during(time.Second)
	c.send(syscall.SIGTERM)
	silence, _ := e.during(4 * time.Second)
	if silence > 3*time.Second {
		t.Errorf("the watchdog was not fed for %v; it fires after 3 s", silence)
	}
	c.place.thaw()
	began := time.Now()
	c.stop()
	stopped := time.Since(began)
	c.run(false)
	c.Tell("KILL JOB noisy\n" + strings.TrimSpace(wishes))
	if err := c.drop(); err != nil {
		t.Fatal(err)
	}
	c.goesOn(c.within())
	c.signal("stop")
	c.Until(c.within(), "the writer ends", func() bool { return len(c.missing(c.units())) == 0 })
	c.stop()
	c.log()
	c.settled("stopped while frozen")
	world.Figures(t, "ended %.1f s after the disk thawed", stopped.Seconds())
}
