package spool

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestIgnored(t *testing.T) {
	for _, name := range []string{".x", ".x.swp", "#x#", "x~", "x.swp", "x.tmp", "x.part", "4913"} {
		if !Ignored(name) {
			t.Errorf("%q is looked at", name)
		}
	}
	for _, name := range []string{"x", "x.why", "x~1", "4913x", "a#", "tmp", "part", "x.tmp.sh", "README"} {
		if Ignored(name) {
			t.Errorf("%q is not looked at", name)
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, good := range map[string]bool{
		"x": true, "ä ö": true, "a$(b)'\"": true, "-x": true, "日本": true,
		"a\nb": false, "a\tb": false, "a\x7fb": false, "\xff": false, "a\u0085b": false, "a\u2028b": false, "a\x1b[1m": false,
	} {
		if err := CheckName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestCutProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringN(1, 400, 400).Draw(t, "name")
		n := rapid.IntRange(10, 255).Draw(t, "n")
		got := cut(name, n)
		if len(got) > n {
			t.Fatalf("%d bytes, want at most %d", len(got), n)
		}
		if len(name) <= n && got != name {
			t.Fatalf("%q became %q", name, got)
		}
		if utf8.ValidString(name) != utf8.ValidString(got) {
			t.Fatalf("cut within a character: %q", got)
		}
		if cut(got, n) != got {
			t.Fatalf("%q is cut once more", got)
		}
	})
}

func TestNamesThatFit(t *testing.T) {
	long := strings.Repeat("ä", 127) + "x" // 255 bytes
	for _, name := range []string{long, strings.Repeat("x", 255), "x"} {
		for _, made := range []string{whyOf(name), Older(name, 1), Older(name, 1<<29), Claimed{Ino: 1<<63 - 1, Token: "abcdefghijkl", UOW: name}.Link()} {
			if len(made) > 255 || !utf8.ValidString(made) {
				t.Errorf("%q: %d bytes", made, len(made))
			}
		}
		if !strings.HasSuffix(whyOf(name), ".why") || !strings.HasSuffix(Older(name, 12), "~12") {
			t.Errorf("%q and %q do not say what they are", whyOf(name), Older(name, 12))
		}
	}
}

// Only the newest README of a directory stays.
func TestReadmes(t *testing.T) {
	b := newBox(t)
	for i, name := range []string{"README", "README.txt", "README.md"} {
		b.drop(Wait, name, name)
		when := stamp.AddDate(0, 0, []int{1, 3, 2}[i])
		if err := os.Chtimes(b.path(Wait, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	found, err := b.Look(true, stamp)
	if err != nil || len(found.Readmes) == 0 || len(found.Fresh) != 0 {
		t.Fatalf("%+v %v", found, err)
	}
	out, err := b.Readmes(Wait)
	if err != nil || len(out) != 2 {
		t.Fatalf("%v %v", out, err)
	}
	b.list("wait-q", "README.txt")
	b.list("trash", "README", "README.md")
	if out, err := b.Readmes(Wait); err != nil || len(out) != 0 {
		t.Errorf("again: %v %v", out, err)
	}
}
