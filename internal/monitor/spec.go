package monitor

import (
	"fmt"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"simplejobq/internal/config"
	"simplejobq/internal/flow"
	"simplejobq/internal/run"
	"simplejobq/internal/uow"
)

// account is who the jobs run as.
type account struct{ name, home, shell string }

func lookupAccount() (account, error) {
	u, err := user.Current()
	if err != nil {
		return account{}, fmt.Errorf("look up the account the monitor runs as: %w", err)
	}
	return account{name: u.Username, home: u.HomeDir, shell: "/bin/sh"}, nil
}

// env is the base of every job's environment: nothing of the monitor's own, and
// nothing of who submitted.
func (a account) env(c *config.Config, terminal bool) []string {
	env := []string{"PATH=" + c.Job.Path, "HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name, "SHELL=" + a.shell, "LANG=C.UTF-8"}
	if terminal {
		// Programs ask TERM for colours; a pager would wait for a key for ever.
		env = append(env, "TERM=xterm-256color", "PAGER=cat")
	}
	return appendEnv(env, c.Job.Env)
}

// appendEnv adds variables; one that is there is replaced.
func appendEnv(env []string, vars map[string]string) []string {
	for name, value := range vars {
		env = setEnv(env, name, value)
	}
	return env
}

func setEnv(env []string, name, value string) []string {
	for i, v := range env {
		if len(v) > len(name) && v[:len(name)] == name && v[len(name)] == '=' {
			env[i] = name + "=" + value
			return env
		}
	}
	return append(env, name+"="+value)
}

// spec is one command of a job as a runner is told it.
func (s *session) spec(j *job, work *work) (*run.Spec, error) {
	c, u := s.conf, j.unit
	sp := &run.Spec{
		Run: j.runID, Link: j.Link(), UOW: j.UOW, Label: label(j),
		Grace: time.Duration(c.Job.KillGrace), Linger: time.Duration(c.Job.Linger), LogSize: int64(c.Limits.LogSize),
		Timeout: time.Duration(c.Job.Timeout), Silence: time.Duration(c.Job.Silence),
		Leave: c.Job.Leftover == config.LeftoverLeave, Nice: u.Nice, Tee: c.Tee == config.TeeStdout,
		Terminal: u.Terminal != nil && *u.Terminal,
	}
	mask, err := c.Job.Mask()
	if err != nil {
		return nil, err
	}
	sp.Umask = mask
	env := s.account.env(c, sp.Terminal)
	directory := c.Job.Directory
	if k := j.kind; k != nil {
		env = appendEnv(env, k.Env)
		sp.ErrorIf, sp.FailIf = k.ErrorIf, k.FailIf
		if k.Directory != nil {
			directory = *k.Directory
		}
		if k.Timeout != nil {
			sp.Timeout = time.Duration(*k.Timeout)
		}
		if k.Silence != nil {
			sp.Silence = time.Duration(*k.Silence)
		}
		if k.Leftover != nil {
			sp.Leave = *k.Leftover == config.LeftoverLeave
		}
	}
	if u.Timeout != nil {
		sp.Timeout = *u.Timeout
	}
	if u.Silence != nil {
		sp.Silence = *u.Silence
	}
	if u.Directory != "" {
		directory = u.Directory
	}
	sp.Dir = directory
	if !filepath.IsAbs(sp.Dir) {
		sp.Dir = filepath.Join(c.Root, sp.Dir)
	}
	sp.Env = env
	for _, item := range u.Own {
		sp.Env = append(sp.Env, uow.EnvName(item.Name)+"="+item.Content)
	}
	if j.kind != nil {
		// What the UOW leaves out has its default in the environment too.
		for name, item := range j.kind.Items {
			if _, given := u.Get(name); !given && item.Default != nil {
				sp.Env = append(sp.Env, uow.EnvName(name)+"="+*item.Default)
			}
		}
	}
	for _, v := range [][2]string{
		{"MONITOR_ROOT", c.Root}, {"MONITOR_UOW", j.UOW}, {"MONITOR_FILE", s.sp.Dir(j.At).Join(j.Name)},
		{"MONITOR_TRY", strconv.Itoa(j.try)}, {"MONITOR_STEP", ""}, {"MONITOR_RUN", j.runID},
		{"MONITOR_OUTPUT", work.output}, {"MONITOR_STORE", work.store}, {"MONITOR_SHARED", work.shared},
	} {
		sp.Env = append(sp.Env, v[0]+"="+v[1])
	}
	switch j.phase {
	case flow.Check, flow.Recheck:
		sp.Argv = s.shell(u.Check)
		sp.ErrorIf, sp.FailIf = nil, nil
	case flow.Cleanup:
		sp.Argv = s.shell(u.Cleanup)
		sp.ErrorIf, sp.FailIf = nil, nil
		if sp.Timeout == 0 {
			sp.Timeout = cleanupLimit
		}
	default:
		if j.kind == nil {
			sp.Argv = s.shell(u.Command)
			break
		}
		argv, faults := j.kind.Fill(u.Get)
		if len(faults) > 0 {
			return nil, fmt.Errorf("item %q: %s", faults[0].Item, faults[0].Text)
		}
		sp.Argv = argv
	}
	// What no runner could carry out, a UOW of many MiB for one, is an end of it: as
	// an error of the launch it would be tried again for ever.
	if err := sp.Check(); err != nil {
		return nil, err
	}
	return sp, nil
}

// A clean-up without a TIMEOUT of its UOW may take as long.
const cleanupLimit = 5 * time.Minute

func (s *session) shell(command string) []string {
	return append(append([]string(nil), s.conf.Job.Shell...), command)
}

// label is how the log's lines call a command.
func label(j *job) string {
	text := "try " + strconv.Itoa(j.try)
	if j.step.Tries > 1 {
		text += " of " + strconv.Itoa(j.step.Tries)
	}
	if j.phase != flow.Command {
		text += " " + string(j.phase)
	}
	return text
}
