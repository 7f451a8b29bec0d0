// Package crash kills the real monitor, and lets its disk fail, at every durable
// operation of a spool full of typical work, and judges what a restart makes of
// it. The binaries are built with the tag faults (internal/durable/faults.go).
//
// A sample runs as an ordinary test; CRASH_ALL=1 runs every operation.
package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// bin is where the binaries with faults are.
var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "crash")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	build := exec.Command("go", "build", "-tags", "faults", "-o", dir+"/", "simplejobq/cmd/monitor", "simplejobq/cmd/runner")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// all reports whether everything is to be tried, not a sample.
func all() bool { return os.Getenv("CRASH_ALL") != "" }

// scratch is a directory for one spool, kept if the test fails and CRASH_KEEP is
// set.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "spool")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("CRASH_KEEP") != "" {
			t.Logf("kept: %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove %s: %v", filepath.Base(dir), err)
		}
	})
	return dir
}
