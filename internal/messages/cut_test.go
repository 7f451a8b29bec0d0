package messages

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"simplejobq/internal/durable"
)

func TestReaderDelaysRemovalOnly(t *testing.T) {
	x := newBox(t, head)
	tail, err := os.Open(x.path)
	if err != nil {
		t.Fatal(err)
	}
	x.append("A\n")
	x.want("A")
	x.acted()
	x.holds(head + "A\n")
	x.append("B\n")
	x.want("B")
	x.acted()
	x.crash()
	x.start()
	x.want()
	x.holds(head + "A\nB\n")
	tail.Close()
	x.want()
	x.holds(head)
	x.says()
	x.append("C\n")
	x.want("C")
}

func TestKilledBeforeALateCut(t *testing.T) {
	x := newBox(t, head)
	x.append("A\n")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(x.path, old, old); err != nil {
		t.Fatal(err)
	}
	x.want("A")
	withFault(t, func(site durable.Site) error {
		if site == "reads:truncate" {
			panic("killed")
		}
		return nil
	})
	func() {
		defer func() { _ = recover() }()
		x.acted()
	}()
	durable.Fault = nil
	x.holds(head + "A\n")
	x.crash()
	x.start()
	x.want()
	x.holds(head)
	x.says()
}

// Half a message is never acted upon, whoever has the file open and however long it
// lies there, over crashes too: KILL JOB may be the beginning of KILL JOB name.
func TestUnendedLine(t *testing.T) {
	x := newBox(t, head)
	w, err := os.OpenFile(x.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "A\nKILL ")
	x.want("A")
	x.acted()
	x.want()
	x.says() // somebody may be about to go on
	if !x.Unended() {
		t.Error("nothing tells that it is to be looked at again")
	}
	fmt.Fprint(w, "JOB")
	w.Close()
	x.want()
	x.says() // it has grown
	if w, err = os.OpenFile(x.path, os.O_WRONLY|os.O_APPEND, 0); err != nil {
		t.Fatal(err)
	}
	x.calm = 0
	x.want()
	x.says(`its last line has no newline and is not acted upon until it has one: "KILL JOB"`) // he may still
	x.want()
	x.acted()
	x.want()
	x.says() // once
	x.holds(head + "A\nKILL JOB")
	fmt.Fprint(w, " x\nSHUT")
	x.want("KILL JOB x")
	x.acted()
	x.want()
	x.says(`"SHUT"`) // another one
	w.Close()
	x.want()
	if !x.More() {
		t.Error("nothing tells that there is more to read")
	}
	x.want("SHUT\x7f") // which is refused
	x.acted()
	x.want()
	x.holds(head)
	x.says()
	// Nobody has it open: it is ended, so that the next message is one of its own.
	x.append("KILL JOB")
	x.want()
	x.want("KILL JOB\x7f")
	x.says(`its last line has no newline and is not acted upon: "KILL JOB"; if it is still meant, append it once more, whole`)
	x.crash()
	x.start()
	x.append("B\n")
	x.want("KILL JOB\x7f!", "B")
	x.acted()
	x.want()
	x.holds(head)
}

// What a crash, of the machine perhaps, left long ago is ended at once; without room it
// is when there is some.
func TestUnendedLongAgo(t *testing.T) {
	x := newBox(t, head)
	x.append("KILL JOB")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(x.path, old, old); err != nil {
		t.Fatal(err)
	}
	withFault(t, func(site durable.Site) error {
		if site == "reads:end" {
			return syscall.ENOSPC
		}
		return nil
	})
	x.want()
	x.says(`is not acted upon until it has one: "KILL JOB"`)
	x.holds(head + "KILL JOB")
	durable.Fault = nil
	x.want()
	x.want("KILL JOB\x7f")
	x.says()
}

// What there is nothing to act upon in is not spoken of, and takes no message with it.
func TestUnendedRemark(t *testing.T) {
	x := newBox(t, head)
	x.append("# of the block")
	x.want()
	x.holds(head + "# of the block")
	x.append(" more\nA\n# a remark")
	x.want("A")
	x.acted()
	x.calm = 0
	x.want()
	x.append("B\n  ")
	x.want("B")
	x.acted()
	x.want()
	x.append("C\n")
	x.want("C")
	x.acted()
	x.want()
	x.says()
	x.holds(head + "# of the block more\n")
}

func TestWriterComesJustBeforeTheCut(t *testing.T) {
	x := newBox(t, head)
	x.append("A\n")
	x.want("A")
	var w *os.File
	during(t, "reads done:sync", 1, func() { w, _ = os.OpenFile(x.path, os.O_WRONLY|os.O_APPEND, 0) })
	x.acted()
	x.holds(head + "A\n")
	fmt.Fprint(w, "B\n")
	w.Close()
	x.want("B")
	during(t, "reads done:sync", 1, func() { x.append("C\n") })
	x.acted()
	x.holds(head + "A\nB\nC\n")
	x.crash() // the cut that did not happen leaves no doubt
	x.start()
	x.want("C")
	x.acted()
	x.holds(head)
	x.says()
}

// The shell's > instead of >>, while what stood there is acted upon: as many bytes,
// and perhaps within one tick of the clock.
func TestRewrittenBeforeTheCut(t *testing.T) {
	same := strings.Repeat("# much the same\n", 40)
	for _, c := range []struct{ name, first, second, want, says string }{
		{"another line", "KILL JOB a\n", "KILL JOB b\n", "KILL JOB b", "was emptied or rewritten"},
		{"far from the end", "KILL JOB a\n" + same, "KILL JOB b\n" + same, "KILL JOB b", "was emptied or rewritten"},
		{"the same line", "STATUS\n", "STATUS\n", "STATUS!", "counts as a repeat"},
		{"an order before", "A\nB\n", "C\nB\n", "C", "was emptied or rewritten"},
	} {
		for when, site := range map[string]durable.Site{"before the record": "reads done:write", "after it": "reads done:sync"} {
			for _, tick := range []bool{false, true} {
				if tick && c.first == c.second {
					continue // nothing could tell
				}
				t.Run(fmt.Sprintf("%s %s tick %v", c.name, when, tick), func(t *testing.T) {
					x := newBox(t, head)
					write(t, c.first, x.path)
					if got := x.reads(); len(got) == 0 {
						t.Fatal("nothing was read")
					}
					x.said = nil
					before, err := os.Stat(x.path)
					if err != nil {
						t.Fatal(err)
					}
					during(t, site, 1, func() {
						write(t, c.second, x.path)
						at := before.ModTime()
						if !tick {
							at = at.Add(time.Millisecond)
						}
						if err := os.Chtimes(x.path, at, at); err != nil {
							t.Error(err)
						}
					})
					x.acted()
					x.holds(c.second)
					if got := x.reads(); len(got) == 0 || got[0] != c.want {
						t.Errorf("read %q, want first %q", got, c.want)
					}
					x.says(c.says)
					x.acted()
					x.says()
					x.want()
					if got := read(t, x.path); strings.Contains(got, "KILL") {
						t.Errorf("left is %q", got)
					}
				})
			}
		}
	}
}

// With a reader in the way of the cut the next look has to find it, although the time
// of change is the same.
func TestRewrittenWithinATick(t *testing.T) {
	x := newBox(t, head)
	tail, err := os.Open(x.path)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	write(t, "KILL JOB a\n", x.path)
	x.want("KILL JOB a")
	x.acted()
	x.said = nil
	before, err := os.Stat(x.path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, "KILL JOB b\n", x.path)
	if err := os.Chtimes(x.path, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	x.want("KILL JOB b")
	x.says("was emptied or rewritten")
}

// Only a text that was read can have been written once more.
func TestCutBeforeTheFirstLook(t *testing.T) {
	x := newBox(t, head)
	tail, err := os.Open(x.path)
	if err != nil {
		t.Fatal(err)
	}
	x.append("A\n")
	x.want("A")
	x.acted()
	x.crash()
	tail.Close()
	x.start()
	x.acted()
	x.want()
	x.says()
	x.holds(head)
}

// Zeros are no text: neither do they hide a message behind them nor are they spoken of.
func TestZerosOfAPowerCut(t *testing.T) {
	x := newBox(t, head)
	x.append(strings.Repeat("\x00", 20))
	x.crash()
	x.start()
	x.append("A\n" + strings.Repeat("\x00", 7) + "B\n")
	x.want("A", "B")
	x.acted()
	x.want()
	x.says()
	x.holds(head)
}
