package config

import (
	"os"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestKeyLines(t *testing.T) {
	const text = "a = 1\r\n" +
		"'b c' = \"#\\\"\" # = x\n" + // 2
		"\"d\\u0065\" . f = '''\n" + // 3
		"g = 1\n" +
		"''''' \t#\n" + // 5: the string holds two quotes of its own
		"h = [ # [\n" + // 6
		"  1, [2], {i = 3,\n" +
		"  j . k = 4}, ']',\n" + // 8
		"]\n" +
		" [ l . \"m.n\" ] # x\n" + // 10
		"\to = 1979-05-27 07:32:00\n" +
		"p.q = { }\n" + // 12
		"p.r = \"\"\"\\\"\" s = 1\"\"\"\n" +
		"[[t]]\n" + // 14
		"u = true\n" +
		"[[t]]\n" + // 16
		"v = inf"
	if _, err := toml.Decode(text, new(map[string]any)); err != nil {
		t.Fatal(err)
	}
	lines, tooDeep := keyLines(text)
	want := map[string]int{
		"a": 1, "b c": 2, "de": 3, "de/f": 3, "h": 6, "h/i": 7, "h/j": 8, "h/j/k": 8, "l": 10, "l/m.n": 10, "l/m.n/o": 11,
		"l/m.n/p": 12, "l/m.n/p/q": 12, "l/m.n/p/r": 13, "t": 14, "t/u": 15, "t/v": 17,
	}
	for path, line := range want {
		if got := lines[strings.ReplaceAll(path, "/", "\x00")]; got != line {
			t.Errorf("%s: line %d, want %d", path, got, line)
		}
	}
	if len(lines) != len(want) || tooDeep != 0 {
		t.Errorf("%d keys, want %d: %v; too deep at %d", len(lines), len(want), lines, tooDeep)
	}
}

// For every text the library accepts, each key it found has a line, and the
// key stands on it.
func FuzzKeyLines(f *testing.F) {
	for _, s := range []string{
		"a=1\n[b]\nc.d='x'", "a = {b = [1,\n{c=2}]}\n", "a='''\nb=1\n'''\nc=\"\"\"\\\"\"\"\"\n", "\"a\\u0062\"=1\r\n", "[[a]]\n[[a]]\nb=1", "[a]#b\n'#'=1",
		"a = [ 1, # ]\n]\nb=2", "'a\"b'=1\n\"c'd\"=2", "a={b={},\n}\nc=1",
	} {
		f.Add(s)
	}
	if example, err := os.ReadFile(examplePath); err == nil {
		f.Add(string(example))
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines, tooDeep := keyLines(text)
		var tree map[string]any
		md, err := toml.Decode(text, &tree)
		if err != nil || tooDeep > 0 || strings.HasPrefix(text, "\ufeff") || strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
			return
		}
		all := strings.Split(text, "\n")
		for _, key := range md.Keys() {
			line := lines[join(key)]
			if line < 1 || line > len(all) {
				t.Fatalf("%q: key %q is on line %d of %d", text, key, line, len(all))
			}
			last := key[len(key)-1]
			if bareKey().MatchString(last) && !strings.Contains(all[line-1], last) && !strings.Contains(all[line-1], `\`) {
				t.Fatalf("%q: key %q is not on line %d", text, key, line)
			}
		}
	})
}
