package crash

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"
)

var queues = []string{"wait-q", "priority-q", "hold-q", "currently-executing", "done-q", "error-q", "fail-q", "archive", "trash"}

// check is the one checker: what must hold of an idle spool, whatever happened
// before. It returns what does not.
func (x *world) check(units []unit) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	ran := x.ran()
	expected := map[string]bool{"done-q/namesake": true, "done-q/namesake~1": true}
	for _, u := range units {
		var places []string
		for _, q := range queues {
			if x.there(q, u.name) {
				places = append(places, q)
			}
		}
		short := u.name[:min(len(u.name), 20)]
		if len(places) != 1 || places[0] != u.end {
			fault("%s: is in %q, want %s", short, places, u.end)
			continue
		}
		expected[u.end+"/"+u.name] = true
		b, err := os.ReadFile(filepath.Join(x.root, u.end, u.name))
		if err != nil {
			fault("%s: %v", short, err)
			continue
		}
		if u.end == "trash" {
			expected["trash/"+u.name+".why"] = true
			if string(b) != u.text {
				fault("%s: its bytes changed: %q", short, b)
			}
			if _, err := os.Stat(filepath.Join(x.root, "trash", u.name+".why")); err != nil {
				fault("%s: has no reason beside it", short)
			}
			continue
		}
		faults = append(faults, judge(u, short, string(b), ran[u.name])...)
	}
	for _, q := range queues {
		entries, err := os.ReadDir(filepath.Join(x.root, q))
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
	for _, d := range []string{"tmp", "run"} {
		// Idle runners take their records with them as soon as they see that their
		// monitor is gone.
		if left := x.emptySoon(filepath.Join(x.root, ".monitor", d)); len(left) > 0 {
			fault(".monitor/%s: left over: %q", d, left)
		}
	}
	if b, err := os.ReadFile(filepath.Join(x.w, "template")); err == nil && !bytes.Equal(b, []byte(plain(witness))) {
		fault("linked: its other name was written to: %q", b)
	}
	return faults
}

// ran counts the runs of each UOW's COMMAND.
func (x *world) ran() map[string]int {
	ran := map[string]int{}
	b, err := os.ReadFile(filepath.Join(x.w, "ran"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		x.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		ran[strings.TrimSpace(line)]++
	}
	return ran
}

func (x *world) there(queue, name string) bool {
	_, err := os.Lstat(filepath.Join(x.root, queue, name))
	return err == nil
}

// judge looks at one UOW's text.
func judge(u unit, name, text string, ran int) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, name+": "+fmt.Sprintf(format, args...)) }
	if ran != u.runs {
		fault("COMMAND ran %d times, want %d", ran, u.runs)
	}
	head, log, ok := strings.Cut(text, "==== JOB LOG\n")
	if !ok {
		fault("has no log: %q", text)
		return faults
	}
	before, status, ok := strings.Cut(head, "==== STATUS\n")
	if !ok || !strings.HasPrefix(strings.TrimSpace(status), u.status) || u.status == "" && strings.TrimSpace(status) != "" {
		fault("STATUS is %q, want %q", strings.TrimSpace(status), u.status)
	}
	if len(strings.TrimRight(status, "\n")) != 240 && !strings.Contains(status, "…") {
		fault("STATUS lost its room: %d bytes", len(status))
	}
	asked, _, _ := strings.Cut(u.text, "\n==== STATUS")
	if _, asked, _ = strings.Cut(asked, "==== UNIT OF WORK\n"); !strings.Contains(before, asked) {
		fault("what was asked changed: %q", before)
	}
	if strings.ContainsRune(text, 0) {
		fault("holds NULs")
	}
	// Every run is announced in the log before it happens. A runner that is killed
	// in between leaves one announcement too many.
	announced := 0
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "---- ") && strings.Contains(line, `echo "$MONITOR_UOW"`) {
			announced++
		}
	}
	if announced < ran {
		fault("%d runs are announced, %d happened:\n%s", announced, ran, log)
	}
	return faults
}

func (x *world) emptySoon(dir string) (left []string) {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		left = nil
		entries, err := os.ReadDir(dir)
		if err != nil {
			return []string{err.Error()}
		}
		for _, e := range entries {
			left = append(left, e.Name())
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

// picture is all of the spool that a monitor with nothing to do must leave alone.
func (x *world) picture() string {
	var lines []string
	err := filepath.WalkDir(x.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(x.root, path)
		switch {
		case name == "status", name == ".monitor/work":
			return fs.SkipDir
		case d.IsDir(), strings.HasPrefix(name, "monitor_"), strings.HasPrefix(name, ".monitor/"):
			lines = append(lines, name)
			return nil
		}
		st, err := os.Lstat(path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		// A nanosecond more or less is the monitor's own note that something is
		// still to be told.
		lines = append(lines, fmt.Sprintf("%s inode %d time %v %q", name, st.Sys().(*syscall.Stat_t).Ino, st.ModTime().Truncate(time.Microsecond), b))
		return err
	})
	if err != nil {
		x.t.Fatal(err)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// settled judges an idle spool and then lets one more monitor look at it, which
// must change nothing.
func (x *world) settled(units []unit, what string) bool {
	x.t.Helper()
	faults := x.check(units)
	before := x.picture()
	x.once("")
	if after := x.picture(); after != before {
		faults = append(faults, "one more start changed something:\n"+difference(before, after))
	}
	if len(faults) == 0 {
		return true
	}
	says, _ := os.ReadFile(filepath.Join(x.root, "monitor_says"))
	stderr, _ := os.ReadFile(x.stderr())
	x.t.Errorf("%s:\n%s\nmonitor_says:\n%s\nstderr:\n%s", what, strings.Join(faults, "\n"), says, stderr)
	return false
}

func difference(a, b string) string {
	in := func(list string) map[string]bool {
		m := map[string]bool{}
		for _, l := range strings.Split(list, "\n") {
			m[l] = true
		}
		return m
	}
	var out []string
	for l := range in(a) {
		if !in(b)[l] {
			out = append(out, "- "+l)
		}
	}
	for l := range in(b) {
		if !in(a)[l] {
			out = append(out, "+ "+l)
		}
	}
	return strings.Join(out, "\n")
}

// The checker itself must see what it is for.
func TestCheckerSees(t *testing.T) {
	u := unit{"a", "wait-q", plain(witness), "done-q", "done: exit 0", 1}
	whole := "timestamp: x\n\n==== UNIT OF WORK\nCOMMAND :: " + witness + "\n\n==== STATUS\n" + fmt.Sprintf("%-240s", "done: exit 0 after 1ms") +
		"\n\n==== JOB LOG\n---- T try 1: /bin/sh -c 'echo \"$MONITOR_UOW\"'\n"
	if f := judge(u, "a", whole, 1); len(f) > 0 {
		t.Fatalf("a good one: %v", f)
	}
	if len(judge(u, "a", whole, 2)) == 0 {
		t.Error("a second run is not seen")
	}
	for what, bad := range map[string]string{
		"an emptied STATUS":  strings.Replace(whole, "done:", "     ", 1),
		"a cut STATUS":       strings.Replace(whole, "   \n", "\n", 1),
		"NULs":               whole + "\x00",
		"a changed command":  strings.Replace(whole, "COMMAND :: e", "COMMAND :: f", 1),
		"a run without word": strings.Replace(whole, "---- T", "T", 1),
	} {
		if len(judge(u, "a", bad, 1)) == 0 {
			t.Errorf("%s is not seen", what)
		}
	}
}
