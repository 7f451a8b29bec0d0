package spool

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"simplejobq/internal/durable"
)

func (b *box) survey(timer bool) Survey {
	b.t.Helper()
	found, err := b.Look(timer, time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

// Without notifications the timer finds everything by itself.
func TestTimerFindsAll(t *testing.T) {
	b := newBox(t)
	for i := range 20 {
		b.drop(Queue(i%2), fmt.Sprint("f", i), "x\n")
	}
	b.drop(Wait, ".hidden", "x")
	if found := b.survey(true); len(found.Fresh) != 20 {
		t.Errorf("%d found, want 20", len(found.Fresh))
	}
	if files, ignored := b.Count(Wait); files != 10 || ignored != 1 {
		t.Errorf("%d files, %d not looked at", files, ignored)
	}
	e := b.Entry(Wait, "f0")
	if err := errors.Join(os.Remove(b.path(Wait, "f2")), os.Rename(b.path(Wait, "f4"), b.path(Wait, "g4"))); err != nil {
		t.Fatal(err)
	}
	b.drop(Wait, "f6", "another\n")
	found := b.survey(true)
	if len(found.Gone) != 3 || len(found.Fresh) != 2 {
		t.Errorf("%d gone, %d fresh", len(found.Gone), len(found.Fresh))
	}
	if b.Entry(Wait, "f0") != e {
		t.Error("an untouched file has another entry")
	}
}

// A wake-up reads no directory, only the names it was told.
func TestHintsAlone(t *testing.T) {
	b := newBox(t)
	b.survey(true)
	b.drop(Wait, "told", "x\n")
	b.drop(Wait, "untold", "x\n")
	b.hint(Wait, func(h *hints) { h.add("told"); h.add("nobody") })
	if found := b.survey(false); len(found.Fresh) != 1 || found.Fresh[0].Name != "told" {
		t.Errorf("%+v", found.Fresh)
	}
	// An overflow: names were lost, so all is read.
	b.Overlook()
	if found := b.survey(false); len(found.Fresh) != 1 || found.Fresh[0].Name != "untold" {
		t.Errorf("%+v", found.Fresh)
	}
}

func TestReplacedQueue(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "old", "x\n")
	b.survey(true)
	away := b.root + "/away"
	if err := os.Rename(b.root+"/wait-q", away); err != nil {
		t.Fatal(err)
	}
	var missing *GoneError
	if _, err := b.Look(true, time.Now()); !errors.As(err, &missing) {
		t.Errorf("gone: %v", err)
	}
	// Another directory in its place is followed.
	if err := os.Mkdir(b.root+"/wait-q", 0o755); err != nil {
		t.Fatal(err)
	}
	b.drop(Wait, "new", "x\n")
	found := b.survey(true)
	if len(found.Moved) != 1 || len(found.Gone) != 1 || len(found.Fresh) != 1 || found.Fresh[0].Name != "new" {
		t.Errorf("%+v", found)
	}
	// And the old one when it is back.
	if err := errors.Join(os.RemoveAll(b.root+"/wait-q"), os.Rename(away, b.root+"/wait-q")); err != nil {
		t.Fatal(err)
	}
	if found = b.survey(true); len(found.Fresh) != 1 || found.Fresh[0].Name != "old" {
		t.Errorf("%+v", found)
	}
	b.commit()
}

// A file is settled when nothing changed for a while; each change begins anew.
func TestStill(t *testing.T) {
	e := &Entry{}
	st := durable.Stat{Ino: 1, Size: 5, Mtime: 1, Ctime: 1}
	now := time.Now()
	for i, step := range []struct {
		after  time.Duration
		change func()
		want   time.Duration
	}{
		{0, nil, 0},
		{time.Second, nil, time.Second},
		{time.Second, nil, 2 * time.Second},
		{0, func() { st.Size++ }, 0},
		{time.Second, func() { st.Ctime++ }, 0},
		{3 * time.Second, nil, 3 * time.Second},
	} {
		now = now.Add(step.after)
		if step.change != nil {
			step.change()
		}
		if got := e.Still(st, now); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}

func TestWatch(t *testing.T) {
	b := newBox(t)
	reads := b.root + "/monitor_reads"
	if err := os.WriteFile(reads, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	woken := make(chan struct{}, 1)
	w, err := b.Watch(reads, func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	b.survey(true)
	until := func(what string, found func(Survey) bool) {
		t.Helper()
		deadline := time.After(10 * time.Second)
		for {
			select {
			case <-woken:
				if found(b.survey(false)) {
					return
				}
			case <-deadline:
				t.Fatalf("%s: not noticed", what)
			}
		}
	}
	b.drop(Wait, "a", "x\n")
	until("a new file", func(s Survey) bool { return len(s.Fresh) == 1 && s.Fresh[0].Name == "a" })
	if err := os.WriteFile(b.path(Wait, "a"), []byte("other\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	until("an edit", func(s Survey) bool { return b.Entry(Wait, "a").Size == 6 })
	if err := os.Remove(b.path(Wait, "a")); err != nil {
		t.Fatal(err)
	}
	until("a removal", func(s Survey) bool { return len(s.Gone) == 1 })
	if err := os.WriteFile(reads, []byte("HELP\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	until("a message", func(Survey) bool { return true })
}

// That we claimed a file is no news; that somebody else takes one away is, also one of
// the same name.
func TestOwnMovesAreNoNews(t *testing.T) {
	b := newBox(t)
	reads := b.root + "/monitor_reads"
	if err := os.WriteFile(reads, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	woken := make(chan struct{}, 100)
	w, err := b.Watch(reads, func() { woken <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	// The kernel tells in order: once it has told of this, it has told of what was before.
	told := func() (n int) {
		t.Helper()
		if err := os.WriteFile(reads, []byte("HELP\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		for {
			select {
			case <-woken:
				n++
			case <-time.After(300 * time.Millisecond):
				return n
			}
		}
	}
	quiet := told() // what the message itself is told by
	c := b.claimed("a", "x\n")
	dropped := told()
	if _, err := b.Dir(Executing).Stat(c.Name); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	left := len(b.hints[Wait].ours)
	_, hinted := b.hints[Wait].names["a"]
	b.mu.Unlock()
	if left != 0 || dropped <= quiet {
		t.Errorf("%d names still to be told of, woken %d times after %d for the message alone", left, dropped, quiet)
	}
	if hinted && b.Entry(Wait, "a") == nil {
		b.survey(false) // of the drop
	}
	b.drop(Wait, "a", "y\n")
	b.survey(true)
	if err := os.Rename(b.path(Wait, "a"), b.root+"/away"); err != nil {
		t.Fatal(err)
	}
	if n := told(); n <= quiet {
		t.Errorf("woken %d times, as if nobody had taken it", n)
	}
	if s := b.survey(false); len(s.Gone) != 1 {
		t.Errorf("it is not gone: %+v", s)
	}
}
