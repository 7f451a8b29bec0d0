package monitor

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPlainWords(t *testing.T) {
	for line, want := range map[string]string{
		"/bin/true": "/bin/true", "make -j4 all": "make|-j4|all", " ./x\ta=b  c:d ": "./x|a=b|c:d", "rsync -a host:/a/ /b/": "rsync|-a|host:/a/|/b/",
		"a=b c": "", "echo x": "", "cd /": "", "ls *": "", "ls ~": "", "x; y": "", "x 'a'": "", `x "a"`: "", "$x": "", "if": "", "test -e x": "",
		"": "", " ": "", "# x": "", "ls # x": "", "x{1,2}": "", "x?": "", "! x": "", "x\ny": "", "x &": "", "x > y": "", "x | y": "", `x \ y`: "", "x [a]": "",
		".": "", ": x": "", "exec x": "", "größe": "", "time x": "",
	} {
		if got := strings.Join(plainWords(line), "|"); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// What counts as plain has the words that a shell sees in it.
func TestPlainWordsAsShell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := "x " + rapid.StringMatching(`[a-z0-9 \t./,:+@%=^_~*?{}'"$#;-]{0,12}`).Draw(t, "line")
		words := plainWords(line)
		if words == nil {
			return
		}
		out, err := exec.Command("/bin/sh", "-c", `x() { printf '%s|' x "$@"; }; `+line).Output()
		if err != nil || string(out) != strings.Join(words, "|")+"|" {
			t.Fatalf("%q is %q, and to a shell %q: %v", line, words, out, err)
		}
	})
}

func TestFoundProgram(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"script": {"#!/bin/sh\n", 0o755}, "plain": {"exit 0\n", 0o755}, "closed": {"#!/bin/sh\n", 0o644}, "empty": {"", 0o755},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, c := range [][2]string{
		{"./script", ""}, {dir + "/script", ""}, {"script", dir}, {"script", "/nowhere:" + dir}, {"sub/../script", ""}, {"true", "/bin"}, {"/bin/true", ""},
		{"script", ""}, {"script", ":" + dir}, {"script", "relative:" + dir}, {"./plain", ""}, {"plain", dir}, {"./closed", ""}, {"./empty", ""}, {"./sub", ""}, {"sub", dir}, {"./nothing", ""},
	} {
		if foundProgram(c[0], dir, c[1]) {
			found = append(found, c[0])
		}
	}
	if want := []string{"./script", dir + "/script", "script", "script", "sub/../script", "true", "/bin/true"}; !slices.Equal(found, want) {
		t.Errorf("%q, want %q", found, want)
	}
}
