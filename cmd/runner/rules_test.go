package main

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRulesByLine(t *testing.T) {
	for _, c := range []struct {
		name   string
		pieces []string
		error  int
		fail   int
	}{
		{"nothing", nil, -1, -1},
		{"whole line", []string{"fatal: x\n"}, 0, -1},
		{"in pieces", []string{"fa", "tal", ": x", "\n"}, 0, -1},
		{"without its end", []string{"ok\nfatal: x"}, 0, -1},
		{"not at the beginning", []string{"a fatal: x\n"}, -1, -1},
		{"the second pattern", []string{"b\n", "error 7\nfatal: \n"}, 1, -1},
		{"fail", []string{"h UNREACHABLE! \r\n"}, -1, 0},
		{"both", []string{"UNREACHABLE!\nfatal: "}, 0, 0},
		{"end of line with CR", []string{"the end\r\n"}, -1, 1},
		{"coloured in pieces", []string{"\x1b[1;3", "1mfatal:", "\x1b[0m x\n"}, 0, -1},
		{"longer than a line may be", []string{"fatal: " + strings.Repeat("x", 3*longestLine)}, 0, -1},
		{"beyond the longest", []string{strings.Repeat("x", 2*longestLine), " error 7\n"}, 1, -1},
		{"across a cut", []string{strings.Repeat("x", longestLine-3), "error 7", strings.Repeat("x", longestLine)}, 1, -1},
		{"a cut is no beginning", []string{strings.Repeat("x", longestLine-overlap), "fatal: ", strings.Repeat("x", longestLine)}, -1, -1},
		{"a cut is no end", []string{strings.Repeat("x", longestLine-3), "end", strings.Repeat("x", longestLine)}, -1, -1},
		{"the end of a long line", []string{strings.Repeat("x", 2*longestLine), "end\n"}, -1, 1},
		{"a line of a progress bar", []string{"50%\rfatal: x\r"}, 0, -1},
	} {
		r := &rules{}
		if err := r.begin([]string{`^fatal: `, `error \d`}, []string{`UNREACHABLE!`, `end$`}); err != nil {
			t.Fatal(err)
		}
		for _, p := range c.pieces {
			r.feed([]byte(p))
		}
		if r.end(); r.hit != [2]int{c.error, c.fail} {
			t.Errorf("%s: %v, want %d %d", c.name, r.hit, c.error, c.fail)
		}
	}
}

func TestRulesAreKeptAndReplaced(t *testing.T) {
	r := &rules{}
	hits := func(pattern string) bool {
		t.Helper()
		if err := r.begin([]string{pattern}, nil); err != nil {
			t.Fatal(err)
		}
		r.feed([]byte("one\n"))
		r.end()
		return r.hit[errorRule] == 0
	}
	if !hits("one") || hits("two") || !hits("one") || !hits("one") {
		t.Error("a pattern of another command counts")
	}
	if err := r.begin([]string{"("}, nil); err == nil {
		t.Error("a bad pattern is taken")
	}
	if err := r.begin([]string{"("}, nil); err == nil {
		t.Error("a bad pattern is taken the second time")
	}
	if err := r.begin(nil, nil); err != nil || r.open() {
		t.Errorf("without patterns: %v", err)
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                   "plain",
		"\x1b[31mred\x1b[0m":      "red",
		"\x1b[38;5;196mx\x1b[K":   "x",
		"\x1b[?25lx":              "x",
		"\x1b]0;title\x07x":       "x",
		"\x1b]8;;http://a\x1b\\x": "x",
		"\x1b(Bx\x1b7y\x1b=z":     "xyz",
		"\x1bPq#0\x1b\\x":         "x",
		"x\x1b":                   "x",
		"x\x1b[":                  "x",
		"x\x1b[31":                "x",
		"x\x1b]never ends":        "x",
		"\x1b[31\x1b[0mx":         "x",
		"\x1b\x1b[1mx":            "x",
		"\x1b[31\u00fcx":          "\u00fcx",
	} {
		if got := string(appendPlain(nil, []byte(in))); got != want {
			t.Errorf("appendPlain(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add([]byte("\x1b[31mred\x1b[0m\x1b]8;;x\x1b\\"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := appendPlain(nil, b)
		if len(got) > len(b) || bytes.IndexByte(got, 0x1b) >= 0 {
			t.Fatalf("appendPlain(%q) = %q", b, got)
		}
		if bytes.IndexByte(b, 0x1b) < 0 && !bytes.Equal(got, b) {
			t.Fatalf("appendPlain(%q) = %q", b, got)
		}
	})
}

// However the output is cut into reads, the same lines match.
func TestRulesDoNotDependOnReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		out := []byte(strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"a", "fatal: ", "\n", "\r", "\x1b[1m", "bad"})).Draw(t, "out"), ""))
		find := func(cuts []int) [2]int {
			r := &rules{}
			if err := r.begin([]string{"^fatal: a"}, []string{"bad$"}); err != nil {
				t.Fatal(err)
			}
			rest := out
			for _, n := range cuts {
				n = min(n, len(rest))
				r.feed(rest[:n])
				rest = rest[n:]
			}
			r.feed(rest)
			r.end()
			return r.hit
		}
		if whole, cut := find(nil), find(rapid.SliceOf(rapid.IntRange(0, 5)).Draw(t, "cuts")); whole != cut {
			t.Fatalf("%q: %v whole, %v in pieces", out, whole, cut)
		}
	})
}
