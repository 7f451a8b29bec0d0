package trouble

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

// Somebody mounts a directory of the same file system over a queue: under a running
// monitor what ends waits until it is gone, as with a directory of another file
// system; at a start a person has to mend it.
func TestBindMount(t *testing.T) {
	t.Parallel()
	c := newCourse(t, memory(t, "size=24m"))
	c.prepare("0B")
	runs := unit("runs", "wait-q", "done-q", "done: exit 0", until("end"))
	c.Drop(runs)
	c.run(false)
	c.Until(20*time.Second, "it runs", func() bool { return c.Ran()["runs"] == 1 })
	elsewhere, done := filepath.Join(c.place.mount, "elsewhere"), filepath.Join(c.Root, "done-q")
	mount := func() {
		if err := unix.Mount(elsewhere, done, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	}
	unmount := func() {
		if err := unix.Unmount(done, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}
	if err := os.Mkdir(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	mount()
	c.signal("end")
	c.Until(60*time.Second, "it is said", func() bool { return c.Says(done + ": the directory was moved away or removed") })
	if c.There("done-q", "runs") || !c.There("currently-executing", "runs") {
		t.Errorf("what has ended does not wait\n%s", c.Story())
	}
	unmount()
	c.Until(60*time.Second, "it goes on", func() bool { return c.There("done-q", "runs") })
	c.stop()

	mount()
	var exit *exec.ExitError
	if err := c.Command(t.Context(), "").Run(); !errors.As(err, &exit) || exit.ExitCode() != 78 || !strings.Contains(c.Story(), done+": is a mount of its own") {
		t.Errorf("the start ended with %v\n%s", err, c.Story())
	}
	unmount()
	c.Settled([]world.Unit{runs}, "a bind mount")
}
