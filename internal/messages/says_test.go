package messages

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

var noon = time.Date(2026, 11, 21, 21, 50, 0, 1e6+999, time.UTC)

func openDir(t testing.TB, path string) *durable.Dir {
	t.Helper()
	d, err := durable.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func openSays(t testing.TB, dir string, size int64, keep int) *Says {
	t.Helper()
	s, err := OpenSays(openDir(t, dir), "says", size, keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func read(t testing.TB, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t testing.TB, text string, path ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path...), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func flush(t testing.TB, s interface{ Flush() error }) {
	t.Helper()
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
}

// withFault sets durable.Fault for the time of a test.
func withFault(t testing.TB, fault func(durable.Site) error) {
	t.Helper()
	durable.Fault = fault
	t.Cleanup(func() { durable.Fault = nil })
}

func TestSay(t *testing.T) {
	const at = "2026-11-21T21:50:00.001Z"
	for _, c := range []struct{ word, uow, prose, want string }{
		{"started", "deploy-7", "try 1, ansible", at + "  started   deploy-7  try 1, ansible\n"},
		{"up", "", "pid 7", at + "  up        pid 7\n"},
		{"reloaded", "", "", at + "  reloaded\n"},
		{"not understood", "", "x", at + "  not understood  x\n"},
		{"moved", "my job", "x", at + "  moved     \"my job\"  x\n"},
		{"moved", "a\nb\x1b\xff", "x", at + `  moved     "a\nb\x1b\xff"  x` + "\n"},
		{"moved", `a"b`, "x", at + `  moved     "a\"b"  x` + "\n"},
		{"moved", "größe-\u202e", "x", at + `  moved     "größe-\u202e"  x` + "\n"},
		{"moved", "größe", "für \u202e \x1b[0m \xfe\tq", at + `  moved     größe  für \u202e \x1b[0m \xfe\tq` + "\n"},
		{"help", "", "one\n\n  two\r\nthree\n\n", at + "  help      one\n" + at + "  help\n" + at + "  help        two\n" + at + "  help      three\n"},
		{"error", "a", "b\nc", at + "  error     a  b\n" + at + "  error     a  c\n"},
	} {
		dir := t.TempDir()
		s := openSays(t, dir, 0, 0)
		s.Say(noon.In(time.FixedZone("far", 7200)), c.word, c.uow, c.prose)
		flush(t, s)
		if got := read(t, dir, "says"); got != c.want {
			t.Errorf("Say(%q, %q, %q):\n got %q\nwant %q", c.word, c.uow, c.prose, got, c.want)
		}
	}
}

func TestSayTouchesNothing(t *testing.T) {
	dir := t.TempDir()
	s := openSays(t, dir, 0, 0)
	flush(t, s)
	s.Say(noon, "up", "", "")
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("there is %v before the first Flush", names)
	}
}

func TestRotate(t *testing.T) {
	dir := t.TempDir()
	s := openSays(t, dir, 100, 3)
	for i := range 12 {
		s.Say(noon, "n", "", fmt.Sprintf("entry %02d", i)) // 45 bytes
		flush(t, s)
	}
	for name, want := range map[string]string{"says": "10 11", "says.1": "08 09", "says.2": "06 07", "says.3": "04 05"} {
		var got []string
		for line := range strings.Lines(read(t, dir, name)) {
			got = append(got, strings.TrimSpace(line[len(line)-3:]))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s holds %q, want %s", name, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "says.4")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("says.4: %v", err)
	}
}

// Who follows the old file has all of it: rotation changes names only.
func TestRotateKeepsTheFile(t *testing.T) {
	dir := t.TempDir()
	s := openSays(t, dir, 60, 1)
	s.Say(noon, "n", "", "first")
	flush(t, s)
	before, _ := os.Stat(filepath.Join(dir, "says"))
	s.Say(noon, "n", "", "second")
	flush(t, s)
	after, err := os.Stat(filepath.Join(dir, "says.1"))
	if err != nil || !os.SameFile(before, after) || after.Size() != before.Size() {
		t.Errorf("the old file is not says.1: %v", err)
	}
	// A batch larger than the limit is one write all the same.
	s.Say(noon, "n", "", strings.Repeat("long\n", 20))
	flush(t, s)
	if n := strings.Count(read(t, dir, "says"), "long"); n != 20 {
		t.Errorf("%d of 20 lines of a large batch are together", n)
	}
}

func TestRotateWithNothingKept(t *testing.T) {
	dir := t.TempDir()
	s := openSays(t, dir, 60, 0)
	for i := range 5 {
		s.Say(noon, "n", "", fmt.Sprint("entry ", i))
		flush(t, s)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 || !strings.HasSuffix(read(t, dir, "says"), "entry 4\n") {
		t.Errorf("there is %v", names)
	}
}

// A directory where an old file should go stops the rotation, and no line.
func TestRotateHindered(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "says.1", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := openSays(t, dir, 60, 1)
	for i := range 3 {
		s.Say(noon, "n", "", fmt.Sprint("entry ", i))
		if err := s.Flush(); (err != nil) != (i > 0) {
			t.Errorf("flush %d: %v", i, err)
		}
	}
	if n := strings.Count(read(t, dir, "says"), "\n"); n != 3 {
		t.Errorf("%d of 3 lines are there", n)
	}
}

func TestFlushFollowsTheName(t *testing.T) {
	dir := t.TempDir()
	s := openSays(t, dir, 0, 0)
	path := filepath.Join(dir, "says")
	say := func(text string) { s.Say(noon, "n", "", text); flush(t, s) }
	say("one")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	say("two")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	say("three")
	write(t, "somebody's half line", path)
	say("four")
	if got := read(t, path+".old"); !strings.HasSuffix(got, "two\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("renamed away: %q", got)
	}
	const at = "2026-11-21T21:50:00.001Z  n         "
	if got, want := read(t, path), "somebody's half line"+at+"four\n"; got != want {
		t.Errorf("got %q", got)
	}
	// A half line found when the file is opened is ended first.
	write(t, "half", path+".2")
	if err := os.Rename(path+".2", path); err != nil {
		t.Fatal(err)
	}
	say("five")
	if got, want := read(t, path), "half\n"+at+"five\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFlushRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "says")
	s := openSays(t, dir, 0, 0)
	s.Say(noon, "n", "", "kept")
	for _, make := range []func() error{
		func() error { return os.Mkdir(path, 0o755) },
		func() error { return unix.Mkfifo(path, 0o644) },
		func() error { return os.Symlink("elsewhere", path) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(); err == nil {
			t.Error("flushed into what is no file")
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, s)
	if got := read(t, path); !strings.HasSuffix(got, "kept\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q", got)
	}
}

func TestFlushFaults(t *testing.T) {
	for _, op := range []string{"says:open", "says:append", "says:rotate"} {
		for _, errno := range []error{unix.EIO, unix.ENOSPC, unix.EROFS, unix.EMFILE} {
			dir := t.TempDir()
			s := openSays(t, dir, 60, 9)
			left := 1
			withFault(t, func(site durable.Site) error {
				if string(site) == op && left > 0 {
					left--
					return errno
				}
				return nil
			})
			failed := 0
			for i := range 5 {
				s.Say(noon, "n", "", fmt.Sprint("entry ", i))
				if err := s.Flush(); err != nil {
					failed++
					if !errors.Is(err, errno) {
						t.Errorf("%s %v: %v", op, errno, err)
					}
				}
			}
			var all string
			for i := 9; i > 0; i-- {
				b, _ := os.ReadFile(filepath.Join(dir, fmt.Sprint("says.", i)))
				all += string(b)
			}
			all += read(t, dir, "says")
			for i := range 5 {
				if strings.Count(all, fmt.Sprint("entry ", i)) != 1 {
					t.Errorf("%s %v: entry %d is not there once:\n%s", op, errno, i, all)
				}
			}
			if failed != 1 || strings.Count(all, "\n") != 5 {
				t.Errorf("%s %v: %d flushes failed; there is\n%s", op, errno, failed, all)
			}
		}
	}
}

func TestBufferIsBounded(t *testing.T) {
	dir := t.TempDir()
	s := openSays(t, dir, 0, 0)
	broken := true
	withFault(t, func(site durable.Site) error {
		if broken && site == "says:append" {
			return unix.ENOSPC
		}
		return nil
	})
	const n = 3000
	for i := range n {
		s.Say(noon, "n", "", fmt.Sprintf("%s entry %d.", strings.Repeat("x", 1000), i))
		if i%500 == 0 { // in between the owning up is lost too, and still counted
			if err := s.Flush(); !errors.Is(err, unix.ENOSPC) {
				t.Fatal(err)
			}
		}
	}
	if s.lines.bytes > bufferLimit {
		t.Errorf("%d bytes are kept", s.lines.bytes)
	}
	broken = false
	flush(t, s)
	text := read(t, dir, "says")
	first, _, _ := strings.Cut(text, "\n")
	kept := strings.Count(text, "entry")
	if want := fmt.Sprintf("  trouble   %d lines could not be written here in time and are lost", n-kept); !strings.HasSuffix(first, want) || kept < 900 {
		t.Errorf("%d lines were kept and the first is %q", kept, first)
	}
	if !strings.HasSuffix(text, fmt.Sprintf("entry %d.\n", n-1)) {
		t.Error("the youngest line is not the last one")
	}
}

// A disk that is really full breaks a write in the middle of a line.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=16k"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	for _, foreign := range []bool{false, true} {
		path := filepath.Join(dir, "says")
		write(t, strings.Repeat("f", 8<<10), dir, "filler")
		s := openSays(t, dir, 0, 0)
		const n = 300 // 14 KiB
		failed := 0
		for i := range n {
			s.Say(noon, "n", "", fmt.Sprintf("entry %d.", i))
			if err := s.Flush(); err != nil {
				failed++
				if !errors.Is(err, unix.ENOSPC) {
					t.Fatal(err)
				}
			}
		}
		if failed == 0 {
			t.Fatal("the disk never was full")
		}
		if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
			t.Fatal(err)
		}
		if foreign {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(f, "FOREIGN")
			f.Close()
		}
		flush(t, s)
		text := read(t, path)
		torn := 0
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "2026-11-21T21:50:00.001Z  n         entry ") || !strings.HasSuffix(line, ".\n") {
				torn++
			}
		}
		if foreign && torn > 1 || !foreign && torn > 0 {
			t.Errorf("foreign %v: %d torn lines in\n%s", foreign, torn, text)
		}
		for i := range n {
			if !strings.Contains("\n"+text, fmt.Sprintf("\n2026-11-21T21:50:00.001Z  n         entry %d.\n", i)) {
				t.Errorf("foreign %v: entry %d is missing", foreign, i)
			}
		}
		if err := errors.Join(s.Close(), os.Remove(path)); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkSayFlush(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprint(n, " lines"), func(b *testing.B) {
			s := openSays(b, b.TempDir(), 10<<20, 5)
			for b.Loop() {
				for range n {
					s.Say(noon, "started", "deploy-7", "try 1, ansible")
				}
				flush(b, s)
			}
		})
	}
}
