package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
	"simplejobq/internal/run"
)

// runner starts one, in a directory of its own, and hears whether it speaks the
// protocol of this monitor.
func (e *Exam) runner() {
	if e.RunnerErr != nil {
		e.wrong("make build", "%v", e.RunnerErr)
		return
	}
	if err := tryRunner(e.Runner); err != nil {
		e.wrong(line("ls", "-l", e.Runner), "the runner %s does not work: %v; it must be of the same build as the monitor", e.Runner, err)
		return
	}
	e.good("the runner %s starts and speaks the monitor's protocol", e.Runner)
}

// Far longer than it takes to start.
const runnerPatience = 10 * time.Second

func tryRunner(path string) error {
	tmp, err := os.MkdirTemp("", "monitor-doctor-")
	if err != nil {
		return err
	}
	parent, err := durable.OpenDir(filepath.Dir(tmp))
	if err != nil {
		return err
	}
	defer parent.Close()
	defer func() { _ = parent.RemoveAll("doctor:remove", filepath.Base(tmp)) }()
	dir, err := durable.OpenDir(tmp)
	if err != nil {
		return err
	}
	defer dir.Close()
	ready, gone := make(chan struct{}, 1), make(chan error, 1)
	r, err := run.StartRunner(run.RunnerConfig{Path: path, Dir: dir, Event: func(_ *run.Runner, ev run.Event) {
		switch ev := ev.(type) {
		case run.Ready:
			ready <- struct{}{}
		case run.Gone:
			gone <- cmp.Or(ev.Err, errors.New("it ended at once"))
		}
	}})
	if err != nil {
		return err
	}
	defer func() {
		r.Close()
		<-r.Done()
		if rec := r.Record(); rec != nil {
			_ = rec.Close()
		}
	}()
	select {
	case <-ready:
		return nil
	case err := <-gone:
		return err
	case <-time.After(runnerPatience):
		return fmt.Errorf("it has not answered within %v", runnerPatience)
	}
}

// programs looks for the shell, the programs of the job types, and the directories
// they run in.
func (e *Exam) programs() {
	c, before := e.Conf, len(e.found)
	e.runsIn("[job] directory", c.Job.Directory)
	if why := e.program(c.Job.Shell[0], "", ""); why != "" {
		e.wrong(line("ls", "-l", c.Job.Shell[0]), "the shell of jobs, [job] shell: %s", why)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Jobs)) {
		t := c.Jobs[name]
		directory, path := c.Job.Directory, cmp.Or(t.Env["PATH"], c.Job.Env["PATH"], c.Job.Path)
		if t.Directory != nil {
			directory = *t.Directory
			e.runsIn("jobs."+name+".directory", directory)
		}
		if why := e.program(t.Program[0], e.inRoot(directory), path); why != "" {
			do := line("ls", "-l", t.Program[0])
			if !strings.Contains(t.Program[0], "/") {
				do = line("env", "PATH="+path, "which", "-a", t.Program[0])
			}
			e.wrong(do, "job type %s: %s; install it, or change jobs.%s.program", name, why, name)
		}
	}
	if len(e.found) == before {
		e.good("the shell and the program of every job type are there and can be run")
	}
}

func (e *Exam) inRoot(directory string) string {
	if filepath.IsAbs(directory) {
		return directory
	}
	return filepath.Join(e.Conf.Root, directory)
}

func (e *Exam) runsIn(key, directory string) {
	path := e.inRoot(directory)
	st, err := durable.StatPath(path)
	switch {
	case err != nil:
		e.wrong(line("ls", "-ld", path), "%s: %v; make it, or name another", key, err)
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		e.wrong(line("ls", "-ld", path), "%s: %s is no directory; jobs run in it", key, path)
	case !e.as.mayRun(path, st):
		e.wrong(line("ls", "-ld", path), "%s: %s may not enter %s; jobs run in it", key, e.as.name, path)
	}
}

// program says why a program would not be run, "" if it would: looked for as the
// runner does.
func (e *Exam) program(name, directory, path string) string {
	places := []string{name}
	if !strings.Contains(name, "/") {
		places = nil
		for _, dir := range strings.Split(path, ":") {
			places = append(places, filepath.Join(dir, name))
		}
	}
	why := fmt.Sprintf("there is no program %q in PATH %q", name, path)
	for _, at := range places {
		if !filepath.IsAbs(at) {
			at = filepath.Join(directory, at)
		}
		st, err := durable.StatPath(at)
		switch {
		case err == nil && st.Regular() && e.as.mayRun(at, st):
			return ""
		case err == nil && st.Regular():
			why = fmt.Sprintf("%s may not run %s (mode %04o)", e.as.name, at, st.Mode&0o7777)
		case len(places) == 1 && err != nil:
			why = err.Error()
		case len(places) == 1:
			why = fmt.Sprintf("%s is no regular file", at)
		}
	}
	return why
}
