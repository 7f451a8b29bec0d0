package trouble

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

// A monitor that is started on a frozen disk says so, has the service manager wait
// for it, and goes on when the disk answers. One that is told to stop meanwhile ends
// as soon as the kernel lets it, and has done nothing.
func TestStartFrozen(t *testing.T) {
	t.Parallel()
	need(t, "fsfreeze")
	const extend = "EXTEND_TIMEOUT_USEC=15000000"
	p := image(t, 32, "ext4", "-q -F -m 0")
	c := newCourse(t, p)
	c.prepare("0B")
	runs := unit("runs", "wait-q", "done-q", "done: exit 0", until("end"))
	c.Drop(runs)
	c.run(false)
	c.Until(20*time.Second, "it runs", func() bool { return c.Ran()["runs"] == 1 })
	c.stop()
	e := listen(t, p.dir)
	c.env = []string{"NOTIFY_SOCKET=" + e.path}
	heard := func() (states []string) {
		_, states = e.during(100 * time.Millisecond)
		return states
	}
	stderr := func() string {
		b, err := os.ReadFile(filepath.Join(c.Out, "stderr"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}

	p.freeze()
	c.run(false)
	var states []string
	c.Until(60*time.Second, "the service manager is told", func() bool {
		states = append(states, heard()...)
		return slices.Contains(states, "STATUS=waiting for the disk")
	})
	if n := strings.Count(stderr(), "has not answered for"); n != 1 || !slices.Contains(states, extend) {
		t.Errorf("that the disk does not answer was said %d times, the service manager heard %q\n%s", n, states, stderr())
	}
	if i := slices.IndexFunc(states, func(s string) bool { return strings.HasPrefix(s, "READY=1") }); i >= 0 || c.told("up") != 1 {
		t.Errorf("it is up on a frozen disk: %q", states)
	}
	c.alive()
	p.thaw()
	c.Until(20*time.Second, "the job is adopted", func() bool { return c.told("up") == 2 && c.Says("adopted") })
	c.Until(20*time.Second, "it is told for how long", func() bool { return c.Says("answered after") })
	c.stop()
	heard()

	p.freeze()
	c.run(false)
	c.Until(60*time.Second, "it waits", func() bool { return slices.Contains(heard(), extend) })
	c.send(syscall.SIGTERM)
	states = nil
	c.Until(60*time.Second, "it stops", func() bool {
		states = append(states, heard()...)
		return slices.ContainsFunc(states, func(s string) bool { return strings.HasPrefix(s, "STOPPING=1") })
	})
	p.thaw()
	c.Until(20*time.Second, "it has ended", func() bool {
		select {
		case err := <-c.ended:
			c.ended <- err
			return true
		default:
			return false
		}
	})
	if err := <-c.ended; err != nil || c.told("up") != 2 {
		t.Errorf("the monitor that was told to stop ended with %v and was up %d times", err, c.told("up"))
	}

	c.signal("end")
	c.Write("config.toml", fmt.Sprintf(world.Settings, c.W))
	c.Once("")
	c.Settled([]world.Unit{runs}, "frozen at the start")
}
