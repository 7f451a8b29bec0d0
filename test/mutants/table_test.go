package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The table must follow the code and the tests it names, also when nobody hunts.
func TestTable(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range table {
		if seen[m.name] {
			t.Errorf("two mutants are called %q", m.name)
		}
		seen[m.name] = true
		if _, err := m.apply(root); err != nil {
			t.Error(err)
		}
		if len(m.tests) == 0 || m.rule == "" {
			t.Errorf("mutant %q has no rule or no tests", m.name)
		}
		for _, s := range m.tests {
			if !hasTest(t, root, s) {
				t.Errorf("mutant %q: there is no test %s", m.name, s)
			}
		}
	}
}

func hasTest(t *testing.T, root string, s suite) bool {
	files, err := filepath.Glob(filepath.Join(root, s.pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(s.run, "/")
	which, err := regexp.Compile(first)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing`).FindAllStringSubmatch(string(b), -1) {
			if which.MatchString(m[1]) {
				return true
			}
		}
	}
	return false
}

// What did not run was not caught.
func TestJudge(t *testing.T) {
	fails := os.ErrInvalid
	for _, c := range []struct {
		output string
		err    error
		end    ending
		by     string
	}{
		{"ok  \tx\t0.1s\n", nil, passed, ""},
		{"ok  \tx\t0.1s [no tests to run]\n", nil, broken, ""},
		{"--- FAIL: TestA (0.1s)\n    --- FAIL: TestA/b (0.1s)\nFAIL\n", fails, failed, "TestA"},
		{"x.go:3: undefined: y\nFAIL\tx [build failed]\n", fails, broken, ""},
		{"build: exit status 1\nFAIL\tx\t0.1s\n", fails, broken, ""},
		{"panic: test timed out after 5m0s\n\trunning tests:\n\t\tTestA (5m)\n", fails, failed, "TestA (it hung)"},
		{"panic: runtime error\n\ngoroutine 1\nFAIL\tx\n", fails, failed, "a panic"},
	} {
		if r := judge(c.output, c.err); r.end != c.end || r.by != c.by {
			t.Errorf("%q: %v by %q, want %v by %q", c.output, r.end, r.by, c.end, c.by)
		}
	}
}
