package internal

import (
	"go/build"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The import order of docs/architecture.md: a package imports only from rows
// above its own.
var rows = map[string]int{
	"units":   -1, // durations and sizes: below everything
	"clock":   -1, // the wall clock
	"pattern": -1, // regular expressions that are compiled when they are needed
	"durable": 0, "uow": 0,
	"config": 1, "flow": 1, "spool": 1, "run": 1, "status": 1, "graph": 1,
	"messages": 2,
	"monitor":  3,
	"doctor":   4,
}

// Edges that look natural and are forbidden nevertheless, with the reason. "*"
// is every package of ours.
var forbidden = map[string]map[string]string{
	"durable":  {"*": "it knows what Linux promises, nothing of jobs, queues or names"},
	"units":    {"*": "everything may use it"},
	"clock":    {"*": "everything may use it"},
	"pattern":  {"*": "everything may use it"},
	"uow":      {"durable": "it is pure: bytes in, bytes out"},
	"config":   {"uow": "a configuration does not depend on what is in a file", "durable": "it reads one file and changes none"},
	"flow":     {"*": "it is pure: what comes next follows from what was"},
	"graph":    {"*": "it draws values, and knows nothing of what they tell of"},
	"spool":    {"uow": "it does not know what is in a file"},
	"run":      {"uow": "the runner knows no text of a unit of work"},
	"status":   {"durable": "it writes to an io.Writer and finds nothing out by itself", "uow": "it shows values, it reads no files"},
	"messages": {"run": "a message knows no runs", "spool": "a message names a UOW, it moves none"},
}

// What the runner is built from must start fast and stay small.
var heavy = []string{"encoding/json", "net/http", "os/exec", "reflect", "text/template"}

func TestImportOrder(t *testing.T) {
	for _, name := range packages(t) {
		row, known := rows[name]
		if !known {
			t.Errorf("internal/%s has no row in the import order; give it one, here and in docs/architecture.md", name)
			continue
		}
		pkg, err := build.ImportDir(name, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range pkg.Imports {
			if name == "run" && slices.Contains(heavy, path) {
				t.Errorf("internal/run imports %s: the runner is built from it", path)
			}
			other, ours := strings.CutPrefix(path, "simplejobq/internal/")
			if !ours {
				if strings.HasPrefix(path, "simplejobq/") {
					t.Errorf("internal/%s imports %s: nothing imports a command", name, path)
				}
				continue
			}
			if rows[other] >= row {
				t.Errorf("internal/%s (row %d) imports internal/%s (row %d): only rows above its own", name, row, other, rows[other])
			}
			for _, key := range []string{other, "*"} {
				if why, no := forbidden[name][key]; no {
					t.Errorf("internal/%s imports internal/%s: %s", name, other, why)
				}
			}
		}
	}
}

// Each package says once what it owns.
func TestOnePackageComment(t *testing.T) {
	for _, name := range packages(t) {
		files, err := filepath.Glob(filepath.Join(name, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		var with []string
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains("\n"+string(b), "\n// Package "+name+" ") {
				with = append(with, f)
			}
		}
		if len(with) != 1 {
			t.Errorf("internal/%s: package comment in %v, want it in exactly one file", name, with)
		}
	}
}

func packages(t *testing.T) (names []string) {
	dirs, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if d.IsDir() && d.Name() != "testdata" {
			names = append(names, d.Name())
		}
	}
	if len(names) == 0 {
		t.Fatal("no packages found")
	}
	return names
}
