package uow

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func ptr[T any](v T) *T { return &v }

func parse(t *testing.T, name, text string) *Unit {
	t.Helper()
	u, err := Parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestEveryItem(t *testing.T) {
	u := parse(t, "all-items", string(files(t, "valid")["all-items"]))
	got := said(u, clock)
	got.items = nil
	want := Unit{
		Enqueued: clock.Truncate(time.Millisecond), Title: "Nightly build of the Übersetzung",
		Options: Options{
			Command: "make -C /srv/build all", Check: "test -e /srv/build/out.tar", Cleanup: "rm -rf /srv/build/tmp",
			Directory: "/srv/build", Timeout: ptr(150 * time.Minute), Silence: ptr(10 * time.Minute),
			RetryDelay: ptr(1500 * time.Millisecond), Tries: 3, RetryInterrupted: ptr(true), Terminal: ptr(false),
			Nice: ptr(10), Memory: ptr(int64(2 << 30)), CPUs: ptr(1.5),
		},
		After: []string{"fetch", "done-q/checkout 7"}, AfterAny: []string{"lint"},
		NotBefore: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
		ExpiresIn: 24 * time.Hour, Expires: clock.Truncate(time.Millisecond).Add(24 * time.Hour),
		Parallel: 4, OnFailure: FailGoOn, Own: []Item{{Name: "BRANCH", Content: "release/2.1"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Unit{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	at := parse(t, "expires-at", string(files(t, "valid")["expires-at"]))
	if want := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC); !at.Expires.Equal(want) || at.ExpiresIn != 0 {
		t.Errorf("expires at %v, in %v", at.Expires, at.ExpiresIn)
	}
	in := parse(t, "unix-time", string(files(t, "valid")["unix-time"]))
	if want := in.Enqueued.Add(12 * time.Hour); !in.Expires.Equal(want) {
		t.Errorf("expires at %v, want %v", in.Expires, want)
	}
	if !u.Expires.IsZero() {
		t.Error("a file without timestamp has no absolute end yet")
	}
}

// TestEveryMeaningIsBounded: no item of the table takes everything, but TITLE.
func TestEveryMeaningIsBounded(t *testing.T) {
	for name, m := range meanings {
		for _, content := range []string{"", "\x7f", ",", "-", "1e400", strings.Repeat("9", 400)} {
			fault := ""
			if m.set != nil {
				fault = m.set(&Unit{}, content)
				if content == "" && fault == "" && name != "TITLE" {
					t.Errorf("%s takes an empty content", name)
				}
			}
			if m.step != nil && fault == "" {
				fault = m.step(&Step{}, content)
				if content == "" && fault == "" && name != "AFTER" {
					t.Errorf("%s takes an empty content in a step", name)
				}
			}
			if fault != "" && !strings.Contains(fault, "write") && !strings.Contains(fault, "from") && !strings.Contains(fault, "later version") {
				t.Errorf("%s: %q does not say what would be right", name, fault)
			}
			if len(fault) > 250 {
				t.Errorf("%s: %d bytes of error", name, len(fault))
			}
		}
	}
}

func TestTimestamp(t *testing.T) {
	at := time.Date(2026, 11, 21, 21, 49, 8, 0, time.UTC)
	for line, want := range map[string]time.Time{
		"timestamp: 2026-11-21T21:49:08.123Z enqueued": at.Add(123 * time.Millisecond),
		"timestamp: 2026-11-21T21:49:08Z":              at,
		"2026-11-21T21:49:08Z enqueued":                at,
		"2026-11-21T23:49:08.000000001+02:00":          at.Add(1),
		"  timestamp:1795297748\tqueued  ":             at,
		"1795297748.25":                                at.Add(250 * time.Millisecond),
		"0":                                            time.Unix(0, 0).UTC(),
		"1795297748.1234567899":                        at.Add(123456789),
	} {
		got, meant, ok := parseTimestamp(line)
		if !ok || !meant || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%q is %v, %v, %v; want %v", line, got, meant, ok, want)
		}
	}
	for line, wantMeant := range map[string]bool{
		"timestamp:":                              true,
		"timestamp: now":                          true,
		"Timestamp: 2026-11-21T21:49:08Z":         true,
		"2026-11-21 21:49:08":                     true,
		"2026-11-21T21:49:08":                     true,
		"2026-11-21T1:49:08Z":                     true,
		"2026-11-21T21:49:08,5Z":                  true,
		"timestamp: 2026-11-21T21:49:08Z a b":     true,
		"timestamp: 1969-12-31T23:59:59Z":         true,
		"timestamp: 9999-12-31T23:59:59-01:00":    true,
		"timestamp: 9223372036854775807":          true,
		"timestamp: -1":                           true,
		"timestamp: 1e9":                          true,
		"timestamp: 1. x":                         true,
		"timestamp: .5":                           true,
		"17 ::":                                   false,
		"==== UNIT OF WORK":                       false,
		"COMMAND :: x":                            false,
		"timestamps are fine":                     false,
		"":                                        false,
		strings.Repeat("9", 100000) + " enqueued": false,
	} {
		if got, meant, ok := parseTimestamp(line); ok || meant != wantMeant {
			t.Errorf("%.40q is %v, %v, %v", line, got, meant, ok)
		}
	}
	if got := Stamp(time.Date(2026, 11, 21, 22, 50, 0, 1999999, time.FixedZone("", 3600))); got != "2026-11-21T21:50:00.001Z" {
		t.Errorf("stamp %s", got)
	}
}

func TestHead(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "",
		"a\nb":                                  "a\nb",
		"a\n==== JOB LOG\nlog":                  "a\n==== JOB LOG\n",
		"a\n==== JOB LOG \t \r\nlog":            "a\n==== JOB LOG \t \r\n",
		"==== JOB LOG":                          "==== JOB LOG",
		"==== JOB LOGS\n ==== JOB LOG\nx":       "==== JOB LOGS\n ==== JOB LOG\nx",
		"==== JOB LOG\r":                        "==== JOB LOG\r",
		"==== JOB LOG\r \nx":                    "==== JOB LOG\r \nx",
		"====  JOB LOG\n==== job log\n==== J\n": "====  JOB LOG\n==== job log\n==== J\n",
		strings.Repeat("x", 9000) + "\n==== JOB LOG\n==== JOB LOG\n": strings.Repeat("x", 9000) + "\n==== JOB LOG\n",
	} {
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
			if got, err := Head(r, 1<<20); err != nil || string(got) != want {
				t.Errorf("head of %.40q is %.40q, %v", text, got, err)
			}
		}
	}
}

func TestHeadLimit(t *testing.T) {
	const limit = 10000
	for _, c := range []struct {
		name string
		text string
		ok   bool
	}{
		{"at the limit", strings.Repeat("x", limit), true},
		{"one more", strings.Repeat("x", limit+1), false},
		{"lines, one more", strings.Repeat("x\n", limit/2) + "x", false},
		{"completed", strings.Repeat("x", limit) + "\n==== JOB LOG\n" + strings.Repeat("log", limit), true},
		{"far over, with a log", strings.Repeat("x", limit+Growth) + "\n==== JOB LOG\n", false},
		{"one endless line", strings.Repeat("x", 50*limit), false},
	} {
		_, err := Head(strings.NewReader(c.text), limit)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	broken := errors.New("broken disk")
	if head, err := Head(io.MultiReader(strings.NewReader("a\n"), iotest.ErrReader(broken)), limit); !errors.Is(err, broken) || head != nil {
		t.Errorf("a reader's error became %q, %v", head, err)
	}
	// What was small enough when it was accepted is so when it is looked at again.
	text := "==== UNIT OF WORK\nCOMMAND :: " + strings.Repeat("x", limit-29)
	completed := parse(t, "big", text).Completed(clock)
	if _, err := Head(bytes.NewReader(completed), int64(len(text))); err != nil {
		t.Errorf("the completed file: %v", err)
	}
}

func TestUnit(t *testing.T) {
	u := parse(t, "deploy-7", "==== UNIT OF WORK\n\nJob :: ansible\nHOST :: web\nAfter any :: x\n")
	if got, ok := u.Get("job"); !ok || got != "ansible" || u.Line("JOB") != 3 || !u.Asks() {
		t.Errorf("job: %q, %v, line %d", got, ok, u.Line("JOB"))
	}
	if _, ok := u.Get("JOBS"); ok || u.Line("JOBS") != 0 {
		t.Error("found an item that is not there")
	}
	for want, got := range map[string]*Error{
		`deploy-7:3: item "Job": no job type "ansible"`:     u.Fault("JOB", "no job type %q", "ansible"),
		`deploy-7: item "INVENTORY": the job type needs it`: u.Fault("INVENTORY", "the job type needs it"),
		`deploy-7: 100% wrong`:                              u.Fault("", "100%% wrong"),
	} {
		if got.Error() != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if parse(t, "x", "==== UNIT OF WORK\nHOST :: web\n").Asks() {
		t.Error("a UOW without command asks for nothing")
	}
	for text, ended := range map[string]bool{"": false, "done: x": true, "error: x": true, "fail: x": true,
		"again: try 1 of 1 not before 2026-11-21T21:50:00Z": false} {
		if u := parse(t, "x", "==== UNIT OF WORK\n==== STATUS\n"+text+"\n"); u.Ended() != ended {
			t.Errorf("%q: ended is %v", text, u.Ended())
		}
	}
}

func TestErrorsAreOneLineEach(t *testing.T) {
	for file, want := range map[string]string{
		"a b": "a b:1:3: x", "a\nb": `"a\nb":1:3: x`, "\xff": `"\xff":1:3: x`, "": "x", "ä": "ä:1:3: x",
	} {
		if got := (&Error{File: file, Line: 1, Col: 3, Text: "x"}).Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	_, err := Parse("f", []byte(strings.Repeat("\x00\n", 100000)+"==== UNIT OF WORK\n"))
	var all Errors
	if !errors.As(err, &all) || len(all) != maxErrors+1 || all[maxErrors].Error() != "f: ... and 99950 more" {
		t.Errorf("got %d errors, the last %v", len(all), all[len(all)-1])
	}
	var single *Error
	if !errors.As(err, &single) || single.Line != 1 {
		t.Errorf("the first error is %v", single)
	}
}

func TestStatusField(t *testing.T) {
	for _, c := range []struct {
		text, want string
		cut        bool
	}{
		{"", "", false},
		{" done: exit 0 ", "done: exit 0", false},
		{"fail: a\nb\r\nc\td\x1b[0m\x00\xff", "fail: a b  c d [0m �", false},
		{strings.Repeat("x", 240), strings.Repeat("x", 240), false},
		{strings.Repeat("x", 241), strings.Repeat("x", 237) + "…", true},
		{"x" + strings.Repeat("ä", 120), "x" + strings.Repeat("ä", 118) + "…", true},
		{strings.Repeat("\xff", 240), strings.Repeat("�", 79) + "…", true},
	} {
		field, cut := StatusField(c.text)
		if len(field) != StatusRoom || strings.TrimRight(string(field), " ") != c.want || cut != c.cut {
			t.Errorf("%q became %q, %v", c.text, field, cut)
		}
	}
}

func TestParseStatus(t *testing.T) {
	due := time.Date(2026, 11, 21, 21, 50, 0, 1e6, time.UTC)
	for text, want := range map[string]Status{
		"":               {},
		"   ":            {},
		"done: exit 0  ": {Text: "done: exit 0", Kind: Done},
		"error:":         {Text: "error:", Kind: Errored},
		"again: try 2 of 3 not before 2026-11-21T21:50:00.001Z; last: error: exit 2; last: x": {
			Text: "again: try 2 of 3 not before 2026-11-21T21:50:00.001Z; last: error: exit 2; last: x",
			Kind: TryAgain, Try: 2, Tries: 3, NotBefore: due, Last: "error: exit 2; last: x"},
		"again: try 2 of 3 not before 2026-11-21T21:50:00.001Z": {
			Text: "again: try 2 of 3 not before 2026-11-21T21:50:00.001Z",
			Kind: TryAgain, Try: 2, Tries: 3, NotBefore: due},
	} {
		if got, err := ParseStatus(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"done", "Done: x", "waiting", "again:", "again: try 0 of 3 not before 2026-11-21T21:50:00Z",
		"again: try 1 of 3 not before noon", "again: try 9999999999 of 3 not before 2026-11-21T21:50:00Z", "running: x"} {
		if got, err := ParseStatus(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func TestEnvName(t *testing.T) {
	for item, want := range map[string]string{
		"TICKET": "UOW_TICKET", "my host-7.x": "UOW_MY_HOST_7_X", "ä=": "UOW___", "": "UOW_",
	} {
		if got := EnvName(item); got != want {
			t.Errorf("%q is %s, want %s", item, got, want)
		}
	}
}

func TestNew(t *testing.T) {
	file, err := New(clock, []Item{{Name: "COMMAND", Content: " make backup "}, {Name: "Empty"}})
	want := "timestamp: 2026-11-21T21:49:08.123Z enqueued\n\n==== UNIT OF WORK\nCOMMAND :: make backup\nEmpty ::\n\n" +
		"==== STATUS\n" + strings.Repeat(" ", 240) + "\n\n==== JOB LOG\n"
	if err != nil || string(file) != want {
		t.Errorf("got %q, %v", file, err)
	}
	_, err = New(clock, []Item{
		{Name: "COMMAND", Content: "x\nJOB :: root"}, {Name: "TIMEOUT", Content: "soon"},
		{Name: "==== STATUS"}, {Name: "A", Content: "1"}, {Name: "a", Content: "2"},
	})
	wantErr := `item "COMMAND": holds a line break (a long script is a file of its own, named in COMMAND)
item name "==== STATUS" holds "=" (write letters, digits, blank, _, - and .)
item "TIMEOUT": "soon" is not a duration (write 90s, 30m or 2h)
item "a": stands there already (remove one)`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(wantErr, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBlank(t *testing.T) {
	for text, want := range map[string]bool{"": true, "\n \t\r\n": true, "\x00": false, "a": false} {
		if got := Blank([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
