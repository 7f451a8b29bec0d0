package doctor

import (
	"os"
	"path/filepath"
	"testing"

	"simplejobq/internal/config"
)

func TestRunner(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	script := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), mode))
		return path
	}
	for path, words := range map[string]string{
		filepath.Join(dir, "none"):                                                      "no such file",
		script("plain", "#!/bin/sh\n", 0o644):                                           "permission denied",
		script("ends", "#!/bin/sh\nexit 3\n", 0o755):                                    "with status 3",
		script("silent", "#!/bin/sh\n", 0o755):                                          "it ended at once",
		script("other", "#!/bin/sh\nprintf 'R\\0\\0\\0\\0032 x' >&3\nsleep 1\n", 0o755): "another version",
		script("garbage", "not a program", 0o755):                                       "exec format error",
	} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			root := box(t, t.TempDir())
			e := exam(root, config.Default())
			e.Runner = path
			finds(t, e.Look(), Wrong, "programs", words)
		})
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "monitor-doctor-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestPrograms(t *testing.T) {
	root := box(t, t.TempDir())
	must(t, os.WriteFile(root+"/tool", []byte("#!/bin/sh\n"), 0o755))
	must(t, os.WriteFile(root+"/text", []byte("x"), 0o644))
	gone := "/nowhere"
	c := config.Default()
	c.Jobs = map[string]*config.JobType{
		"found":    {Program: []string{"true"}},
		"beside":   {Program: []string{"./tool"}},
		"own-path": {Program: []string{"tool"}, Env: map[string]string{"PATH": root}},
		"unknown":  {Program: []string{"nosuchprogram"}},
		"text":     {Program: []string{"./text"}},
		"away":     {Program: []string{"true"}, Directory: &gone},
	}
	found := exam(root, c).Look()
	finds(t, found, Wrong, "programs", `job type unknown: there is no program "nosuchprogram" in PATH`)
	finds(t, found, Wrong, "programs", "job type text: ")
	finds(t, found, Wrong, "programs", "jobs.away.directory: ")
	n := 0
	for _, f := range found {
		if f.Level == Wrong {
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d are wrong, want 3:\n%s", n, text(found))
	}
	c = config.Default()
	c.Job.Shell = []string{"/bin/nosuchshell"}
	finds(t, exam(root, c).Look(), Wrong, "programs", "the shell of jobs")
}

// Keys that do nothing beside others.
func TestConfiguration(t *testing.T) {
	root := box(t, t.TempDir())
	c := config.Default()
	c.AllowCommand = false
	c.Job.Timeout, c.Job.Silence = 60e9, 60e9
	c.Job.Leftover, c.Job.Linger = config.LeftoverLeave, 5e9
	found := exam(root, c).Look()
	none(t, found)
	finds(t, found, Doubtful, "configuration", "no unit of work can be accepted")
	finds(t, found, Doubtful, "configuration", "[job]: silence = 1m is not shorter than timeout = 1m")
	finds(t, found, Doubtful, "configuration", "job.linger = 5s does nothing")
	long := config.Duration(120e9)
	c = config.Default()
	c.Jobs = map[string]*config.JobType{"a": {Program: []string{"true"}, Slots: 2, Timeout: &long, Silence: &long}}
	found = exam(root, c).Look()
	finds(t, found, Doubtful, "configuration", "jobs.a: silence = 2m")
	finds(t, found, Doubtful, "configuration", "jobs.a.slots = 2 is more than slots = 1")
	c = config.Default()
	c.Slots = 100_000
	finds(t, exam(root, c).Look(), Doubtful, "kernel", "slots = 100000 may need")
}
