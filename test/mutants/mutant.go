package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is the program with one rule switched off.
type mutant struct {
	name  string
	rule  string // that is off
	edits []edit
	tests []suite // which of them notice: one after the other until one does
}

func (m mutant) dirName() string { return strings.ReplaceAll(m.name, " ", "-") }

// edit changes one place of a file. The old text must be there exactly once, so that
// the table is looked at again when the code changes.
type edit struct{ file, before, after string }

// suite is some tests of a package; more is a variable of the environment by which
// they try more than the sample, where only that can see a mutant.
type suite struct{ pkg, run, more string }

func (s suite) String() string {
	text := s.pkg + " " + s.run
	if s.more != "" {
		text = s.more + " " + text
	}
	return text
}

// apply gives the changed files.
func (m mutant) apply(root string) (map[string]string, error) {
	files := map[string]string{}
	var faults []error
	for _, e := range m.edits {
		text, ok := files[e.file]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return nil, fmt.Errorf("mutant %q: %w", m.name, err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.before); n != 1 {
			faults = append(faults, fmt.Errorf("mutant %q: %s holds this %d times, not once; the table must follow the code:\n%s", m.name, e.file, n, e.before))
			continue
		}
		files[e.file] = strings.Replace(text, e.before, e.after, 1)
	}
	return files, errors.Join(faults...)
}

// overlay writes the changed files, and what tells the compiler to take them.
func (m mutant) overlay(root, dir string) (string, error) {
	files, err := m.apply(root)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	replace := map[string]string{}
	for i, name := range slices.Sorted(maps.Keys(files)) {
		to := filepath.Join(dir, fmt.Sprintf("%d-%s", i, filepath.Base(name)))
		replace[filepath.Join(root, name)] = to
		err = errors.Join(err, os.WriteFile(to, []byte(files[name]), 0o644))
	}
	b, e := json.Marshal(map[string]any{"Replace": replace})
	path := filepath.Join(dir, "overlay.json")
	return path, errors.Join(err, e, os.WriteFile(path, b, 0o644))
}
