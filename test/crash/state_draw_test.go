package crash

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"simplejobq/test/crash/crashfs"
	"simplejobq/test/crash/world"
)

// draw is a state that a journalling file system may leave of a recording.
func (r *recorded) draw(rng *rand.Rand) *cutState {
	s := &cutState{of: r, cut: rng.IntN(len(r.log.Ops) + 1)}
	s.synced = r.log.Safe(s.cut)
	s.prefix = s.synced + rng.IntN(s.cut-s.synced+1)
	fates := map[uint64]crashfs.Fate{}
	uniform := crashfs.Fate(rng.IntN(2 * int(crashfs.Fates)))
	s.tree = r.log.Journalled(s.cut, s.prefix, func(id uint64) crashfs.Fate {
		if f := uniform; f < crashfs.Fates {
			fates[id] = f
		} else {
			fates[id] = crashfs.Fate(rng.IntN(int(crashfs.Fates)))
		}
		return fates[id]
	}, rng)
	s.how = r.fates(s.tree, fates)
	return s
}

// fates tells what became of which files.
func (r *recorded) fates(t *crashfs.Tree, fates map[uint64]crashfs.Fate) string {
	var words []string
	t.Walk(func(path string, n *crashfs.Node) bool {
		if f, ok := fates[n.ID]; ok {
			words = append(words, fmt.Sprintf("%s %v", path, f))
		}
		return true
	})
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// told completes a state with what had been acknowledged.
func (s *cutState) tell(b *cuts) {
	then := s.of.log.At(s.cut)
	// What the file held when the log began was told, or not, by others.
	events := bytesOf(then, "spool/monitor_events")
	events = bytes.TrimLeft(events[min(len(events), len(bytesOf(s.of.log.Base, "spool/monitor_events"))):], "\n")
	var err error
	if s.before, err = world.ReadLedger(events, bytesOf(then, "w/ran"), s.of.before); err != nil {
		b.t.Fatalf("%v: %v", s, err)
	}
	for name := range strings.FieldsSeq(string(bytesOf(then, "w/submitted"))) {
		s.before.Accepted[name] = true
	}
	for name := range strings.FieldsSeq(string(bytesOf(then, "w/waited"))) {
		s.before.Ended[name] = "done-q"
	}
	for name := range strings.FieldsSeq(string(bytesOf(then, "w/sent"))) {
		s.before.Sent[name] = true
	}
	s.before.Text = map[string]string{}
	for name, queue := range s.before.Ended {
		if n := then.Find("spool/" + queue + "/" + name); n != nil { // else it was moved since
			s.before.Text[name] = string(n.Data)
		}
	}
}

func bytesOf(t *crashfs.Tree, path string) []byte {
	if n := t.Find(path); n != nil {
		return n.Data
	}
	return nil
}

// What differs from one recording of a workload to the next, and says nothing.
var noise = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-\d+`), "RUN"},
	{regexp.MustCompile(`\d+(\.\d+)?(ms|µs|s)\b`), "SPAN"},
	{regexp.MustCompile(`peak [0-9.]+ [kM]?B\)`), "PEAK)"},
	{regexp.MustCompile(`\b(pid|started|born|runner|runner_start|wall|cpu|peak|finished|claim|work|dev|cut_time)("?[=:])[0-9a-z]+`), "$1$2N"},
	{regexp.MustCompile(`sum=[0-9a-f]{8}`), "SUM"},
	{regexp.MustCompile(`[0-9a-f]{64}`), "HASH"},
	{regexp.MustCompile(` +\n`), "\n"},
	{regexp.MustCompile(`/mnt/\d+/`), "/mnt/"},
}

var noisyNames = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`(run/u\d+)-[0-9a-z]+-`), "$1-TOKEN-"},
	{regexp.MustCompile(`work/w[0-9a-z]+`), "work/wN"},
	{regexp.MustCompile(`tmp/((accept|out)-\d+(-\d+)*?)-\d{16,}`), "tmp/$1-TIME"},
}

// What a monitor does not go by, or only tells.
var unread = regexp.MustCompile(`^(w|spool/(status|monitor_says.*|monitor_events.*|config\.toml|README|\.monitor/lock|[a-z-]+/README))$`)

// shape is a state without what says nothing: two with the same shape differ in
// points of time, process numbers and random names.
func (b *cuts) shape(t *crashfs.Tree) string {
	var lines []string
	t.Walk(func(path string, n *crashfs.Node) bool {
		if unread.MatchString(path) {
			return false
		}
		for _, r := range noisyNames {
			path = r.what.ReplaceAllString(path, r.as)
		}
		line := fmt.Sprintf("%s %d %o %d %s", path, n.Ino, n.Mode, n.Links, n.Target)
		if n.Regular() {
			line += fmt.Sprintf(" %s %s", mtimeOf(n), b.quiet(n.Data))
		}
		lines = append(lines, line)
		return true
	})
	slices.Sort(lines)
	return digest(lines...)
}

// quiet is a digest of what a file says without the noise.
func (b *cuts) quiet(data []byte) string {
	key := sha256.Sum256(data)
	if d, ok := b.quieted[key]; ok {
		return d
	}
	text := string(data)
	for _, r := range noise {
		text = r.what.ReplaceAllString(text, r.as)
	}
	b.quieted[key] = digest(text)
	return b.quieted[key]
}

var stamped = regexp.MustCompile(`^timestamp: (\S+Z)`)

// mtimeOf is what a file's time says: see docs/architecture.md.
func mtimeOf(n *crashfs.Node) string {
	if n.Mtime%1_000_000 == 1 {
		return "untold"
	}
	if n.Mtime%1_000_000 == 0 && stamped.Match(n.Data) {
		return "told"
	}
	return "other"
}

func digest(lines ...string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(lines, "\n"))))
}

// acked is what a state owes.
func (s *cutState) acked() string {
	l := s.before
	return fmt.Sprint(l.Accepted, l.Ended, l.Moved, l.Ran)
}

// fresh reports whether nothing like the state was seen, and notes it. Of a tree
// that was, with other debts, one in eight is fresh.
func (b *cuts) fresh(s *cutState) bool {
	tree := b.shape(s.tree)
	if b.trees[tree] && b.rng.IntN(8) > 0 {
		return false
	}
	s.tell(b)
	pair := digest(tree, s.acked())
	if b.pairs[pair] {
		return false
	}
	b.trees[tree], b.pairs[pair] = true, true
	return true
}

// drawJournalled judges so many distinct states.
func (b *cuts) drawJournalled(want int) {
	b.judgeAll(b.distinct(want, func() *cutState { return b.logs[b.rng.IntN(len(b.logs))].draw(b.rng) }), nil)
}

// distinct draws until there are so many shapes, or nothing new comes any more.
func (b *cuts) distinct(want int, draw func() *cutState) func(yield func(*cutState) bool) {
	return func(yield func(*cutState) bool) {
		for missed := 0; len(b.trees) < want && missed < 5000; missed++ {
			if s := draw(); b.fresh(s) {
				missed = 0
				if !yield(s) {
					return
				}
			}
		}
	}
}

// cutRecoveries lets the power go again while the monitor recovers from some states,
// until so many more distinct ones were judged.
func (b *cuts) cutRecoveries(recoveries, want int) {
	var first []*cutState
	for range recoveries {
		s := b.logs[b.rng.IntN(len(b.logs))].draw(b.rng)
		s.tell(b)
		first = append(first, s)
	}
	second := b.recordAll(recoveries, func(t *world.Trial, i int) *recorded { return b.recordRecovery(t, first[i]) })
	had := len(b.trees)
	b.judgeAll(b.distinct(had+want, func() *cutState { return second[b.rng.IntN(len(second))].draw(b.rng) }), nil)
	b.ofRecoveries = len(b.trees) - had
}

// drawStrict judges states of a file system on which directories answer for
// themselves, and tells how many the monitor made something wrong of: with whole
// renames, and with halves of them.
func (b *cuts) drawStrict(each int) (figures string) {
	for _, whole := range []bool{true, false} {
		var bad atomic.Int64
		had := len(b.trees)
		b.judgeAll(b.distinct(had+each, func() *cutState {
			return b.logs[b.rng.IntN(len(b.logs))].drawStrict(whole, b.rng)
		}), func() { bad.Add(1) })
		figures += fmt.Sprintf(", %d of %d states with %s", bad.Load(), len(b.trees)-had, map[bool]string{true: "whole renames", false: "halves of renames"}[whole])
	}
	return strings.TrimPrefix(figures, ", ")
}

func (r *recorded) drawStrict(whole bool, rng *rand.Rand) *cutState {
	s := &cutState{of: r, cut: rng.IntN(len(r.log.Ops) + 1), how: "strict"}
	model := crashfs.Strict{Whole: whole, Odds: []float64{0, 0.5, 1}[rng.IntN(3)]}
	s.tree = model.State(&r.log, s.cut, func(uint64) crashfs.Fate { return crashfs.Fate(rng.IntN(int(crashfs.Fates))) }, rng)
	return s
}
