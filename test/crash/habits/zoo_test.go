package habits

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

// thing is one animal in one queue.
type thing struct {
	animal
	queue, name string
	ino         uint64
	text        string // unless it is no file, or long
}

// Whatever is put into a queue, or called whatever: the monitor does not hang, it
// runs what is a UOW and nothing else, and each thing it refuses lies in trash as
// it was, with the reason. What lies in the queues of ended UOWs is nobody's
// business.
func TestZoo(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: devices can't be made")
	}
	began := time.Now()
	x := spool(t, world.Memory(), "slots = 8\n")
	if err := os.WriteFile(filepath.Join(x.W, "target"), []byte(good), 0o644); err != nil {
		t.Fatal(err)
	}
	var zoo []*thing
	put := func(a animal, queue, name string) {
		path := filepath.Join(x.Root, queue, name)
		if a.make == nil {
			a.make = text(good)
		}
		if err := a.make(path); err != nil {
			t.Fatal(err)
		}
		z := &thing{animal: a, queue: queue, name: name, ino: inode(t, path)}
		if st, err := os.Lstat(path); err == nil && a.fate == runs && st.Size() < 2<<20 {
			z.text = read(path)
		}
		zoo = append(zoo, z)
	}
	all := bodies(x)
	// One half lies there before the monitor starts, the other comes while it works.
	var m *daemon
	for i, queue := range []string{"hold-q", "wait-q", "priority-q", "currently-executing", "done-q", "error-q", "fail-q", "archive", "trash"} {
		if i == 2 {
			m = start(x)
		}
		for _, a := range all {
			switch {
			case a.fate == runs && i > 2: // of those in currently-executing see TestWhileItRuns
			case a.fate == parked && i > 3 && a.name != "binary": // nobody looks at files there
			case a.name == "10-gb-log" && i != 1:
			default:
				put(a, queue, a.name+"-of-"+queue)
			}
		}
	}
	opened := watchOpens(t, x, zoo)
	for i, a := range names {
		put(a, []string{"wait-q", "priority-q"}[i%2], a.name)
		switch {
		case a.fate == stays:
			put(a, "hold-q", a.name)
		case a.fate == refused && len(a.name) < 255:
			put(a, "hold-q", "held-"+a.name)
		}
	}
	// All of it, and still a good one comes to its end.
	after := done("after the zoo", "wait-q", good)
	x.Drop(after)
	ended(x, []world.Unit{after})

	units := []world.Unit{after}
	fates := map[fate]int{}
	for _, z := range zoo {
		live := z.queue == "wait-q" || z.queue == "priority-q"
		f := z.fate
		switch {
		case !live && z.queue != "hold-q", f == parked && z.queue == "hold-q":
			f = stays
		case f == parked:
			f = refused
		}
		fates[f]++
		x.Until(patience, fmt.Sprintf("%q in %s meets its fate", z.name, z.queue), func() bool { return z.met(x, f) })
		if f == runs && z.queue != "hold-q" {
			units = append(units, done(z.name, z.queue, z.text))
		}
	}
	for _, e := range opened() {
		t.Errorf("%s was opened", e)
	}
	if there(x.Root, "pwned") || there(x.Root, "wait-q", "pwned") {
		t.Error("a name was run by a shell")
	}
	if !x.Says("the file is empty") {
		t.Error("an empty file is not said")
	}
	for name, n := range x.Ran() {
		if n != 1 {
			t.Errorf("%q ran %d times", name, n)
		}
	}
	if n := len(x.Ran()); n != len(units) {
		t.Errorf("%d ran, want %d", n, len(units))
	}
	checkKept(t, x)

	// A second start finds it all again and leaves it alone.
	m.stop()
	before := census(t, x)
	x.Once("")
	for path, was := range census(t, x) {
		if before[path] != was {
			t.Errorf("one more start changed %q: %v, was %v", path, was, before[path])
		}
		delete(before, path)
	}
	for path := range before {
		t.Errorf("one more start removed %q", path)
	}
	// A person puts away what the checker can't read, and it judges the rest.
	for _, z := range zoo {
		if z.fate == runs && z.queue != "hold-q" && z.name != "10-gb-log-of-wait-q" && !strings.HasPrefix(z.name, "crlf-") {
			continue
		}
		for _, q := range []string{z.queue, "trash", "done-q"} {
			_ = os.RemoveAll(filepath.Join(x.Root, q, z.name))
			_ = os.RemoveAll(filepath.Join(x.Root, q, why(z.name)))
		}
		units = slices.DeleteFunc(units, func(u world.Unit) bool { return u.Name == z.name })
	}
	x.Settled(units, "the zoo")
	world.Figures(t, "%d things in 9 queues: %d refused with their reason, %d run once, %d left alone; 0 hangs, 0 opened, %v",
		len(zoo), fates[refused], fates[runs], fates[stays], time.Since(began).Round(time.Second))
}

// met reports whether it came to pass; a thing that is not where it ought to be may
// still come there.
func (z *thing) met(x *world.World, f fate) bool {
	at := func(queue string) bool {
		var st unix.Stat_t
		err := unix.Lstat(filepath.Join(x.Root, queue, z.name), &st)
		return err == nil && (st.Ino == z.ino || f == runs) // one that is completed is a copy
	}
	switch {
	case f == refused:
		return at("trash") && strings.Contains(read(x.Root, "trash", why(z.name)), z.why)
	case f == runs && z.queue != "hold-q":
		return at("done-q")
	}
	return at(z.queue)
}

// why is the name of the reason beside a refused file, which has to fit.
func why(name string) string {
	if len(name) <= 251 {
		return name + ".why"
	}
	return name[:124] + "…" + name[len(name)-124:] + ".why"
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// census is everything in the queues, without opening any of it.
func census(t *testing.T, x *world.World) map[string]string {
	t.Helper()
	all := map[string]string{}
	queues, err := filepath.Glob(filepath.Join(x.Root, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queues {
		entries, err := os.ReadDir(q)
		if err != nil || filepath.Base(q) == "status" || filepath.Base(q) == ".monitor" {
			continue
		}
		for _, e := range entries {
			var st unix.Stat_t
			if err := unix.Lstat(filepath.Join(q, e.Name()), &st); err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(q)+"/"+e.Name()] = fmt.Sprintf("inode %d mode %o size %d links %d", st.Ino, st.Mode, st.Size, st.Nlink)
		}
	}
	return all
}

// watchOpens tells which of the things that must not be opened were: opening a
// device does something to it, and a FIFO keeps its opener waiting.
func watchOpens(t *testing.T, x *world.World, zoo []*thing) (opened func() []string) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	watched := map[int]string{}
	watch := func(path string) {
		wd, err := unix.InotifyAddWatch(fd, path, unix.IN_OPEN|unix.IN_DONT_FOLLOW)
		if err != nil {
			t.Fatalf("watch %s: %v", path, err)
		}
		watched[wd] = path
	}
	watch(filepath.Join(x.W, "target"))
	for _, z := range zoo {
		path := filepath.Join(x.Root, z.queue, z.name)
		var st unix.Stat_t
		if unix.Lstat(path, &st) != nil {
			continue // it is in trash already
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFIFO, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFSOCK:
			watch(path)
		}
	}
	return func() (out []string) {
		buf := make([]byte, 1<<16)
		n, err := unix.Read(fd, buf)
		if err != nil {
			return nil
		}
		for at := 0; at < n; {
			wd := int(int32(uint32(buf[at]) | uint32(buf[at+1])<<8 | uint32(buf[at+2])<<16 | uint32(buf[at+3])<<24))
			size := int(uint32(buf[at+12]) | uint32(buf[at+13])<<8)
			out = append(out, watched[wd])
			at += unix.SizeofInotifyEvent + size
		}
		return out
	}
}

// checkKept looks at what an accepted file keeps of its owner's wishes.
func checkKept(t *testing.T, x *world.World) {
	t.Helper()
	for _, q := range []string{"wait-q", "priority-q"} {
		path := filepath.Join(x.Root, "done-q", "acl-of-"+q)
		b := make([]byte, 256)
		n, err := unix.Getxattr(path, acl, b)
		if err != unix.EOPNOTSUPP && string(b[:max(n, 0)]) != accessList {
			t.Errorf("the access list is %x, %v", b[:max(n, 0)], err)
		}
		st, err := os.Stat(filepath.Join(x.Root, "done-q", "set-uid-of-"+q))
		if err != nil || st.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
			t.Errorf("set-id bits were handed on to our copy: %v, %v", st.Mode(), err)
		}
	}
}
