package messages

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

const head = "# how to\n# go on\n"

// box is a spool's corner with an inbox in it.
type box struct {
	t     testing.TB
	path  string
	state *durable.Dir
	*Inbox
	said []string
}

// newBox begins with text in monitor_reads; "-" means with no file.
func newBox(t testing.TB, text string) *box {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, ".monitor"), 0o700); err != nil {
		t.Fatal(err)
	}
	x := &box{t: t, path: filepath.Join(root, "monitor_reads"), state: openDir(t, filepath.Join(root, ".monitor"))}
	if text != "-" {
		write(t, text, x.path)
	}
	x.start()
	x.want()
	t.Cleanup(x.crash)
	return x
}

func (x *box) start() {
	x.t.Helper()
	var err error
	if x.Inbox, x.said, err = OpenInbox(x.path, x.state, "reads"); err != nil {
		x.t.Fatal(err)
	}
}

// crash ends an inbox as SIGKILL does: descriptors close, nothing is written.
func (x *box) crash() {
	if x.Inbox == nil {
		return
	}
	if x.src != nil {
		unix.Close(x.src.file.Fd())
	}
	if x.marks.file != nil {
		unix.Close(x.marks.file.Fd())
	}
	x.Inbox = nil
}

func (x *box) append(text string) {
	x.t.Helper()
	f, err := os.OpenFile(x.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		x.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		x.t.Fatal(err)
	}
}

// replace puts a new file in the place, as an editor does.
func (x *box) replace(text string) {
	x.t.Helper()
	write(x.t, text, x.path+"~")
	if err := os.Rename(x.path+"~", x.path); err != nil {
		x.t.Fatal(err)
	}
}

// reads is what one Read returns, a repeat marked with a !.
func (x *box) reads() []string {
	x.t.Helper()
	lines, said, err := x.Read()
	if err != nil {
		x.t.Fatal(err)
	}
	x.said = append(x.said, said...)
	return shown(lines)
}

func shown(lines []Line) (got []string) {
	for _, l := range lines {
		if l.Again {
			l.Text += "!"
		}
		got = append(got, l.Text)
	}
	return got
}

func (x *box) want(lines ...string) {
	x.t.Helper()
	if d := cmp.Diff(lines, x.reads()); d != "" {
		x.t.Errorf("lines: %s", d)
	}
}

func (x *box) acted() {
	x.t.Helper()
	said, err := x.Done()
	if err != nil {
		x.t.Fatal(err)
	}
	x.said = append(x.said, said...)
}

func (x *box) holds(text string) {
	x.t.Helper()
	if d := cmp.Diff(text, read(x.t, x.path)); d != "" {
		x.t.Errorf("%s: %s", x.path, d)
	}
}

// says asserts that each part was said since the last call, and nothing else.
func (x *box) says(parts ...string) {
	x.t.Helper()
	ok := len(parts) == len(x.said)
	for i := range parts {
		ok = ok && strings.Contains(x.said[i], parts[i])
	}
	if !ok {
		x.t.Errorf("said %q, want %q", x.said, parts)
	}
	x.said = nil
}

func TestReadAndDone(t *testing.T) {
	x := newBox(t, head)
	x.want()
	before, _ := os.Stat(x.path)
	x.append("STATUS\n\n  \n# no message\nHOLD my job \r\nBAD\x00\n")
	x.want("STATUS", "HOLD my job ", "BAD\x00")
	x.holds(head + "STATUS\n\n  \n# no message\nHOLD my job \r\nBAD\x00\n")
	x.want()
	x.acted()
	x.holds(head)
	after, _ := os.Stat(x.path)
	if !os.SameFile(before, after) {
		t.Error("the file was replaced")
	}
	x.want()
	x.acted()
	x.append("A\n")
	x.want("A")
	x.append("B\n")
	x.want("B") // while A is still being acted upon
	x.acted()
	x.holds(head)
	x.says()
}

func TestComments(t *testing.T) {
	x := newBox(t, "")
	x.append("# one\n")
	x.want()
	x.append("# two") // stays open
	x.want()
	x.want()
	x.append(" more\nA\n# not of the block\n")
	x.want("A")
	x.acted()
	x.holds("# one\n# two more\n")
	x.append("# three\n")
	x.want()
	x.holds("# one\n# two more\n# three\n")
	x.append("\n# four\n") // nothing to act upon, and not of the block
	x.want()
	x.holds("# one\n# two more\n# three\n")
	x.says()
}

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

// What is in the way is said once, waited for, and said to be over.
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

// After a crash nobody can tell whether the file was never cut or the very same
// lines came again: repeats, and said.
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

// A batch so large that it is handed out in parts keeps its repeats through
// another crash.
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

// Cut long after the lines were acted upon, and killed just before: the file's
// mtime tells that it was not touched.
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
	x.want() // a writer is there
	fmt.Fprint(w, "JOB")
	w.Close()
	x.want() // changed since the last look
	tail, err := os.Open(x.path)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	x.want("KILL JOB") // a reader does not matter
	x.acted()
	tail.Close()
	x.says("its last line has no newline")
	x.append("\nB\n")
	x.want("B")
	x.acted()
	x.holds(head)
	x.says()
}

// during runs act once, just before an operation.
func during(t *testing.T, site durable.Site, nth int, act func()) {
	t.Helper()
	withFault(t, func(s durable.Site) error {
		if s == site {
			if nth--; nth == 0 {
				act()
			}
		}
		return nil
	})
	t.Cleanup(func() {
		if nth > 0 {
			t.Errorf("%s did not happen", site)
		}
	})
}

// Between the record and the cut somebody may open the file, or have written.
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

func TestUnendedLineGrowsJustBeforeItIsTaken(t *testing.T) {
	x := newBox(t, head)
	x.append("KILL ")
	x.want()
	during(t, "reads:reopen", 2, func() { x.append("JOB") })
	x.want()
	x.append(" x\n")
	x.want("KILL JOB x")
}

// No kill shows a missing sync, so the order of operations is written down.
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

func TestLongLines(t *testing.T) {
	x := newBox(t, "")
	x.append(strings.Repeat("y", maxLine) + "\nA\n" + strings.Repeat("x", maxLine+1) + "\nB\n")
	x.want(strings.Repeat("y", maxLine), "A", "B")
	x.acted()
	x.says("a line of more than 64 KiB is passed over: \"xxx")
	x.holds("")
	for range 30 { // 3 MB in all
		x.append(strings.Repeat("z", 100<<10))
		x.want()
	}
	x.says("a line of more than 64 KiB")
	x.crash()
	x.start()
	x.want()
	x.append("end of it\nC\n")
	x.want("C")
	x.acted()
	x.crash()
	x.start()
	x.want()
	x.holds("")
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
	// The old one's last line has no newline.
	x.append("F")
	x.replace("G\n")
	x.want("F")
	x.acted()
	x.want("G")
}

// An editor saves what it read before the file was cut.
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

// A torn write of one half leaves the other, whichever it was.
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

func TestIdleReadIsCheap(t *testing.T) {
	x := newBox(t, head)
	x.append("A\n")
	x.want("A")
	x.acted()
	x.want()
	calls := 0
	withFault(t, func(durable.Site) error { calls++; return nil })
	if n := testing.AllocsPerRun(100, func() {
		if lines, said, err := x.Read(); len(lines) > 0 || len(said) > 0 || err != nil {
			t.Error(lines, said, err)
		}
	}); n > 4 || calls != 0 {
		t.Errorf("%v allocations, %d operations", n, calls)
	}
}
