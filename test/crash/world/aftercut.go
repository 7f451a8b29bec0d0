package world

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// afterCut is one judgement.
type afterCut struct {
	*World
	units  map[string]Unit
	before Ledger
	told   Ledger // what the file says by now
	ran    map[string]int
	faults []string
}

// CheckAfterCut is the checker after a power cut: the monitor has recovered and is
// idle. before is the ledger at the cut; x.Ran counts the runs after it.
//
// What was acknowledged must be there as it was said: an accepted UOW in one place
// and whole, an ended one with the STATUS and the log it was told to have. What was
// not may be gone or damaged, as its writer did not sync it, but only as long as it
// never ran, and what is whole takes its ordinary way. What ran may be interrupted,
// and its log says so; then what comes after it does not start. A message that a job
// wrote and did not sync may be lost. COMMAND ran no more often than its log
// announces, and not twice without a line that says why.
func (x *World) CheckAfterCut(units []Unit, before Ledger) []string {
	c := &afterCut{World: x, units: map[string]Unit{}, before: before, told: x.readTorn(), ran: x.Ran()}
	for _, u := range units {
		c.units[u.Name] = u
		c.ran[u.Name] += before.Ran[u.Name]
	}
	for _, u := range units {
		c.judge(u)
	}
	c.strangers()
	return append(c.faults, x.leftovers()...)
}

func (c *afterCut) fault(name, format string, args ...any) {
	c.faults = append(c.faults, name[:min(len(name), 20)]+": "+fmt.Sprintf(format, args...))
}

// at reads what a queue holds under a name; false where nothing is, or somebody
// else's.
func (c *afterCut) at(queue, name string) (string, bool) {
	b, err := os.ReadFile(filepath.Join(c.Root, queue, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.fault(name, "%v", err)
	}
	return string(b), err == nil && string(b) != somebodys
}

func (c *afterCut) judge(u Unit) {
	var places []string
	var text string
	for _, q := range queues {
		b, there := c.at(q, u.Name)
		if q == "trash" && len(places) > 0 && b != u.Text && !strings.Contains(b, "==== JOB LOG\n") {
			continue // what was dropped, damaged, after the monitor had made its copy
		}
		if there {
			places, text = append(places, q), b
		}
	}
	acked := c.before.Accepted[u.Name] || c.ran[u.Name] > 0
	switch {
	case len(places) == 0:
		if acked {
			c.fault(u.Name, "was acknowledged, ran %d times, and is gone", c.ran[u.Name])
		}
		return
	case len(places) > 1:
		c.fault(u.Name, "is in %q, want one place", places)
		return
	}
	at := places[0]
	if at == "trash" && !c.explained(u.Name) {
		c.fault(u.Name, "is in trash without a reason")
	}
	if c.before.Refused[u.Name] && at != "trash" {
		c.fault(u.Name, "was told to be in trash and is in %s", at)
	}
	if at == "trash" && u.End == "trash" {
		return // that its writer did not sync it may show
	}
	if whole := text == u.Text || strings.Contains(text, "==== JOB LOG\n"); !acked && !whole && (at == u.Drop || at != "currently-executing") {
		return // nor this one
	}
	c.sameEnd(u, at, text)
	c.placed(u, at, text)
}

// explained reports whether a reason lies beside a name in trash.
func (c *afterCut) explained(name string) bool {
	entries, _ := os.ReadDir(filepath.Join(c.Root, "trash"))
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return reasonFor(e.Name(), name) })
}

// displaced is what a name gets that was in the way, a reason whose file was refused
// again for one.
var displaced = regexp.MustCompile(`~\d+$`)

// reasonFor reports whether a name is that of a reason for another; a long one is cut.
func reasonFor(why, name string) bool {
	begin, ok := strings.CutSuffix(displaced.ReplaceAllString(why, ""), ".why")
	head, _, cut := strings.Cut(begin, "…")
	return ok && (begin == name || cut && strings.HasPrefix(name, head))
}

// sameEnd: what was told as ended is where and as it was told, or was put back since
// and says so.
func (c *afterCut) sameEnd(u Unit, at, text string) {
	end := c.before.Ended[u.Name]
	if end == "" {
		return
	}
	if was, known := c.before.Text[u.Name]; end == at && (!known || was == text) && strings.Contains(text, shown(c.before.Reason[u.Name])) {
		return
	}
	if !c.toldTo(u, "REQUEUE") || !strings.Contains(text, "it had ended as "+shown(c.before.Reason[u.Name])) {
		c.fault(u.Name, "was told to have ended %q in %s with\n%s\nand is in %s with\n%s", c.before.Reason[u.Name], end, c.before.Text[u.Name], at, text)
	}
}

// shown is the part of a told reason that a STATUS certainly has: it has no room
// for all of a long one.
func shown(reason string) string { return reason[:min(len(reason), 100)] }

// toldTo reports whether a job sends one of those messages about u.
func (c *afterCut) toldTo(u Unit, keywords ...string) bool {
	for _, o := range c.units {
		for _, k := range keywords {
			if strings.Contains(o.Text, Tell(k+" "+u.Name)) {
				return true
			}
		}
	}
	return false
}

// placed judges a UOW that was accepted.
func (c *afterCut) placed(u Unit, at, text string) {
	fault := func(format string, args ...any) { c.fault(u.Name, format+"\n%s", append(args, text)...) }
	head, log, ok := strings.Cut(text, "==== JOB LOG\n")
	before, status, ok2 := strings.Cut(head, "==== STATUS\n")
	if !ok || !ok2 {
		fault("is in %s and not whole", at)
		return
	}
	asked, _, _ := strings.Cut(u.Text, "\n==== STATUS")
	if _, asked, _ = strings.Cut(asked, "==== UNIT OF WORK\n"); !strings.Contains(before, asked) {
		fault("what was asked changed")
	}
	if len(strings.TrimRight(status, "\n")) != 240 && !strings.Contains(status, "…") {
		fault("STATUS lost its room: %d bytes", len(status))
	}
	status = strings.TrimSpace(status)
	interrupted := strings.Contains(log, " interrupted: ") || strings.Contains(log, queuedAgain)
	puts := strings.Count(log, " put back into ")
	if !c.ends(u, at, status, log, interrupted) {
		fault("is in %s with STATUS %q, want %s and %q", at, status, u.End, u.Status)
	}
	ran, want := c.ran[u.Name], u.Runs
	switch {
	case c.toldTo(u, "REQUEUE"):
		want = 1 + puts // the message may be lost, or have come twice
	case at == u.Drop || strings.HasPrefix(status, "fail: not started: "):
		want = 0
	case strings.Contains(log, queuedAgain):
		want = u.Runs + strings.Count(log, queuedAgain)
	case strings.Contains(u.Text, "RETRY INTERRUPTED :: yes"):
		want = max(want, 1+strings.Count(log, " interrupted: "))
	}
	if ran > want || ran < want && !interrupted {
		fault("COMMAND ran %d times, want %d", ran, want)
	}
	for _, f := range runs(log, ran) {
		fault("%s", f)
	}
	// Zeros at the end of a log that a power cut took are of no use, but no harm.
	if strings.ContainsRune(before+status, 0) || !interrupted && strings.ContainsRune(log, 0) {
		fault("holds NULs")
	}
	// What a message puts away, and what lies there from the beginning, needs not have
	// been accepted; what looks as if it had been is not told of again.
	early := u.Name == "restored" || at == "archive" || at == u.Drop && at == "hold-q" || u.Drop == "currently-executing"
	if !early && !c.before.Accepted[u.Name] && !c.told.Accepted[u.Name] {
		fault("nobody was told that it was accepted")
	}
	if over := at == "done-q" || at == "error-q" || at == "fail-q"; over && c.before.Ended[u.Name] == "" && c.told.Ended[u.Name] == "" {
		fault("nobody was told that it ended")
	}
}

// ends reports whether a UOW may have come there: as it would without a power cut,
// or because one fell into its run, or into that of one it depends on.
func (c *afterCut) ends(u Unit, at, status, log string, interrupted bool) bool {
	is := func(queue, begin string) bool {
		return at == queue && strings.HasPrefix(status, begin) && (begin != "" || status == "")
	}
	_, after, _ := strings.Cut(u.Text, "AFTER :: ")
	after, _, _ = strings.Cut(after, "\n")
	_, one := c.units[after]
	switch {
	case is(u.End, u.Status):
		return true
	case interrupted && strings.Contains(u.Text, "==== STEP "): // a CHECK may decide what became of it
		return is("fail-q", "fail: step ") && strings.Contains(status, "interrupted: ") || is("error-q", "error: step ")
	case interrupted && strings.Contains(u.Text, "CHECK :: "):
		return is("error-q", "error: recheck exit 1") || is("done-q", "done: check exit 0")
	case strings.Contains(log, queuedAgain) && strings.Contains(u.Text, "mv "):
		return is("hold-q", "") || is("fail-q", "fail: interrupted")
	case interrupted:
		return is("fail-q", "fail: interrupted")
	case one && is("fail-q", "fail: not started: it comes after "+after):
		return !c.There("done-q", after)
	case one && is(u.Drop, ""):
		return !c.There("done-q", after) && !c.There("fail-q", after) && !c.There("error-q", after)
	case is(u.Drop, "") && c.toldTo(u, "HOLD", "RELEASE", "PROMOTE", "ARCHIVE"):
		return c.before.Moved[u.Name] == "" && !(c.before.Sent[u.Name] && c.before.Accepted[u.Name])
	}
	return false
}

// strangers: nothing lies in the queues that nobody put there, and nothing is
// missing that did.
func (c *afterCut) strangers() {
	theirs := 0
	for _, q := range queues {
		entries, err := os.ReadDir(filepath.Join(c.Root, q))
		if err != nil {
			c.fault(q, "%v", err)
		}
		for _, e := range entries {
			name := e.Name()
			switch _, unit := c.units[name]; {
			case q == "done-q" && (name == "namesake" || name == "namesake~1"):
				if b, err := os.ReadFile(filepath.Join(c.Root, q, name)); err == nil && string(b) == somebodys {
					theirs++
				} else if !unit {
					c.fault(name, "somebody's file is %q, %v", b, err)
				}
			case unit, name == "README", strings.HasPrefix(name, ".submit-"): // cut while it dropped one
			case q == "trash" && strings.HasPrefix(name, "accept-") && c.damaged(name):
			case q == "trash" && slices.ContainsFunc(slices.Collect(maps.Keys(c.units)), func(u string) bool { return reasonFor(name, u) }):
			default:
				c.fault(name, "nobody put that into %s", q)
			}
		}
	}
	if _, named := c.units["namesake"]; theirs > 1 || named && theirs == 0 {
		c.fault("namesake", "somebody's file is there %d times", theirs)
	}
	if b, err := os.ReadFile(filepath.Join(c.Root, ".template")); err == nil && strings.Contains(string(b), "==== JOB LOG") {
		c.fault("linked", "its other name was written to: %q", b)
	}
}

// damaged reports whether a file in trash is none that somebody dropped: what its
// writer did not sync may come back in another shape, and nobody knows then that it
// was only the power.
func (c *afterCut) damaged(name string) bool {
	text := c.read(filepath.Join(c.Root, "trash", name))
	for _, u := range c.units {
		if text == u.Text {
			return false
		}
	}
	return true
}
