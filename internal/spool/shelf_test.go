package spool

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The shelf against a map: what is on it, and in which order it comes down.
func TestShelfModel(t *testing.T) {
	type item struct {
		name string
		kind string
		at   int64
		ino  uint64
		size int64
	}
	rapid.Check(t, func(t *rapid.T) {
		h, model := newShelf(), map[string]item{}
		kinds := []string{"", "make", "ansible"}
		var seq int
		put := func(n int, at *rapid.Generator[int64]) {
			for range n {
				seq++
				it := item{fmt.Sprint("job", seq%97, strings.Repeat("x", seq%300/7), "-", seq), kinds[seq%3], at.Draw(t, "at"), uint64(seq) << 20, int64(seq % 1000)}
				in, ok := h.laneOf(it.kind)
				if !ok || !h.put(it.name, in, it.at, it.ino, it.size) {
					t.Fatalf("%s does not fit", it.name)
				}
				model[it.name] = it
			}
		}
		remove := func(name string) {
			i, at, ok := h.find(name)
			if !ok {
				t.Fatalf("%s is not there", name)
			}
			h.remove(i, at)
			delete(model, name)
		}
		t.Repeat(map[string]func(*rapid.T){
			"put":      func(t *rapid.T) { put(rapid.IntRange(1, 3).Draw(t, "n"), rapid.Int64Range(-3, 3)) },
			"put many": func(t *rapid.T) { put(200, rapid.Just(int64(rapid.IntRange(1, 9).Draw(t, "at")))) },
			"remove": func(t *rapid.T) {
				for name := range model {
					remove(name)
					return
				}
			},
			"remove most": func(t *rapid.T) {
				left := rapid.IntRange(0, 50).Draw(t, "left")
				for name := range model {
					if len(model) <= left {
						break
					}
					remove(name)
				}
			},
			"": func(t *rapid.T) {
				if h.n != len(model) {
					t.Fatalf("%d are there, want %d", h.n, len(model))
				}
				if _, _, ok := h.find("nobody"); ok {
					t.Fatal("nobody is there")
				}
				looks := 0
				for name, want := range model {
					if looks++; looks > 200 { // of many some
						break
					}
					i, _, ok := h.find(name)
					if !ok {
						t.Fatalf("%s is not there", name)
					}
					s := h.at(i)
					if got := (item{string(h.name(s)), h.lanes[s.where()].kind, s.when(), s.inode(), int64(s.size)}); got != want {
						t.Fatalf("%+v, want %+v", got, want)
					}
				}
				for in, l := range h.lanes[unread+1:] {
					if len(model) > 5000 {
						break
					}
					var want []string
					for _, it := range model {
						if it.kind == l.kind {
							want = append(want, it.name)
						}
					}
					slices.SortFunc(want, func(a, b string) int { return cmp.Or(cmp.Compare(model[a].at, model[b].at), cmp.Compare(a, b)) })
					var got []string
					least(30, len(l.heap), func(a, b int) bool { return h.before(l.heap[a], l.heap[b]) }, func(pos int) {
						got = append(got, string(h.name(h.at(l.heap[pos]))))
					})
					if want = want[:min(30, len(want))]; !slices.Equal(got, want) {
						t.Fatalf("lane %d begins with %q, want %q", in, got, want)
					}
				}
			},
		})
	})
}

// What does not fit stays an entry.
func TestShelfRefuses(t *testing.T) {
	h := newShelf()
	in, _ := h.laneOf("")
	for _, c := range []struct {
		name string
		size int64
		want bool
	}{{"small", sizeLimit - 1, true}, {"large", sizeLimit, false}, {"again", -1, false}, {strings.Repeat("n", 255), 0, true}} {
		if got := h.put(c.name, in, 1, 1, c.size); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	for i := range 2 * laneLimit {
		h.laneOf(fmt.Sprint(i))
	}
	if len(h.lanes) != laneLimit {
		t.Errorf("%d lanes", len(h.lanes))
	}
}

// onShelf is a box whose monitor takes down what it is asked for.
func onShelf(t *testing.T) (b *box, taken *[]string) {
	b, taken = newBox(t), new([]string)
	b.Taken = func(e *Entry) { *taken = append(*taken, e.Name) }
	b.NoteOf = func(kind string) any { return kind }
	return b, taken
}

func (b *box) shelve(e *Entry, kind string) bool {
	e.State, e.Note = Accepted, nil
	b.Place(e, e.Mtime)
	return b.Shelve(e, kind)
}

// What a whole listing finds stays on the shelf unread, until it is asked for.
func TestListedOnShelf(t *testing.T) {
	b, taken := onShelf(t)
	for i := range 20 {
		b.drop(Wait, fmt.Sprint("f", i), "x\n")
	}
	b.moved.names[Wait] = nil // as at a start
	b.moved.read()
	b.moved.names[Wait] = nil
	if found := b.survey(true); len(found.Fresh) != 0 || b.Shelved(Wait) != 20 {
		t.Fatalf("%d found, %d on the shelf", len(found.Fresh), b.Shelved(Wait))
	}
	if files, _ := b.Count(Wait); files != 20 {
		t.Errorf("%d files", files)
	}
	b.Unread(5)
	if len(*taken) != 5 || b.Shelved(Wait) != 15 {
		t.Errorf("%q taken, %d on the shelf", *taken, b.Shelved(Wait))
	}
	e := b.Entry(Wait, (*taken)[0])
	if e == nil || e.State != Fresh || e.Size != 2 || e.Mtime != e.Enqueued || e.Ino == 0 {
		t.Errorf("%+v", e)
	}
	if !b.shelve(e, "make") || !e.Gone || b.Shelved(Wait) != 16 {
		t.Errorf("not shelved: %+v", e)
	}
	again := b.Entry(Wait, e.Name)
	if again == e || again.State != Accepted || again.Note != "make" || again.Ino != e.Ino || again.Mtime != e.Mtime || again.Gone {
		t.Errorf("%+v", again)
	}
}

// Many come down in order, while the shelf gives back its room.
func TestUnreadInOrder(t *testing.T) {
	b, taken := onShelf(t)
	const n = 10 * perChunk
	for i := range n {
		if !b.index[Wait].shelf.put(fmt.Sprint("f", i), unread, int64((i*7919)%n), 1, 0) {
			t.Fatal("it does not fit")
		}
	}
	var last int64 = -1
	for b.Shelved(Wait) > 0 {
		b.Unread(100)
		for _, name := range *taken {
			if at := b.Entry(Wait, name).Enqueued; at != last+1 {
				t.Fatalf("%d after %d", at, last)
			}
			last++
		}
		*taken = nil
	}
	if last != n-1 || len(b.index[Wait].shelf.slots) > 4 {
		t.Errorf("%d came down, %d chunks are left", last+1, len(b.index[Wait].shelf.slots))
	}
}

// A file on the shelf is missed, replaced and changed like any other.
func TestChangesOnShelf(t *testing.T) {
	b, _ := onShelf(t)
	names := []string{"same", "gone", "replaced", "edited", "renamed", "touched"}
	for _, name := range names {
		b.drop(Wait, name, "x\n")
	}
	for _, e := range b.survey(true).Fresh {
		if !b.shelve(e, "") {
			t.Fatalf("%s is not shelved", e.Name)
		}
	}
	if b.Shelved(Wait) != len(names) {
		t.Fatalf("%d on the shelf", b.Shelved(Wait))
	}
	before := b.Oldest(Wait, 100)
	b.drop(Wait, "replaced", "another\n")
	st, err := b.Dir(Wait).Stat("touched")
	err = errors.Join(err, os.Remove(b.path(Wait, "gone")), os.Rename(b.path(Wait, "renamed"), b.path(Wait, "newname")),
		os.WriteFile(b.path(Wait, "edited"), []byte("more\n"), 0o640), os.Chmod(b.path(Wait, "touched"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	b.Overlook()
	found := b.survey(false)
	var fresh, gone []string
	for _, e := range found.Fresh {
		fresh = append(fresh, e.Name)
	}
	for _, e := range found.Gone {
		gone = append(gone, e.Name)
	}
	slices.Sort(fresh)
	slices.Sort(gone)
	if want := []string{"edited", "newname", "replaced"}; !slices.Equal(fresh, want) {
		t.Errorf("fresh: %q, want %q", fresh, want)
	}
	if want := []string{"gone", "renamed", "replaced"}; !slices.Equal(gone, want) {
		t.Errorf("gone: %q, want %q", gone, want)
	}
	if b.Shelved(Wait) != 2 { // same, touched
		t.Errorf("%d on the shelf", b.Shelved(Wait))
	}
	if e := b.Entry(Wait, "touched"); e.Ino != st.Ino || e.State != Accepted {
		t.Errorf("%+v", e)
	}
	if len(before) != len(names) || !slices.IsSortedFunc(before, byTime) {
		t.Errorf("%d in order", len(before))
	}
}

// A listing that breaks off says nothing of those it did not come to, nor that the next
// one must have them.
func TestListingBreaksOff(t *testing.T) {
	b, _ := onShelf(t)
	b.drop(Wait, "a", "x\n")
	b.drop(Wait, "b", "x\n")
	for _, e := range b.survey(true).Fresh[:1] {
		b.shelve(e, "")
	}
	x := b.index[Wait]
	x.shelf.turn ^= marked // as when it broke off at once
	x.listed(x.shelf.turn)
	if err := errors.Join(os.Remove(b.path(Wait, "a")), os.Remove(b.path(Wait, "b"))); err != nil {
		t.Fatal(err)
	}
	if found := b.survey(true); len(found.Gone) != 2 {
		t.Errorf("%d gone", len(found.Gone))
	}
}

// First is the first of what is open, on the shelf or not.
func TestFirstOnShelf(t *testing.T) {
	b, _ := onShelf(t)
	now := time.Now().Truncate(time.Millisecond)
	for i, name := range []string{"early", "a", "b", "c"} {
		b.drop(Wait, name, "x\n")
		if err := os.Chtimes(b.path(Wait, name), now, now.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	var early, last *Entry
	for _, e := range b.survey(true).Fresh {
		if e.Name == "early" {
			early = e
		} else if e.Name == "c" {
			last = e
		} else if !b.shelve(e, map[string]string{"a": "make", "b": ""}[e.Name]) {
			t.Fatalf("%s is not shelved", e.Name)
		}
	}
	all := func(string) bool { return true }
	if e := b.First(Wait, all, early); e != early {
		t.Errorf("%+v", e)
	}
	if e := b.First(Wait, func(kind string) bool { return kind == "" }, last); e == nil || e.Name != "b" {
		t.Errorf("%+v", e)
	}
	if e := b.First(Wait, all, last); e == nil || e.Name != "a" {
		t.Errorf("%+v", e)
	}
	if e := b.First(Wait, all, last); e != last { // a and b are entries by now
		t.Errorf("%+v", e)
	}
	if e := b.First(Priority, all, nil); e != nil {
		t.Errorf("%+v", e)
	}
}
