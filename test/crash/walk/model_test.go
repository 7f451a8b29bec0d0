package walk

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"simplejobq/test/crash/world"
)

// unit is one UOW, known by what it asks for, whatever it is called by now.
type unit struct {
	id, name string
	former   []string // names
	shared   bool     // the name was somebody else's too, or was changed
	kind     kind
	text     string // as it was dropped
	at       string // the queue a person or a message put it into last
	gone     bool   // a person took it out of the spool
	lives    int    // how often it was given to the monitor to begin anew

	stolen bool // was moved into or out of currently-executing

	hurt  bool // its run may have been ended by force
	loose bool // its runs can't be counted: nobody saw what came first
	vague bool // where it has to be nobody can tell either
}

// kind is what a UOW does and how that ends.
type kind struct {
	name    string
	command string
	items   string
	end     string // "" if it never starts
	status  string
	runs    int
}

var kinds = []kind{
	{"good", "exit 0", "", "done-q", "done: exit 0", 1},
	{"slow", "sleep 0.3", "", "done-q", "done: exit 0", 1},
	{"bad", "exit 3", "", "error-q", "error: exit 3", 1},
	{"twice", `test "$MONITOR_TRY" = 2`, "TRIES :: 2\nRETRY DELAY :: 0s\n", "done-q", "done: exit 0", 2},
	{"cleaned", "exit 0", "CLEANUP :: sleep 0.05\n", "done-q", "done: exit 0", 1},
	{"checked", `touch "$W/$MONITOR_UOW"; sleep 0.05`, "CHECK :: sleep 0.02; rm \"$W/$MONITOR_UOW\"\n", "done-q", "done: recheck exit 0", 1},
	{"stubborn", "sleep 0.1", "RETRY INTERRUPTED :: yes\n", "done-q", "done: exit 0", 1},
	{"waits", "exit 0", "AFTER :: nobody\n", "", "", 0},
	{"garbage", "", "", "trash", "", 0},
}

var live = []string{"wait-q", "priority-q"}

func isLive(queue string) bool { return slices.Contains(live, queue) }

// ended reports whether a STATUS tells an end: then the UOW begins anew in a live
// queue.
func ended(status string) bool {
	word, _, _ := strings.Cut(status, ":")
	return word == "done" || word == "error" || word == "fail"
}

// call gives it another name, which may have been somebody else's.
func (u *unit) call(name string) {
	u.former = append(u.former, u.name)
	u.name, u.shared = name, true
}

// placed notes that a person or a message moved it; status is what stood there
// before.
func (u *unit) placed(from, to, status string) {
	switch {
	case isLive(to) && !isLive(from) && ended(status):
		u.lives++
	case isLive(from) && !isLive(to) && ended(status):
		u.loose = true // was it looked at in between?
	}
	u.at = to
}

var (
	asked  = regexp.MustCompile(`\b(u\d{4})\b`)
	status = regexp.MustCompile(`(?m)^==== STATUS\n(.*)$`)
)

// idOf tells which UOW a text is, and its STATUS.
func idOf(text string) (id, st string) {
	if m := status.FindStringSubmatch(text); m != nil {
		st = strings.TrimSpace(m[1])
	}
	return asked.FindString(text), st
}

// place is where a UOW is found.
type place struct{ queue, name, text string }

// find looks through all queues.
func (w *walk) find() (found map[string][]place, strange []string) {
	found = map[string][]place{}
	for _, q := range queues {
		for _, name := range w.list(q) {
			b, err := os.ReadFile(filepath.Join(w.Root, q, name))
			if err != nil {
				continue // moved a moment ago
			}
			if id, _ := idOf(string(b)); id != "" {
				found[id] = append(found[id], place{q, name, string(b)})
			} else {
				strange = append(strange, q+"/"+name)
			}
		}
	}
	return found, strange
}

// judge is what is wrong with an idle spool.
func (w *walk) judge() (faults []string) {
	w.lookBack()
	found, strange := w.find()
	for _, name := range strange {
		faults = append(faults, name+": nobody put that there")
	}
	ran := w.runs()
	events := w.ends()
	for _, u := range w.units {
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("%s (%s, %s): ", u.name, u.id, u.kind.name)+fmt.Sprintf(format, args...))
		}
		places := found[u.id]
		delete(found, u.id)
		if u.gone && (len(places) == 0 || u.vague) || w.kept(u) && len(places) > 0 {
			continue
		}
		if len(places) != 1 || u.gone {
			var at []string
			for _, p := range places {
				at = append(at, p.queue+"/"+p.name)
			}
			fault("is in %q, taken away: %v", at, u.gone)
			continue
		}
		p := places[0]
		if want := w.wanted(u); !slices.Contains(want, p.queue) {
			fault("is in %s/%s, and must be in one of %q; put into %s last, STATUS in\n%s", p.queue, p.name, want, u.at, p.text)
			continue
		}
		for _, f := range u.judge(p, ran[u.id]) {
			fault("%s\n%s", f, p.text)
		}
		for _, f := range events.judge(u, p, ran[u.id]) {
			fault("%s\n%s", f, p.text)
		}
	}
	for id := range found {
		faults = append(faults, id+": is known to nobody")
	}
	return append(faults, w.Leftovers()...)
}

// wanted are the queues in which it may be.
func (w *walk) wanted(u *unit) []string {
	switch {
	case u.vague:
		return queues
	case !isLive(u.at):
		return []string{u.at}
	case u.kind.end == "":
		return []string{u.at}
	case u.hurt && u.kind.runs > 0:
		return []string{u.kind.end, "fail-q", "error-q"}
	}
	return []string{u.kind.end}
}

// judge looks at the text itself.
func (u *unit) judge(p place, ran int) (faults []string) {
	_, st := idOf(p.text)
	_, _, complete := strings.Cut(p.text, "==== JOB LOG\n")
	if !complete {
		if p.text != u.text {
			faults = append(faults, "its bytes changed")
		}
		if ran > 0 {
			faults = append(faults, fmt.Sprintf("ran %d times, and has no log", ran))
		}
		return faults
	}
	want := world.Unit{Name: u.name, Text: u.text, Status: st, Runs: ran}
	if !u.vague && !u.hurt && isLive(u.at) {
		want.Status = u.kind.status
		if u.kind.name == "checked" && strings.HasPrefix(st, "done: check exit 0") {
			want.Status = st // somebody else's file was there
		}
	}
	if word, _, _ := strings.Cut(st, ":"); u.hurt && word == "fail" && !strings.Contains(st, "interrupted") && !strings.Contains(st, "killed by ") {
		faults = append(faults, "failed for another reason than that it was ended by force")
	}
	faults = append(faults, world.Judge(want, p.text, ran)...)
	if low, high := u.expected(st); ran < low || ran > high {
		faults = append(faults, fmt.Sprintf("ran %d times, want %d to %d (begun %d times)", ran, low, high, u.lives))
	}
	return faults
}

// expected is how often it must have run by now.
func (u *unit) expected(st string) (low, high int) {
	last := 0
	switch {
	case ended(st):
		last = u.kind.runs
	case strings.HasPrefix(st, "again:"):
		last = 1
	}
	n := u.kind.runs*(u.lives-1) + last
	switch {
	case u.kind.runs == 0:
		return 0, 0
	case u.vague || u.loose || u.hurt || u.kind.name == "checked":
		return 0, math.MaxInt // announced all the same
	}
	return n, n
}
