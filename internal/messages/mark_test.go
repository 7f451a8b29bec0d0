package messages

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

func TestRestart(t *testing.T) {
	x := newBox(t, head)
	x.append("A\nB\n")
	x.want("A", "B")
	x.crash()
	x.append("C\n")
	x.start()
	x.want("A!", "B!", "C")
	x.crash() // the recovery crashes too
	x.start()
	x.want("A!", "B!", "C!")
	x.acted()
	x.holds(head)
	x.crash()
	x.append("D\n")
	x.start()
	x.want("D")
	x.acted()
	x.says()
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	x.append("D\n") // the very same bytes, after a clean end
	x.start()
	x.want("D")
	x.says()
}

func TestSameBytesAgain(t *testing.T) {
	x := newBox(t, head)
	x.append("A\nB\n")
	x.want("A", "B")
	x.acted()
	x.holds(head)
	x.crash()
	x.append("A\nB\nC\n")
	x.start()
	x.want("A!", "B!", "C")
	x.says("may have been appended again")
}

func TestRepeatsOutliveASecondCrash(t *testing.T) {
	x := newBox(t, head)
	line := strings.Repeat("x", 60<<10)
	var all []string
	for i := range 40 { // 2.4 MB
		all = append(all, fmt.Sprintf("%d %s", i, line))
		x.append(all[i] + "\n")
	}
	var got []string
	for {
		got = append(got, x.reads()...)
		if !x.More() {
			break
		}
	}
	if !cmp.Equal(got, all) {
		t.Fatalf("%d of %d lines", len(got), len(all))
	}
	x.crash()
	x.start()
	first := len(x.reads())
	if !x.More() || first == len(all) {
		t.Fatal("all came in one part")
	}
	x.acted()
	x.crash()
	x.start()
	rest := x.reads()
	for x.More() {
		rest = append(rest, x.reads()...)
	}
	for i, l := range rest {
		if l != all[first+i]+"!" {
			t.Fatalf("line %d is %.20q", first+i, l)
		}
	}
	if len(rest) != len(all)-first {
		t.Errorf("%d and %d of %d lines", first, len(rest), len(all))
	}
}

func TestOrderOfOperations(t *testing.T) {
	x := newBox(t, head)
	var got []string
	withFault(t, func(s durable.Site) error { got = append(got, string(s)); return nil })
	x.append("A\n")
	x.want("A")
	got = append(got, "act")
	x.acted()
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"reads intent:write", "reads intent:sync", "act", "reads done:write", "reads done:sync", "reads:truncate",
		"reads:sync", "reads done:write", "reads done:sync",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// A new record is whole before it has its name.
	if err := os.Remove(filepath.Join(x.state.Path(), "reads")); err != nil {
		t.Fatal(err)
	}
	got = nil
	x.start()
	x.want()
	want = []string{
		"reads state:remove", "reads:open", "reads state:remove", "reads state:create", "reads state:write",
		"reads state:sync", "reads state:rename", "reads state:sync directory",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestStateDamaged(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"empty":   func(p string) error { return os.Truncate(p, 0) },
		"one":     func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) },
		"blanks":  func(p string) error { return os.WriteFile(p, []byte(strings.Repeat(" ", 2*slotSize)), 0o600) },
		"garbage": func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("g\n", slotSize)), 0o600) },
		"fifo": func(p string) error {
			if err := os.Remove(p); err != nil {
				return err
			}
			return unix.Mkfifo(p, 0o600)
		},
		"missing": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			x := newBox(t, head)
			tail, err := os.Open(x.path)
			if err != nil {
				t.Fatal(err)
			}
			defer tail.Close()
			x.append("A\n")
			x.want("A")
			x.acted()
			x.crash()
			if err := harm(filepath.Join(x.state.Path(), "reads")); err != nil {
				t.Fatal(err)
			}
			x.start()
			x.append("B\n")
			if name == "missing" {
				x.want("A", "B")
				x.says("there is no record")
			} else {
				x.want("A!", "B")
				x.says("is damaged")
			}
			x.acted()
			x.crash()
			x.start()
			x.want()
			x.says()
		})
	}
}

func TestStateTorn(t *testing.T) {
	x := newBox(t, head)
	for i := range 6 {
		x.append(fmt.Sprintf("A%d\n", i))
		x.want(fmt.Sprintf("A%d", i))
		x.crash()
		path := filepath.Join(x.state.Path(), "reads")
		b := []byte(read(t, path))
		a, okA := readSlot(b[:slotSize])
		c, okC := readSlot(b[slotSize:])
		if !okA || !okC {
			t.Fatal("a slot is not readable")
		}
		newest := 0
		if c.Seq > a.Seq {
			newest = slotSize
		}
		copy(b[newest+10:], "torn torn torn")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		x.start()
		// The intent got lost, so nothing can have been handed out before.
		if got := x.reads(); len(got) != 1 || strings.TrimSuffix(got[0], "!") != fmt.Sprintf("A%d", i) {
			t.Fatalf("round %d: %q", i, got)
		}
		x.acted()
		x.holds(head)
	}
}

func TestStateUnusable(t *testing.T) {
	x := newBox(t, head)
	x.crash()
	record := filepath.Join(x.state.Path(), "reads")
	if err := errors.Join(os.Remove(record), os.Symlink("elsewhere", record)); err != nil {
		t.Fatal(err)
	}
	if b, _, err := OpenInbox(x.path, x.state, "reads"); err == nil {
		b.Close()
		t.Error("the record is read through a link")
	}
}
