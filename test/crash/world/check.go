package world

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

var queues = []string{"wait-q", "priority-q", "hold-q", "currently-executing", "done-q", "error-q", "fail-q", "archive", "trash"}

// Check is the one checker: what must hold of an idle spool, whatever happened
// before. It returns what does not.
func (x *World) Check(units []Unit) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	ran := x.Ran()
	expected := map[string]bool{"done-q/namesake": true, "done-q/namesake~1": true}
	for _, u := range units {
		places := x.Places(u.Name)
		short := u.Name[:min(len(u.Name), 20)]
		if len(places) != 1 || places[0] != u.End {
			fault("%s: is in %q, want %s", short, places, u.End)
			continue
		}
		expected[u.End+"/"+u.Name] = true
		b, err := os.ReadFile(filepath.Join(x.Root, u.End, u.Name))
		if err != nil {
			fault("%s: %v", short, err)
			continue
		}
		if u.End == "trash" {
			expected["trash/"+u.Name+".why"] = true
			if string(b) != u.Text {
				fault("%s: its bytes changed: %q", short, b)
			}
			if !x.There("trash", u.Name+".why") {
				fault("%s: has no reason beside it", short)
			}
			continue
		}
		faults = append(faults, Judge(u, string(b), ran[u.Name])...)
	}
	for _, q := range queues {
		entries, err := os.ReadDir(filepath.Join(x.Root, q))
		if err != nil {
			fault("%v", err)
		}
		for _, e := range entries {
			// A reason whose file was refused again: harmless, and said so in the code.
			if name := q + "/" + e.Name(); !expected[name] && e.Name() != "README" && !strings.HasPrefix(name, "trash/garbage.why~") {
				fault("%s: nobody put that there", name[:min(len(name), 60)])
			}
		}
	}
	faults = append(faults, x.leftovers()...)
	if asked := func(u Unit) bool { return u.Name == cleans.Name && u.End == cleans.End }; slices.ContainsFunc(units, asked) && !x.Says("not done: ") {
		there := x.read(filepath.Join(x.W, "cleaned-late"))
		if strings.Count(there, "\n")+strings.Count(x.Said(), "CLEANUP failed: not started: ") < 2 {
			fault("CLEANUP messy was acted upon, and of its two clean-ups these ran: %q", there)
		}
	}
	for _, u := range units {
		if b, err := os.ReadFile(filepath.Join(x.Root, ".template")); u.Name == "linked" && err == nil && string(b) != u.Text {
			fault("linked: its other name was written to: %q", b)
		}
	}
	return faults
}

// Places are the queues that have a name.
func (x *World) Places(name string) (places []string) {
	for _, q := range queues {
		if x.There(q, name) {
			places = append(places, q)
		}
	}
	return places
}

// Ran counts the runs of each UOW's COMMAND.
func (x *World) Ran() map[string]int {
	ran := map[string]int{}
	b, err := os.ReadFile(filepath.Join(x.W, "ran"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		x.T.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		ran[strings.TrimSpace(line)]++
	}
	return ran
}

// Judge looks at one UOW's text: what was asked is there, the STATUS is the one
// expected, and every run was announced.
func Judge(u Unit, text string, ran int) (faults []string) {
	name := u.Name[:min(len(u.Name), 20)]
	fault := func(format string, args ...any) { faults = append(faults, name+": "+fmt.Sprintf(format, args...)) }
	// What its time limit ended may not have got so far.
	limited := strings.HasPrefix(u.Status, "fail: timed out") || strings.HasPrefix(u.Status, "fail: silent")
	if ran != u.Runs && !(limited && ran < u.Runs) {
		fault("COMMAND ran %d times, want %d", ran, u.Runs)
	}
	head, log, ok := strings.Cut(text, "==== JOB LOG\n")
	if !ok {
		fault("has no log: %q", text)
		return faults
	}
	before, status, ok := strings.Cut(head, "==== STATUS\n")
	if !ok || !strings.HasPrefix(strings.TrimSpace(status), u.Status) || u.Status == "" && strings.TrimSpace(status) != "" {
		fault("STATUS is %q, want %q", strings.TrimSpace(status), u.Status)
	}
	if len(strings.TrimRight(status, "\n")) != 240 && !strings.Contains(status, "…") {
		fault("STATUS lost its room: %d bytes", len(status))
	}
	asked, _, _ := strings.Cut(u.Text, "\n==== STATUS")
	if _, asked, _ = strings.Cut(asked, "==== UNIT OF WORK\n"); !strings.Contains(before, asked) {
		fault("what was asked changed: %q", before)
	}
	if strings.ContainsRune(text, 0) {
		fault("holds NULs")
	}
	// Every run is announced in the log before it happens. A runner that is killed
	// in between leaves one announcement too many.
	if n := Announced(log); n < ran {
		fault("%d runs are announced, %d happened:\n%s", n, ran, log)
	}
	for _, silent := range reasons(log, ran) {
		fault("%s", silent)
	}
	return faults
}

// Announced counts the runs of COMMAND that a log speaks of.
func Announced(log string) (n int) {
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "---- ") && strings.Contains(line, `echo "$MONITOR_UOW"`) {
			n++
		}
	}
	return n
}

// leftovers are temporaries and run records that nothing needs any more. Idle
// runners take their records with them as soon as they see that their monitor is
// gone.
func (x *World) leftovers() (faults []string) {
	for _, d := range []string{"tmp", "run"} {
		dir := filepath.Join(x.Root, ".monitor", d)
		var left []string
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			left = nil
			entries, err := os.ReadDir(dir)
			if err != nil {
				left = append(left, err.Error())
			}
			for _, e := range entries {
				left = append(left, e.Name())
			}
			if len(left) == 0 || time.Now().After(deadline) {
				break
			}
		}
		if len(left) > 0 {
			faults = append(faults, fmt.Sprintf(".monitor/%s: left over: %q", d, left))
		}
	}
	return faults
}

// Settled judges an idle spool and then lets one more monitor look at it, which
// must change nothing. It reports whether all is well.
func (x *World) Settled(units []Unit, what string) bool {
	x.T.Helper()
	return x.Well(x.Check(units), what)
}

// Well adds to the faults what one more start of the monitor changes, and fails the
// test if there are any.
func (x *World) Well(faults []string, what string) bool {
	x.T.Helper()
	faults = append(faults, x.Again()...)
	if len(faults) == 0 {
		return true
	}
	x.T.Errorf("%s:\n%s\n%s", what, strings.Join(faults, "\n"), x.Story())
	return false
}

// Again starts the monitor once more; what it changes is a fault.
func (x *World) Again() (faults []string) {
	x.T.Helper()
	before := x.Picture()
	x.Once("")
	if after := x.Picture(); after != before {
		faults = append(faults, "one more start changed something:\n"+difference(before, after))
	}
	return faults
}
