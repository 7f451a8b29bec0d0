package status

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestStrip(t *testing.T) {
	for _, test := range []struct{ name, in, plain, color string }{
		{"plain", "a\tb\n", "a\tb\n", "a\tb\n"},
		{"empty", "", "", ""},
		{"not ASCII", "größe → 漢字\n", "größe → 漢字\n", "größe → 漢字\n"},
		{"colour", "\x1b[1;31mred\x1b[0m", "red", "\x1b[1;31mred\x1b[0m"},
		{"colour without a number", "\x1b[mx", "x", "\x1b[mx"},
		{"colour with colons", "\x1b[38:2::1:2:3mx", "x", "\x1b[38:2::1:2:3mx"},
		{"not a colour though it ends in m", "\x1b[>4;2mx\x1b[?1mx", "xx", "xx"},
		{"absurdly long colour", "\x1b[" + strings.Repeat("1;", 99) + "mx", "x", "x"},
		{"clear and move", "a\x1b[2J\x1b[1;1Hb", "ab", "ab"},
		{"intermediate bytes", "a\x1b[1 qb\x1b(Bc\x1b#8d", "abcd", "abcd"},
		{"short sequences", "a\x1b7b\x1bcc\x1b=d", "abcd", "abcd"},
		{"title, ended by bell", "a\x1b]0;evil\x07b", "ab", "ab"},
		{"title, ended by ST", "a\x1b]0;evil\x1b\\b", "ab", "ab"},
		{"link", "\x1b]8;;http://x/\x1b\\here\x1b]8;;\x1b\\", "here", "here"},
		{"bell does not end a device control", "a\x1bPq\x07b\x1b\\c", "ac", "ac"},
		{"privacy, application, string", "a\x1b^x\x1b\\b\x1b_x\x1b\\c\x1bXx\x1b\\d", "abcd", "abcd"},
		{"string not ended", "a\x1b]0;evil\nb", "a\nb", "a\nb"},
		{"string not ended at all", "a\x1b]0;evil", "a", "a"},
		{"string cut by a sequence", "a\x1b]0;evil\x1b[31mb", "ab", "a\x1b[31mb"},
		{"sequence not ended", "a\x1b[31", "a", "a"},
		{"sequence cut by a line break", "a\x1b[31\nmb", "a\nmb", "a\nmb"},
		{"lone escape", "a\x1b", "a", "a"},
		{"escape before a line break", "a\x1b\nb", "a\nb", "a\nb"},
		{"two escapes", "\x1b\x1b[31mx", "x", "\x1b[31mx"},
		{"escape before a letter of two bytes", "\x1bäx", "äx", "äx"},
		{"C1 in UTF-8", "a\u009b2Jb\u009d0;evil\u009cc\u0090x\u009cd\u0085e", "abcde", "abcde"},
		{"C1 as bytes", "a\x9b2Jb\x9d0;evil\x9cc\x90x\x9cd\x85e", "abcde", "abcde"},
		{"C1 colour is not kept", "\x9b31mx", "x", "x"},
		{"C1 terminator within a letter", "\x1b]0;Ü\u009cb", "b", "b"},
		{"controls", "a\x00\x01\x07\x08\x0b\x0c\x0e\x7fb", "ab", "ab"},
		{"CR LF", "a\r\nb\r\n", "a\nb\n", "a\nb\n"},
		{"progress", "10%\r20%\r\n", "10%\n20%\n", "10%\n20%\n"},
		{"ends in CR", "done\r", "done", "done"},
		{"not UTF-8", "a\xffb\xc3", "a\ufffdb\ufffd", "a\ufffdb\ufffd"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Strip(test.in, false); got != test.plain {
				t.Errorf("plain: got %q, want %q", got, test.plain)
			}
			if got := Strip(test.in, true); got != test.color {
				t.Errorf("with colours: got %q, want %q", got, test.color)
			}
		})
	}
}

// checkHarmless looks at text as a terminal would: nothing but colours may be
// in it.
func checkHarmless(t *testing.T, text string, color bool) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%q is not UTF-8", text)
	}
	for i, r := range text {
		switch {
		case r == '\x1b' && color:
			end := strings.IndexByte(text[i:], 'm')
			if end < 2 || text[i+1] != '[' || strings.Trim(text[i+2:i+end], "0123456789;:") != "" {
				t.Fatalf("%q: an escape sequence at %d is no colour", text, i)
			}
		case r < ' ' && r != '\n' && r != '\t', r >= 0x7f && r < 0xa0:
			t.Fatalf("%q: control character %q at %d", text, r, i)
		}
	}
}

func FuzzStrip(f *testing.F) {
	for _, s := range []string{"\x1b[1;31mred\x1b[0m", "\x1b]0;t\x07x", "\x1bPq\x1b\\", "\x9b2J\u009b2J", "a\r\nb\rc", "\xff\x1b\xc2\x9b", "\x1b[\x1b[m"} {
		f.Add(s, "x\x1b[31")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, color := range []bool{false, true} {
			got := Strip(a, color)
			checkHarmless(t, got, color)
			if again := Strip(got, color); again != got {
				t.Errorf("stripped twice, %q became %q", got, again)
			}
			// A log is shown line by line.
			if whole, parts := Strip(a+"\n"+b, color), Strip(a+"\n", color)+Strip(b, color); whole != parts {
				t.Errorf("whole %q, line by line %q", whole, parts)
			}
		}
		if !color(a) && utf8.ValidString(a) && Strip(a, true) != Strip(a, false) {
			t.Errorf("%q has no escape and colours matter", a)
		}
	})
}

func color(s string) bool { return strings.ContainsRune(s, '\x1b') }

// A log is up to 256 MiB of whatever a job writes: no input may take more than
// its length in time.
func TestStripOfMuchHostileText(t *testing.T) {
	for _, unit := range []string{"\x1b]", "\x1b[", "\x1b", "\x1bP\x9b", "\r", "\x9d\xff"} {
		got := Strip(strings.Repeat(unit, 1<<20), true)
		checkHarmless(t, got, true)
	}
}
