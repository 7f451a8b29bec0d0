package run

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// output is what a log holds between its first and its last line.
func output(log string) string {
	_, body, _ := strings.Cut(log, "try 1: ")
	_, body, _ = strings.Cut(body, "\n")
	return body[:strings.LastIndex(body, "---- ")]
}

// seqLines is what `seq -f %07g 1 N` writes: eight bytes a line.
func seqLines(n int) string {
	return fmt.Sprintf("/usr/bin/perl -e 'printf(\"%%07d\\n\", $_) for 1..%d'", n)
}

func TestLogIsCapped(t *testing.T) {
	k := newKept(t)
	for _, c := range []struct {
		lines   int
		limit   int64
		dropped int64
	}{
		{1000, 8000, 0},
		{1001, 8000, 0}, // one line more: it is in the tail
		{8192 + 1000, 8000, 0},
		{8192 + 1001, 8000, 8},
		{100_000, 8004, 800_000 - 8004 - 64<<10},
		{1000, 0, 0}, // no limit
	} {
		s := k.spec(sh(seqLines(c.lines))...)
		s.LogSize = c.limit
		e := k.run(s)
		if e.Reason != Exit || e.Output != int64(8*c.lines) || e.Dropped != c.dropped {
			t.Errorf("%d lines, limit %d: ended %+v, want %d dropped", c.lines, c.limit, e, c.dropped)
			continue
		}
		var want bytes.Buffer
		for i := 1; i <= c.lines; i++ {
			if int64(8*i) <= c.limit+8 || c.limit == 0 || i > c.lines-(64<<10)/8-2 {
				fmt.Fprintf(&want, "%07d\n", i)
			}
		}
		body := output(k.log(s))
		if c.dropped > 0 {
			mark := " try 1: " + strconv.FormatInt(c.dropped, 10) + " bytes left out here\n"
			head, tail, found := strings.Cut(body, mark)
			if !found {
				t.Errorf("%d lines: %q is not in the log", c.lines, mark)
				continue
			}
			head = head[:strings.LastIndex(head, "---- ")]
			if kept := strings.TrimSuffix(head, "\n"); int64(len(kept)) < c.limit-1 || !strings.HasPrefix(want.String(), kept) {
				t.Errorf("%d lines: %d bytes are kept, limit %d", c.lines, len(head), c.limit)
			}
			if len(tail) != 64<<10 || !strings.HasSuffix(want.String(), tail) {
				t.Errorf("%d lines: the tail has %d bytes", c.lines, len(tail))
			}
			continue
		}
		if body != want.String() {
			t.Errorf("%d lines, limit %d: the log has %d bytes of %d", c.lines, c.limit, len(body), want.Len())
		}
	}
}

func TestLogOfMuchOutput(t *testing.T) {
	k := newKept(t)
	s := k.spec(sh("yes 1234567 | head -c 200000000")...)
	s.LogSize = 1 << 20
	e := k.run(s)
	if e.Reason != Exit || e.Output != 200_000_000 || e.Dropped != 200_000_000-1<<20-64<<10 {
		t.Errorf("ended %+v", e)
	}
	log := k.log(s)
	if n := len(log); n < 1<<20+64<<10 || n > 1<<20+65<<10 || strings.Count(log, "1234567\n") != (1<<20+64<<10)/8 {
		t.Errorf("the log has %d bytes", n)
	}
}

func TestLogLines(t *testing.T) {
	k := newKept(t)
	s := k.spec("/usr/bin/printf", `it's\t%s\n`, "a\nb\x1b")
	if e := k.run(s); e.Reason != Exit {
		t.Fatalf("ended %+v", e)
	}
	if log := k.log(s); !strings.Contains(log, ` try 1: /usr/bin/printf 'it'\''s\t%s\n' $'a\nb\x1b'`+"\nit's\ta\nb\x1b\n---- ") {
		t.Errorf("the log is %q", log)
	}
	// Where the file did not end in a line break.
	s = k.spec("/bin/true")
	if err := os.WriteFile(k.dir.Join(s.Link), []byte("torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := k.runner.Record().WriteStart(Start{Run: s.Run}); err != nil {
		t.Fatal(err)
	}
	if err := k.runner.Launch(s); err != nil {
		t.Fatal(err)
	}
	if k.ended(s); !strings.HasPrefix(k.log(s), "torn\n---- ") {
		t.Errorf("the log is %q", k.log(s))
	}
}

func TestNoLogNoRun(t *testing.T) {
	k := newKept(t)
	for name, make := range map[string]func(path string) error{
		"gone":      func(string) error { return nil },
		"directory": func(path string) error { return os.Mkdir(path, 0o755) },
		"link":      func(path string) error { return os.Symlink("/dev/null", path) },
		"fifo":      func(path string) error { return unix.Mkfifo(path, 0o600) },
	} {
		s := k.spec("/usr/bin/touch", k.dir.Join("ran"))
		if err := make(k.dir.Join(s.Link)); err != nil {
			t.Fatal(err)
		}
		if err := k.runner.Launch(s); err != nil {
			t.Fatal(err)
		}
		e, ok := k.next().(Ended)
		if !ok || e.End.Reason != NotStarted || !e.End.Unlogged || !strings.Contains(e.End.Text, s.Link) {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if _, err := os.Stat(k.dir.Join("ran")); !os.IsNotExist(err) {
		t.Errorf("it ran: %v", err)
	}
}

// The copy to standard output is whole if it is read, and holds nothing up if not.
func TestTee(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	k := newKeptIn(t, t.TempDir(), writer)
	writer.Close()
	s := k.spec(sh("echo copy me; echo and me >&2")...)
	s.Tee = true
	k.run(s)
	b := make([]byte, 100)
	n, err := reader.Read(b)
	if got := string(b[:n]); err != nil || got != "copy me\nand me\n" {
		if more, _ := reader.Read(b[n:]); string(b[:n+more]) != "copy me\nand me\n" {
			t.Errorf("the copy is %q, %v", b[:n+more], err)
		}
	}
	s = k.spec(sh(seqLines(1_000_000))...)
	s.Tee = true
	if e := k.run(s); e.Output != 8_000_000 || e.Reason != Exit { // nobody reads
		t.Errorf("ended %+v", e)
	}
	s = k.spec("/bin/echo", "not me")
	k.run(s)
	reader.Close()
	s = k.spec(sh("echo nobody is there; exit 6")...)
	s.Tee = true
	if e := k.run(s); e.Exit != 6 {
		t.Errorf("ended %+v", e)
	}
}

// small mounts a file system of 1 MiB.
func small(t *testing.T) (dir string, grow func()) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("skipped: a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir, func() {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
			t.Error(err)
		}
	}
}

func full(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Bavail == 0
}

// stalled waits for the word that the log waits for room, or does not any more.
func (k *kept) stalled(s *Spec, errno unix.Errno) {
	k.t.Helper()
	if e := k.next(); e != (Stalled{Run: s.Run, Errno: errno}) {
		k.t.Fatalf("%+v, want to hear of errno %d", e, errno)
	}
}

func TestFullDiskHoldsTheJobUp(t *testing.T) {
	dir, grow := small(t)
	k := newKeptIn(t, dir, nil)
	const lines = 500_000 // 4 MB
	s := k.spec(sh(seqLines(lines) + "; exit 3")...)
	s.Silence = 600 * time.Millisecond // suspended while the disk is full
	k.launch(s)
	k.started(s)
	eventually(t, "the disk is full", func() bool { return full(dir) })
	k.stalled(s, unix.ENOSPC)
	select {
	case e := <-k.events:
		t.Fatalf("it ended on a full disk: %+v", e)
	case <-time.After(1200 * time.Millisecond): // twice the limit of silence
	}
	grow()
	k.stalled(s, 0)
	e := k.ended(s)
	if e.Reason != Exit || e.Exit != 3 || e.Output != 8*lines || e.Dropped != 0 || e.Unlogged {
		t.Errorf("ended %+v", e)
	}
	body := output(k.log(s))
	if len(body) != 8*lines || !strings.HasSuffix(body, "\n0500000\n") {
		t.Errorf("%d bytes of %d are in the log", len(body), 8*lines)
	}
}

func TestFullDiskAndTimeout(t *testing.T) {
	dir, grow := small(t)
	k := newKeptIn(t, dir, nil)
	s := k.spec(sh(seqLines(500_000))...)
	s.Timeout, s.Grace = 700*time.Millisecond, 50*time.Millisecond
	k.launch(s)
	k.started(s)
	eventually(t, "the disk is full and the job is gone", func() bool { return full(dir) && ours(t, k) == 0 })
	k.stalled(s, unix.ENOSPC)
	select {
	case e := <-k.events:
		t.Fatalf("bytes in hand were given up: %+v", e)
	case <-time.After(400 * time.Millisecond):
	}
	grow()
	k.stalled(s, 0)
	if e := k.ended(s); e.Reason != Timeout || e.Unlogged || e.Output < 1<<20 {
		t.Errorf("ended %+v", e)
	}
}

func TestFullDiskAndKill(t *testing.T) {
	dir, _ := small(t)
	k := newKeptIn(t, dir, nil)
	s := k.spec(sh(seqLines(500_000))...)
	k.launch(s)
	k.started(s)
	eventually(t, "the disk is full", func() bool { return full(dir) })
	k.stalled(s, unix.ENOSPC)
	if err := k.runner.Kill("killed by request"); err != nil {
		t.Fatal(err)
	}
	if e := k.ended(s); e.Reason != Killed || !e.Unlogged {
		t.Errorf("ended %+v; want it said that the log is not whole", e)
	}
	nobodyLeft(t, s.Run)
}

// A start that fails for want of room goes on by itself.
func TestFullDiskAtTheStart(t *testing.T) {
	dir, grow := small(t)
	k := newKeptIn(t, dir, nil)
	s := k.spec("/bin/echo", "now")
	if err := os.WriteFile(k.dir.Join(s.Link), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(k.dir.Join("ballast"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	if err := k.runner.Record().WriteStart(Start{Run: s.Run}); err != nil {
		t.Fatalf("a record has its room: %v", err)
	}
	if err := k.runner.Launch(s); err != nil {
		t.Fatal(err)
	}
	k.stalled(s, unix.ENOSPC)
	select {
	case e := <-k.events:
		t.Fatalf("event %+v on a full disk", e)
	case <-time.After(300 * time.Millisecond):
	}
	grow()
	k.stalled(s, 0)
	if e := k.ended(s); e.Reason != Exit || !strings.Contains(k.log(s), "\nnow\n") {
		t.Errorf("ended %+v:\n%s", e, k.log(s))
	}
}
