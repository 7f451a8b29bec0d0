package uow

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"
)

func FuzzParse(f *testing.F) {
	fuzzParse(f, Parse)
}

func FuzzSteps(f *testing.F) {
	for _, folder := range []string{"valid", "invalid"} {
		for _, data := range filesIn(f, flows, folder, 4) {
			f.Add(data)
		}
	}
	fuzzParse(f, Parse)
}

func fuzzParse(f *testing.F, parse parseFunc) {
	for _, folder := range []string{"valid", "invalid"} {
		for _, data := range files(f, folder) {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := parse("f", data)
		if (u == nil) == (err == nil) {
			t.Fatalf("got %v and %v", u, err)
		}
		head, headErr := Head(iotest.HalfReader(bytes.NewReader(data)), 1<<20)
		if headErr != nil || !bytes.HasPrefix(data, head) {
			t.Fatalf("head %q, %v", head, headErr)
		}
		v, errV := parse("f", head)
		if (v == nil) != (u == nil) || err != nil && err.Error() != errV.Error() {
			t.Fatalf("the file parses as %v, its head as %v", err, errV)
		}
		if err != nil {
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 || len(all) > maxErrors+1 {
				t.Fatalf("bad errors: %v", err)
			}
			for _, e := range all {
				if text := e.Error(); e.Text == "" || len(text) > 1000 || strings.ContainsAny(text, "\r\n\x00\x1b") {
					t.Errorf("bad error: %q", text)
				}
			}
			return
		}
		if u.LogAt() != int64(len(head)) {
			t.Fatalf("the log is at %d, head has %d bytes", u.LogAt(), len(head))
		}
		judgeCompleted(t, parse, u, u.Completed(clock))
		for _, it := range u.items {
			if content, ok := u.Get(strings.ToLower(it.Name)); !ok || content != it.Content || u.Line(it.Name) != it.Line {
				t.Errorf("item %+v is not found", it)
			}
		}
		for i, st := range u.Steps {
			if e := u.StepFault(i, "AFTER", "x"); e.Line < st.Line || st.HasAfter == (e.Line == st.Line) {
				t.Errorf("step %+v: %v", st, e)
			}
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	f.Add("done: exit 0 after 4ms")
	f.Add("again: try 2 of 3 not before 2026-11-21T21:50:00.001Z; last: error: exit 2 after 1s")
	f.Add("fail: not started: \x00\xff\n…")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseStatus(text)
		if err != nil {
			if s != (Status{}) {
				t.Errorf("returned %+v with an error", s)
			}
			return
		}
		field, cut := StatusField(text)
		if len(field) != StatusRoom || bytes.ContainsAny(field, "\r\n\x00") {
			t.Fatalf("bad field %q", field)
		}
		if again, err := ParseStatus(string(field)); err == nil && again.Kind != s.Kind {
			t.Errorf("%q became %q", s.Text, field)
		} else if err != nil && !cut {
			t.Errorf("%q cannot be read back: %v", field, err)
		}
	})
}

// TestAgainIsReadBack: however long the last outcome, the count and the due time,
// which live nowhere else, survive the cut to the room of STATUS.
func TestAgainIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		try := rapid.IntRange(1, maxCount).Draw(t, "try")
		tries := rapid.IntRange(1, maxCount).Draw(t, "tries")
		due := time.UnixMilli(rapid.Int64Range(0, 253402300799999).Draw(t, "due")).UTC()
		last := rapid.String().Draw(t, "last")
		field, cut := StatusField(Again(try, tries, due, last))
		s, err := ParseStatus(string(field))
		if err != nil {
			t.Fatalf("%q: %v", field, err)
		}
		if s.Kind != TryAgain || s.Try != try || s.Tries != tries || !s.NotBefore.Equal(due) {
			t.Fatalf("%q became %+v", field, s)
		}
		if cut != strings.HasSuffix(s.Text, "…") && !strings.HasSuffix(last, "…") {
			t.Fatalf("cut is %v, the text %q", cut, s.Text)
		}
	})
}

// TestNewIsReadBack: whatever items are given, New refuses them or renders a file
// that says just these.
func TestNewIsReadBack(t *testing.T) {
	name := rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9 _.-]{0,9}`), rapid.SampledFrom(
		[]string{"COMMAND", "JOB", "TIMEOUT", "AFTER", "A ::", "==== STATUS", "", "EXPIRES"}))
	content := rapid.OneOf(rapid.StringMatching(`[ -~]{0,20}`), rapid.SampledFrom(
		[]string{"3s", ":: x", "a\nJOB :: root", "\r", "::", "x ::", "==== JOB LOG", "\x00", "ä"}), rapid.String())
	item := rapid.Custom(func(t *rapid.T) Item {
		return Item{Name: name.Draw(t, "name"), Content: content.Draw(t, "content")}
	})
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOfN(item, 0, 6).Draw(t, "items")
		file, err := New(clock, items)
		if err != nil {
			if file != nil {
				t.Fatalf("a file with an error: %q", file)
			}
			return
		}
		u, err := Parse("new", file)
		if err != nil || !u.Complete() || !u.Enqueued.Equal(clock.Truncate(time.Millisecond)) || len(u.items) != len(items) {
			t.Fatalf("%v: %q", err, file)
		}
		for i, it := range items {
			got := u.items[i]
			if got.Name != strings.Trim(it.Name, blanks) || got.Content != strings.Trim(it.Content, blanks) {
				t.Fatalf("%+v became %+v", it, got)
			}
		}
	})
}
