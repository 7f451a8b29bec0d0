package messages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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

// What is in the way is said once, waited for, and said to be over.

// After a crash nobody can tell whether the file was never cut or the very same

// lines came again: repeats, and said.

// A batch so large that it is handed out in parts keeps its repeats through

// another crash.

// Cut long after the lines were acted upon, and killed just before: the file's

// mtime tells that it was not touched.

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

// No kill shows a missing sync, so the order of operations is written down.

// An editor saves what it read before the file was cut.

// A torn write of one half leaves the other, whichever it was.
