package messages

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func openEvents(t testing.TB, dir string, size int64) *Events {
	t.Helper()
	e, err := OpenEvents(openDir(t, dir), "events", size, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func TestTell(t *testing.T) {
	dir := t.TempDir()
	e := openEvents(t, dir, 0)
	zero := 0
	e.Tell(Event{
		Time: noon, Event: "ended", UOW: "deploy-7", From: "currently-executing", To: "done-q", Step: "build", Try: 1,
		Outcome: "done", Exit: &zero, Signal: "SIGKILL", Reason: "a <b> && c", CPUSeconds: 0.25, WallSeconds: 1.5,
		PeakBytes: 1 << 20, Context: map[string]string{"B": "2", "A": "1\n"},
	})
	e.Tell(Event{Time: noon, Event: "up"})
	e.Tell(Event{Time: noon, Event: "refused", UOW: "a\xffb", Reason: "bad \xfe"})
	e.Tell(Event{Time: noon, Event: "accepted", UOW: `"quoted"`, WallSeconds: math.NaN()})
	flush(t, e)
	want := `{"time":"2026-11-21T21:50:00.001Z","event":"ended","uow":"deploy-7","from":"currently-executing","to":"done-q","step":"build","try":1,"outcome":"done","exit":0,"signal":"SIGKILL","reason":"a <b> && c","cpu_seconds":0.25,"wall_seconds":1.5,"peak_bytes":1048576,"context":{"A":"1\n","B":"2"}}
{"time":"2026-11-21T21:50:00.001Z","event":"up"}
{"time":"2026-11-21T21:50:00.001Z","event":"refused","uow":"\"a\\xffb\"","reason":"bad \\xfe"}
{"time":"2026-11-21T21:50:00.001Z","event":"accepted","uow":"\"\\\"quoted\\\"\""}
`
	if d := cmp.Diff(want, read(t, dir, "events")); d != "" {
		t.Error(d)
	}
	got, err := Tail(openDir(t, dir), "events", 1<<20)
	if err != nil || len(got) != 4 || got[2].UOW != "a\xffb" || got[3].UOW != `"quoted"` || *got[0].Exit != 0 || !got[0].Time.Equal(noon.Truncate(time.Millisecond)) {
		t.Errorf("read back %+v, %v", got, err)
	}
}

// Every name comes back as it was, on one line, as JSON.
func TestEventNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
			rapid.Just(`"`), rapid.Just(`"\`)).Draw(t, "name")
		line := eventLine(Event{Time: noon, Event: "moved", UOW: name, Reason: name})
		if strings.Count(string(line), "\n") != 1 || !json.Valid(line) {
			t.Fatalf("%q became %q", name, line)
		}
		var back Event
		if err := json.Unmarshal(line, &back); err != nil || back.UOW != name {
			t.Fatalf("%q came back as %q, %v", name, back.UOW, err)
		}
	})
}

func TestTail(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	if got, err := Tail(d, "events", 100); err != nil || got != nil {
		t.Errorf("of no file: %v, %v", got, err)
	}
	line := func(n int) string {
		return fmt.Sprintf(`{"time":"2026-11-21T21:50:00.001Z","event":"up","try":%d}`, n) + "\n"
	}
	write(t, line(1)+line(2), dir, "events.1")
	write(t, line(3)+"{\"time\":\"2026\n"+line(4)+"half a li", dir, "events")
	l, half, broken := int64(len(line(1))), int64(len("half a li")), int64(len("{\"time\":\"2026\n"))
	for _, c := range []struct {
		n    int64
		want string
	}{
		{1 << 20, "[1 2 3 4]"}, {0, "[]"}, {-1, "[]"}, {half, "[]"}, {half + l, "[4]"}, {half + l - 1, "[]"},
		{half + 2*l + broken - 1, "[4]"}, {half + 2*l + broken, "[3 4]"}, {half + 3*l + broken - 1, "[3 4]"},
		{half + 3*l + broken, "[2 3 4]"}, {half + 4*l + broken, "[1 2 3 4]"},
	} {
		got, err := Tail(d, "events", c.n)
		tries := []int{}
		for _, e := range got {
			tries = append(tries, e.Try)
		}
		if err != nil || fmt.Sprint(tries) != c.want {
			t.Errorf("Tail of %d bytes: %v, %v; want %s", c.n, tries, err, c.want)
		}
	}
	if got, err := Tail(d, filepath.Base(dir)+"/x", 10); err == nil && got != nil {
		t.Errorf("of nonsense: %v", got)
	}
}

func TestEventsAreLostWithACount(t *testing.T) {
	e := openEvents(t, t.TempDir(), 0)
	for range 5000 {
		e.Tell(Event{Time: noon, Event: "up", Reason: strings.Repeat("x", 1000)})
	}
	flush(t, e)
	got, err := Tail(e.lines.dir, "events", 4<<20)
	if err != nil || len(got) == 0 || got[0].Event != "trouble" {
		t.Fatalf("%d events, %v", len(got), err)
	}
	if want := fmt.Sprintf("%d events could not be written here in time and are lost", 5000-len(got)+1); got[0].Reason != want {
		t.Errorf("it says %q, want %q", got[0].Reason, want)
	}
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"time":"2026-11-21T21:50:00.001Z","event":"up","uow":"\"a\\xff\""}`))
	f.Add([]byte(`{"time":"x"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var e, again Event
		if e.UnmarshalJSON(line) != nil {
			return
		}
		if err := again.UnmarshalJSON(eventLine(e)); err != nil && e.Time.Year() >= 0 && e.Time.Year() <= 9999 {
			t.Fatalf("%q was read and written as %q: %v", line, eventLine(e), err)
		}
		if again.UOW != e.UOW && e.Time.UTC().Year() >= 0 && e.Time.UTC().Year() <= 9999 {
			t.Fatalf("uow %q became %q", e.UOW, again.UOW)
		}
	})
}
