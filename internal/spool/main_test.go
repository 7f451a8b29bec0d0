package spool

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

var names = [Queues]string{
	Wait: "wait-q", Priority: "priority-q", Hold: "hold-q", Executing: "currently-executing",
	Done: "done-q", Error: "error-q", Fail: "fail-q", Archive: "archive", Trash: "trash",
}

// box is a spool in a directory of the test's.
type box struct {
	*Spool
	t    *testing.T
	root string
}

func newBox(t *testing.T) *box {
	t.Helper()
	root := t.TempDir()
	layout := Layout{Root: root, Names: names}
	if err := Make(layout); err != nil {
		t.Fatal(err)
	}
	s, err := Open(layout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &box{s, t, root}
}

func (b *box) path(q Queue, name string) string { return filepath.Join(b.root, names[q], name) }

// drop writes a file elsewhere and moves it in.
func (b *box) drop(q Queue, name, text string) {
	b.t.Helper()
	tmp := filepath.Join(b.root, "elsewhere")
	if err := errors.Join(os.WriteFile(tmp, []byte(text), 0o640), os.Rename(tmp, b.path(q, name))); err != nil {
		b.t.Fatal(err)
	}
}

// has judges what a file holds.
func (b *box) has(q Queue, name, text string) {
	b.t.Helper()
	got, err := os.ReadFile(b.path(q, name))
	if err != nil {
		b.t.Error(err)
	} else if string(got) != text {
		b.t.Errorf("%s/%s holds %q, want %q", names[q], name, got, text)
	}
}

// list judges which files lie in a directory, READMEs and all.
func (b *box) list(dir string, want ...string) {
	b.t.Helper()
	entries, err := os.ReadDir(filepath.Join(b.root, dir))
	if err != nil {
		b.t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		b.t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func (b *box) ino(q Queue, name string) uint64 {
	b.t.Helper()
	st, err := b.Dir(q).Stat(name)
	if err != nil {
		b.t.Fatal(err)
	}
	return st.Ino
}

// look is a timer's look, which must find an entry of that name.
func (b *box) look(q Queue, name string) *Entry {
	b.t.Helper()
	if _, err := b.Look(true, time.Now()); err != nil {
		b.t.Fatal(err)
	}
	e := b.Entry(q, name)
	if e == nil {
		b.t.Fatalf("%s is not in the index of %s", name, names[q])
	}
	return e
}

func (b *box) commit() {
	b.t.Helper()
	if err := errors.Join(b.Commit(), b.ClearUp()); err != nil {
		b.t.Fatal(err)
	}
}

// everything is a Head that takes the whole file.
func everything(r io.Reader) ([]byte, error) { return io.ReadAll(r) }

func yes(Content) error { return nil }

var stamp = time.Date(2026, 11, 21, 21, 49, 8, 123e6, time.UTC)

// acceptance reads a file and has it rewritten to text, "" for left as it is.
func (b *box) acceptance(e *Entry, text string) *Acceptance {
	b.t.Helper()
	c, err := b.Read(e.Queue, e.Name, everything)
	if err != nil {
		b.t.Fatal(err)
	}
	a := &Acceptance{Entry: e, Content: c, Enqueued: stamp}
	if text != "" {
		a.Rewritten = []byte(text)
	}
	return a
}

func (b *box) accept(a *Acceptance) error {
	b.t.Helper()
	if err := b.Accept([]*Acceptance{a}); err != nil {
		b.t.Fatal(err)
	}
	return a.Err
}

// claimed drops, accepts and claims a file.
func (b *box) claimed(name, text string) Claimed {
	b.t.Helper()
	b.drop(Wait, name, text)
	e := b.look(Wait, name)
	if err := b.accept(b.acceptance(e, "")); err != nil {
		b.t.Fatal(err)
	}
	c, err := b.Claim(e, everything, yes)
	if err != nil {
		b.t.Fatal(err)
	}
	b.commit()
	return c
}

// faulty lets the operations of some sites fail, for the length of a test.
func faulty(t *testing.T, at map[durable.Site]error) {
	t.Helper()
	durable.Fault = func(s durable.Site) error { return at[s] }
	t.Cleanup(func() { durable.Fault = nil })
}

// meanwhile does something just before the first operation of a site.
func meanwhile(t *testing.T, site durable.Site, do func() error) {
	t.Helper()
	did := false
	durable.Fault = func(s durable.Site) error {
		if s == site && !did {
			did = true
			if err := do(); err != nil {
				t.Error(err)
			}
		}
		return nil
	}
	t.Cleanup(func() {
		durable.Fault = nil
		if !did {
			t.Errorf("%s was never reached", site)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	var layout *LayoutError
	for what, spoil := range map[string]func(root string) error{
		"no root":         func(root string) error { return os.RemoveAll(root) },
		"a queue missing": func(root string) error { return os.Remove(filepath.Join(root, "hold-q")) },
		"a queue is a file": func(root string) error {
			d := filepath.Join(root, "hold-q")
			return errors.Join(os.Remove(d), os.WriteFile(d, nil, 0o644))
		},
		"a queue is a link": func(root string) error {
			d := filepath.Join(root, "hold-q")
			return errors.Join(os.Remove(d), os.Symlink("wait-q", d))
		},
		"another version": func(root string) error {
			return os.WriteFile(filepath.Join(root, ".monitor/version"), []byte("simple-job-q spool 2\n"), 0o644)
		},
		"no version": func(root string) error { return os.Remove(filepath.Join(root, ".monitor/version")) },
	} {
		t.Run(what, func(t *testing.T) {
			b := newBox(t)
			if err := spoil(b.root); err != nil {
				t.Fatal(err)
			}
			s, err := Open(Layout{Root: b.root, Names: names})
			if !errors.As(err, &layout) {
				t.Errorf("%v", err)
			}
			if s != nil {
				t.Error("opened")
			}
		})
	}
}

func TestLockOnce(t *testing.T) {
	b := newBox(t)
	if who, err := b.Watched(); err != nil || who != "" {
		t.Errorf("before: %q %v", who, err)
	}
	lock, err := b.Lock("pid 1")
	if err != nil {
		t.Fatal(err)
	}
	if who, err := b.Watched(); err != nil || who != "pid 1" {
		t.Errorf("held by %q: %v", who, err)
	}
	other, err := Open(Layout{Root: b.root, Names: names})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Lock("pid 2"); !errors.Is(err, ErrBusy) {
		t.Errorf("the second: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	// A full disk takes nothing from the lock but the text.
	faulty(t, map[durable.Site]error{"lock:write": unix.ENOSPC})
	if lock, err = other.Lock("pid 2"); err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := b.Lock("pid 1"); !errors.Is(err, ErrBusy) {
		t.Errorf("the third: %v", err)
	}
}

// gone reports a name that leads nowhere.
func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
