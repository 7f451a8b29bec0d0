package crash

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"simplejobq/test/crash/crashfs"
	"simplejobq/test/crash/world"
)

// judgeAll judges several states at a time. bad, if not nil, takes what is wrong with
// one; else it is a failure of the test.
func (b *cuts) judgeAll(states iter.Seq[*cutState], bad func()) {
	next := make(chan *cutState)
	var todo sync.WaitGroup
	for range 3 * runtime.NumCPU() {
		todo.Go(func() {
			for s := range next {
				b.try(s, bad)
			}
		})
	}
	for s := range states {
		if next <- s; hunting && b.bad.Load() > 0 {
			break
		}
	}
	close(next)
	todo.Wait()
}

func (b *cuts) try(s *cutState, bad func()) {
	b.judged.Add(1)
	if bad != nil {
		// Where it is not demanded, what is found is only counted.
		var found []string
		world.Try(silent{b.t}, s.String(), func(t *world.Trial) { found = b.judge(t, s) })
		if len(found) > 0 {
			bad()
		}
		return
	}
	world.Try(b.t, s.String(), func(t *world.Trial) {
		found := b.judge(t, s)
		if len(found) == 0 {
			return
		}
		b.bad.Add(1)
		t.Errorf("%s", strings.Join(found, "\n"))
		if os.Getenv("CRASH_KEEP") != "" {
			b.t.Logf("CRASH_STATE=%s judges it again", b.keep(s))
		}
	})
}

// silent is a test that is told nothing.
type silent struct{ testing.TB }

func (silent) Helper()             {}
func (silent) Fail()               {}
func (silent) Logf(string, ...any) {}

// kept is a state in a file: seeds give the same draws only of the same recording.
type kept struct {
	Units  []world.Unit
	Rules  crashfs.Rules
	Root   string
	Nodes  map[uint64]*crashfs.Node
	Before world.Ledger
}

func (b *cuts) keep(s *cutState) string {
	f, err := os.CreateTemp("", "crash-state-")
	if err == nil {
		defer f.Close()
		err = gob.NewEncoder(f).Encode(kept{s.of.units, s.of.rules, s.of.root, s.tree.Nodes, s.before})
	}
	if err != nil {
		b.t.Error(err)
		return ""
	}
	return f.Name()
}

// once judges a kept state.
func (b *cuts) once(file string) {
	f, err := os.Open(file)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	var k kept
	if err := gob.NewDecoder(f).Decode(&k); err != nil {
		b.t.Fatal(err)
	}
	for _, n := range k.Nodes {
		if n.Dir() && n.Names == nil {
			n.Names = map[string]uint64{} // gob leaves out what is empty
		}
	}
	r := &recorded{cutWork: cutWork{name: filepath.Base(file), units: k.Units, rules: k.Rules}, root: k.Root}
	b.try(&cutState{of: r, tree: crashfs.Planted(k.Nodes), before: k.Before}, nil)
}

// judge serves the state to a monitor, and to another one, and returns what is wrong.
func (b *cuts) judge(t *world.Trial, s *cutState) (found []string) {
	out := world.Scratch(t, b.dir)
	v := b.serve(s)
	defer v.Drop()
	x := diskWorld(t, v, out)
	x.Once("")
	found = x.CheckAfterCut(s.of.units, s.before)
	before := picture(v.Tree())
	x.Once("")
	if after := picture(v.Tree()); after != before {
		found = append(found, "one more start changed something: before\n"+before+"\nafter\n"+after)
	}
	gone(t, v)
	if x.Says("bad file descriptor") {
		found = append(found, "a descriptor was closed twice")
	}
	if len(found) > 0 {
		found = append(found, x.Story(), "the disk was:\n"+contents(s.tree))
	}
	for i, text := range found {
		found[i] = blanks.ReplaceAllString(text, "…")
	}
	return found
}

// blanks fill run records and the room of a STATUS.
var blanks = regexp.MustCompile(`[ \n]{20,}`)

// contents is what lies on a disk, for a failure's message.
func contents(t *crashfs.Tree) string {
	var lines []string
	t.Walk(func(path string, n *crashfs.Node) bool {
		if n.Regular() && !unread.MatchString(path) {
			lines = append(lines, fmt.Sprintf("%s inode %d links %d time %d %.2000q", path, n.Ino, n.Links, n.Mtime, blanks.ReplaceAll(n.Data, []byte("…"))))
		}
		return true
	})
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// serve is the state as a disk: only the path in the configuration is another.
func (b *cuts) serve(s *cutState) *crashfs.Live {
	rules := s.of.rules
	rules.SyncTakes = 0
	v := b.disk.Serve(s.tree.Clone(), rules)
	v.Put("spool/config.toml", func(old []byte) []byte { return bytes.ReplaceAll(old, []byte(s.of.root), []byte(v.Path())) })
	v.Put("w/ran", func([]byte) []byte { return nil })
	return v
}

// picture is all that a monitor with nothing to do must leave alone.
func picture(t *crashfs.Tree) string {
	var lines []string
	t.Walk(func(path string, n *crashfs.Node) bool {
		name, in := strings.CutPrefix(path, "spool/")
		switch {
		case !in:
			return path == "spool"
		case name == "status", name == ".monitor/work", strings.HasSuffix(name, "README"), name == "config.toml":
			return false
		case n.Dir(), strings.HasPrefix(name, "monitor_"), strings.HasPrefix(name, ".monitor/"):
			lines = append(lines, name)
		default:
			lines = append(lines, fmt.Sprintf("%s inode %d links %d time %d %q%s", name, n.Ino, n.Links, n.Mtime, n.Data, n.Target))
		}
		return true
	})
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
