package reads

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

// said counts the lines of monitor_says that hold a text.
func (d *daemon) said(text string) (n int) {
	d.T.Helper()
	d.lines("monitor_says", func(line []byte) {
		if strings.Contains(string(line), text) {
			n++
		}
	})
	return n
}

// once fails if a text was not said exactly once.
func (d *daemon) once(text string) {
	d.T.Helper()
	if n := d.said(text); n != 1 {
		d.T.Errorf("said %d times, not once: %q\n%s", n, text, d.Story())
	}
}

// What people and programs write that is no line of text: each is passed over or
// answered once, and the next message is understood.
func TestOddLines(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, os.TempDir())
	d.start()
	d.add("RES\x00UME #nul0-0\n")
	d.add("\n  \n# a remark\n\r\n")
	d.all("odd0-0")
	d.once("#nul0-0 not understood: ")

	// A hole in the file: NULs without an end.
	st, err := os.Stat(d.reads)
	if err == nil {
		err = os.Truncate(d.reads, st.Size()+1<<20)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.add("\n")
	d.all("odd0-1")
	if n := d.said("more than 64 KiB"); n != 1 {
		t.Errorf("the hole was passed over %d times", n)
	}
	// A message without its newline is not acted upon, and the next one is one of its own.
	d.add("RESUME #odd0-2")
	d.until("that it has no newline is said", func() bool { return d.Says("has no newline") })
	d.until("it is refused", func() bool { return d.Says(`not understood: "RESUME #odd0-2`) })
	d.add("RESUME #odd0-3\nRESUME #odd0-4\nRESUME #od")
	d.answered("odd0-3", 0)
	d.answered("odd0-4", 0)
	d.add("d0-5\n")
	d.answered("odd0-5", 0)
	d.once("has no newline")
	d.emptied()
	if a := d.settle("odd", 1, 6); a.lost != 1 || a.acted != 5 || len(a.foreign) != 1 {
		t.Errorf("of six messages, half of one of them, this became: %+v", a)
	}
}

// A line of a mebibyte that is killed in its middle goes on to be no message.
func TestLongLine(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, os.TempDir())
	d.start()
	f := d.open()
	defer f.Close()
	d.put(f, strings.Repeat("long ", 120<<10))
	d.until("the long line is passed over", func() bool { return d.Says("more than 64 KiB") })
	d.add(" RESUME #evil0-0 ")
	d.kill()
	d.put(f, strings.Repeat(" RESUME #evil0-1", 26<<10))
	d.start()
	d.put(f, " RESUME #evil0-2\nRESUME #long0-0\n")
	d.answered("long0-0", 0)
	f.Close()
	d.emptied()
	d.judge(d.settle("long", 1, 1))
	if n := d.said(": a line of more than 64 KiB is passed over"); n < 1 || n > 2 {
		t.Errorf("the long line was said %d times", n)
	}
	if n := d.said("  answer  "); n != 1 {
		t.Errorf("%d answers, want that of the message behind the long line", n)
	}
}

// The right to read the file is taken away while no monitor runs: that is said, and
// 5 s after it is back the messages are acted upon.
func TestNoPermission(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, os.TempDir())
	// As people have it: nothing but the timer would look every 15 s.
	d.Write("config.toml", "sleep_time = \"15s\"\n")
	d.nobody()
	d.add("RESUME #p0-0\n")
	if err := os.Chmod(d.reads, 0); err != nil {
		t.Fatal(err)
	}
	d.start()
	d.until("that it cannot be read is said", func() bool { return d.Says("no messages can be read until this is mended") })
	d.add("RESUME #p0-1\n")
	if err := os.Chmod(d.reads, 0o644); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	d.answered("p0-1", 0)
	// 5 s are promised; as much again for a machine on which nothing gets its turn.
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to go on", took)
	}
	d.emptied()
	a := d.settle("p", 1, 2)
	a.trouble = nil // that it cannot be watched
	d.judge(a)
	d.once("no messages can be read until this is mended")
}

// Its name leads to something else for a while: that is said once, and no message
// written before or after is lost.
func TestNoFile(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a directory":       func(path string) error { return os.Mkdir(path, 0o755) },
		"a pipe":            func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"a link to itself":  func(path string) error { return os.Symlink(path, path) },
		"a link to nothing": func(path string) error { return os.Symlink("nowhere/else", path) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t, world.Memory())
			d.start()
			// Somebody holds it open, so that it is not emptied before it goes.
			f := d.open()
			d.put(f, "RESUME #f0-0\n")
			d.answered("f0-0", 0)
			aside := d.reads + ".aside"
			if err := errors.Join(os.Rename(d.reads, aside), put(d.reads)); err != nil {
				t.Fatal(err)
			}
			d.put(f, "RESUME #f0-1\n")
			d.answered("f0-1", 0)
			f.Close()
			d.until("that it is no file is said", func() bool { return d.Says("no messages can be read until this is mended") })
			d.kill()
			d.start()
			d.until("that it is still no file is said", func() bool { return d.said("no messages can be read until this is mended") == 2 })
			// At once: a name that is missing is made anew.
			if err := unix.Renameat2(unix.AT_FDCWD, aside, unix.AT_FDCWD, d.reads, unix.RENAME_EXCHANGE); err != nil {
				t.Fatal(err)
			}
			d.add("RESUME #f0-2\n")
			d.answered("f0-2", 0)
			d.emptied()
			a := d.settle("f", 1, 3)
			a.trouble = nil // that it cannot be watched
			d.judge(a)
		})
	}
}
