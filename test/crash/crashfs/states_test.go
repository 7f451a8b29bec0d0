package crashfs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// script is a log made by hand.
type script struct {
	*Live
	ids map[string]uint64
}

func newScript() *script {
	tree := NewTree()
	return &script{&Live{tree: tree, base: tree.Clone(), opens: map[uint64]int{}}, map[string]uint64{"": rootID}}
}

func split(path string) (dir, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

func (s *script) mk(path string, mode uint32) {
	dir, name := split(path)
	s.ids[path] = s.tree.last + 1
	s.do(Op{Kind: Make, Node: s.ids[path], Ino: s.tree.freeIno(func(*Node) bool { return false }), Dir: s.ids[dir], Name: name, Mode: mode})
}

func (s *script) dir(path string)  { s.mk(path, unix.S_IFDIR|0o755) }
func (s *script) file(path string) { s.mk(path, unix.S_IFREG|0o644) }

func (s *script) write(id uint64, off int, text string) {
	s.do(Op{Kind: Write, Node: id, Off: int64(off), Data: []byte(text)})
}

func (s *script) rename(from, to string, exchange bool) {
	dir, name := split(from)
	dir2, name2 := split(to)
	o := Op{Kind: Rename, Node: s.ids[from], Dir: s.ids[dir], Name: name, Dir2: s.ids[dir2], Name2: name2, Exchange: exchange}
	if n := s.tree.Find(to); n != nil {
		o.Other = n.ID
	}
	s.do(o)
	if s.ids[from], s.ids[to] = s.ids[to], s.ids[from]; !exchange {
		delete(s.ids, from)
	}
}

func (s *script) sync(id uint64) { s.do(Op{Kind: Sync, Node: id}) }

func all(f Fate) func(uint64) Fate { return func(uint64) Fate { return f } }

func names(t *Tree) string {
	var list []string
	t.Walk(func(path string, n *Node) bool {
		if !n.Dir() {
			list = append(list, path)
		}
		return true
	})
	slices.Sort(list)
	return strings.Join(list, " ")
}

// after are the names that may be there at the end of a log, by how much of the
// journal is.
func after(l Log) (may []string) {
	n := len(l.Ops)
	for committed := l.Safe(n); committed <= n; committed++ {
		may = append(may, names(l.Journalled(n, committed, all(Kept), nil)))
	}
	return slices.Compact(may)
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("may be %q, want %q", got, want)
	}
}

func TestJournal(t *testing.T) {
	s := newScript()
	s.dir("a")
	s.dir("b")
	s.Rebase()
	s.file("a/one")
	s.rename("a/one", "b/one", false)
	s.file("a/two")
	expect(t, after(s.Log()), "", "a/one", "b/one", "a/two b/one")
	s.sync(s.ids["b"]) // reaches to the rename, not beyond
	expect(t, after(s.Log()), "b/one", "a/two b/one")
	s.sync(s.ids["b"]) // it is clean: nothing more
	expect(t, after(s.Log()), "b/one", "a/two b/one")
	s.sync(s.ids["a"])
	expect(t, after(s.Log()), "a/two b/one")
	s.rename("a/two", "b/one", true) // never neither, never one
	expect(t, after(s.Log()), "a/two b/one")
	s.do(Op{Kind: SyncAll})
	s.do(Op{Kind: Unlink, Node: s.ids["b/one"], Dir: s.ids["b"], Name: "one"})
	expect(t, after(s.Log()), "a/two b/one", "a/two")
}

// What a file may hold whose bytes nobody synced.
func TestFates(t *testing.T) {
	old, longer := strings.Repeat("o", 1000), strings.Repeat("n", 2000)
	s := newScript()
	s.file("f")
	id := s.ids["f"]
	s.write(id, 0, old)
	s.sync(id)
	s.write(id, 0, longer)
	here := s.Done()
	s.write(id, 100, "later")
	l := s.Log()
	bytes := func(f Fate) string {
		return string(l.Journalled(s.Done(), here, all(f), rand.New(rand.NewPCG(1, 1))).Find("f").Data)
	}
	later := longer[:100] + "later" + longer[105:]
	for f, want := range map[Fate]string{Lost: old, Kept: longer, Zeroed: old + strings.Repeat("\x00", 1000), Early: later} {
		if got := bytes(f); got != want {
			t.Errorf("%v: %.120q", f, got)
		}
	}
	seen := map[string]bool{}
	for i := range 200 {
		b := string(l.Journalled(s.Done(), here, all(Torn), rand.New(rand.NewPCG(1, uint64(i)))).Find("f").Data)
		if len(b) != len(old) && len(b) != len(longer) {
			t.Fatalf("torn to %d bytes", len(b))
		}
		for at := 0; at < len(b); at += sector {
			end := min(at+sector, len(b))
			part := b[at:end]
			was := old[min(at, len(old)):min(end, len(old))]
			if part != longer[at:end] && part != later[at:end] && part != was+strings.Repeat("\x00", len(part)-len(was)) {
				t.Fatalf("sector at %d is no moment's: %q", at, part)
			}
		}
		seen[b] = true
	}
	if len(seen) < 20 {
		t.Errorf("only %d ways to tear", len(seen))
	}
	// Once it is synced nothing is in doubt.
	s.sync(id)
	l = s.Log()
	for f := range Fates {
		if b := string(l.Journalled(s.Done(), l.Safe(s.Done()), all(f), nil).Find("f").Data); b != later {
			t.Errorf("synced and %v: %.120q", f, b)
		}
	}
}

// A truncation is in the journal: it cuts whatever is there.
func TestTruncation(t *testing.T) {
	s := newScript()
	s.file("f")
	id := s.ids["f"]
	s.write(id, 0, "head")
	s.sync(id)
	s.write(id, 4, "tail")
	s.do(Op{Kind: Truncate, Node: id, Off: 4})
	cut := s.Done()
	s.write(id, 4, "more")
	l := s.Log()
	for committed, want := range map[int]string{cut - 1: "head head\x00\x00\x00\x00 headtail", cut: "head", cut + 1: "head head\x00\x00\x00\x00 headmore"} {
		may := map[string]bool{}
		for f := range Fates {
			may[string(l.Journalled(s.Done(), committed, all(f), rand.New(rand.NewPCG(2, 2))).Find("f").Data)] = true
		}
		if got := strings.Join(slices.Sorted(maps.Keys(may)), " "); got != want {
			t.Errorf("journal up to %d: %q, want %q", committed, got, want)
		}
	}
}

// Times and modes go with the journal.
func TestTimes(t *testing.T) {
	s := newScript()
	s.file("f")
	s.do(Op{Kind: SyncAll})
	s.do(Op{Kind: Attr, Node: s.ids["f"], Mode: 0o600, Mtime: 42})
	l := s.Log()
	n := s.Done()
	if f := l.Journalled(n, n-1, all(Kept), nil).Find("f"); f.Mtime == 42 || f.Mode&0o777 != 0o644 {
		t.Errorf("before: %+v", f)
	}
	if f := l.Journalled(n, n, all(Lost), nil).Find("f"); f.Mtime != 42 || f.Mode&0o777 != 0o600 {
		t.Errorf("after: %+v", f)
	}
}

// What lies outside is as it was at the cut, whatever the disk kept.
func TestOutside(t *testing.T) {
	s := newScript()
	s.dir("w")
	s.Outside("w")
	s.Rebase()
	s.file("w/told")
	s.write(s.ids["w/told"], 0, "done\n")
	l := s.Log()
	if n := l.Journalled(s.Done(), 0, all(Lost), nil).Find("w/told"); n == nil || string(n.Data) != "done\n" {
		t.Errorf("got %+v", n)
	}
}

func TestStrict(t *testing.T) {
	s := newScript()
	s.dir("a")
	s.dir("b")
	s.file("a/f")
	s.Rebase()
	s.rename("a/f", "b/f", false)
	may := func(whole bool) []string {
		seen := map[string]bool{}
		l := s.Log()
		for i := range 60 {
			seen[names(Strict{Whole: whole, Odds: 0.5}.State(&l, s.Done(), all(Kept), rand.New(rand.NewPCG(3, uint64(i)))))] = true
		}
		return slices.Sorted(maps.Keys(seen))
	}
	expect(t, may(true), "a/f", "b/f")
	expect(t, may(false), "", "a/f", "a/f b/f", "b/f")
	s.sync(s.ids["b"])
	expect(t, may(false), "a/f b/f", "b/f")
	s.sync(s.ids["a"])
	expect(t, may(false), "b/f")
}
