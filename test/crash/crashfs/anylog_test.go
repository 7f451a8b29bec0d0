package crashfs

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Of any log: with all of the journal and all bytes it is what programs saw, and
// what was synced last is there in every state, under every name that is.
func TestAnyLog(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := newScript()
		s.dir("a")
		s.dir("b")
		s.Rebase()
		synced := map[uint64][]byte{}
		for i := range rapid.IntRange(1, 40).Draw(r, "operations") {
			var files []string
			for path := range s.ids {
				if strings.Contains(path, "/") {
					files = append(files, path)
				}
			}
			slices.Sort(files)
			dir := rapid.SampledFrom([]string{"a", "b"}).Draw(r, "directory")
			if len(files) == 0 || rapid.IntRange(0, 3).Draw(r, "new") == 0 {
				s.file(fmt.Sprintf("%s/%d", dir, i))
				continue
			}
			path := rapid.SampledFrom(files).Draw(r, "file")
			id := s.ids[path]
			switch rapid.IntRange(0, 5).Draw(r, "act") {
			case 0:
				s.rename(path, fmt.Sprintf("%s/%d", dir, i), false)
			case 1:
				d, name := split(path)
				s.do(Op{Kind: Unlink, Node: id, Dir: s.ids[d], Name: name})
				delete(s.ids, path)
			case 2:
				s.write(id, rapid.IntRange(0, 900).Draw(r, "offset"), strings.Repeat(fmt.Sprint(i%10), rapid.IntRange(1, 900).Draw(r, "size")))
				delete(synced, id)
			case 3:
				s.do(Op{Kind: Truncate, Node: id, Off: int64(rapid.IntRange(0, 900).Draw(r, "size"))})
				delete(synced, id)
			case 4:
				s.sync(id)
				synced[id] = s.tree.Nodes[id].Data
			case 5:
				s.sync(s.ids[dir])
			}
		}
		l, n := s.Log(), s.Done()
		seen, kept := l.At(n), l.Journalled(n, n, all(Kept), nil)
		if names(seen) != names(kept) {
			r.Fatalf("programs saw %q, all of the disk is %q", names(seen), names(kept))
		}
		seen.Walk(func(path string, f *Node) bool {
			if k := kept.Find(path); string(k.Data) != string(f.Data) || k.Mtime != f.Mtime || k.Links != f.Links || k.Ino != f.Ino {
				r.Fatalf("%s: programs saw %+v, the disk has %+v", path, f, k)
			}
			return true
		})
		rng := rand.New(rand.NewPCG(5, rapid.Uint64().Draw(r, "seed")))
		committed := l.Safe(n) + rng.IntN(n-l.Safe(n)+1)
		state := l.Journalled(n, committed, func(uint64) Fate { return Fate(rng.IntN(int(Fates))) }, rng)
		if got, want := names(state), names(l.At(committed)); got != want {
			r.Fatalf("with %d of the journal: %q, want %q", committed, got, want)
		}
		state.Walk(func(path string, f *Node) bool {
			if want, ok := synced[f.ID]; ok && string(f.Data) != string(want) {
				r.Fatalf("%s was synced with %q and holds %q", path, want, f.Data)
			}
			return true
		})
	})
}
