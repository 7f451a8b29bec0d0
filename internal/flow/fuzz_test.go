package flow

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseOutput(t *testing.T) {
	for text, want := range map[string][]Value{
		"":                               nil,
		"\n\n":                           nil,
		"A=1":                            {{"A", "1"}},
		"A=\n":                           {{"A", ""}},
		"b_2= x = y <<\nA=1\n":           {{"A", "1"}, {"B_2", " x = y <<"}},
		"A=1\na=2\n":                     {{"A", "2"}},
		"A<<END\nEND\n":                  {{"A", ""}},
		"A<<END\none\nEND":               {{"A", "one"}},
		"A<<E F\none\n\nB=2\n EF\nE F\n": {{"A", "one\n\nB=2\n EF"}},
		"A<<END\n\nEND\nB=2":             {{"A", ""}, {"B", "2"}},
		"A=\xff\r\n":                     {{"A", "\xff\r"}},
		"7=x":                            {{"7", "x"}},
	} {
		got, err := ParseOutput([]byte(text))
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for text, want := range map[string]string{
		"A=1\nhello":                           `invalid output in line 2: "hello" is no value (write NAME=VALUE, or NAME<<END, the lines of the value and END; a name is letters, digits and _)`,
		"=1":                                   `invalid output in line 1: "=1" is no value (write NAME=VALUE, or NAME<<END, the lines of the value and END; a name is letters, digits and _)`,
		"A-B=1":                                `invalid output in line 1: "A-B=1" is no value (write NAME=VALUE, or NAME<<END, the lines of the value and END; a name is letters, digits and _)`,
		"A<<\nx":                               `invalid output in line 1: "A<<" names no END (write NAME=VALUE, or NAME<<END, the lines of the value and END; a name is letters, digits and _)`,
		"\nA<<END\nx\nEND \n":                  `invalid output in line 2: the value of A has no line "END" that ends it`,
		"A=\x00":                               `invalid output in line 1: the value of A holds a zero byte, which no environment can`,
		strings.Repeat("A", 65) + "=1":         `invalid output in line 1: the name "` + strings.Repeat("A", 65) + `" is longer than 64 bytes`,
		"A=" + strings.Repeat("x", MaxValue+1): fmt.Sprintf("invalid output in line 1: the value of A is %d bytes (at most %d; write large things into a file in $MONITOR_SHARED)", MaxValue+1, MaxValue),
		strings.Repeat("x", MaxOutput+1):       fmt.Sprintf("invalid output: it is more than %d bytes (write large things into a file in $MONITOR_SHARED)", MaxOutput),
	} {
		got, err := ParseOutput([]byte(text))
		var typed *OutputError
		if got != nil || !errors.As(err, &typed) || err.Error() != want {
			t.Errorf("%.40q: %v\n%v\nwant\n%s", text, got, err, want)
		}
	}
	var many bytes.Buffer
	for i := range 20 {
		fmt.Fprintf(&many, "V%d=%s\n", i, strings.Repeat("x", MaxValue))
	}
	if _, err := ParseOutput(many.Bytes()); err == nil || !strings.Contains(err.Error(), "bytes together") {
		t.Errorf("20 large values: %v", err)
	}
}

func FuzzParseOutput(f *testing.F) {
	f.Add([]byte("A=1\nB<<END\nx\ny\nEND\n"))
	f.Add([]byte("A<<\n"))
	f.Add([]byte("=\x00<<"))
	f.Fuzz(func(t *testing.T, b []byte) {
		values, err := ParseOutput(b)
		if err != nil {
			var typed *OutputError
			if values != nil || !errors.As(err, &typed) || strings.ContainsAny(err.Error(), "\r\n\x00") || len(err.Error()) > 600 {
				t.Fatalf("%v, %q", values, err)
			}
			return
		}
		if weight(values) > MaxContext || !slices.IsSortedFunc(values, func(a, b Value) int { return strings.Compare(a.Name, b.Name) }) {
			t.Fatalf("%v", values)
		}
		var again bytes.Buffer
		for _, v := range values {
			if v.Name == "" || strings.Trim(v.Name, nameChars) != "" || v.Name != strings.ToUpper(v.Name) || len(v.Content) > MaxValue {
				t.Fatalf("bad value %+v", v)
			}
			end := "E"
			for strings.Contains("\n"+v.Content+"\n", "\n"+end+"\n") {
				end += "E"
			}
			if v.Content == "" {
				fmt.Fprintf(&again, "%s=\n", v.Name)
			} else {
				fmt.Fprintf(&again, "%s<<%s\n%s\n%s\n", v.Name, end, v.Content, end)
			}
		}
		if again.Len() > MaxOutput {
			return
		}
		if got, err := ParseOutput(again.Bytes()); err != nil || !reflect.DeepEqual(got, values) {
			t.Fatalf("%q became %v (%v)", values, got, err)
		}
	})
}

var example = Record{
	Kind: CommandEnded, Step: "pop \"corn", Try: 2, Phase: Recheck, Outcome: Error, Cause: Limited, To: Failed, Seq: 12,
	At: origin.Add(123456789), Run: "boot-7", Text: "exit 1\nü\xff\x00", Said: "./pop",
	Values: []Value{{"A", "x\ny"}, {"B", ""}},
}

func TestPastIsReadBack(t *testing.T) {
	records := []Record{example, {Kind: FlowCancelled, Cause: Killed, Outcome: Fail, Text: "killed by request"}, {Kind: CleanAsked},
		{Kind: CleanupEnded, Step: "a", Phase: Cleanup, Cause: NotStarted}, {Kind: StepKept, Step: "b", Outcome: Done, Seq: 3}, {Kind: CommandEnded, Cause: BadOutput}}
	var file []byte
	for _, r := range records {
		file = r.Append(file)
	}
	if n := bytes.Count(file, []byte("\n")); n != len(records) {
		t.Fatalf("%d lines of %d records", n, len(records))
	}
	got, good, err := DecodePast(file)
	if diff := cmp.Diff(records, got, cmpopts.EquateEmpty()); diff != "" || good != len(file) || err != nil {
		t.Errorf("%d of %d, %v:\n%s", good, len(file), err, diff)
	}
	// Wherever the last line is torn, what stands before it is read.
	lines := bytes.SplitAfter(file, []byte("\n"))
	last := len(file) - len(lines[len(records)-1])
	for cut := last; cut < len(file); cut++ {
		for _, tail := range []string{"", "\x00\x00\x00", "\n"} {
			torn := append(bytes.Clone(file[:cut]), tail...)
			if cut == len(file)-1 && tail == "\n" {
				continue // that is the whole line
			}
			got, good, err := DecodePast(torn)
			if len(got) != len(records)-1 || good != last || err != nil {
				t.Fatalf("cut at %d of %d with %q: %d records, %d, %v", cut, len(file), tail, len(got), good, err)
			}
		}
	}
	// Damage that is not at the end is told.
	for at := range len(lines[0]) {
		bad := bytes.Clone(file)
		bad[at] ^= 1
		got, _, err := DecodePast(bad)
		var damage *DamageError
		if got != nil || !errors.As(err, &damage) || damage.Line != 1 {
			t.Fatalf("byte %d changed: %v, %v", at, got, err)
		}
	}
}

// FuzzDecodePast gives the decoder lines whose checksum is right, for none of them
// would be looked at otherwise.
func FuzzDecodePast(f *testing.F) {
	body := string(example.Append(nil))[9:]
	f.Add(strings.TrimSuffix(body, "\n"), "")
	f.Add("ended - - ended ready 1 2 - \"\" \"\" \"\" `a`", "x")
	f.Add("cancel - fail killed waiting -1 0 2026-11-22T03:00:00+01:00 \"\" \"\" \"\" \"\"", "\n\n")
	f.Fuzz(func(t *testing.T, body, tail string) {
		line := fmt.Sprintf("%08x %s\n", crc32.ChecksumIEEE([]byte(body)), body)
		records, good, err := DecodePast([]byte(line + tail))
		if err != nil {
			if records != nil {
				t.Fatalf("%v with %v", records, err)
			}
			return
		}
		var again []byte
		for _, r := range records {
			again = r.Append(again)
		}
		if string(again) != (line + tail)[:good] {
			t.Fatalf("%q became %q", (line + tail)[:good], again)
		}
		// Whatever it says, it is refused or restored.
		p := plan(t, Options{}, "a:kcu2", "b:c")
		if flow, err := Restore(p, records); err == nil {
			flow.Resume()
			flow.Ready(time.Unix(0, 0), 9)
		}
	})
}
