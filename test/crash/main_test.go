// Package crash kills the real monitor and its runners, and lets their disk fail, at
// every call to the kernel that changes something, in every transition of a UOW
// and in the recovery from that; one checker judges what is left.
package crash

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

func TestMain(m *testing.M) { world.Main(m) }

// transitions are all of them, each in a spool of its own; of these CRASH_ONLY, a
// pattern of their names, chooses some.
var transitions = only(slices.Concat(world.Transitions(), world.Disturbances()))

func only(all []world.Transition) []world.Transition {
	return slices.DeleteFunc(all, func(tr world.Transition) bool {
		return !regexp.MustCompile(os.Getenv("CRASH_ONLY")).MatchString(tr.Name)
	})
}

// insistent is a transition whose units are started again when they are interrupted.
func insistent(tr world.Transition) world.Transition {
	tr.Name += "+"
	tr.Units = slices.Clone(tr.Units)
	for i, u := range tr.Units {
		before, after, ok := strings.Cut(u.Text, "==== UNIT OF WORK\n")
		if ok && !strings.Contains(after, "RETRY INTERRUPTED") && u.Status != "fail: interrupted" {
			tr.Units[i].Text = before + "==== UNIT OF WORK\nRETRY INTERRUPTED :: yes\n" + after
		}
	}
	return tr
}

// attack is what is done to one transition: plans of internal/durable/faults.go.
type attack struct {
	of     world.Transition
	runner string   // for the first runner that gets so far
	plans  []string // for one monitor after the other; the one that follows has none
}

// String is also what CRASH_CASE takes.
func (a attack) String() string {
	return strings.Join(append([]string{a.of.Name, a.runner}, a.plans...), ";")
}

func (a attack) has(word string) bool { return strings.Contains(a.String(), word) }

// result of an attack that got where it was to get.
type result struct {
	struck   []world.Op // what was done first by each plan
	recovery []world.Op // of the monitor without a plan after them
}

// launch carries the attack out and judges what is left. It reports false where one
// of the plans was never reached.
func (a attack) launch(t *world.Trial) (r result, reached bool) {
	x := world.Fresh(t, a.of)
	token := x.Dir + "/struck"
	if a.runner != "" {
		x.Runners = a.runner + ",only:" + token
	}
	last := world.Passage{}
	for _, plan := range a.plans {
		if strings.Contains(plan, ":EACCES:") {
			// A refusal is no trouble that passes: who asks for one pass only has had it.
			last = x.Serve(plan, func() bool { return a.over(x) })
		} else {
			last = x.Pass(plan)
		}
		if plan == "" {
			continue
		}
		struck := last.Struck()
		if len(struck) == 0 || strings.HasPrefix(plan, "late:") && opens(struck[0].Site) {
			return r, false
		}
		r.struck = append(r.struck, struck[0])
	}
	again := last.Ending == world.Killed
	if last.Ending == world.Failed {
		// Without its lock no monitor may work, and it says so.
		if again = strings.HasPrefix(r.struck[len(r.struck)-1].Site, "lock:") && last.Stderr != ""; !again {
			t.Errorf("the monitor gave up at %v\n%s", r.struck, x.Story())
		}
	}
	if a.runner != "" {
		if _, err := os.Stat(token); err != nil {
			return r, false
		}
		struck := world.Passage{Ops: x.RunnerOps()}.Struck()
		if len(struck) == 0 && !strings.HasPrefix(a.runner, "kill") {
			return r, false // what was to be written by half was no write
		}
		r.struck = append(r.struck, struck...)
		// A runner that goes when its monitor went: the next start takes its record.
		again = again || len(struck) > 0 && struck[0].Site == "record:remove"
	}
	if a.has(":EACCES:") && x.Says("record: remove ") {
		again = true // a refusal is not tried again; what is left goes at the next start
	}
	if again {
		x.Runners = ""
		r.recovery = x.Pass("").Ops
	}
	for n := 0; n < 4 && a.stopped(x); n++ {
		x.Pass("")
	}
	units := x.Expect(a.of.Units, world.Disturbed{
		Interrupted: a.has(":both") || strings.HasPrefix(a.runner, "kill"),
		Refused:     a.has("err:") || a.has("late:") || a.has("look:"),
		NotStarted:  strings.Contains(a.runner, "EACCES"),
	})
	faults := append(x.Check(units), x.Told(units)...)
	if last.Ending != world.Killed {
		faults = append(faults, x.Repeats()...)
		faults = append(faults, a.words(x, r.struck)...)
	}
	if a.has(spell.String()) {
		x.Pass("") // the trouble may have outlasted that monitor, and kept a file from being made
	}
	// That one more start changes nothing is asked after every kill, and now and then.
	x.Calm(faults, again || world.At() != world.Change || chosen(3, a), fmt.Sprint(r.struck))
	return r, true
}

// over reports whether every UOW is where it ends, and nothing is left to be done.
func (a attack) over(x *world.World) bool {
	for _, u := range a.of.Units {
		if !x.There(u.End, u.Name) || u.End != "trash" && !x.Accepted(u) {
			return false
		}
	}
	return len(x.Unfinished()) == 0 && len(x.Told(a.of.Units)) == 0
}

// stopped reports whether a monitor was told to stop and left something to the next.
func (a attack) stopped(x *world.World) bool {
	for _, u := range a.of.Units {
		if x.There("currently-executing", u.Name) || u.Name == "behind" && x.There("wait-q", u.Name) {
			return true
		}
	}
	return false
}

// words judges what was said of an error: it is named, unless it was none.
func (a attack) words(x *world.World, struck []world.Op) (faults []string) {
	word := strings.Split(a.plans[len(a.plans)-1], ":")
	if word[0] != "err" {
		return nil
	}
	said, stderr := x.Said(), x.Stderr()
	if a.of.Name == "rotation" {
		return nil // it may be rotated away by now
	}
	if word[1] == "EINTR" || word[1] == "SHORT" {
		if strings.Contains(said, unix.EINTR.Error()) || stderr != "" {
			faults = append(faults, "what was no error was said")
		}
		return faults
	}
	text, site := errnos[word[1]].Error(), struck[len(struck)-1].Site
	if !strings.Contains(said+stderr, text) && unsaid[site] == "" && (word[1] != "EACCES" || refused[site] == "") {
		faults = append(faults, fmt.Sprintf("%s at %s was not said", text, site))
	}
	return faults
}
