package crashfs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// served is an empty tree on a mount of its own.
func served(t *testing.T, rules Rules) (*Live, string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts a FUSE file system")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("needs FUSE: ", err)
	}
	d, err := Mount(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	v := d.Serve(NewTree(), rules)
	return v, v.Path()
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func stat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	ok(t, unix.Lstat(path, &st))
	return st
}

// same compares what the kernel says of everything with what the tree holds, and
// that with what the log makes of the base.
func same(t *testing.T, v *Live) {
	t.Helper()
	l := v.Log()
	now, replayed := v.Tree(), l.At(len(l.Ops))
	now.Walk(func(path string, n *Node) bool {
		st := stat(t, filepath.Join(v.Path(), path))
		kernel := fmt.Sprint(st.Ino, st.Mode, st.Nlink, st.Mtim.Nano(), st.Ctim.Nano())
		want := fmt.Sprint(n.Ino, n.Mode, n.Links, n.Mtime, n.Ctime)
		if kernel != want {
			t.Errorf("%s: the kernel says %s, the tree %s", path, kernel, want)
		}
		if m := replayed.Find(path); m == nil || fmt.Sprint(*m) != fmt.Sprint(*n) {
			t.Errorf("%s: replayed %v, is %v", path, m, n)
		}
		if n.Regular() {
			b, err := os.ReadFile(filepath.Join(v.Path(), path))
			if ok(t, err); string(b) != string(n.Data) {
				t.Errorf("%s: reads %q, is %q", path, b, n.Data)
			}
		}
		return true
	})
}

// closed waits until nothing is open: the kernel tells a moment later.
func closed(t *testing.T, v *Live) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); v.Open() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d are open", v.Open())
		}
	}
}

func TestServed(t *testing.T) {
	v, dir := served(t, Rules{})
	p := func(name string) string { return filepath.Join(dir, name) }
	step := func(err error) { t.Helper(); ok(t, err); same(t, v) }
	step(os.Mkdir(p("a"), 0o750))
	step(os.Mkdir(p("b"), 0o755))
	step(os.Mkdir(p("a/sub"), 0o755))
	step(os.WriteFile(p("a/f"), []byte("one\n"), 0o640))
	step(os.Chmod(p("a/f"), 0o600))
	step(os.Link(p("a/f"), p("b/g")))
	f, err := os.OpenFile(p("b/g"), os.O_WRONLY|os.O_APPEND, 0)
	step(err)
	_, err = f.WriteString("two\n")
	step(err)
	step(unix.UtimesNanoAt(int(f.Fd()), "", []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(1234567890123456789)}, unix.AT_EMPTY_PATH))
	if st := stat(t, p("a/f")); st.Size != 8 || st.Mtim.Nano() != 1234567890123456789 || st.Nlink != 2 {
		t.Errorf("the other name has %+v", st)
	}
	step(f.Truncate(3))
	step(f.Sync())
	step(os.WriteFile(p("b/h"), nil, 0o644))
	step(unix.Renameat2(unix.AT_FDCWD, p("a/f"), unix.AT_FDCWD, p("b/h"), unix.RENAME_EXCHANGE))
	if err := unix.Renameat2(unix.AT_FDCWD, p("b/g"), unix.AT_FDCWD, p("a/f"), unix.RENAME_NOREPLACE); err != unix.EEXIST {
		t.Errorf("rename over a name: %v", err)
	}
	step(unix.Renameat2(unix.AT_FDCWD, p("b/g"), unix.AT_FDCWD, p("a/k"), unix.RENAME_NOREPLACE))
	step(os.Rename(p("a/k"), p("a/f")))
	step(os.Rename(p("a/sub"), p("b/sub")))
	step(os.Symlink("b/h", p("link")))
	step(os.Remove(p("b/h")))
	if err := os.Remove(p("b")); err == nil {
		t.Error("a full directory was removed")
	}
	step(os.Remove(p("b/sub")))
	step(f.Close())
	closed(t, v)
}

// A number is given out again only when nobody has the file any more.
func TestInodeNumbers(t *testing.T) {
	v, dir := served(t, Rules{})
	p := func(name string) string { return filepath.Join(dir, name) }
	f, err := os.Create(p("a"))
	ok(t, err)
	first := stat(t, p("a")).Ino
	ok(t, os.Remove(p("a")))
	ok(t, os.WriteFile(p("b"), nil, 0o644))
	if stat(t, p("b")).Ino == first {
		t.Error("the number of an open file was given out")
	}
	_, err = f.WriteString("still there")
	ok(t, err)
	ok(t, f.Close())
	closed(t, v)
	ok(t, os.WriteFile(p("c"), nil, 0o644))
	if stat(t, p("c")).Ino != first {
		t.Error("a number that is free was not given out again")
	}
	same(t, v)
}

func TestRules(t *testing.T) {
	_, dir := served(t, Rules{NoFlags: true})
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	ok(t, os.WriteFile(a, nil, 0o644))
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_NOREPLACE); err != unix.EINVAL {
		t.Errorf("got %v", err)
	}
	ok(t, os.Rename(a, b))
}

// Locks and leases are the kernel's own, as on any disk.
func TestLocksAndLeases(t *testing.T) {
	_, dir := served(t, Rules{})
	a := filepath.Join(dir, "a")
	ok(t, os.WriteFile(a, nil, 0o644))
	r, err := unix.Open(a, unix.O_RDONLY, 0)
	ok(t, err)
	defer unix.Close(r)
	if _, err := unix.FcntlInt(uintptr(r), unix.F_SETLEASE, unix.F_RDLCK); err != nil {
		t.Errorf("no lease: %v", err)
	}
	_, _ = unix.FcntlInt(uintptr(r), unix.F_SETLEASE, unix.F_UNLCK)
	w, err := unix.Open(a, unix.O_RDWR, 0)
	ok(t, err)
	defer unix.Close(w)
	if _, err := unix.FcntlInt(uintptr(r), unix.F_SETLEASE, unix.F_RDLCK); err != unix.EAGAIN {
		t.Errorf("a lease beside a writer: %v", err)
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	ok(t, unix.FcntlFlock(uintptr(w), unix.F_OFD_SETLK, &lock))
	other, err := unix.Open(a, unix.O_RDWR, 0)
	ok(t, err)
	defer unix.Close(other)
	lock = unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(uintptr(other), unix.F_OFD_SETLK, &lock); err != unix.EAGAIN {
		t.Errorf("a second lock: %v", err)
	}
}
