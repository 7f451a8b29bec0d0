package monitor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"simplejobq/internal/spool"
)

// Of one that waits for many only the name is looked at of which there is news; all of
// them when the last has come.
func TestNewsOfMany(t *testing.T) {
	names := []string{"job0000000", "job0000001", "job0000002"}
	s := queued(t, 4, func(i int) string {
		if i == 3 {
			return "COMMAND :: true\nAFTER :: job0000000, job0000001\nAFTER ANY :: job0000002"
		}
		return plainItems(i)
	})
	s.readAll(t)
	e := s.sp.Entry(spool.Wait, "job0000003")
	s.order.take(s.order.first(spool.Wait, func(string) bool { return true }))
	s.putAside(e, s.gate(e))
	end := func(name string, q spool.Queue) {
		t.Helper()
		if other := s.sp.Entry(spool.Wait, name); other != nil {
			if _, err := s.sp.Put("test", other, q); err != nil {
				t.Fatal(err)
			}
		}
		s.order.news(name)
	}
	awaited := func() (out []string) {
		for _, name := range names {
			if s.order.awaited(name) {
				out = append(out, name)
			}
		}
		return out
	}
	check := func(waits int, want ...string) {
		t.Helper()
		if s.order.empty() {
			t.Error("news, and nothing to do")
		}
		s.hear()
		if got := awaited(); termsOf(e).waits != waits || !slices.Equal(got, want) {
			t.Errorf("waits for %d, %q; want %d, %q", termsOf(e).waits, got, waits, want)
		}
	}
	s.order.news(names[0]) // it is as it was
	check(3, names...)
	end(names[1], spool.Done)
	check(2, names[0], names[2])
	end(names[2], spool.Error) // any end will do
	check(1, names[0])
	if s.hears(e, names[0], map[string]fate{names[0]: fateBad}) != askAgain {
		t.Error("that it can't start any more is not noticed")
	}
	if s.hears(e, "nobody", map[string]fate{}) != askAgain || s.hears(&spool.Entry{}, names[0], nil) != askAgain {
		t.Error("who waits for something else is not asked")
	}
	// Somebody takes back what was done: the last look is at everything.
	done := s.sp.Dir(spool.Done)
	if err := os.Rename(done.Join(names[1]), filepath.Join(s.conf.Root, "away")); err != nil {
		t.Fatal(err)
	}
	end(names[0], spool.Done)
	if got := s.next(); got != nil {
		t.Errorf("%s is next", got.Name)
	}
	if got := awaited(); !slices.Equal(got, names[1:2]) {
		t.Errorf("%q are awaited", got)
	}
	if err := os.Rename(filepath.Join(s.conf.Root, "away"), done.Join(names[1])); err != nil {
		t.Fatal(err)
	}
	s.order.recheck()
	if got := s.next(); got != e {
		t.Errorf("%v is next", got)
	}
}

// The digest tells the same of those on the shelf and the others, in one order.
func TestDigestInOrder(t *testing.T) {
	s := queued(t, 100, func(i int) string {
		if i%3 == 0 {
			return "COMMAND :: true\nNOT BEFORE :: 2100-01-01T00:00:00Z"
		}
		return plainItems(i)
	})
	s.readAll(t)
	if n := s.sp.Shelved(spool.Wait); n < 60 || n > 70 {
		t.Errorf("%d on the shelf", n)
	}
	d := s.compose(s.wall)
	var got, want []string
	for _, j := range d.Next {
		got = append(got, j.Name)
	}
	for second := range 60 {
		for i := second; i < 100; i += 60 {
			want = append(want, fmt.Sprintf("job%07d", i))
		}
	}
	if want = want[:nextShown]; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if n := d.Queues.Of(s.sp.Name(spool.Wait)); n != 100 || d.OldestWaitingSeconds <= 0 {
		t.Errorf("%d wait, the oldest for %v s", n, d.OldestWaitingSeconds)
	}
}
