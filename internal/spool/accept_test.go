package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

func TestAcceptInPlace(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "a", "text\n")
	e := b.look(Wait, "a")
	ino := b.ino(Wait, "a")
	if err := b.accept(b.acceptance(e, "")); err != nil {
		t.Fatal(err)
	}
	b.has(Wait, "a", "text\n")
	st, err := b.Dir(Wait).Stat("a")
	if err != nil || st.Ino != ino || st.Mtime != stamp.UnixNano() {
		t.Errorf("inode %d, mtime %d: %v", st.Ino, st.Mtime, err)
	}
	if e.State != Accepted || e.Enqueued != stamp.UnixNano() || e.Size != st.Size || e.Mtime != st.Mtime {
		t.Errorf("the index does not know: %+v", e)
	}
	// Our own change wakes nobody.
	if found, err := b.Look(true, stamp); err != nil || len(found.Fresh) != 0 {
		t.Errorf("looked at again: %v %v", found.Fresh, err)
	}
}

// A UOW that begins anew does so as a whole: what it had ended as stays in the file
// that was there until its copy takes the name.
func TestAcceptAnew(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "a", "text\n")
	ino := b.ino(Wait, "a")
	a := b.acceptance(b.look(Wait, "a"), "")
	a.Patch, a.PatchAt, a.Line = []byte("TE"), 0, []byte("line\n")
	if err := b.accept(a); err != nil {
		t.Fatal(err)
	}
	b.has(Wait, "a", "TExt\nline\n")
	if b.ino(Wait, "a") == ino {
		t.Error("written in place: a power cut may keep a part of that")
	}
}

// ways are how a file gets its completed copy.
var ways = map[string]map[durable.Site]error{
	"by exchange": nil,
	"by turns":    {"accept:exchange": unix.EINVAL},
}

func TestAcceptCopy(t *testing.T) {
	for way, faults := range ways {
		t.Run(way, func(t *testing.T) {
			faulty(t, faults)
			b := newBox(t)
			name := strings.Repeat("n", 255)
			b.drop(Wait, name, "text\nand the rest\n")
			e := b.look(Wait, name)
			a := b.acceptance(e, "")
			a.Content.Head, a.Rewritten, a.Line = a.Content.Head[:5], []byte("stamp\ntext\n"), []byte("line\n")
			if err := b.accept(a); err != nil {
				t.Fatal(err)
			}
			b.has(Wait, name, "stamp\ntext\nand the rest\nline\n")
			st, err := b.Dir(Wait).Stat(name)
			if err != nil || st.Mode&0o777 != 0o640 || st.Mtime != stamp.UnixNano() || st.Links != 1 {
				t.Errorf("%+v %v", st, err)
			}
			if e.Ino != st.Ino || !a.Copied || e.State != Accepted {
				t.Errorf("the index does not know: %+v", e)
			}
			b.commit()
			b.list(".monitor/tmp")
			if b.look(Wait, name) != e || e.State != Accepted {
				t.Error("our own exchange was taken for somebody else's")
			}
		})
	}
}

// Who may write to a file and does not own it can't set its time: such a file
// gets a copy of our own.
func TestAcceptNotOurs(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "a", "text\n")
	a := b.acceptance(b.look(Wait, "a"), "")
	refused := false
	durable.Fault = func(s durable.Site) error {
		if s == "accept:time" && !refused {
			refused = true
			return unix.EPERM
		}
		return nil
	}
	t.Cleanup(func() { durable.Fault = nil })
	if err := b.accept(a); err != nil || !a.Copied || !refused {
		t.Fatalf("copied %v, refused %v: %v", a.Copied, refused, err)
	}
	b.has(Wait, "a", "text\n")
	b.commit()
	b.list(".monitor/tmp")
}

func TestAcceptLinked(t *testing.T) {
	for way, faults := range ways {
		t.Run(way, func(t *testing.T) {
			faulty(t, faults)
			b := newBox(t)
			b.drop(Wait, "a", "text\n")
			other := filepath.Join(b.root, "template")
			if err := os.Link(b.path(Wait, "a"), other); err != nil {
				t.Fatal(err)
			}
			a := b.acceptance(b.look(Wait, "a"), "")
			a.Line = []byte("line\n")
			if err := b.accept(a); err != nil {
				t.Fatal(err)
			}
			b.commit()
			b.has(Wait, "a", "text\nline\n")
			if text, err := os.ReadFile(other); err != nil || string(text) != "text\n" {
				t.Errorf("its other name holds %q: %v", text, err)
			}
			st, err := os.Stat(other)
			if err != nil || st.ModTime().Equal(stamp) {
				t.Errorf("its other name has our time: %v", err)
			}
		})
	}
}

// A second link that could not be removed leaves a file as it is until it can.
func TestAcceptLinkedToWhatRan(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "a", "text\n")
	a := b.acceptance(b.look(Wait, "a"), "stamp\ntext\n")
	b.linked[a.Content.Stat.Ino] = true
	if err := b.accept(a); !errors.Is(err, unix.EBUSY) || a.Entry.State == Accepted {
		t.Errorf("accepted as %v: %v", a.Entry.State, err)
	}
	b.has(Wait, "a", "text\n")
	delete(b.linked, a.Content.Stat.Ino)
	if err := b.accept(b.acceptance(b.look(Wait, "a"), "stamp\ntext\n")); err != nil {
		t.Error(err)
	}
	b.has(Wait, "a", "stamp\ntext\n")
}

// Whoever writes while a file is accepted wins: his bytes stay under the name.
func TestAcceptChangedMeanwhile(t *testing.T) {
	for way, faults := range ways {
		for _, site := range []durable.Site{"accept:create", "accept:sync", "accept:exchange"} {
			t.Run(way+" "+string(site), func(t *testing.T) {
				b := newBox(t)
				b.drop(Wait, "a", "text\n")
				a := b.acceptance(b.look(Wait, "a"), "stamp\ntext\n")
				did := false
				durable.Fault = func(s durable.Site) error {
					if s == site && !did {
						did = true
						if err := os.WriteFile(b.path(Wait, "a"), []byte("other text\n"), 0o644); err != nil {
							t.Error(err)
						}
					}
					return faults[s]
				}
				defer func() { durable.Fault = nil }()
				if err := b.accept(a); !errors.Is(err, ErrChanged) || !did {
					t.Errorf("%v", err)
				}
				if a.Entry.State == Accepted {
					t.Error("counts as accepted")
				}
				b.commit()
				b.has(Wait, "a", "other text\n")
				b.list(".monitor/tmp")
			})
		}
	}
}

// He goes on while his file is put back: the last that he put there has the name, and
// what he only took away is kept.
func TestAcceptChangedTwice(t *testing.T) {
	write := func(b *box, text string) error {
		other := filepath.Join(b.root, "other")
		return errors.Join(os.WriteFile(other, []byte(text), 0o644), os.Rename(other, b.path(Wait, "a")))
	}
	appendTo := func(b *box, text string) error {
		f, err := os.OpenFile(b.path(Wait, "a"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(text)
		return errors.Join(err, f.Close())
	}
	remove := func(b *box, _ string) error { return os.Remove(b.path(Wait, "a")) }
	for _, test := range []struct {
		name        string
		again       func(*box, string) error
		turns       int
		left, trash string
	}{
		{"replaced", write, 1, "version 2\n", ""},
		{"replaced again", write, 2, "version 3\n", ""},
		{"replaced all the time", write, 1000, "version 100\n", "version 101\n"}, // enough: both are kept,
		{"removed", remove, 1, "", "version 1\n"},
		{"appended to", appendTo, 1, "version 1\n", "stamp\ntext\nversion 2\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBox(t)
			b.drop(Wait, "a", "text\n")
			a := b.acceptance(b.look(Wait, "a"), "stamp\ntext\n")
			n, said := 0, ""
			b.Kept = func(_, text string) { said = text }
			durable.Fault = func(s durable.Site) error {
				switch {
				case s == "accept:exchange":
					n++
					if err := write(b, fmt.Sprintf("version %d\n", n)); err != nil {
						t.Error(err)
					}
				case s == "accept:back" && n <= test.turns:
					n++
					if err := test.again(b, fmt.Sprintf("version %d\n", n)); err != nil {
						t.Error(err)
					}
				}
				return nil
			}
			defer func() { durable.Fault = nil }()
			if err := b.accept(a); !errors.Is(err, ErrChanged) {
				t.Errorf("%v", err)
			}
			b.commit()
			if test.left == "" {
				b.list(b.Name(Wait))
			} else {
				b.has(Wait, "a", test.left)
			}
			b.list(".monitor/tmp")
			var kept string
			if err := b.Dir(Trash).List(func(n durable.Name) bool {
				text, err := os.ReadFile(b.path(Trash, n.Name))
				if err != nil {
					t.Error(err)
				}
				kept += string(text)
				return true
			}); err != nil {
				t.Error(err)
			}
			if kept != test.trash || (kept != "") != (said != "") {
				t.Errorf("trash holds %q, said %q", kept, said)
			}
		})
	}
}

// Where names can't be exchanged, another file may take the name while the original is
// out: both are in the queue then.
func TestAcceptByTurnsNameTaken(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "a", "text\n")
	a := b.acceptance(b.look(Wait, "a"), "stamp\ntext\n")
	said := ""
	b.Kept = func(_, text string) { said = text }
	durable.Fault = func(s durable.Site) error {
		switch s {
		case "accept:exchange":
			return unix.EINVAL
		case "accept:in":
			b.drop(Wait, "a", "other\n")
		}
		return nil
	}
	defer func() { durable.Fault = nil }()
	if err := b.accept(a); err == nil {
		t.Error("counts as accepted")
	}
	b.commit()
	b.has(Wait, "a", "other\n")
	b.list(b.Name(Wait), "a", "a~1")
	b.has(Wait, "a~1", "text\n")
	b.list(".monitor/tmp")
	if !strings.Contains(said, "a~1") {
		t.Errorf("said %q", said)
	}
}

func TestAcceptOpenForWriting(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "a", "text\n")
	a := b.acceptance(b.look(Wait, "a"), "stamp\ntext\n")
	writer, err := os.OpenFile(b.path(Wait, "a"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if err := b.accept(a); !errors.Is(err, ErrChanged) {
		t.Errorf("%v", err)
	}
	if _, err := writer.WriteString("more\n"); err != nil {
		t.Fatal(err)
	}
	b.commit()
	b.has(Wait, "a", "text\nmore\n")
	b.list(".monitor/tmp")
}

// Each operation fails once: the original stays under its name, whole, and is
// accepted at the next attempt.
func TestAcceptFaults(t *testing.T) {
	for way, faults := range ways {
		sites := []durable.Site{"accept:create", "accept:write", "accept:line", "accept:owner", "accept:time"}
		if faults == nil {
			sites = append(sites, "accept:exchange")
		} else {
			sites = append(sites, "accept:mkdir", "accept:out", "accept:in")
		}
		for _, site := range sites {
			for _, errno := range []error{unix.EIO, unix.ENOSPC} {
				t.Run(way+" "+string(site)+" "+errno.Error(), func(t *testing.T) {
					b := newBox(t)
					b.drop(Wait, "a", "text\n")
					e := b.look(Wait, "a")
					failed := false
					durable.Fault = func(s durable.Site) error {
						if s == site && !failed {
							failed = true
							return errno
						}
						return faults[s]
					}
					defer func() { durable.Fault = nil }()
					a := b.acceptance(e, "stamp\ntext\n")
					if err := b.accept(a); !errors.Is(err, errno) {
						t.Fatalf("%v", err)
					}
					b.has(Wait, "a", "text\n")
					if err := b.accept(b.acceptance(e, "stamp\ntext\n")); err != nil {
						t.Fatal(err)
					}
					b.commit()
					b.has(Wait, "a", "stamp\ntext\n")
					b.list(".monitor/tmp")
				})
			}
		}
	}
}

// stop is a crash at a site: every operation from there on fails.
func stop(t *testing.T, at durable.Site, others map[durable.Site]error) {
	t.Helper()
	dead := false
	durable.Fault = func(s durable.Site) error {
		if dead = dead || s == at; dead {
			return unix.EIO
		}
		return others[s]
	}
	t.Cleanup(func() { durable.Fault = nil })
}

// A crash anywhere in an acceptance leaves one file under the name: the original
// or the copy, and nothing in tmp after the next start.
func TestAcceptCrash(t *testing.T) {
	for way, faults := range ways {
		for _, site := range []durable.Site{"accept:create", "accept:write", "accept:sync", "accept:exchange", "accept:out", "accept:in", "round:commit", "accept:remove"} {
			if faults == nil && (site == "accept:out" || site == "accept:in") {
				continue
			}
			t.Run(way+" "+string(site), func(t *testing.T) {
				b := newBox(t)
				name := strings.Repeat("n", 255)
				b.drop(Wait, name, "text\n")
				a := b.acceptance(b.look(Wait, name), "stamp\ntext\n")
				stop(t, site, faults)
				if err := b.Accept([]*Acceptance{a}); err == nil && a.Err == nil {
					_ = errors.Join(b.Commit(), b.ClearUp())
				}
				durable.Fault = nil
				for range 2 {
					again, err := Open(b.layout)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := again.Clear(); err != nil {
						t.Error(err)
					}
					again.Close()
				}
				b.list(".monitor/tmp")
				b.list("wait-q", name)
				b.list("trash")
				text, err := os.ReadFile(b.path(Wait, name))
				if err != nil || string(text) != "text\n" && string(text) != "stamp\ntext\n" {
					t.Errorf("%q %v", text, err)
				}
			})
		}
	}
}

// What somebody wrote into an original that was in tmp at the crash is kept.
func TestClearKeepsWork(t *testing.T) {
	for way, faults := range ways {
		t.Run(way, func(t *testing.T) {
			b := newBox(t)
			b.drop(Wait, "a", "text\n")
			a := b.acceptance(b.look(Wait, "a"), "stamp\ntext\n")
			writer, err := os.OpenFile(b.path(Wait, "a"), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer writer.Close()
			// The exchange succeeds, and then nothing does.
			dead := false
			durable.Fault = func(s durable.Site) error {
				if dead {
					return unix.EIO
				}
				dead = s == "accept:exchange" && faults == nil || s == "accept:out"
				return faults[s]
			}
			_ = b.Accept([]*Acceptance{a})
			durable.Fault = nil
			if _, err := writer.WriteString("more\n"); err != nil {
				t.Fatal(err)
			}
			said, err := b.Clear()
			if err != nil || len(said) != 1 {
				t.Errorf("said %q: %v", said, err)
			}
			b.list(".monitor/tmp")
			found := 0
			for _, q := range []Queue{Wait, Trash} {
				entries, err := os.ReadDir(filepath.Join(b.root, names[q]))
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					if text, _ := os.ReadFile(b.path(q, e.Name())); string(text) == "text\nmore\n" {
						found++
					}
				}
			}
			if found != 1 {
				t.Errorf("what was written is in %d places", found)
			}
		})
	}
}

// Nothing is removed while the queue can't be asked.
func TestClearOnBrokenDisk(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "a", "text\n")
	a := b.acceptance(b.look(Wait, "a"), "stamp\ntext\n")
	stop(t, "accept:in", ways["by turns"])
	_ = b.Accept([]*Acceptance{a})
	durable.Fault = nil
	b.drop(Wait, "a", "a new one\n") // somebody dropped another of that name
	faulty(t, map[durable.Site]error{"clear:back": unix.EIO})
	if _, err := b.Clear(); !errors.Is(err, unix.EIO) {
		t.Errorf("%v", err)
	}
	durable.Fault = nil
	said, err := b.Clear()
	if err != nil {
		t.Fatal(err)
	}
	b.has(Wait, "a", "a new one\n")
	b.has(Wait, "a~1", "text\n")
	b.list(".monitor/tmp")
	if len(said) != 1 || !strings.Contains(said[0], "a~1") {
		t.Errorf("said %q", said)
	}
}

func TestAcceptSyncFails(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "a", "text\n")
	a := b.acceptance(b.look(Wait, "a"), "stamp\ntext\n")
	faulty(t, map[durable.Site]error{"accept:sync": unix.EIO})
	if err := b.Accept([]*Acceptance{a}); !errors.Is(err, unix.EIO) {
		t.Errorf("a failed sync is not final: %v", err)
	}
	b.has(Wait, "a", "text\n")
}
