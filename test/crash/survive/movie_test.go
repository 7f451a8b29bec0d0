package survive

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"simplejobq/internal/messages"
	"simplejobq/test/crash/world"
)

var (
	announcedRun = regexp.MustCompile(`(?m)^---- \S+ (\[\S+\] try \d+(?: of \d+)?(?: check| recheck| cleanup)?: /bin/sh .*)$`)
	contextLine  = regexp.MustCompile(`(?m)^---- \S+ (context .*)$`)
	changeLine   = regexp.MustCompile(`(?m)^---- \S+ (\[\S+\] \S+ → [a-z-]+)`)
	succeeded    = regexp.MustCompile(`(?m)^---- \S+ (\[\S+\]) \S+ → succeeded`)
)

// night is what a flow did: each of its commands, and what they added.
type night struct{ runs, context, done []string }

func nightOf(text string) (n night) {
	for list, pattern := range map[*[]string]*regexp.Regexp{&n.runs: announcedRun, &n.context: contextLine, &n.done: succeeded} {
		for _, m := range pattern.FindAllStringSubmatch(text, -1) {
			*list = append(*list, m[1])
		}
		slices.Sort(*list)
	}
	return n
}

// changesIn are the changes of steps in monitor_events, of each UOW in their order.
func changesIn(t *testing.T, path string) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(b)) {
		var ev messages.Event
		if err := ev.UnmarshalJSON([]byte(line)); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		if ev.Event == "step" && ev.To != "" {
			all[ev.UOW] = append(all[ev.UOW], "["+ev.Step+"] "+ev.From+" → "+ev.To)
		}
	}
	return all
}

// broken are the changes that do not follow on what the step had become before.
func broken(changes []string) (faults []string) {
	at := map[string]string{}
	for _, ch := range changes {
		f := strings.Fields(ch)
		if was := at[f[0]]; was != "" && was != f[1] {
			faults = append(faults, ch+", and it was "+was)
		}
		at[f[0]] = f[3]
	}
	return faults
}

// A flow of 20 steps with checks, tries and clean-ups, while its monitor is killed
// again and again: it comes to the same end with the same context, and each command is
// run as often as if nothing had been.
func TestMovieNight(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "testdata", "flows", "movie-night"))
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	put := func(name string) { m.Drop(world.Unit{Name: name, Drop: "wait-q", Text: string(text)}) }
	end := func(name string) string {
		b, err := os.ReadFile(filepath.Join(m.Root, "done-q", name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return string(b)
	}
	began := time.Now()
	m.start()
	put("undisturbed")
	m.Until(time.Minute, "the night ends", func() bool { return m.There("done-q", "undisturbed") })
	m.kill()
	want := nightOf(end("undisturbed"))
	if len(want.runs) < 30 || len(want.context) != 6 || len(want.done) != 19 {
		t.Fatalf("undisturbed it was %d runs, %d successes, context %q", len(want.runs), len(want.done), want.context)
	}
	nights, kills := world.Pick(4, 60, 600), 0
	for i := range nights {
		put(fmt.Sprint("night-", i))
	}
	ended := func() bool {
		for i := range nights {
			name := fmt.Sprint("night-", i)
			if m.There("fail-q", name) || m.There("error-q", name) {
				t.Fatalf("%s has not ended well\n%s", name, m.Story())
			}
			if !m.There("done-q", name) {
				return false
			}
		}
		return true
	}
	for deadline := time.Now().Add(5*time.Minute + time.Duration(nights)*10*time.Second); !ended(); kills++ {
		if time.Now().After(deadline) {
			t.Fatalf("not all nights have ended after %d kills\n%s", kills, m.Story())
		}
		m.start()
		time.Sleep(among(5*time.Millisecond, 150*time.Millisecond))
		m.kill()
	}
	m.start()
	m.stop()
	told := changesIn(t, filepath.Join(m.Root, "monitor_events"))
	for i := range nights {
		name := fmt.Sprint("night-", i)
		text := end(name)
		got := nightOf(text)
		got.done = slices.Compact(got.done) // a crash may have it said again, and never not at all
		if !slices.Equal(got.runs, want.runs) || !slices.Equal(got.context, want.context) || !slices.Equal(got.done, want.done) {
			t.Errorf("%s: %d runs, %d successes, context %q; want %d, %d, %q\n%s", name, len(got.runs), len(got.done), got.context, len(want.runs), len(want.done), want.context, text)
		}
		var logged []string
		for _, c := range changeLine.FindAllStringSubmatch(text, -1) {
			logged = append(logged, c[1])
		}
		if faults := broken(told[name]); len(faults) > 0 {
			t.Errorf("%s: the events tell %q", name, faults)
		}
		slices.Sort(logged)
		slices.Sort(told[name])
		if !slices.Equal(logged, told[name]) {
			t.Errorf("%s: the log tells of %d changes, monitor_events of %d:\n%q\n%q", name, len(logged), len(told[name]), logged, told[name])
		}
		if !strings.Contains(text, "\ndone: 19 done, 1 failed ") {
			t.Errorf("%s ended otherwise:\n%s", name, text)
		}
	}
	world.Figures(t, "%d movie nights of 20 steps, %d kills of the monitor: the same outcome and context, %d commands each as often as undisturbed; in %v",
		nights, kills, len(want.runs), time.Since(began).Round(time.Second))
}
