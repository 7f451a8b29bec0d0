package walk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"simplejobq/internal/messages"
)

// told is what programs were told of the UOWs of a name.
type told struct {
	accepted map[string]bool
	ends     map[string][]messages.Event
}

func (w *walk) ends() told {
	t := told{map[string]bool{}, map[string][]messages.Event{}}
	for _, e := range w.Events() {
		switch e.Event {
		case "accepted":
			t.accepted[e.UOW] = true
		case "ended":
			t.ends[e.UOW] = append(t.ends[e.UOW], e)
		}
	}
	return t
}

// judge looks whether the events fit to where a UOW is.
func (t told) judge(u *unit, p place, ran int) (faults []string) {
	if u.shared || u.vague {
		return nil
	}
	if ran > 0 && !t.accepted[u.name] {
		faults = append(faults, "ran, and no event tells that it was accepted")
	}
	if !isLive(u.at) || u.kind.runs == 0 {
		return faults
	}
	ends := t.ends[u.name]
	if len(ends) == 0 {
		return append(faults, "is in "+p.queue+", and no event tells that it ended")
	}
	last := ends[len(ends)-1]
	_, st := idOf(p.text)
	if last.Outcome+"-q" != p.queue || !strings.HasPrefix(st, last.Reason[:min(len(last.Reason), 100)]) {
		faults = append(faults, fmt.Sprintf("the last end that was told is %s, %q", last.Outcome, last.Reason))
	}
	if len(ends) < u.lives && !u.loose && !u.hurt {
		faults = append(faults, fmt.Sprintf("%d of %d ends were told", len(ends), u.lives))
	}
	return faults
}

// runs counts what the UOWs themselves wrote down.
func (w *walk) runs() map[string]int {
	ran := map[string]int{}
	b, err := os.ReadFile(filepath.Join(w.W, "ran"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.T.Fatal(err)
	}
	for id := range strings.FieldsSeq(string(b)) {
		ran[id]++
	}
	return ran
}

// kept reports whether a monitor said that it kept a UOW that a person took away
// or replaced while it was claimed: by its second link it has one more name then.
func (w *walk) kept(u *unit) bool {
	said := w.said(0)
	return u.saidIn(said, "recovered", "was removed by somebody before it ran") || u.saidIn(said, "trouble ", "its file was removed or replaced while it ran")
}

// saidIn reports whether something was said of it, by any name it ever had: it may
// have been claimed by another than it has now.
func (u *unit) saidIn(said, word, text string) bool {
	for _, name := range append([]string{u.name}, u.former...) {
		if strings.Contains(said, "  "+word+"  "+shown(name)+"  "+text) {
			return true
		}
	}
	return false
}

var repeated = regexp.MustCompile(`  answer +(?:"[^"]*"  |\S+  )?#(m\d+) a crash left it unclear`)

// lookBack takes into account what the monitors said of themselves: messages that
// are perhaps acted upon twice, and what came of a person's moves at bad moments.
func (w *walk) lookBack() {
	said := w.said(0)
	for _, m := range repeated.FindAllStringSubmatch(said, -1) {
		whom := w.sent[m[1]]
		if w.many[m[1]] {
			whom = w.units // whoever is there by then
		}
		for _, u := range whom {
			u.vague, u.loose = true, true
		}
	}
	for _, u := range w.units {
		// Of one that was stolen the claim may have come to nothing.
		if u.stolen && w.kills > 0 || u.saidIn(said, "recovered", "had been moved to ") {
			u.vague, u.loose = true, true
		}
	}
	if strings.Contains(said, "a file was written to while it was accepted") {
		for _, u := range w.edited {
			u.vague, u.loose = true, true
		}
	}
}

// said is what was said since monitor_says had that size.
func (w *walk) said(since int64) string {
	b, err := os.ReadFile(filepath.Join(w.Root, "monitor_says"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.T.Fatal(err)
	}
	return string(b[min(since, int64(len(b))):])
}

// shown is a name as monitor_says shows it.
func shown(name string) string {
	if strings.Contains(name, " ") {
		return fmt.Sprintf("%q", name)
	}
	return name
}
