package uow

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what the code does into testdata")

var clock = time.Date(2026, 11, 21, 21, 49, 8, 123456789, time.UTC)

// The corpus of plain units of work, which the README's examples are part of, and
// that of flows.
const (
	corpus = "../../testdata/uow"
	flows  = "testdata/flows"
)

// files returns every UOW of one folder of the corpus, by name.
func files(t testing.TB, folder string) map[string][]byte { return filesIn(t, corpus, folder, 12) }

func filesIn(t testing.TB, corpus, folder string, least int) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(corpus, folder, "*.uow"))
	if err != nil || len(paths) < least {
		t.Fatalf("corpus %s: %d files, %v", folder, len(paths), err)
	}
	all := map[string][]byte{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".uow")] = data
	}
	return all
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
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
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestValid completes every valid file and compares it byte for byte.
func TestValid(t *testing.T) {
	testValid(t, corpus, Parse, files(t, "valid"))
}

func TestValidFlows(t *testing.T) {
	testValid(t, flows, Parse, filesIn(t, flows, "valid", 5))
}

type parseFunc func(name string, head []byte) (*Unit, error)

func testValid(t *testing.T, corpus string, parse parseFunc, files map[string][]byte) {
	for name, data := range files {
		t.Run(name, func(t *testing.T) {
			head, err := Head(bytes.NewReader(data), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			u, err := parse(name, head)
			if err != nil {
				t.Fatal(err)
			}
			if u.LogAt() != int64(len(head)) {
				t.Errorf("the log is at %d, the head has %d bytes", u.LogAt(), len(head))
			}
			completed := u.Completed(clock)
			if u.Complete() && !bytes.Equal(completed, head) {
				t.Error("a complete file was changed")
			}
			golden(t, filepath.Join(corpus, "valid", name+".completed"), completed)
			judgeCompleted(t, parse, u, completed)
		})
	}
}

// TestInvalid compares all errors of every invalid file.
func TestInvalid(t *testing.T) {
	testInvalid(t, corpus, Parse, files(t, "invalid"))
}

func TestInvalidFlows(t *testing.T) {
	testInvalid(t, flows, Parse, filesIn(t, flows, "invalid", 4))
}

func testInvalid(t *testing.T, corpus string, parse parseFunc, files map[string][]byte) {
	for name, data := range files {
		t.Run(name, func(t *testing.T) {
			u, err := parse(name, data)
			var all Errors
			if u != nil || !errors.As(err, &all) {
				t.Fatalf("got %v, %v; want no unit and Errors", u, err)
			}
			line := 0
			for _, e := range all {
				if e.Line < line && !strings.HasPrefix(e.Text, "... and ") {
					t.Errorf("not sorted by line: %v", e)
				}
				line = e.Line
			}
			golden(t, filepath.Join(corpus, "invalid", name+".want"), []byte(err.Error()+"\n"))
		})
	}
}

// judgeCompleted checks what every completed file owes to the one it was made of.
func judgeCompleted(t *testing.T, parse parseFunc, u *Unit, completed []byte) {
	t.Helper()
	c, err := parse(u.name, completed)
	if err != nil {
		t.Fatalf("the completed file does not parse: %v\n%q", err, completed)
	}
	if !c.Complete() {
		t.Fatalf("the completed file is not complete: %q", completed)
	}
	if again := c.Completed(clock.Add(time.Hour)); !bytes.Equal(again, completed) {
		t.Errorf("completing it again changed it:\n%q\n%q", completed, again)
	}
	if grown := len(completed) - len(u.head); grown > Growth {
		t.Errorf("grew by %d bytes, more than Growth", grown)
	}
	rest := completed
	for i := range len(u.head) {
		at := bytes.IndexByte(rest, u.head[i])
		if at < 0 {
			t.Fatalf("byte %d of the file is not kept in its order: %q", i, completed)
		}
		rest = rest[at+1:]
	}
	if c.LogAt() != int64(len(completed)) {
		t.Errorf("the log is at %d of %d", c.LogAt(), len(completed))
	}
	field := completed[c.StatusAt() : c.StatusAt()+StatusRoom]
	if s, err := ParseStatus(string(field)); err != nil || s.Text != u.Status.Text || bytes.ContainsAny(field, "\r\n") {
		t.Errorf("the field of STATUS holds %q, want %q (%v)", field, u.Status.Text, err)
	}
	if diff := cmp.Diff(said(u, clock), said(c, clock), cmp.AllowUnexported(Unit{}, Step{})); diff != "" {
		t.Errorf("the completed file says something else (-before +after):\n%s", diff)
	}
	// A STATUS of full length can be written and read without touching the rest.
	text, _ := StatusField("error: " + strings.Repeat("ä", StatusRoom))
	overwritten := bytes.Clone(completed)
	copy(overwritten[c.StatusAt():], text)
	if w, err := parse(u.name, overwritten); err != nil || w.Status.Text != string(text) || w.StatusAt() != c.StatusAt() {
		t.Errorf("after STATUS was written: %v\n%q", err, overwritten)
	}
}

// said is what a unit says, without where it says it; a missing timestamp is now.
func said(u *Unit, now time.Time) Unit {
	s := *u
	if s.Enqueued.IsZero() {
		s.Enqueued = now.Truncate(time.Millisecond)
		if s.ExpiresIn > 0 {
			s.Expires = s.Enqueued.Add(s.ExpiresIn)
		}
	}
	s.items, s.Own = lineless(u.items), lineless(u.Own)
	s.Steps = nil
	for _, st := range u.Steps {
		st.Line, st.items, st.Own = 0, lineless(st.items), lineless(st.Own)
		s.Steps = append(s.Steps, st)
	}
	s.name, s.head, s.eol = "", "", ""
	s.statusTitleEnd, s.statusAt, s.statusEnd, s.logTitle, s.logEnd = 0, 0, 0, 0, 0
	return s
}

func lineless(items []Item) []Item {
	var all []Item
	for _, it := range items {
		all = append(all, Item{Name: it.Name, Content: it.Content})
	}
	return all
}
