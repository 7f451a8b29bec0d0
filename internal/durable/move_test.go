package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// faulty lets the operations of some sites fail for the length of a test.
func faulty(t *testing.T, at map[Site]error) {
	t.Helper()
	Fault = func(s Site) error { return at[s] }
	t.Cleanup(func() { Fault = nil })
}

func open(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func missing(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there: %v", filepath.Base(path), err)
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	st, err := StatPath(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// A move is one rename, or on a file system without RENAME_NOREPLACE a link and
// an unlink: both must never overwrite and never lose.
func TestMove(t *testing.T) {
	for _, how := range []struct {
		name string
		err  error
	}{{"rename", nil}, {"EINVAL", unix.EINVAL}, {"ENOSYS", unix.ENOSYS}, {"EOPNOTSUPP", unix.EOPNOTSUPP}} {
		t.Run(how.name, func(t *testing.T) {
			faulty(t, map[Site]error{"test:rename": how.err})
			root := t.TempDir()
			a, b := filepath.Join(root, "a"), filepath.Join(root, "b")
			if err := errors.Join(os.Mkdir(a, 0o755), os.Mkdir(b, 0o755)); err != nil {
				t.Fatal(err)
			}
			write(t, a+"/x", "one")
			was := inode(t, a+"/x")
			from, to := open(t, a), open(t, b)
			if err := from.Move("test:rename", "x", to, "y"); err != nil {
				t.Fatal(err)
			}
			missing(t, a+"/x")
			if read(t, b+"/y") != "one" || inode(t, b+"/y") != was {
				t.Error("another file came out")
			}
			write(t, a+"/x", "two")
			if err := from.Move("test:rename", "x", to, "y"); !errors.Is(err, fs.ErrExist) {
				t.Errorf("onto an existing one: %v", err)
			}
			if read(t, a+"/x") != "two" || read(t, b+"/y") != "one" {
				t.Error("a refused move changed something")
			}
			if err := from.Move("test:rename", "gone", to, "z"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("of a missing one: %v", err)
			}
			// The target may be of another kind.
			if err := errors.Join(os.Mkdir(b+"/dir", 0o755), os.Symlink("nowhere", b+"/link")); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"dir", "link"} {
				if err := from.Move("test:rename", "x", to, name); !errors.Is(err, fs.ErrExist) {
					t.Errorf("onto %s: %v", name, err)
				}
			}
		})
	}
}

func TestMoveError(t *testing.T) {
	faulty(t, map[Site]error{"claim:rename": unix.ENOSPC})
	root := t.TempDir()
	write(t, root+"/x", "one")
	d := open(t, root)
	err := d.Move("claim:rename", "x", d, "y")
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "claim: rename "+root+"/x") {
		t.Errorf("does not tell what was done to which file: %v", err)
	}
	if read(t, root+"/x") != "one" {
		t.Error("a failed move changed something")
	}
}

func TestExchange(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/x", "one")
	write(t, root+"/y", "two")
	x, y := inode(t, root+"/x"), inode(t, root+"/y")
	d := open(t, root)
	if err := d.Exchange("test:exchange", "x", d, "y"); err != nil {
		t.Fatal(err)
	}
	if inode(t, root+"/x") != y || inode(t, root+"/y") != x {
		t.Error("not swapped")
	}
	if err := d.Exchange("test:exchange", "x", d, "gone"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("with a missing one: %v", err)
	}
	for _, errno := range []error{unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP} {
		faulty(t, map[Site]error{"test:exchange": errno})
		if err := d.Exchange("test:exchange", "x", d, "y"); !errors.Is(err, ErrNoExchange) {
			t.Errorf("%v: %v", errno, err)
		}
	}
	if inode(t, root+"/x") != y {
		t.Error("a refused exchange changed something")
	}
}

func TestRemoveAll(t *testing.T) {
	root := t.TempDir()
	outside := t.TempDir()
	write(t, outside+"/keep", "mine")
	if err := errors.Join(os.MkdirAll(root+"/d/e/f", 0o755), os.Symlink(outside, root+"/d/link"), unix.Mkfifo(root+"/d/e/fifo", 0o644)); err != nil {
		t.Fatal(err)
	}
	write(t, root+"/d/e/f/file", "x")
	d := open(t, root)
	if err := d.RemoveAll("test:remove", "d"); err != nil {
		t.Fatal(err)
	}
	missing(t, root+"/d")
	if read(t, outside+"/keep") != "mine" {
		t.Error("followed a link")
	}
	if err := d.RemoveAll("test:remove", "d"); err != nil {
		t.Errorf("of what is gone: %v", err)
	}
	if err := os.Symlink(outside, root+"/link"); err != nil {
		t.Fatal(err)
	}
	if err := d.RemoveAll("test:remove", "link"); err != nil {
		t.Fatal(err)
	}
	missing(t, root+"/link")
}

func TestReplaceAndLink(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/x", "new")
	write(t, root+"/y", "old")
	d := open(t, root)
	if err := d.Link("test:link", "x", d, "y"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("link onto an existing one: %v", err)
	}
	if err := d.Replace("test:rename", "x", d, "y"); err != nil || read(t, root+"/y") != "new" {
		t.Errorf("replace: %v", err)
	}
	if err := d.Link("test:link", "y", d, "z"); err != nil || inode(t, root+"/z") != inode(t, root+"/y") {
		t.Errorf("link: %v", err)
	}
}

// Who asks whether a move is one operation is told, and nothing has moved if not.
func TestMoveAtOnce(t *testing.T) {
	d := open(t, t.TempDir())
	write(t, d.Join("a"), "a")
	if err := d.MoveAtOnce("test:move", "a", d, "b"); err != nil || read(t, d.Join("b")) != "a" {
		t.Error(err)
	}
	if err := d.MoveAtOnce("test:move", "b", d, "b"); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	defer func(was func(int, string, int, string, uint) error) { renameat2 = was }(renameat2)
	renameat2 = func(int, string, int, string, uint) error { return unix.EINVAL }
	if err := d.MoveAtOnce("test:move", "b", d, "c"); !errors.Is(err, ErrTwoSteps) || read(t, d.Join("b")) != "a" {
		t.Error(err)
	}
	missing(t, d.Join("c"))
}
