package spool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

func TestClaim(t *testing.T) {
	b := newBox(t)
	c := b.claimed("a", "text\n")
	b.list("wait-q")
	b.has(Executing, "a", "text\n")
	b.list(".monitor/run", c.Link())
	if b.Entry(Wait, "a") != nil || c.UOW != "a" || c.Name != "a" || c.From != Wait || c.Ino != b.ino(Executing, "a") {
		t.Errorf("%+v", c)
	}
	// A namesake that lies there already is not touched.
	b.drop(Executing, "b", "a stranger\n")
	c = b.claimed("b", "text\n")
	b.has(Executing, "b", "a stranger\n")
	b.has(Executing, "b~1", "text\n")
	if c.UOW != "b" || c.Name != "b~1" {
		t.Errorf("%+v", c)
	}
}

// A file that is not what was accepted stays where it is.
func TestClaimGivesBack(t *testing.T) {
	acts := map[string]func(path string) error{
		"edited": func(p string) error { return os.WriteFile(p, []byte("longer text\n"), 0o644) },
		"replaced": func(p string) error {
			return errors.Join(os.WriteFile(p+"~", []byte("TEXT\n"), 0o644), os.Rename(p+"~", p))
		},
		"linked": func(p string) error { return os.Link(p, p+"~") },
	}
	for what, act := range acts {
		for _, site := range []durable.Site{"", "claim:link", "claim:rename"} {
			if site != "" && what != "replaced" {
				continue // a link is a backup by then, and a writer waits for our lease
			}
			t.Run(what+" at "+string(site), func(t *testing.T) {
				b := newBox(t)
				b.drop(Wait, "a", "text\n")
				e := b.look(Wait, "a")
				if err := b.accept(b.acceptance(e, "")); err != nil {
					t.Fatal(err)
				}
				do := func() error { return act(b.path(Wait, "a")) }
				if site == "" {
					if err := do(); err != nil {
						t.Fatal(err)
					}
				} else {
					meanwhile(t, site, do)
				}
				want, _ := os.ReadFile(b.path(Wait, "a"))
				if site != "" {
					want = []byte("TEXT\n")
				}
				if _, err := b.Claim(e, everything, yes); !errors.Is(err, ErrChanged) {
					t.Errorf("%v", err)
				}
				b.commit()
				b.has(Wait, "a", string(want))
				b.list("currently-executing")
				b.list(".monitor/run")
			})
		}
	}
}

func TestClaimFaults(t *testing.T) {
	for _, site := range []durable.Site{"claim:link", "claim:rename"} {
		for _, errno := range []error{unix.EIO, unix.ENOSPC, unix.EROFS} {
			b := newBox(t)
			b.drop(Wait, "a", "text\n")
			e := b.look(Wait, "a")
			if err := b.accept(b.acceptance(e, "")); err != nil {
				t.Fatal(err)
			}
			faulty(t, map[durable.Site]error{site: errno})
			if _, err := b.Claim(e, everything, yes); !errors.Is(err, errno) {
				t.Errorf("%s %v: %v", site, errno, err)
			}
			durable.Fault = nil
			b.has(Wait, "a", "text\n")
			b.list(".monitor/run")
			if _, err := b.Claim(e, everything, yes); err != nil {
				t.Errorf("%s %v: at the second attempt: %v", site, errno, err)
			}
		}
	}
}

func TestClaimRefusedByJudge(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "a", "text\n")
	e := b.look(Wait, "a")
	no := errors.New("no")
	if _, err := b.Claim(e, everything, func(Content) error { return no }); !errors.Is(err, no) {
		t.Errorf("%v", err)
	}
	b.list("wait-q", "a")
	b.list(".monitor/run")
}

// Finish finds a UOW wherever people put it, and never overwrites.
func TestFinish(t *testing.T) {
	rename := func(from, to string) func(b *box) error {
		return func(b *box) error { return os.Rename(filepath.Join(b.root, from), filepath.Join(b.root, to)) }
	}
	for what, c := range map[string]struct {
		act     func(b *box) error
		strange bool
		more    []string // in done-q besides a
		exec    []string // left in currently-executing
	}{
		"untouched":       {},
		"moved away":      {act: rename("currently-executing/a", "hold-q/a"), strange: true},
		"renamed":         {act: rename("currently-executing/a", "currently-executing/other")},
		"moved, renamed":  {act: rename("currently-executing/a", "fail-q/other"), strange: true},
		"moved there":     {act: rename("currently-executing/a", "done-q/a"), strange: true},
		"out of the root": {act: rename("currently-executing/a", "a"), strange: true},
		"removed":         {act: func(b *box) error { return os.Remove(b.path(Executing, "a")) }, strange: true},
		"replaced": {act: func(b *box) error {
			return errors.Join(os.Remove(b.path(Executing, "a")), os.WriteFile(b.path(Executing, "a"), []byte("new\n"), 0o644))
		}, strange: true, exec: []string{"a"}},
		"a namesake there": {act: func(b *box) error { return os.WriteFile(b.path(Done, "a"), []byte("old\n"), 0o644) }, more: []string{"a~1"}},
		"a namesake and a UOW of the name of its reason there": {act: func(b *box) error {
			return errors.Join(os.WriteFile(b.path(Done, "a"), []byte("old\n"), 0o644), os.WriteFile(b.path(Done, "a.why"), []byte("another\n"), 0o644))
		}, more: []string{"a~1", "a.why"}},
		"a directory of the name there": {act: func(b *box) error { return os.Mkdir(b.path(Done, "a"), 0o755) }, more: []string{"a~1"}},
		"removed, and a namesake there": {act: func(b *box) error {
			return errors.Join(os.Remove(b.path(Executing, "a")), os.WriteFile(b.path(Done, "a"), []byte("old\n"), 0o644))
		}, strange: true, more: []string{"a~1"}},
		"the second link removed": {act: func(b *box) error { return os.RemoveAll(filepath.Join(b.root, ".monitor/run")) }},
	} {
		t.Run(what, func(t *testing.T) {
			b := newBox(t)
			claimed := b.claimed("a", "text\n")
			if c.act != nil {
				if err := c.act(b); err != nil {
					t.Fatal(err)
				}
			}
			if what == "the second link removed" {
				if err := os.Mkdir(filepath.Join(b.root, ".monitor/run"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			m, strange, err := b.Finish(claimed, Done)
			if err != nil {
				t.Fatal(err)
			}
			if !b.Batch.Dirty() {
				t.Error("the commit covers nothing of it")
			}
			b.DropLater(claimed)
			b.commit()
			if (strange != "") != c.strange {
				t.Errorf("said %q", strange)
			}
			if m.NewName != "a" {
				t.Errorf("is called %q", m.NewName)
			}
			b.has(Done, "a", "text\n")
			b.list("done-q", append(c.more, "a")...)
			b.list("currently-executing", c.exec...)
			b.list(".monitor/run")
		})
	}
}

func TestFinishVanished(t *testing.T) {
	b := newBox(t)
	c := b.claimed("a", "text\n")
	if err := errors.Join(os.Remove(b.path(Executing, "a")), os.Remove(filepath.Join(b.root, ".monitor/run", c.Link()))); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Finish(c, Done); !errors.Is(err, ErrVanished) {
		t.Errorf("%v", err)
	}
}

// Back into a live queue it keeps its place, and a namesake keeps its name.
func TestFinishAgain(t *testing.T) {
	b := newBox(t)
	c := b.claimed("a", "text\n")
	b.drop(Wait, "a", "another\n")
	m, _, err := b.Finish(c, Wait)
	if err != nil {
		t.Fatal(err)
	}
	b.commit()
	b.has(Wait, "a", "another\n")
	b.has(Wait, "a~1", "text\n")
	if m.Entry == nil || m.Entry.State != Accepted || m.Entry.Enqueued != c.Enqueued || b.Entry(Wait, "a~1") != m.Entry {
		t.Errorf("%+v", m.Entry)
	}
}

func TestFinishFaults(t *testing.T) {
	b := newBox(t)
	c := b.claimed("a", "text\n")
	for _, errno := range []error{unix.ENOSPC, unix.EIO} {
		faulty(t, map[durable.Site]error{"finish:rename": errno})
		if _, _, err := b.Finish(c, Done); !errors.Is(err, errno) {
			t.Errorf("%v", err)
		}
		b.has(Executing, "a", "text\n")
	}
	durable.Fault = nil
	if _, _, err := b.Finish(c, Done); err != nil {
		t.Fatal(err)
	}
	b.has(Done, "a", "text\n")
	b.commit()
	b.list(".monitor/run", c.Link()) // until the end was told
	b.DropLater(c)
	b.commit()
	b.list(".monitor/run")
}

// A second link that can't be removed now is removed after a later commit: left
// there, it would look like a UOW whose name was taken away.
func TestSecondLinkGoesLater(t *testing.T) {
	b := newBox(t)
	c := b.claimed("a", "text\n")
	if _, _, err := b.Finish(c, Wait); err != nil {
		t.Fatal(err)
	}
	faulty(t, map[durable.Site]error{"heal:unlink": unix.EIO})
	for range 2 {
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := b.ClearUp(); !errors.Is(err, unix.EIO) {
			t.Errorf("%v", err)
		}
	}
	durable.Fault = nil
	b.commit()
	b.list(".monitor/run")
	b.has(Wait, "a", "text\n")
}

func TestSecondsLongName(t *testing.T) {
	b := newBox(t)
	name := strings.Repeat("n", 255)
	c := b.claimed(name, "text\n")
	if err := os.WriteFile(filepath.Join(b.root, ".monitor/run/17"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, stray := range []string{"u", "u1", "ux-y-z", "x", "-1"} {
		if err := os.WriteFile(filepath.Join(b.root, ".monitor/run", stray), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	links, records, err := b.Seconds()
	if err != nil || len(links) != 1 || len(records) != 1 || records[0] != "17" {
		t.Fatalf("%+v %q %v", links, records, err)
	}
	if got := links[0]; got.Link() != c.Link() || got.Ino != c.Ino || got.Links != 2 {
		t.Errorf("%+v, want the link of %+v", got, c)
	}
}

func TestTwin(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "a", "text\n")
	if err := os.Link(b.path(Wait, "a"), b.path(Done, "a")); err != nil {
		t.Fatal(err)
	}
	if q, healed, err := b.Twin(b.look(Wait, "a")); err != nil || !healed || q != Done {
		t.Errorf("%v %v %v", q, healed, err)
	}
	b.list("wait-q")
	b.has(Done, "a", "text\n")
	// Another file of the name is no twin.
	b.drop(Wait, "a", "another\n")
	if _, healed, err := b.Twin(b.look(Wait, "a")); err != nil || healed {
		t.Errorf("%v %v", healed, err)
	}
	b.has(Wait, "a", "another\n")
}

func TestRefuse(t *testing.T) {
	b := newBox(t)
	long := strings.Repeat("n", 255)
	for _, name := range []string{"a", long} {
		for i, text := range []string{"one\n", "two\n", "three\n"} {
			b.drop(Wait, name, text)
			e := b.look(Wait, name)
			m, err := b.Refuse(b.look(Wait, name), "why "+text)
			if err != nil || m.NewName != name {
				t.Fatalf("%d: %+v %v", i, m, err)
			}
			if !e.Gone || b.Entry(Wait, name) != nil {
				t.Error("still in the index")
			}
			b.has(Trash, name, text)
			b.has(Trash, whyOf(name), "why "+text)
		}
		b.has(Trash, Older(name, 1), "one\n")
		b.has(Trash, whyOf(Older(name, 1)), "why one\n")
		b.has(Trash, Older(name, 2), "two\n")
	}
	b.list(".monitor/tmp")
}

// What is refused goes as it is, whatever it is.
func TestRefuseOdd(t *testing.T) {
	b := newBox(t)
	if err := errors.Join(os.Mkdir(b.path(Wait, "dir"), 0o755), os.WriteFile(b.path(Wait, "dir/file"), []byte("x"), 0o644),
		os.Symlink("/etc/passwd", b.path(Wait, "link")), unix.Mkfifo(b.path(Wait, "fifo"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dir", "link", "fifo"} {
		if e := b.look(Wait, name); !e.Odd {
			t.Errorf("%s is not odd", name)
		}
		if _, err := b.Read(Wait, name, everything); !errors.Is(err, ErrOdd) {
			t.Errorf("%s was read: %v", name, err)
		}
		if _, err := b.Refuse(b.look(Wait, name), "odd"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if gone(b.path(Trash, name)) {
			t.Errorf("%s is not in trash", name)
		}
	}
	b.has(Trash, "dir/file", "x")
}

func TestRefuseFaults(t *testing.T) {
	for _, site := range []durable.Site{"refuse:create", "refuse:write", "refuse:sync", "refuse:publish", "refuse:rename"} {
		b := newBox(t)
		b.drop(Wait, "a", "text\n")
		b.look(Wait, "a")
		faulty(t, map[durable.Site]error{site: unix.ENOSPC})
		if _, err := b.Refuse(b.look(Wait, "a"), "why"); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: %v", site, err)
		}
		durable.Fault = nil
		b.has(Wait, "a", "text\n")
		b.list("trash")
		b.list(".monitor/tmp")
		if _, err := b.Refuse(b.look(Wait, "a"), "why"); err != nil {
			t.Errorf("%s: at the second attempt: %v", site, err)
		}
		b.list("trash", "a", "a.why")
	}
}

func TestPutTakesTheSuffix(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "a", "text\n")
	b.drop(Hold, "a", "another\n")
	e := b.look(Wait, "a")
	if err := b.accept(b.acceptance(e, "")); err != nil {
		t.Fatal(err)
	}
	m, err := b.Put("message", e, Hold)
	if err != nil || m.NewName != "a~1" || m.Entry.State != Accepted || !e.Gone {
		t.Errorf("%+v %v", m, err)
	}
	b.has(Hold, "a", "another\n")
	b.has(Hold, "a~1", "text\n")
	if err := os.Remove(b.path(Hold, "a~1")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put("message", m.Entry, Wait); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a missing one: %v", err)
	}
}

// What is read from the directories at start is on disk before anything is made of it:
// all of them are synced, and one that can't be is an error.
func TestSyncAtStart(t *testing.T) {
	b := newBox(t)
	synced := 0
	durable.Fault = func(site durable.Site) error {
		if site == "start:sync" {
			synced++
		}
		return nil
	}
	t.Cleanup(func() { durable.Fault = nil })
	if err := b.Sync(); err != nil {
		t.Fatal(err)
	}
	if want := int(Queues) + 2; synced != want {
		t.Errorf("%d directories are synced, want %d", synced, want)
	}
	faulty(t, map[durable.Site]error{"start:sync": unix.EIO})
	if err := b.Sync(); !errors.Is(err, unix.EIO) {
		t.Errorf("%v", err)
	}
}

// Asking who holds the lock takes nothing: a monitor that starts meanwhile gets it.
func TestAskingTakesNothing(t *testing.T) {
	b := newBox(t)
	first, err := b.Lock("pid 1")
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil { // the file is there, and nobody holds it
		t.Fatal(err)
	}
	if who, err := b.Watched(); who != "" || err != nil {
		t.Errorf("%q, %v", who, err)
	}
	second, err := b.Lock("pid 2")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if who, err := b.Watched(); who != "pid 2" || err != nil {
		t.Errorf("%q, %v", who, err)
	}
}
