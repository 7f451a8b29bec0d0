package messages

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMadeWhenMissing(t *testing.T) {
	old := unix.Umask(0o027)
	defer unix.Umask(old)
	x := newBox(t, "-")
	x.holds(HowTo(x.path))
	if s, _ := os.Stat(x.path); s.Mode() != 0o640 {
		t.Errorf("mode %v", s.Mode())
	}
	x.append("A\n")
	x.want("A")
	x.acted()
	x.holds(HowTo(x.path))
	x.says()
	if err := os.Remove(x.path); err != nil {
		t.Fatal(err)
	}
	x.want()
	x.says("was missing and has been made anew")
	x.append("B\n")
	x.want("B")
	if names, _ := os.ReadDir(filepath.Dir(x.path)); len(names) != 2 {
		t.Errorf("there is %v", names)
	}
}

func TestSymlink(t *testing.T) {
	x := newBox(t, "-")
	x.crash()
	real := filepath.Join(t.TempDir(), "real")
	if err := os.Rename(x.path, real); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, x.path); err != nil {
		t.Fatal(err)
	}
	x.start()
	x.append("A\n")
	x.want("A")
	x.acted()
	if s, err := os.Lstat(x.path); err != nil || s.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	x.holds(HowTo(x.path))
}

func TestInTheWay(t *testing.T) {
	for name, make := range map[string]func(string) error{
		"directory":     func(p string) error { return os.Mkdir(p, 0o755) },
		"fifo":          func(p string) error { return unix.Mkfifo(p, 0o666) },
		"dangling link": func(p string) error { return os.Symlink("/nowhere/at/all", p) },
		"link to self":  func(p string) error { return os.Symlink(p, p) },
	} {
		t.Run(name, func(t *testing.T) {
			x := newBox(t, head)
			x.append("LAST\n")
			if err := os.Remove(x.path); err != nil {
				t.Fatal(err)
			}
			if err := make(x.path); err != nil {
				t.Fatal(err)
			}
			x.want("LAST") // of the file that lost its name
			x.acted()
			x.said = nil
			x.want()
			x.want()
			x.acted()
			x.says("no messages can be read until this is mended: ")
			if err := os.Remove(x.path); err != nil {
				t.Fatal(err)
			}
			write(t, "A\n", x.path)
			x.want("A")
			x.says("can be read again", "is not the file")
		})
	}
	t.Run("no directory", func(t *testing.T) {
		x := newBox(t, "-")
		x.crash()
		x.path = filepath.Join(t.TempDir(), "gone", "monitor_reads")
		x.start()
		x.want()
		x.says("no messages can be read until this is mended: ")
		if err := os.Mkdir(filepath.Dir(x.path), 0o755); err != nil {
			t.Fatal(err)
		}
		x.want()
		x.holds(HowTo(x.path))
	})
}

func TestEmptiedByHand(t *testing.T) {
	x := newBox(t, head)
	tail, err := os.Open(x.path) // so that it is not emptied by us
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	x.append("A\n")
	x.want("A")
	x.acted()
	write(t, "B\n", x.path)
	x.want("B")
	x.says("was emptied or rewritten")
	x.acted()
	// Rewritten in place and longer than before.
	write(t, "# another how-to, longer\nC\nD\n", x.path)
	x.want("C", "D")
	x.says("was emptied or rewritten")
	x.acted()
	// The same bytes again after it was seen empty, then a crash.
	write(t, "", x.path)
	x.want()
	x.append("# another how-to, longer\nC\nD\n")
	x.crash()
	x.start()
	x.want("C", "D")
}

func TestReplaced(t *testing.T) {
	x := newBox(t, head)
	tail, err := os.Open(x.path)
	if err != nil {
		t.Fatal(err)
	}
	x.append("A\n")
	x.want("A")
	x.acted()
	// An editor's copy: what was acted upon, and more.
	x.append("B\n")
	x.replace(head + "A\nB\nC\n")
	x.want("B")
	if !x.More() {
		t.Error("nothing tells that there is more")
	}
	x.want() // B has to be acted upon first
	x.acted()
	x.want("C")
	x.acted()
	x.says("is another file that begins with what was acted upon already")
	x.holds(head)
	tail.Close()
	// A strange one.
	x.replace("# new\nD\n")
	x.want("D")
	x.acted()
	x.says("is not the file that was read before")
	x.holds("# new\n")
	// While nobody looked.
	x.crash()
	x.replace("E\n")
	x.start()
	x.want("E")
	x.acted()
	x.says("is not the file that was read before")
	x.holds("")
	// The old one's last line has no newline, and nobody can give it one.
	x.append("F\nKILL JOB")
	x.replace("G\n")
	x.want("F")
	x.acted()
	x.says()
	x.want("G")
	x.acted()
	x.says(`the last line of the file that had this name before has no newline and is not acted upon: "KILL JOB"`, "is not the file that was read before")
	x.append("H") // an editor ends it
	x.want()
	x.replace("H\nI\n")
	x.want("H", "I")
}

func TestReplacedByAnOldCopy(t *testing.T) {
	x := newBox(t, head)
	x.append("A\n")
	x.want("A")
	x.acted()
	x.holds(head)
	x.replace(head + "A\nB\n")
	x.want("A!", "B")
	x.says("may have been appended again")
}

func TestReplacedWhileAWriterHoldsTheOld(t *testing.T) {
	x := newBox(t, head)
	w, err := os.OpenFile(x.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	x.replace("NEW\n")
	x.want()
	fmt.Fprint(w, "OLD\n")
	x.want("OLD")
	x.acted()
	w.Close()
	x.want("NEW")
	x.acted()
	x.said = nil
	if w, err = os.OpenFile(x.path, os.O_WRONLY|os.O_APPEND, 0); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	x.replace("NEWER\n")
	x.patience = 0
	x.want("NEWER")
	x.says("is no longer read")
}

func TestOnlyReadable(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to become somebody else")
	}
	x := newBox(t, head)
	x.crash()
	if err := os.Chmod(filepath.Dir(filepath.Dir(x.path)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(x.path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(x.state.Path(), "reads")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(x.state.Path(), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	asNobody(t)
	x.start()
	x.says("cannot be written by this monitor")
	// Somebody who may write appends: done through a descriptor opened before.
	rootAppend(t, x, "A\n")
	x.want("A")
	x.acted()
	rootAppend(t, x, "B\n")
	x.want("B")
	x.acted()
	x.holds(head + "A\nB\n")
	x.crash()
	x.start()
	x.want()
	if len(x.said) > 1 {
		t.Errorf("said %q", x.said)
	}
}
