package run

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"simplejobq/internal/durable"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const someRun = "0b7e1a52-93c4-4bd0-8a1f-3f6f2f0e6c11-123456789"

func someSpec() *Spec {
	nice := -5
	return &Spec{
		Run: someRun, Link: "u" + someRun, UOW: "deploy 7", Dir: "/srv", Argv: []string{"/bin/sh", "-c", "a=b\nc"},
		Env: []string{"PATH=/bin", "EMPTY=", "X==="}, Umask: 0o27, Nice: &nice, Terminal: true, Leave: true, Tee: true,
		Timeout: time.Second, Silence: 2, Grace: 3, Linger: 4, LogSize: 5, ErrorIf: []string{"", "^a=$"}, FailIf: []string{"b"}, Label: "try 1 check",
	}
}

func TestSpec(t *testing.T) {
	for _, want := range []*Spec{someSpec(), {Run: someRun, Link: "u1", Dir: "/", Argv: []string{"true"}}} {
		b, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeSpec(b)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%v %s", err, cmp.Diff(want, got))
		}
		for n := range b { // cut off anywhere: no spec
			if s, err := DecodeSpec(b[:n]); err == nil && !cmp.Equal(s, want) && len(s.FailIf)+len(s.ErrorIf)+len(s.Env)+len(s.Argv) == len(want.FailIf)+len(want.ErrorIf)+len(want.Env)+len(want.Argv) {
				t.Errorf("%d of %d bytes make %+v", n, len(b), s)
			}
		}
	}
	for what, change := range map[string]func(*Spec){
		"not a run id":       func(s *Spec) { s.Run = "run" },
		"plain file name":    func(s *Spec) { s.Link = "../u1" },
		"plain file name ":   func(s *Spec) { s.Link = ".." },
		"NUL":                func(s *Spec) { s.UOW = "a\x00arg=rm" },
		"NUL ":               func(s *Spec) { s.Argv = append(s.Argv, "\x00") },
		"not absolute":       func(s *Spec) { s.Dir = "srv" },
		"more than one line": func(s *Spec) { s.Label = "try\n" },
		"no program":         func(s *Spec) { s.Argv = nil },
		"no program ":        func(s *Spec) { s.Argv = []string{""} },
		"umask":              func(s *Spec) { s.Umask = 0o1000 },
		"nice":               func(s *Spec) { *s.Nice = 20 },
		"below zero":         func(s *Spec) { s.Grace = -1 },
		"no NAME=value":      func(s *Spec) { s.Env = []string{"=x"} },
		"takes":              func(s *Spec) { s.Argv = []string{strings.Repeat("x", maxSpec)} },
	} {
		s := someSpec()
		change(s)
		if _, err := s.Encode(); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(what)) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// The size is reckoned, and never less than what it turns out to be.
	full := someSpec()
	full.Nice, full.Terminal, full.Leave, full.Tee, full.Umask = new(int), true, true, true, 0o777
	*full.Nice = -20
	full.Timeout, full.Silence, full.Grace, full.Linger, full.LogSize = 1<<63-1, 1<<63-1, 1<<63-1, 1<<63-1, 1<<63-1
	if b, err := full.Encode(); err != nil || len(b) > full.size() || len(b) < full.size()-512 {
		t.Errorf("%d bytes were reckoned as %d, %v", len(b), full.size(), err)
	}
	good, _ := someSpec().Encode()
	for _, bad := range []string{"", "x", "x=1\x00", "run=" + someRun + "\x00", string(good) + "umask=22\x00", string(good) + "new=1\x00", string(good) + "\x00", string(good) + "arg"} {
		if s, err := DecodeSpec([]byte(bad)); err == nil || s != nil {
			t.Errorf("%q is read as %+v", bad, s)
		}
	}
}

func TestSingle(t *testing.T) {
	want := &Single{Dir: "/var/spool/q/.monitor/run", Spec: someSpec()}
	b, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeSingle(b); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v %s", err, cmp.Diff(want, got))
	}
	if _, err := (&Single{Dir: "run", Spec: someSpec()}).Encode(); err == nil {
		t.Error("a relative run directory is taken")
	}
	for _, bad := range []string{"", "run_directory=/x", "run_directory=x\x00", string(b[5:])} {
		if s, err := DecodeSingle([]byte(bad)); err == nil {
			t.Errorf("%q is read as %+v", bad, s)
		}
	}
}

func FuzzDecodeSpec(f *testing.F) {
	b, _ := someSpec().Encode()
	f.Add(b)
	f.Add([]byte("run=a\x00arg=\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSpec(b)
		if err != nil {
			if s != nil {
				t.Fatal("a spec and an error")
			}
			return
		}
		again, err := s.Encode()
		if err != nil {
			t.Fatalf("%+v was read and can't be written: %v", s, err)
		}
		if s2, err := DecodeSpec(again); err != nil || !cmp.Equal(s, s2) {
			t.Fatalf("%v %s", err, cmp.Diff(s, s2))
		}
	})
}

func ownRecord(t *testing.T) (*Own, *Record) {
	t.Helper()
	d, err := durable.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	own, err := CreateRecord(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.rec.Close(); d.Close() })
	return own, openRecord(t, d.Path(), own.Name())
}

func TestRecord(t *testing.T) {
	own, rec := ownRecord(t)
	if s, live, end, err := rec.Read(); err != nil || s != (Start{}) || end != nil || live.Runner != os.Getpid() || live.RunnerStart == 0 {
		t.Errorf("a new record says %+v %+v %+v %v", s, live, end, err)
	}
	start := Start{
		Run: someRun, UOW: "näme with\\ \x01 \n", Dev: 1<<64 - 1, Ino: 77, Queue: "wait-q", Try: 2, Tries: 3, Step: "build", Phase: "check",
		Command: strings.Repeat("é\x01", 10_000),
	}
	if err := rec.WriteStart(start); err != nil {
		t.Fatal(err)
	}
	s, live, _, err := rec.Read()
	if !strings.HasSuffix(s.Command, "\x01…") && !strings.HasSuffix(s.Command, "é…") || len(s.Command) < 1000 {
		t.Errorf("the command is cut to %q", s.Command)
	}
	s.Command = start.Command
	if err != nil || s != start || live.MayHaveRun(someRun) {
		t.Errorf("%v %s", err, cmp.Diff(start, s))
	}
	if err := own.Forking(someRun); err != nil {
		t.Fatal(err)
	}
	if _, live, _, _ := rec.Read(); !live.MayHaveRun(someRun) || live.PID != 0 || live.MayHaveRun("other") {
		t.Errorf("at the fork it says %+v", live)
	}
	began := time.Unix(5, 7)
	if err := own.Forked(Live{PID: 42, Started: began}); err != nil {
		t.Fatal(err)
	}
	if _, live, _, _ := rec.Read(); live.PID != 42 || !live.Started.Equal(began) || live.Born == 0 || live.Forked != someRun || live.Space == "" || live.Space != numberSpace() {
		t.Errorf("after the fork it says %+v", live)
	}
	want := End{
		Run: someRun, Reason: Signalled, Exit: 1, Signal: 9, Text: "killed by SIGKILL\n", ErrorIf: 0, FailIf: -1,
		Wall: 1, CPU: 2, Peak: 3, Output: 4, Dropped: 5, Finished: time.Unix(1, 2), Unlogged: true,
	}
	if _, err := own.WriteEnd(&want); err != nil {
		t.Fatal(err)
	}
	if _, _, end, err := rec.Read(); err != nil || end == nil || !cmp.Equal(*end, want) {
		t.Errorf("%v %s", err, cmp.Diff(&want, end))
	}
	if st, err := rec.file.Stat(); err != nil || st.Size != recordSize {
		t.Errorf("the record grew to %d", st.Size)
	}
	// A request counts for its run only.
	for _, c := range []struct{ run, reason, want string }{{someRun, "killed by request", "killed by request"}, {someRun, "", "killed by request"}, {"other", "x", ""}} {
		if err := rec.RequestKill(c.run, c.reason); err != nil {
			t.Fatal(err)
		}
		if got := own.KillRequest(someRun); got != c.want {
			t.Errorf("request %+v reads %q", c, got)
		}
	}
	if got := own.KillRequest(""); got != "" {
		t.Errorf("a request for no run: %q", got)
	}
}

// The number of a runner that is gone was given to a process that lives on: that one is
// not waited for.
func TestRunnerNumberOfAnother(t *testing.T) {
	own, rec := ownRecord(t)
	own.live.RunnerStart++ // it is this process, and was born at another time
	if err := own.writeLive(); err != nil {
		t.Fatal(err)
	}
	if exit := rec.openRunner(); exit != nil {
		exit.Close()
		t.Error("another process counts as its runner")
	}
	own.live.RunnerStart--
	if err := own.writeLive(); err != nil {
		t.Fatal(err)
	}
	exit := rec.openRunner()
	if exit == nil {
		t.Fatal("its runner does not count")
	}
	exit.Close()
}

// What a crash or a stranger can make of a record.
func TestDamagedRecord(t *testing.T) {
	own, rec := ownRecord(t)
	if err := rec.WriteStart(Start{Run: someRun, UOW: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := own.WriteEnd(&End{Run: someRun, Reason: Exit}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(own.Path())
	if err != nil {
		t.Fatal(err)
	}
	read := func(at int, bytes ...byte) (Start, Live, *End, error) {
		t.Helper()
		b := append([]byte(nil), whole...)
		copy(b[at:], bytes)
		if err := os.WriteFile(own.Path(), b, 0); err != nil {
			t.Fatal(err)
		}
		return rec.Read()
	}
	if _, _, end, err := read(0); err != nil || end == nil {
		t.Fatalf("undamaged: %+v, %v", end, err)
	}
	if _, live, end, err := read(startAt+4, 'X'); !errors.Is(err, ErrDamaged) || end != nil || !live.MayHaveRun(someRun) {
		t.Errorf("damaged start: %+v %+v %v", live, end, err)
	}
	if _, live, end, err := read(liveAt+4, 'X'); err != nil || end == nil || !live.MayHaveRun(someRun) {
		t.Errorf("damaged live: %+v %+v %v; want it taken as forked", live, end, err)
	}
	if _, _, end, err := read(endAt+100, 'X'); err != nil || end != nil {
		t.Errorf("damaged end: %+v %v", end, err)
	}
	for _, size := range []int64{0, 1, 100, areaSize, areaSize + 1, recordSize - 1} {
		read(0)
		if err := os.Truncate(own.Path(), size); err != nil {
			t.Fatal(err)
		}
		s, live, end, err := rec.Read()
		if end != nil || err == nil && size > 0 && size < areaSize || size >= areaSize && (err != nil || s.Run != someRun) || size == areaSize+1 && live.Runner != 0 {
			t.Errorf("%d bytes: %+v %+v %+v %v", size, s, live, end, err)
		}
	}
}

func TestRecordNames(t *testing.T) {
	d, err := durable.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, want := range []string{"1", "2", "3"} {
		own, err := CreateRecord(d)
		if err != nil || own.Name() != want {
			t.Fatalf("%v, %v", own, err)
		}
		defer own.rec.Close()
	}
	// Removed under the hand of an opener: the new file of that name stays.
	old := openRecord(t, d.Path(), "2")
	if err := d.Remove("test:remove", "2"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.Join("2"), []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := old.Remove("test:remove"); err == nil {
		t.Error("a held record is removed")
	}
	free := openRecord(t, d.Path(), "2")
	if err := os.Remove(d.Join("2")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.Join("2"), []byte("newer"), 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := OpenRecord(d, "2")
	if err != nil {
		t.Fatal(err)
	}
	if err := free.Remove("test:remove"); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(d.Join("2")); err != nil || string(b) != "newer" {
		t.Errorf("the new file is gone: %q %v", b, err)
	}
	if err := other.Remove("test:remove"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d.Join("2")); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	for name, want := range map[string]bool{"1": true, "42": true, "0": false, "01": false, "": false, "u1": false, "-1": false, "1~": false, "99999999999999999999": false} {
		if IsRecord(name) != want {
			t.Errorf("IsRecord(%q) = %v", name, !want)
		}
	}
}

func FuzzReadRecord(f *testing.F) {
	var a area
	(&Start{Run: someRun, UOW: "x\n", Dev: 1, Command: "c"}).put(&a)
	start, _ := a.seal()
	start = append([]byte(nil), start...)
	end, _ := new(area).end(&End{Run: someRun, Reason: Exit, ErrorIf: -1, FailIf: 2})
	f.Add(append(append(append([]byte(nil), start...), bytes.Repeat([]byte{' '}, 2*areaSize)...), end...))
	f.Add([]byte("sum=00000000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _, e, err := decode(b)
		if err != nil && (e != nil || s.Run != "" && len(b) < areaSize) {
			t.Fatalf("%+v %+v and %v", s, e, err)
		}
		if e != nil && e.Run != s.Run {
			t.Fatalf("the end of another run: %+v %+v", s, e)
		}
		// The checksum would hide the reader of the lines: give it what has one.
		var a area
		a.b = append(a.b, b[:min(len(b), areaSize-sumLen-1)]...)
		sealed, err := a.seal()
		if err != nil {
			t.Fatal(err)
		}
		var s2 Start
		if _, err := readArea(sealed, s2.field); err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
		decodeEnd(sealed)
	})
}

func TestEscapes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "s"))
		escaped := string(appendEscaped(nil, s))
		if strings.ContainsFunc(escaped, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			t.Fatalf("%q holds a control character", escaped)
		}
		if got, ok := unescape(escaped); !ok || got != s {
			t.Fatalf("%q comes back as %q", s, got)
		}
		room := rapid.IntRange(0, 60).Draw(t, "room")
		short := cut(s, room)
		if len(appendEscaped(nil, short)) > room {
			t.Fatalf("cut(%q, %d) = %q", s, room, short)
		}
		if kept, whole := strings.CutSuffix(short, "…"); short != s && short != "" && (!whole || !strings.HasPrefix(s, kept)) {
			t.Fatalf("cut(%q, %d) = %q", s, room, short)
		}
	})
}

func TestMessages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bodies := rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "bodies")
		var b []byte
		for _, body := range bodies {
			b = AppendMessage(b, MsgKill, body)
		}
		for _, want := range bodies {
			for n := range min(len(b), 5+len(want)) {
				if kind, _, rest, err := NextMessage(b[:n]); kind != 0 || err != nil || len(rest) != n {
					t.Fatalf("%d bytes are a message: %v", n, err)
				}
			}
			kind, body, rest, err := NextMessage(b)
			if kind != MsgKill || !bytes.Equal(body, want) || err != nil {
				t.Fatalf("%c %q %v, want %q", kind, body, err, want)
			}
			b = rest
		}
	})
	if _, _, _, err := NextMessage([]byte{'L', 0xff, 0xff, 0xff, 0xff}); err == nil {
		t.Error("a message of 4 GiB is waited for")
	}
}

func TestIDs(t *testing.T) {
	boot, err := BootID()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	last := int64(0)
	for range 3 { // restarts
		ids := NewIDs(boot)
		for range 10_000 {
			id := ids.Next()
			if seen[id] || bootTime(id) <= last && len(seen)%10_000 != 0 || Boot(id) != boot {
				t.Fatalf("%q after %d", id, last)
			}
			seen[id], last = true, bootTime(id)
		}
	}
	for _, id := range []string{"", "-", "x", "-5", "boot-", "boot-x", "boot--1"} {
		if Boot(id) != "" && id != "boot--1" {
			t.Errorf("Boot(%q) = %q", id, Boot(id))
		}
	}
}

func TestCommandLine(t *testing.T) {
	for want, argv := range map[string][]string{
		`/bin/sh -c 'ansible-playbook -i prod site.yml'`: {"/bin/sh", "-c", "ansible-playbook -i prod site.yml"},
		`echo '' a=b,c 'it'\''s' '$x' 'ü~'`:              {"echo", "", "a=b,c", "it's", "$x", "ü~"},
		`printf $'a\n\t\x1b[31m\'\\' $'\xc2\x9b1m'`:      {"printf", "a\n\t\x1b[31m'\\", "\u009b1m"},
	} {
		if got := CommandLine(argv); got != want {
			t.Errorf("CommandLine(%q) = %s, want %s", argv, got, want)
		}
	}
}
