package main

import (
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What a shell makes of the line is what was given.
func TestShellLineKeepsWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[ -~äß☃]{0,12}`)
		words := rapid.SliceOfN(word, 0, 5).Draw(t, "words")
		out, err := exec.Command("/bin/sh", "-c", "printf '%s\\n' "+shellLine(append([]string{"-"}, words...))).Output()
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.Join(append([]string{"-"}, words...), "\n") + "\n"; string(out) != want {
			t.Fatalf("the shell read %q, want %q", out, want)
		}
	})
}

func TestShellWordLeavesPlainWords(t *testing.T) {
	for word, want := range map[string]string{
		"make": "make", "-j4": "-j4", "a/b.c": "a/b.c", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$x": "'$x'", "~": "'~'", "A=1": "'A=1'",
	} {
		if got := shellWord(word); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", word, got, want)
		}
	}
}
