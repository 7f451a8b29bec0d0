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
func (s *session) spec(cmd *command, work *work) (*run.Spec, error) {
	j, c := cmd.job, s.conf
	u, o, kind := j.unit, j.options(cmd.Step), j.kinds[cmd.Step]
	sp := &run.Spec{
		Run: cmd.runID, Link: j.Link(), UOW: j.UOW, Label: cmd.label(),
		Grace: time.Duration(c.Job.KillGrace), Linger: time.Duration(c.Job.Linger), LogSize: int64(c.Limits.LogSize),
		Timeout: time.Duration(c.Job.Timeout), Silence: time.Duration(c.Job.Silence),
		Leave: c.Job.Leftover == config.LeftoverLeave, Nice: o.Nice, Tee: c.Tee == config.TeeStdout,
		Terminal: o.Terminal != nil && *o.Terminal,
	}
	if name := cmd.stepName(); name != "" {
		sp.Prefix = name + " "
	}
	mask, err := c.Job.Mask()
	if err != nil {
		return nil, err
	}
	sp.Umask = mask
	env := s.account.env(c, sp.Terminal)
	directory := c.Job.Directory
	if k := kind; k != nil {
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
	if o.Timeout != nil {
		sp.Timeout = *o.Timeout
	}
	if o.Silence != nil {
		sp.Silence = *o.Silence
	}
	if o.Directory != "" {
		directory = o.Directory
	}
	sp.Dir = directory
	if !filepath.IsAbs(sp.Dir) {
		sp.Dir = filepath.Join(c.Root, sp.Dir)
	}
	sp.Env = s.itemsEnv(env, cmd)
	for _, v := range [][2]string{
		{"MONITOR_ROOT", c.Root}, {"MONITOR_UOW", j.UOW}, {"MONITOR_FILE", s.sp.Dir(j.At).Join(j.Name)},
		{"MONITOR_TRY", strconv.Itoa(cmd.Try)}, {"MONITOR_STEP", j.plan.Node(cmd.Step).Name}, {"MONITOR_RUN", cmd.runID},
		{"MONITOR_OUTPUT", work.output}, {"MONITOR_STORE", work.store}, {"MONITOR_SHARED", work.shared},
	} {
		sp.Env = append(sp.Env, v[0]+"="+v[1])
	}
	switch cmd.Phase {
	case flow.Check, flow.Recheck:
		s.command(sp, o.Check)
		sp.ErrorIf, sp.FailIf = nil, nil
	case flow.Cleanup:
		s.command(sp, o.Cleanup)
		sp.ErrorIf, sp.FailIf = nil, nil
		if sp.Timeout == 0 {
			sp.Timeout = cleanupLimit
		}
	default:
		if kind == nil && o.Command != "" {
			s.command(sp, o.Command)
			break
		}
		if kind == nil {
			return nil, fmt.Errorf("no job type %q is configured any more", o.Job)
		}
		argv, faults := kind.Fill(func(item string) (string, bool) {
			if j.plain() {
				return u.Get(item)
			}
			return u.StepGet(cmd.Step, item)
		})
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

// itemsEnv adds the items as UOW_NAME: those of the job type that are left out, the
// UOW's own, what the steps before this one added, and the step's own, each over
// those before.
func (s *session) itemsEnv(env []string, cmd *command) []string {
	j := cmd.job
	at := map[string]int{}
	set := func(name, value string) {
		if i, there := at[name]; there {
			env[i] = name + "=" + value
			return
		}
		at[name] = len(env)
		env = append(env, name+"="+value)
	}
	if k := j.kinds[cmd.Step]; k != nil {
		for name, item := range k.Items {
			if item.Default != nil {
				set(uow.EnvName(name), *item.Default)
			}
		}
	}
	for _, item := range j.unit.Own {
		set(uow.EnvName(item.Name), item.Content)
	}
	if j.plain() {
		return env
	}
	values := j.flow.Environment(cmd.Step)
	if cmd.Phase == flow.Cleanup {
		values = j.flow.FinalContext()
	}
	for _, v := range values {
		set("UOW_"+v.Name, v.Content)
	}
	for _, item := range j.unit.Steps[cmd.Step].Own {
		set(uow.EnvName(item.Name), item.Content)
	}
	return env
}

// A clean-up without a TIMEOUT of its UOW may take as long.
const cleanupLimit = 5 * time.Minute
