package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// over mounts a directory of the spool's own file system over one of the spool, and
// returns what takes it away again.
func over(t *testing.T, root, name string) (end func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	elsewhere, target := filepath.Join(root, "elsewhere-of-"+filepath.Base(name)), filepath.Join(root, name)
	if err := errors.Join(os.Mkdir(elsewhere, 0o755), unix.Mount(elsewhere, target, "", unix.MS_BIND, "")); err != nil {
		t.Fatal(err)
	}
	there := true
	end = func() {
		if there {
			there = false
			if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(end)
	return end
}

// A bind mount has the spool's device number, and nothing can be renamed into it.
func TestOpenRefusesBindMount(t *testing.T) {
	for _, name := range []string{"wait-q", "done-q", ".monitor", ".monitor/run"} {
		b := newBox(t)
		end := over(t, b.root, name)
		var layout *LayoutError
		if _, err := Open(Layout{Root: b.root, Names: names}); !errors.As(err, &layout) || !strings.Contains(err.Error(), filepath.Join(b.root, name)+": is a mount of its own") {
			t.Errorf("%s: %v", name, err)
		}
		end()
		s, err := Open(Layout{Root: b.root, Names: names})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
}

// One that comes while the monitor works is not followed: the directory is away, and
// back when it is unmounted.
func TestBindMountIsNotFollowed(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "a", "x\n")
	b.survey(true)
	var gone *GoneError
	endWait, endDone := over(t, b.root, "wait-q"), over(t, b.root, "done-q")
	if _, err := b.Look(true, time.Now()); !errors.As(err, &gone) || gone.Path != filepath.Join(b.root, "wait-q") {
		t.Errorf("of a queue that is watched: %v", err)
	}
	if _, _, err := b.Follow(); !errors.As(err, &gone) || gone.Path != filepath.Join(b.root, "done-q") {
		t.Errorf("of one that is not: %v", err)
	}
	endWait()
	endDone()
	if found := b.survey(true); len(found.Back) != 1 || len(found.Moved)+len(found.Gone) > 0 {
		t.Errorf("%+v", found)
	}
	if moved, back, err := b.Follow(); err != nil || len(moved) > 0 || len(back) != 1 {
		t.Errorf("moved %v, back %v, %v", moved, back, err)
	}
	b.commit()
}
