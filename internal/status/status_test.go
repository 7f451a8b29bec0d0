package status

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "accept what is written now as the golden files")

// clock is the time at which every digest here is shown.
var clock = time.Date(2026, 11, 21, 21, 53, 12, 410e6, time.UTC)

func ago(d time.Duration) Time { return At(clock.Add(-d)) }

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "digest", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func queues(n ...int) Counts {
	names := []string{"wait-q", "priority-q", "hold-q", "currently-executing", "done-q", "error-q", "fail-q", "archive", "trash"}
	var all Counts
	for i, name := range names {
		all = append(all, Count{name, n[i]})
	}
	return all
}

// digests are the states a person meets.
func digests() map[string]*Digest {
	healthy := Monitor{
		Version: "1.0.0", PID: 4711, Started: ago(50 * time.Hour),
		Rounds: 123456, SlowestRoundSeconds: 0.0123, SlowestCommitSeconds: 0.0081, FreeBytes: 12_345_678_901,
	}
	paused := healthy
	paused.Paused, paused.Finishing, paused.Errors = true, true, 3
	gone := healthy
	gone.Gone = true
	return map[string]*Digest{
		"empty": {Time: At(clock), Slots: 1, Queues: queues(0, 0, 0, 0, 0, 0, 0, 0, 0),
			Monitor: Monitor{Version: "1.0.0", PID: 4711, Started: At(clock), FreeBytes: 1 << 30}},
		"busy": {Time: At(clock), Slots: 2, Queues: queues(2, 0, 1, 2, 1204, 7, 1, 0, 3), Monitor: healthy,
			Jobs: map[string]Type{"ansible": {Running: 1, Slots: 1}, "encode": {}},
			Running: []Job{
				{Name: "deploy-7", Queue: "currently-executing", Title: "Night deploy", Enqueued: ago(4 * time.Minute), State: Running,
					Try: 1, Started: ago(192410 * time.Millisecond), PID: 812, Size: 5120, Last: "\x1b[32mok: [web1]\x1b[0m\r"},
				{Name: "movie night", Queue: "currently-executing", Enqueued: ago(time.Hour), State: Ending,
					Try: 2, Steps: &Steps{Done: 0, All: 20}, Started: ago(time.Second), PID: 900, Size: 900},
			},
			Next: []Job{
				{Name: "backup-1", Queue: "wait-q", Enqueued: ago(2 * time.Hour), State: Waiting, Why: "all 2 slots are taken", Size: 120},
				{Name: "backup-2", Queue: "wait-q", Enqueued: ago(time.Minute), State: Waiting, Why: `waits for "backup-1"`, Size: 120},
			},
			Recent: []Job{
				{Name: "backup-0", Queue: "done-q", Enqueued: ago(3 * time.Hour), State: Done, Status: "done: exit 0 after 3m12.4s (cpu 41.0s, peak 210 MB), try 1", Try: 1, Size: 4242},
				{Name: "hostile\x1b]0;x\x07", Queue: "fail-q", Enqueued: ago(3 * time.Hour), State: Fail,
					Status: "fail: output matched \"\x1b[2J\"", Title: "two\nlines " + strings.Repeat("x", 200), Try: 1, Size: 4242},
			},
			OldestWaitingSeconds: 7200, NotLookedAt: 4,
		},
		"held-up": {Time: ago(3 * time.Minute), Slots: 4, Queues: queues(1, 0, 0, 0, 0, 0, 0, 0, 0), Monitor: paused,
			NotReady: "[ready] command: exit 1", OldestWaitingSeconds: 0.5,
			Next: []Job{{Name: "x", Queue: "wait-q", Enqueued: ago(time.Second), State: Waiting, Why: "paused", Size: 1}}},
		"gone":  {Time: At(clock), Slots: 1, Queues: queues(1, 0, 0, 0, 0, 0, 0, 0, 0), Monitor: gone},
		"never": {Time: At(clock), Slots: 1, Queues: queues(0, 0, 0, 0, 0, 0, 0, 0, 0), Monitor: Monitor{Gone: true}},
	}
}

func TestDigest(t *testing.T) {
	for name, d := range digests() {
		t.Run(name, func(t *testing.T) {
			var text, js, again bytes.Buffer
			if err := d.Text(&text, clock); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", text.Bytes())
			if strings.ContainsAny(text.String(), "\x1b\x07\r") {
				t.Error("the text holds a control character")
			}
			if err := d.JSON(&js); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", js.Bytes())

			read, err := ReadJSON(bytes.NewReader(js.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if err := read.JSON(&again); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(js.String(), again.String()); diff != "" {
				t.Errorf("read and written again (-first +second):\n%s", diff)
			}
			var fromFile bytes.Buffer
			if err := read.Text(&fromFile, clock); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(text.String(), fromFile.String()); diff != "" {
				t.Errorf("text of what was read (-first +second):\n%s", diff)
			}
		})
	}
}

// The keys are a promise to programs: none goes missing because it is 0.
func TestEveryKeyOfAnEmptyDigest(t *testing.T) {
	var b bytes.Buffer
	if err := new(Digest).JSON(&b); err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(b.Bytes(), &tree); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"time", "monitor", "slots", "queues", "jobs", "running", "next", "recent", "oldest_waiting_seconds", "not_looked_at"} {
		if v, ok := tree[key]; !ok || v == nil {
			t.Errorf("%q is %v", key, v)
		}
	}
	monitor := tree["monitor"].(map[string]any)
	for _, key := range []string{"version", "pid", "paused", "rounds", "slowest_round_seconds", "slowest_commit_seconds", "errors", "free_bytes"} {
		if _, ok := monitor[key]; !ok {
			t.Errorf("monitor.%s is missing", key)
		}
	}
}

func TestJobJSON(t *testing.T) {
	for _, test := range []struct {
		job  Job
		want string
	}{
		{Job{Name: "a", Queue: "wait-q", State: Waiting},
			`{"name":"a","queue":"wait-q","state":"waiting","size":0}`},
		{Job{Name: "a<b>", Queue: "currently-executing", Title: "T", Enqueued: At(clock.In(time.FixedZone("", 3600))), State: Running,
			Why: "w", Status: "s", Try: 2, Steps: &Steps{0, 3}, Started: At(clock.Add(123456)), PID: 7, Size: 9, Last: "l"},
			`{"name":"a<b>","queue":"currently-executing","title":"T","enqueued":"2026-11-21T21:53:12.410Z","state":"running","why":"w","status":"s","try":2,` +
				`"steps_done":0,"steps":3,"started":"2026-11-21T21:53:12.410Z","pid":7,"size":9,"last_line":"l"}`},
		{Job{Name: "\x1b\u009b\x7f", Queue: "trash", State: Trashed},
			`{"name":"\u001b\u009b\u007f","queue":"trash","state":"trashed","size":0}`},
	} {
		var b bytes.Buffer
		if err := test.job.JSON(&b); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); got != test.want+"\n" {
			t.Errorf("got  %swant %s", got, test.want)
		}
		var back Job
		if err := json.Unmarshal(b.Bytes(), &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.job.Name, back.Name); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(test.job.Steps, back.Steps); diff != "" {
			t.Error(diff)
		}
	}
}

func TestReadJSONRefuses(t *testing.T) {
	for _, text := range []string{
		"", "{", "[]", `{"queues": []}`, `{"queues": {"a": "b"}}`, `{"queues": {"a": 1.5}}`, `{"time": "yesterday"}`,
		`{"running": {}}`, `{} {}`, `{}x`, `{"time": 5}`, `"text"`,
	} {
		if d, err := ReadJSON(strings.NewReader(text)); err == nil || d != nil || !strings.HasPrefix(err.Error(), "read digest: ") {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
	d, err := ReadJSON(strings.NewReader(`{"queues": {"b": 1, "a": 2}, "new in a later version": 3}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Counts{{"b", 1}, {"a", 2}}, d.Queues); diff != "" {
		t.Error(diff)
	}
	if d.Queues.Of("a") != 2 || d.Queues.Of("c") != 0 {
		t.Errorf("counts %v", d.Queues)
	}
}

func FuzzReadJSON(f *testing.F) {
	for _, d := range digests() {
		var b bytes.Buffer
		if err := d.JSON(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ReadJSON(strings.NewReader(text))
		if err != nil {
			return
		}
		var first, second, page bytes.Buffer
		if err := d.JSON(&first); err != nil {
			t.Fatal(err)
		}
		again, err := ReadJSON(bytes.NewReader(first.Bytes()))
		if err != nil {
			t.Fatalf("%v\n%s", err, first.String())
		}
		if err := again.JSON(&second); err != nil {
			t.Fatal(err)
		}
		if first.String() != second.String() {
			t.Errorf("first\n%s\nsecond\n%s", first.String(), second.String())
		}
		if err := d.Text(&page, clock); err != nil {
			t.Fatal(err)
		}
		checkHarmless(t, page.String(), false)
	})
}

type fullDisk struct{}

var errFull = errors.New("no space left on device")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestWriteErrorsAreReturned(t *testing.T) {
	d := digests()["busy"]
	for name, err := range map[string]error{
		"text": d.Text(fullDisk{}, clock), "json": d.JSON(fullDisk{}),
		"job": d.Running[0].JSON(fullDisk{}), "table": Table(fullDisk{}, d.Running, false),
	} {
		if !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTable(t *testing.T) {
	d := digests()["busy"]
	jobs := append(append(append([]Job{}, d.Running...), d.Next...), d.Recent...)
	jobs = append(jobs, Job{}, Job{Name: "parked", Queue: "hold-q", Enqueued: ago(0), State: Held, Try: 2, Steps: &Steps{3, 4}, Why: "held"},
		Job{Name: "bad", Queue: "trash", State: Trashed, Why: `bad:1: no "==== UNIT OF WORK"`})
	var plain, color bytes.Buffer
	if err := Table(&plain, jobs, false); err != nil {
		t.Fatal(err)
	}
	golden(t, "list.txt", plain.Bytes())
	if err := Table(&color, jobs, true); err != nil {
		t.Fatal(err)
	}
	golden(t, "list-color.txt", color.Bytes())
	if got := Strip(color.String(), false); got != plain.String() {
		t.Errorf("without its colours the list differs:\n%s", cmp.Diff(plain.String(), got))
	}
	if n := strings.Count(plain.String(), "\n"); n != len(jobs) {
		t.Errorf("%d lines for %d UOWs", n, len(jobs))
	}
	for line := range strings.Lines(plain.String()) {
		if strings.Contains(line, "\x1b") {
			t.Errorf("a colour in %q", line)
		}
	}
}

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"deploy-7": "deploy-7", "größe": "größe", "": `""`, "a b": `"a b"`, "a\nb": `"a\nb"`, "a\x1b[2J": `"a\x1b[2J"`,
		"\xff": `"\xff"`, `a"b`: `"a\"b"`, "a\u202eb": `"a\u202eb"`, "a\u00a0b": `"a\u00a0b"`, `a\b`: `"a\\b"`,
	} {
		if got := Name(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}
