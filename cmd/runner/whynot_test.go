package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"simplejobq/internal/durable"
	"simplejobq/internal/run"

	"golang.org/x/sys/unix"
)

// failing lets looks fail with an errno after the first ones, for the length of a test.
func failing(t *testing.T, errno unix.Errno, after int) {
	t.Helper()
	durable.Looking = func() error {
		if after--; after >= 0 {
			return nil
		}
		return errno
	}
	t.Cleanup(func() { durable.Looking = nil })
}

// A disk that does not tell for now is no directory and no program that is missing.
func TestTroubleThatPassesIsNoRefusal(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EIO, unix.ESTALE, unix.ETIMEDOUT} {
		for what, why := range map[string]func(s *run.Spec) error{
			`directory "/tmp" can't be reached`: func(s *run.Spec) error {
				failing(t, errno, 0)
				return whyNot(s, "/bin/true", errno)
			},
			`program "/bin/true" can't be reached`: func(s *run.Spec) error {
				failing(t, errno, 1)
				return whyNot(s, "/bin/true", unix.ENOENT)
			},
			`program "/first/true" can't be reached`: func(s *run.Spec) error {
				failing(t, errno, 0)
				_, err := findProgram(s)
				return err
			},
		} {
			err := why(&run.Spec{Dir: "/tmp", Argv: []string{"true"}, Env: []string{"PATH=/first:/bin"}})
			if !durable.Passing(err) || !strings.Contains(err.Error(), what) {
				t.Errorf("%v: %v; want one that passes, and %s", errno, err, what)
			}
			durable.Looking = nil
		}
	}
}

func TestWhatIsMissingStaysMissing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir, program string
		err          unix.Errno
		want         string
	}{
		{dir + "/gone", "/bin/true", unix.ENOENT, "does not exist"},
		{dir + "/plain", "/bin/true", unix.ENOTDIR, "is not a directory"},
		{dir + "/plain/in", "/bin/true", unix.ENOTDIR, "can't be reached: not a directory"},
		{dir, "gone", unix.ENOENT, `program "` + dir + `/gone" does not exist`},
		{dir, dir, unix.EACCES, "is not a regular file"},
		{dir, "plain", unix.EACCES, "is not executable for this user"},
	} {
		err := whyNot(&run.Spec{Dir: c.dir, Argv: []string{c.program}}, c.program, c.err)
		if err == nil || durable.Passing(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s in %s: %v; want %s", c.program, c.dir, err, c.want)
		}
	}
	for _, path := range []string{dir, dir + "/gone", dir + "/plain"} {
		_, err := findProgram(&run.Spec{Dir: "/", Argv: []string{"plain"}, Env: []string{"PATH=" + path}})
		if err == nil || durable.Passing(err) {
			t.Errorf("in %s: %v", path, err)
		}
	}
}
