package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLock(t *testing.T) {
	d := open(t, t.TempDir())
	one, err := d.OpenAppend("test:open", "lock", 0o644)
	if err != nil {
		t.Fatal(err)
	}
	two, err := d.Open("lock")
	if err != nil {
		t.Fatal(err)
	}
	three, err := d.OpenWrite("test:open", "lock")
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	defer three.Close()
	if held, err := two.Locked(); err != nil || held {
		t.Fatalf("before: %v %v", held, err)
	}
	if got, err := one.Lock("test:lock"); err != nil || !got {
		t.Fatalf("the first: %v %v", got, err)
	}
	// Asking takes nothing, and works with a descriptor that may only read.
	for range 2 {
		if held, err := two.Locked(); err != nil || !held {
			t.Fatalf("while it is held: %v %v", held, err)
		}
	}
	if got, err := three.Lock("test:lock"); err != nil || got {
		t.Fatalf("the second: %v %v", got, err)
	}
	waited := make(chan error, 1)
	go func() { waited <- three.WaitLock("test:wait") }()
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-waited:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the lock was not handed on")
	}
	if held, err := two.Locked(); err != nil || !held {
		t.Fatalf("after it was handed on: %v %v", held, err)
	}
}

func TestLease(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/x", "text")
	d := open(t, root)
	f, err := d.Open("x")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := f.ReadLease(); got != Quiet {
		t.Skipf("this file system gives no leases (answer %d)", got)
	}
	f.Unlease()
	reader, err := os.Open(root + "/x")
	if err != nil {
		t.Fatal(err)
	}
	if got := f.ReadLease(); got != Quiet {
		t.Errorf("beside a reader: %d", got)
	}
	f.Unlease()
	if got := f.WriteLease(); got != Written {
		t.Errorf("write lease beside a reader: %d", got)
	}
	reader.Close()
	for _, flag := range []int{os.O_WRONLY | os.O_APPEND, os.O_RDWR} {
		writer, err := os.OpenFile(root+"/x", flag, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.ReadLease(); got != Written {
			t.Errorf("beside a writer: %d", got)
		}
		writer.Close()
	}
	// A writer by another name is a writer.
	if err := os.Link(root+"/x", root+"/y"); err != nil {
		t.Fatal(err)
	}
	writer, err := os.OpenFile(root+"/y", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.ReadLease(); got != Written {
		t.Errorf("beside a writer of its other name: %d", got)
	}
	writer.Close()
	if got := f.ReadLease(); got != Quiet {
		t.Errorf("after all writers: %d", got)
	}
}

func TestList(t *testing.T) {
	root := t.TempDir()
	d := open(t, root)
	want := map[string]uint64{}
	for i := range 3000 { // more than one buffer of the kernel's
		name := fmt.Sprintf("%0200d", i)
		write(t, root+"/"+name, "")
		want[name] = inode(t, root+"/"+name)
	}
	odd := strings.Repeat("\xff", 255)
	write(t, root+"/"+odd, "")
	want[odd] = inode(t, root+"/"+odd)
	for range 2 { // from the beginning each time
		got := map[string]uint64{}
		if err := d.List(func(n Name) bool { got[n.Name] = n.Ino; return true }); err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("%d names, want %d", len(got), len(want))
		}
		for name, ino := range want {
			if got[name] != ino {
				t.Fatalf("%q is inode %d, want %d", name, got[name], ino)
			}
		}
	}
	n := 0
	if err := d.List(func(Name) bool { n++; return n < 5 }); err != nil || n != 5 {
		t.Errorf("stopped after %d: %v", n, err)
	}
}

func TestReplacedDirectory(t *testing.T) {
	root := t.TempDir()
	path := root + "/q"
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	d := open(t, path)
	is := func(want bool, what string) {
		t.Helper()
		if got, err := d.Replaced(); err != nil || got != want {
			t.Errorf("%s: %v %v", what, got, err)
		}
	}
	is(false, "at first")
	if err := os.Rename(path, root+"/away"); err != nil {
		t.Fatal(err)
	}
	is(true, "moved away")
	if err := os.Symlink("away", path); err != nil {
		t.Fatal(err)
	}
	is(false, "a link to the same directory")
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
		t.Fatal(err)
	}
	is(true, "another directory")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, "a file")
	is(true, "a file")
	if _, err := open(t, root).Sub("q"); err == nil {
		t.Error("opened a file as a directory")
	}
	if err := errors.Join(os.Remove(path), os.Symlink("away", path)); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, root).Sub("q"); err == nil {
		t.Error("followed a link below the root")
	}
}

// Each way of opening refuses a link and never hangs on a FIFO.
func TestOpenHostile(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/target", "secret")
	if err := errors.Join(os.Symlink("target", root+"/link"), unix.Mkfifo(root+"/fifo", 0o644)); err != nil {
		t.Fatal(err)
	}
	d := open(t, root)
	if _, err := d.Open("link"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("read a link: %v", err)
	}
	if _, err := d.OpenWrite("test:open", "link"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("write a link: %v", err)
	}
	if _, err := d.OpenAppend("test:open", "link", 0o644); !errors.Is(err, unix.ELOOP) {
		t.Errorf("append to a link: %v", err)
	}
	if _, err := d.Create("test:open", "link", 0o644); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create a link: %v", err)
	}
	f, err := d.Open("fifo")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Regular() {
		t.Errorf("a FIFO is called regular: %v", err)
	}
}

// Two append to one file, one of them by a descriptor that also overwrites in place:
// nothing of either is lost.
func TestAppendBeside(t *testing.T) {
	d := open(t, t.TempDir())
	other, err := d.OpenAppend("test:open", "log", 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Write("test:write", []byte("STATUS :: \n")); err != nil {
		t.Fatal(err)
	}
	f, err := d.OpenWrite("test:open", "log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const lines = 5000
	wrote := make(chan error, 1)
	go func() {
		for range lines {
			if _, err := other.Write("test:write", []byte("output\n")); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- nil
	}()
	for range lines {
		if n, err := f.Append("test:append", []byte("monitor\n")); n != 8 || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt("test:status", []byte("X"), 9); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if n, m := strings.Count(text, "\noutput"), strings.Count(text, "\nmonitor"); n != lines || m != lines || !strings.HasPrefix(text, "STATUS ::X\n") {
		t.Errorf("%d and %d of %d lines, beginning %q", n, m, lines, text[:12])
	}
}

func TestReadAtEnd(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/x", "12345")
	f, err := open(t, root).Open("x")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 8)
	if n, err := f.ReadAt(b, 2); n != 3 || !errors.Is(err, io.EOF) || string(b[:n]) != "345" {
		t.Errorf("%d %v %q", n, err, b[:n])
	}
}

// A second Close must not close what got the number since.
func TestCloseTwice(t *testing.T) {
	d := open(t, t.TempDir())
	f, err := d.Create("test:create", "x", 0o644)
	if err != nil {
		t.Fatal(err)
	}
	fd := f.Fd()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	g, err := d.Open("x")
	if err != nil {
		t.Fatal(err)
	}
	if g.Fd() != fd {
		t.Skipf("the number %d was not given again", fd)
	}
	if err := f.Close(); err != nil {
		t.Errorf("the second: %v", err)
	}
	if _, err := g.Stat(); err != nil {
		t.Errorf("closed somebody else's: %v", err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// Without syncfs files come before directories, and directories by their rank.
func TestBatchOrder(t *testing.T) {
	root := t.TempDir()
	d := open(t, root)
	var dirs []*Dir
	for _, name := range []string{"wait", "run", "done"} {
		if err := d.Mkdir("test:mkdir", name, 0o755); err != nil {
			t.Fatal(err)
		}
		sub, err := d.Sub(name)
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		dirs = append(dirs, sub)
	}
	b := &Batch{root: d}
	b.Dir(dirs[0], 3)
	f, err := d.Create("test:create", "f", 0o644)
	if err != nil {
		t.Fatal(err)
	}
	b.Dir(dirs[2], 1)
	b.Dir(dirs[0], 3) // once is enough
	if err := b.File(f); err != nil {
		t.Fatal(err)
	}
	b.Dir(dirs[1], 2)
	var paths []string
	// What fails is named, so the errors of all tell the order.
	faulty(t, map[Site]error{"test:sync": unix.EIO})
	err = b.Commit("test:sync")
	if !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	for line := range strings.Lines(err.Error()) {
		fields := strings.Fields(line)
		path := strings.TrimSuffix(fields[2], ":")
		paths = append(paths, strings.TrimPrefix(path, root+"/"))
	}
	if want := []string{"f", "done", "run", "wait"}; !slices.Equal(paths, want) {
		t.Errorf("synced %q, want %q", paths, want)
	}
	if _, err := f.Stat(); err == nil {
		t.Error("the batch left its file open")
	}
}

func TestBatchWhole(t *testing.T) {
	d := open(t, t.TempDir())
	for _, whole := range []bool{true, false} {
		asked := 0
		Fault = func(Site) error { asked++; return nil }
		t.Cleanup(func() { Fault = nil })
		b := &Batch{root: d, whole: whole}
		if err := b.Commit("test:sync"); err != nil || asked != 0 || b.Dirty() {
			t.Errorf("an empty one syncs: %v", err)
		}
		b.Dir(d, 0)
		if !b.Dirty() {
			t.Error("not dirty")
		}
		if err := b.Commit("test:sync"); err != nil || asked != 1 {
			t.Errorf("%d syncs: %v", asked, err)
		}
		if b = b.Next(); b.Dirty() || b.whole != whole {
			t.Error("the next one is not an empty one of its kind")
		}
	}
}

func TestTakeOwner(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/from", "x")
	if err := os.Chmod(root+"/from", 0o4640); err != nil {
		t.Fatal(err)
	}
	d := open(t, root)
	from, err := d.Open("from")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := d.Create("test:create", "to", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if err := to.TakeOwner("test:owner", from); err != nil {
		t.Fatal(err)
	}
	a, err := from.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b, err := to.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if b.UID != a.UID || b.GID != a.GID || b.Mode&0o7777 != 0o640 {
		t.Errorf("owner %d:%d mode %o, want %d:%d 640", b.UID, b.GID, b.Mode&0o7777, a.UID, a.GID)
	}
}

func TestPassing(t *testing.T) {
	for _, e := range []unix.Errno{unix.EIO, unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EMFILE, unix.ENFILE} {
		if !Passing(fmt.Errorf("claim: %w", e)) {
			t.Errorf("%v does not pass", e)
		}
	}
	for _, e := range []error{unix.EACCES, unix.EPERM, unix.ENOENT, unix.EEXIST, errors.New("x"), nil} {
		if Passing(e) {
			t.Errorf("%v passes", e)
		}
	}
}
