package world

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Disturbed is what happened to a transition on purpose, beyond what must leave no
// trace, so that it may end in another way.
type Disturbed struct {
	Interrupted bool // a runner was killed
	Refused     bool // what a message asked for may honestly have been answered with "not done"
	NotStarted  bool // what a runner needs was refused to it
}

var (
	notStarted  = regexp.MustCompile(`(?m)^fail: (step .*: )?(check |recheck )?not started: `)
	interrupted = regexp.MustCompile(`(?m)^fail: (step .*: )?interrupted: `)
)

// Expect is what has to become of the units after that: as it stands there, but for
// those whose end shows what was done to them, and those that depend on these.
func (x *World) Expect(units []Unit, d Disturbed) []Unit {
	d.Refused = d.Refused && x.Says("not done: ")
	ran := x.Ran()
	units = slices.Clone(units)
	hit := d.Refused
	for i, u := range units {
		text, _ := x.text(u)
		_, log, _ := strings.Cut(text, "==== JOB LOG\n")
		again := strings.Count(log, " interrupted: ")
		switch {
		case d.Interrupted && x.There("fail-q", u.Name) && interrupted.MatchString(text):
			// Killed between the mark and the fork it may not have run at all.
			units[i].End, units[i].Status, units[i].Runs = "fail-q", "fail: ", min(ran[u.Name], u.Runs)
			hit = true
			x.unmet(u)
		case d.Interrupted && again > 0 && x.There("error-q", u.Name) && strings.Contains(u.Text, "\nCHECK :: "):
			// CHECK decides what an interrupted COMMAND did.
			units[i].End, units[i].Status, units[i].Runs = "error-q", "error: ", min(ran[u.Name], u.Runs)
			hit = true
		case d.NotStarted && x.There("fail-q", u.Name) && notStarted.MatchString(text) && strings.Contains(text, "permission denied"):
			units[i].End, units[i].Status, units[i].Runs = "fail-q", "fail: ", min(ran[u.Name], u.Runs)
			hit = true
			x.unmet(u)
		case d.NotStarted && strings.Contains(log, ": not started: ") && x.There(u.End, u.Name):
			// A step of it was not, and was begun again with the others.
			units[i].Runs = min(ran[u.Name], u.Runs)
			hit = true
		case d.Interrupted && again > 0 && ran[u.Name] <= u.Runs+again:
			units[i].Runs = ran[u.Name] // each of them was announced
			hit = true
		}
	}
	if !hit {
		return units
	}
	for i, u := range units {
		// What it waited for did not happen.
		switch {
		case d.Refused && x.There("fail-q", u.Name) && strings.Contains(x.mustText(u), "\nfail: timed out"):
			units[i].End, units[i].Status = "fail-q", "fail: timed out"
		case x.There(u.End, u.Name):
			// Who was interrupted may have asked for it once more: each time stands there.
			most := units[i].Runs
			if d.Interrupted {
				most = max(most, 1+strings.Count(x.mustText(u), " put back into "))
			}
			units[i].Runs = min(ran[u.Name], most)
		case strings.Contains(u.Text, `test -e "$W/fixed"`) && x.There("error-q", u.Name): // nobody asked for more
			units[i].End, units[i].Status, units[i].Runs = "error-q", "error: step ", min(ran[u.Name], u.Runs)
		case x.There(u.Drop, u.Name):
			units[i].End, units[i].Status, units[i].Runs = u.Drop, "", 0
		case x.There("fail-q", u.Name) && strings.Contains(x.mustText(u), "\nfail: not started: it comes after"):
			units[i].End, units[i].Status, units[i].Runs = "fail-q", "fail: not started: it comes after", 0
		}
	}
	return units
}

// unmet removes what a unit's name was taken by, if the two did not meet and it is as
// it was.
func (x *World) unmet(u Unit) {
	if q := x.Root + "/done-q/" + u.Name; u.Name == "namesake" && x.read(q) == somebodys {
		_ = os.Remove(q)
	}
}

// text is a unit's, wherever it is.
func (x *World) text(u Unit) (text, queue string) {
	for _, queue = range x.Places(u.Name) {
		if text = x.read(filepath.Join(x.Root, queue, u.Name)); text != somebodys {
			break
		}
	}
	return text, queue
}

// Accepted reports whether a unit's file has all its sections.
func (x *World) Accepted(u Unit) bool {
	return strings.Contains(x.mustText(u), "\n==== JOB LOG\n")
}

func (x *World) mustText(u Unit) string {
	text, _ := x.text(u)
	return text
}

// Told judges what programs were told: each acceptance and each end at least once,
// the last word about a UOW being true.
func (x *World) Told(units []Unit) (faults []string) {
	accepted, ended := map[string]bool{}, map[string]string{}
	for _, e := range x.Events() {
		switch e.Event {
		case "accepted":
			accepted[e.UOW] = true
		case "ended":
			ended[e.UOW] = e.Outcome + "-q"
		case "moved":
			if strings.HasSuffix(e.From, "-q") && ended[e.UOW] == e.From {
				delete(ended, e.UOW) // put back, or away
			}
		}
	}
	for _, u := range units {
		name := u.Name[:min(len(u.Name), 20)]
		switch u.End {
		case "done-q", "error-q", "fail-q":
			if ended[u.Name] != u.End {
				faults = append(faults, fmt.Sprintf("%s: is in %s, and monitor_events has its end as %q", name, u.End, ended[u.Name]))
			}
		}
		// What a message puts away needs not have been accepted before.
		if u.End != "trash" && u.End != "archive" && u.Drop != "currently-executing" && !(u.Drop == "hold-q" && u.End == "hold-q") && !accepted[u.Name] {
			faults = append(faults, fmt.Sprintf("%s: monitor_events does not tell that it was accepted", name))
		}
	}
	return faults
}

// Repeats are lines of trouble that were said more than once, where the trouble can't
// have come again because what it is about was started again.
func (x *World) Repeats() (faults []string) {
	seen, started := map[string]int{}, map[string]int{}
	for line := range strings.Lines(x.read(filepath.Join(x.Root, "monitor_says"))) {
		_, text, ok := strings.Cut(line, "  ")
		words := strings.Fields(text)
		if !ok || len(words) < 2 {
			continue
		}
		if words[0] == "started" {
			started[words[1]]++
		}
		if words[0] == "trouble" {
			if seen[text]++; seen[text] == max(1, started[words[1]])+1 {
				faults = append(faults, "said more than once: "+text)
			}
		}
	}
	return faults
}

// Calm adds to the faults what one more start of the monitor changes, and fails the
// test if there are any: [World.Well] for a spool that need not be ours.
func (x *World) Calm(faults []string, again bool, what string) {
	x.T.Helper()
	if again {
		before := x.Picture()
		x.Pass("")
		// The note of the boot that a full disk did not take is written then; without
		// it recovery is only more careful.
		if d := difference(before, x.Picture()); d != "" && d != "+ .monitor/boot" {
			faults = append(faults, "one more start changed something:\n"+d)
		}
	}
	if len(faults) > 0 {
		x.T.Errorf("%s:\n%s\n%s", what, strings.Join(faults, "\n"), x.Story())
	}
}
