package trouble

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

// onSick is a real file system on a disk that can fail.
func onSick(t *testing.T, mib int64, fs, mkfs string) (*sick, *place) {
	t.Helper()
	s := newSick(t)
	disk := filepath.Join(s.mount, "disk")
	p := newPlace(t)
	p.format(disk, mib, fs, mkfs)
	return s, p
}

// extents are where a file lies on the disk.
func extents(t *testing.T, file string) (list []extent) {
	t.Helper()
	need(t, "filefrag")
	command(t, "sync", "-f", file)
	out, err := exec.Command("filefrag", "-v", "-b4096", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		// number: logical.. logical: physical.. physical: length: …
		f := strings.FieldsFunc(line, func(r rune) bool { return r == ':' || r == '.' || r == ' ' })
		if len(f) < 6 {
			continue
		}
		from, err := strconv.ParseInt(f[3], 10, 64)
		to, err2 := strconv.ParseInt(f[4], 10, 64)
		if err == nil && err2 == nil {
			list = append(list, extent{from * 4096, (to + 1) * 4096})
		}
	}
	if len(list) == 0 {
		t.Fatalf("where does it lie? %s", out)
	}
	return list
}

// endsShown reports whether the STATUS of all is the last one, wherever they are.
func (c *course) endsShown(names ...string) bool {
	for _, u := range c.long {
		if !slices.Contains(names, u.Name) {
			continue
		}
		shown := false
		for _, queue := range []string{"currently-executing", u.End} {
			b, err := os.ReadFile(filepath.Join(c.Root, queue, u.Name))
			shown = shown || err == nil && strings.Contains(string(b), "==== STATUS\n"+u.Status)
		}
		if !shown {
			return false
		}
	}
	return true
}

// Blocks that can't be written for a while, in the middle of a healthy disk: the
// kernel tells so once and then takes the pages for clean, so that a second sync
// succeeds and proves nothing. What was told to have ended must be so on the disk,
// not only in memory.
func TestBadBlocks(t *testing.T) {
	t.Parallel()
	s, p := onSick(t, 64, "ext4", "-q -F -m 0")
	c := newCourse(t, p)
	c.prepare("0B")
	c.start()
	for _, name := range []string{"ender", "bad", "victim"} {
		s.spoil(extents(t, filepath.Join(c.Root, "currently-executing", name)))
	}
	s.fails(unix.EIO, 0, 0)
	began := time.Now()
	refused := c.act()
	c.Until(c.within(), "it is said", func() bool { return strings.Contains(c.Story(), unix.EIO.Error()) })
	said := time.Since(began)
	// A monitor that believes what the kernel shows writes the ends now, and the
	// kernel forgets that it could not.
	for over := time.Now().Add(4 * time.Second); time.Now().Before(over) && !c.endsShown("ender", "bad", "victim"); time.Sleep(20 * time.Millisecond) {
		c.alive()
	}
	_ = exec.Command("sync", "-f", c.Root).Run()
	c.alive()
	c.undisturbed()
	s.heal()
	c.again(refused)
	progress := c.goesOn(c.within())
	c.signal("stop")
	c.Until(c.within(), "the writer ends", func() bool { return len(c.missing(c.units())) == 0 })
	c.stop()
	lines := c.log()

	// What the disk has, not what the kernel remembers.
	p.remount()
	c.settled("blocks that could not be written for a while")
	c.log()
	world.Figures(t, "said after %.1f s; %v; log of %d lines whole", said.Seconds(), progress, lines)
}

// A disk that fails for good takes the file system with it: nothing can be written
// until it is mounted again. The monitor says so, stays and changes nothing; after
// the repair the spool is as it was told to be.
func TestDiskBreaks(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		fs, mkfs, repair string
		mib              int64
	}{
		{"ext4", "-q -F -m 0", "e2fsck -fy", 64},
		{"xfs", "-q -f", "", 320},
		{"btrfs", "-q -f", "", 128},
	} {
		t.Run(kind.fs, func(t *testing.T) {
			if world.At() == world.Quick && kind.fs != "ext4" {
				t.Skip("tried in CI (make crash)")
			}
			t.Parallel()
			s, p := onSick(t, kind.mib, kind.fs, kind.mkfs)
			c := newCourse(t, p)
			// What is interrupted fails, and then so does who comes after it.
			c.waiting = slices.DeleteFunc(c.waiting, func(u world.Unit) bool { return u.Name == "after" })
			c.prepare("0B")
			c.start()
			events, err := os.ReadFile(filepath.Join(c.Root, "monitor_events"))
			if err != nil {
				t.Fatal(err)
			}

			s.fails(unix.EIO, unix.EIO, 0)
			began := time.Now()
			c.act()
			c.Until(c.within(), "it is said", func() bool {
				return strings.Contains(c.Story(), unix.EIO.Error()) || strings.Contains(c.Story(), unix.EROFS.Error())
			})
			said := time.Since(began)
			before := c.cpu()
			time.Sleep(world.Pick[time.Duration](2, 5, 60) * time.Second)
			if cpu := c.cpu() - before; cpu > time.Second {
				t.Errorf("monitor and runners used %v of CPU", cpu)
			}
			c.alive()
			c.undisturbed()
			c.stop()

			if more, err := os.ReadFile(filepath.Join(c.Root, "monitor_events")); err == nil {
				events = more // some file systems give nothing any more
			}
			ran, err := os.ReadFile(filepath.Join(c.W, "ran"))
			if err != nil {
				t.Fatal(err)
			}
			ledger, err := world.ReadLedger(events, ran)
			if err != nil {
				t.Fatal(err)
			}
			for _, pid := range users(p.mount) {
				_ = unix.Kill(pid, unix.SIGKILL) // the runners, which wait for the disk: somebody wants to unmount it
			}
			p.unmount()
			s.heal()
			if kind.repair != "" {
				repair := append(strings.Fields(kind.repair), filepath.Join(s.mount, "disk"))
				out, err := exec.Command(repair[0], repair[1:]...).CombinedOutput()
				if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() > 1 { // 1: it mended something
					t.Fatalf("%q: %v\n%s", repair, err, out)
				}
			}
			p.mountAgain()

			if err := os.Remove(filepath.Join(c.W, "ran")); err != nil {
				t.Fatal(err)
			}
			for _, event := range []string{"end", "stop"} {
				c.signal(event)
			}
			c.Write("config.toml", fmt.Sprintf(world.Settings, c.W))
			if !c.There("wait-q", "late") {
				c.Drop(c.late)
			}
			c.Tell("RELEASE held")
			c.Once("")
			c.Well(c.CheckAfterCut(c.units(), ledger), kind.fs+" failed for good")
			world.Figures(t, "said after %.1f s; %d UOWs accepted and %d told to have ended before it broke, all as told after the repair", said.Seconds(), len(ledger.Accepted), len(ledger.Ended))
		})
	}
}

// A spool that was mounted read-only is waited for, by the monitor or by who starts
// it again each second. (Under a running monitor the kernel refuses to make it so.)
func TestStartReadOnly(t *testing.T) {
	if world.At() == world.Quick {
		t.Skip("tried in CI (make crash)")
	}
	t.Parallel()
	p := image(t, 32, "ext4", "-q -F -m 0")
	c := newCourse(t, p)
	c.prepare("0B")
	for _, u := range c.early {
		c.Drop(u)
	}
	c.long, c.waiting = nil, nil
	command(t, "mount", "-o", "remount,ro", p.mount)
	c.run(true)
	time.Sleep(world.Pick[time.Duration](1, 4, 30) * time.Second)
	c.alive()
	command(t, "mount", "-o", "remount,rw", p.mount)
	began := time.Now()
	c.Until(c.within(), "all is done", func() bool { return len(c.missing(c.early)) == 0 })
	done := time.Since(began)
	if out, err := exec.Command("mount", "-o", "remount,ro", p.mount).CombinedOutput(); err == nil {
		t.Errorf("the kernel let it become read-only under a running monitor; then that is one more trouble to try: %s", out)
	}
	c.stop()
	c.Write("config.toml", fmt.Sprintf(world.Settings, c.W))
	c.Settled(c.early, "read-only at the start")
	world.Figures(t, "everything done %.1f s after it could be written to; started again %d times meanwhile", done.Seconds(), c.restarts.Load())
}
