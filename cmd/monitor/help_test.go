package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The table of exit statuses stands in the code, in the manual and in the help.
func TestExitStatusesAreTold(t *testing.T) {
	numbers := func(file, pattern string) []string {
		t.Helper()
		text := exitStatusHelp().Long
		if file != "" {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		var found []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			found = append(found, m[1])
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	code := numbers("exit.go", `(?m)^\texit[A-Z][A-Za-z]* += ([0-9]+)`)
	if len(code) < 8 {
		t.Fatalf("found only %q in exit.go", code)
	}
	if diff := cmp.Diff(code, numbers(filepath.Join("..", "..", "docs", "operating.md"), `(?m)^\| ([0-9]+) \|`)); diff != "" {
		t.Errorf("docs/operating.md (-code +manual):\n%s", diff)
	}
	if diff := cmp.Diff(code, numbers("", `(?m)^ +([0-9]+)  `)); diff != "" {
		t.Errorf("monitor help exit-status (-code +help):\n%s", diff)
	}
}

// Every command says what it does in a line, explains itself and has an example.
func TestEveryCommandHelps(t *testing.T) {
	root := newRoot(&program{})
	for _, c := range append(root.Commands(), root) {
		if !c.Runnable() {
			continue // a topic of its own
		}
		if c.Short == "" || c.Long == "" || !strings.Contains(c.Example, "monitor ") {
			t.Errorf("%s: its help lacks a short line, a long text or an example", c.CommandPath())
		}
		for line := range strings.SplitSeq(c.Long+"\n"+c.Example, "\n") {
			if len(line) > 82 {
				t.Errorf("%s: a line of %d characters in its help: %q", c.CommandPath(), len(line), line)
			}
		}
		var stdout, stderr bytes.Buffer
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		if code := run(t.Context(), args, nil, &stdout, &stderr); code != exitOK || stderr.Len() > 0 || !strings.Contains(stdout.String(), c.Example) {
			t.Errorf("monitor %v: exit %d, stdout %q, stderr %q", args, code, stdout.String(), stderr.String())
		}
	}
}

// What can't be understood is a usage error, whatever spool there is.
func TestUsageErrors(t *testing.T) {
	t.Setenv("MONITOR_ROOT", t.TempDir())
	for _, args := range [][]string{
		{"nonsense"}, {"--nonsense"}, {"run", "x"}, {"status", "x"}, {"config", "x"}, {"init"}, {"init", "a", "b"}, {"check"},
		{"check", "--as", "x", "f"}, {"submit"}, {"submit", "--wait=x", "f"}, {"list", "a", "b"}, {"list", "--state", "x"}, {"log"},
		{"log", "a", "b"}, {"wait"}, {"wait", "--timeout", "5", "a"}, {"explain"}, {"send"}, {"send", "--timeout", "x", "STATUS"},
		{"send", "A\nB"}, {"send", "#"}, {"send", strings.Repeat("x", longestMessage+1)},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != exitUsage {
			t.Errorf("monitor %.60q: exit %d, want %d", args, code, exitUsage)
		}
		if !strings.HasPrefix(stderr.String(), "monitor: ") || strings.Count(stderr.String(), "\n") != 1 || stdout.Len() > 0 {
			t.Errorf("monitor %.60q: stdout %q, stderr %q", args, stdout.String(), stderr.String())
		}
	}
}
