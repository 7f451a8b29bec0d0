package uow

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func parseFlow(t *testing.T, name, text string) *Unit {
	t.Helper()
	u, err := Parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestSteps(t *testing.T) {
	u := parseFlow(t, "night", string(filesIn(t, flows, "valid", 5)["movie-night"]))
	want := []Step{
		{Name: "clean-couch", Line: 11, HasAfter: true, Options: Options{
			Check: "test -e couch.clean", Command: "./clean couch && touch couch.clean", Cleanup: "rm -f feather-duster"}},
		{Name: "popcorn", Line: 17, HasAfter: true, After: []string{"clean-couch"}, Own: []Item{{"KIND", "salty", 21}}, Options: Options{
			Check: "test -s popcorn", Job: "pop", Tries: 5, RetryDelay: ptr(time.Second), Timeout: ptr(3 * time.Minute)}},
		{Name: "food", Line: 26, HasAfter: true, After: []string{"popcorn", "clean-couch"}},
		{Name: "pictures", Line: 30, HasAfter: true, After: []string{"food"}, ContinueOnFailure: true,
			Own: []Item{{"TITLE", "is its own here", 34}}, Options: Options{Command: "./photograph"}},
	}
	got := append([]Step(nil), u.Steps...)
	for i := range got {
		got[i].items = nil
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Step{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"pictures", "food"}, u.Goal); diff != "" || !u.DeferCleanup || u.Parallel != 4 || !u.Asks() {
		t.Errorf("goal %v, defer %v, parallel %d", u.Goal, u.DeferCleanup, u.Parallel)
	}
	// A step's options go before those for all; TIMEOUT is of the flow as a whole.
	for i, want := range []Options{
		{Check: want[0].Check, Command: want[0].Command, Cleanup: want[0].Cleanup, Tries: 2, Directory: "/srv/movies"},
		{Check: want[1].Check, Job: "pop", Tries: 5, RetryDelay: ptr(time.Second), Timeout: ptr(3 * time.Minute), Directory: "/srv/movies"},
	} {
		if diff := cmp.Diff(want, u.StepOptions(i)); diff != "" {
			t.Errorf("options of step %d (-want +got):\n%s", i, diff)
		}
	}
	for item, want := range map[string]string{"kind": "salty", "movie": "Noises Off", "tries": "5", "nothing": ""} {
		if got, _ := u.StepGet(1, item); got != want {
			t.Errorf("%s is %q, want %q", item, got, want)
		}
	}
}

func TestStepFault(t *testing.T) {
	u := parseFlow(t, "night", "==== UNIT OF WORK\nGOAL :: a\n==== STEP a\nAfter ::\n")
	for want, got := range map[string]*Error{
		`night:4: item "After": no step "x"`:               u.StepFault(0, "AFTER", "no step %q", "x"),
		`night:3: step "a": item "KIND": the job needs it`: u.StepFault(0, "KIND", "the job needs it"),
		`night:3: step "a": 100% wrong`:                    u.StepFault(0, "", "100%% wrong"),
		`night:2: item "GOAL": no step "y"`:                u.StepFault(-1, "GOAL", "no step %q", "y"),
	} {
		if got.Error() != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func manySteps(n int) []byte {
	var b strings.Builder
	b.WriteString("==== UNIT OF WORK\n")
	for i := range n {
		fmt.Fprintf(&b, "\n==== STEP s%d\nAFTER :: s%d\nCOMMAND :: true\nX :: %d\n", i, i/2, i)
	}
	return []byte(b.String())
}

// Nothing of a file of very many steps is quadratic, and no error of it is lost.
func TestManySteps(t *testing.T) {
	const n = 100_000
	head := manySteps(n)
	u, err := Parse("many", head)
	if err != nil || len(u.Steps) != n || u.Steps[n-1].After[0] != fmt.Sprintf("s%d", (n-1)/2) || u.Steps[n-1].Own[0].Content != fmt.Sprint(n-1) {
		t.Fatalf("%v", err)
	}
}

func BenchmarkParseSteps(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		head := manySteps(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(head)))
			for b.Loop() {
				if _, err := Parse("many", head); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	u, err := Parse("f", []byte("==== UNIT OF WORK\nCOMMAND :: /bin/true\n"))
	if err != nil {
		b.Fatal(err)
	}
	text := u.Completed(time.UnixMilli(1795297809123))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("f", text); err != nil {
			b.Fatal(err)
		}
	}
}
