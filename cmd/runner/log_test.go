package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"simplejobq/internal/durable"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// faulty lets appends fail while *err is set.
func faulty(t *testing.T, err *error) {
	durable.Fault = func(s durable.Site) error {
		if s == "log:append" {
			return *err
		}
		return nil
	}
	t.Cleanup(func() { durable.Fault = nil })
}

func openTestLog(t interface{ Fatal(...any) }, path string, limit int64) *jobLog {
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	dir, err := durable.OpenDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	l := &jobLog{limit: limit}
	if err := l.open(dir, filepath.Base(path)); err != nil {
		t.Fatal(err)
	}
	return l
}

// Whatever is written in whatever pieces, whenever the disk is full: the log
// holds the beginning, what is missing is counted, and the end is there.
func TestLogKeepsBothEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var trouble error
	faulty(t, &trouble)
	rapid.Check(t, func(t *rapid.T) {
		trouble = nil
		limit := rapid.Int64Range(0, 100_000).Draw(t, "limit")
		l := openTestLog(t, path, limit)
		defer l.f.Close()
		var all []byte
		now := time.Now()
		for i, n := range rapid.SliceOfN(rapid.IntRange(1, 90_000), 0, 8).Draw(t, "pieces") {
			trouble = rapid.SampledFrom([]error{nil, nil, unix.ENOSPC, unix.EIO}).Draw(t, "trouble")
			piece := bytes.Repeat([]byte{byte('a' + i)}, n)
			all = append(all, piece...)
			l.take(piece)
			for l.blocked() { // nothing is read meanwhile
				trouble = nil
				now = now.Add(logRetry + time.Second)
				l.retry(now)
			}
		}
		dropped := l.flushTail("try 1", func(n int64) string { return "missing" })
		trouble = nil
		l.retry(now.Add(time.Hour))
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if limit == 0 || int64(len(all)) <= limit+keptTail {
			if !bytes.Equal(got, all) || dropped != 0 {
				t.Fatalf("%d bytes of %d, %d dropped", len(got), len(all), dropped)
			}
			return
		}
		head, tail, _ := strings.Cut(string(got), "---- ")
		_, tail, _ = strings.Cut(tail, ": missing\n")
		if strings.TrimSuffix(head, "\n") != string(all[:limit]) || tail != string(all[len(all)-keptTail:]) || dropped != int64(len(all))-limit-keptTail {
			t.Fatalf("head %d (limit %d), tail %d, dropped %d of %d", len(head), limit, len(tail), dropped, len(all))
		}
		if l.lost {
			t.Fatal("something is given up")
		}
	})
}

func TestLogWaitsForRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	trouble := error(unix.ENOSPC)
	faulty(t, &trouble)
	l := openTestLog(t, path, 0)
	defer l.f.Close()
	l.take([]byte("a"))
	l.line("try 1", "note")
	now := time.Now()
	l.retry(now.Add(time.Second))
	if !l.blocked() || l.lost {
		t.Fatalf("blocked %v, lost %v", l.blocked(), l.lost)
	}
	trouble = nil
	l.retry(now) // not due yet
	if !l.blocked() {
		t.Error("it is tried before it is due")
	}
	l.retry(now.Add(time.Minute))
	if b, err := os.ReadFile(path); l.blocked() || err != nil || !strings.HasPrefix(string(b), "a\n---- ") || !strings.HasSuffix(string(b), "Z try 1: note\n") {
		t.Errorf("the log is %q, %v", b, err)
	}
	// What waiting does not help is given up at once, and that is known.
	trouble = unix.EFBIG
	if l.take([]byte("b")); l.blocked() || !l.lost {
		t.Errorf("blocked %v, lost %v", l.blocked(), l.lost)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {""}, {"-x"}, {"--kept", "more"}, {"a", "b"}} {
		var out strings.Builder
		if code := realMain(args, &out); code != 2 || !strings.HasPrefix(out.String(), "usage: runner --kept") {
			t.Errorf("%q: %d %q", args, code, out.String())
		}
	}
}

func TestTrouble(t *testing.T) {
	for _, err := range []error{unix.ENOSPC, unix.EMFILE, unix.ENFILE, unix.EAGAIN, unix.ENOMEM, unix.EDQUOT, unix.EROFS} {
		if !durable.Passing(err) || !durable.Passing(errors.Join(err)) {
			t.Errorf("%v does not pass by itself: a start would be refused for it", err)
		}
	}
}
