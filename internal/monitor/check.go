package monitor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"simplejobq/internal/config"
	"simplejobq/internal/flow"
	"simplejobq/internal/units"
	"simplejobq/internal/uow"
)

// Check reads the head of a file as a unit of work that this configuration can
// run. What the format alone can't tell is checked here: the job type, its
// arguments, what the local executor can't do. The error is uow.Errors.
func Check(c *config.Config, name string, head []byte) (*uow.Unit, error) {
	return uow.Judge(name, head, func(u *uow.Unit) uow.Errors {
		ck := checker{c: c, u: u}
		if len(u.Steps) == 0 {
			ck.plain()
		} else {
			ck.steps()
		}
		ck.queues("AFTER", u.After)
		ck.queues("AFTER ANY", u.AfterAny)
		return ck.faults
	})
}

// checker gathers what is wrong with a unit of work. That may be one with errors in its
// text: what follows from these alone is not told.
type checker struct {
	c      *config.Config
	u      *uow.Unit
	faults uow.Errors
}

// fault is about an item of a step; of UNIT OF WORK if step is negative.
func (k *checker) fault(step int, item, format string, args ...any) {
	k.faults = append(k.faults, k.u.StepFault(step, item, format, args...))
}

// plain checks a UOW without steps.
func (k *checker) plain() {
	c, u := k.c, k.u
	kind := c.Jobs[typeName(c, u)]
	asks := u.Line("COMMAND")+u.Line("CHECK")+u.Line("JOB") > 0 || u.Unread(-1)
	switch {
	case u.Job != "" && kind == nil:
		k.fault(-1, "JOB", "no job type of this name is configured%s", configured(c))
	case !asks && c.Job.Type == "":
		k.fault(-1, "", "nothing to run: write COMMAND :: and the command (or JOB :: and a job type%s)", configured(c))
	}
	k.commands(-1, u.Options)
	k.limits(-1, u.Options)
	if asks == u.Asks() { // else what it asks for could not be read
		k.fill(-1, kind, u.Get)
	}
}

// steps checks each step, and the graph they make.
func (k *checker) steps() {
	k.limits(-1, k.u.Options)
	for i := range k.u.Steps {
		o := k.u.Steps[i].Options
		kind := k.c.Jobs[o.Job]
		if o.Job != "" && kind == nil {
			k.fault(i, "JOB", "no job type of this name is configured%s", configured(k.c))
		}
		k.commands(i, o)
		k.limits(i, o)
		k.fill(i, kind, func(item string) (string, bool) { return k.u.StepGet(i, item) })
	}
	k.graph()
}

// graph checks the order of the steps, as far as it could be read.
func (k *checker) graph() {
	ordered := slices.ContainsFunc(k.u.Steps, func(st uow.Step) bool { return st.HasAfter })
	for i := range k.u.Steps {
		if ordered && k.u.Unread(i) {
			k.u.Steps[i].HasAfter = true // it may stand in what could not be read
		}
	}
	_, _, faults := planOf(k.c, k.u)
	for _, f := range faults {
		if f.Flaw == flow.BadName || f.Flaw == flow.Unknown && k.u.Lost() {
			continue // the text's own errors say so, or may be why
		}
		k.fault(f.Step, f.Item, "%s", f.Text)
	}
}

// queues checks the names of queues in an AFTER of the UOW.
func (k *checker) queues(item string, names []string) {
	for _, name := range names {
		if queue, _, ok := strings.Cut(name, "/"); ok && !slices.Contains(queues(k.c), queue) {
			k.fault(-1, item, "%q is no queue whose UOWs can be waited for (write NAME or queue/NAME; queues: %s)", queue, strings.Join(queues(k.c), ", "))
		}
	}
}

// commands refuses what only job types may name.
func (k *checker) commands(step int, o uow.Options) {
	if k.c.AllowCommand {
		return
	}
	for _, x := range [][2]string{{"COMMAND", o.Command}, {"CHECK", o.Check}, {"CLEANUP", o.Cleanup}} {
		if x[1] != "" {
			k.fault(step, x[0], "is not allowed by this configuration (allow_command = false); use JOB with a job type%s", configured(k.c))
		}
	}
}

func (k *checker) limits(step int, o uow.Options) {
	const text = "the local executor can't limit it; leave the item out until this machine's configuration names an executor that can (systemd)"
	if o.Memory != nil {
		k.fault(step, "MEMORY", text)
	}
	if o.CPUs != nil {
		k.fault(step, "CPUS", text)
	}
}

func (k *checker) fill(step int, kind *config.JobType, get func(string) (string, bool)) {
	if kind == nil {
		return
	}
	_, missing := kind.Fill(get)
	for _, m := range missing {
		if _, there := get(m.Item); !there && (k.u.Unread(-1) || step >= 0 && k.u.Unread(step)) {
			continue
		}
		k.fault(step, m.Item, "%s", m.Text)
	}
}

// queues are those in which a UOW can be waited for: what lies in trash was never
// seen.
func queues(c *config.Config) []string {
	d := c.Dirs
	return []string{d.Wait, d.Priority, d.Hold, d.Executing, d.Done, d.Error, d.Fail, d.Archive}
}

func configured(c *config.Config) string {
	if len(c.Jobs) == 0 {
		return ""
	}
	var names []string
	for name := range c.Jobs {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) > 10 {
		names = append(names[:10], "…")
	}
	return "; configured: " + strings.Join(names, ", ")
}

// typeName is the job type a UOW runs as, "" for a COMMAND.
func typeName(c *config.Config, u *uow.Unit) string {
	switch {
	case u.Job != "":
		return u.Job
	case !u.Asks():
		return c.Job.Type
	}
	return ""
}

func (s *session) kindName(u *uow.Unit) string { return typeName(s.conf, u) }

func headError(name string, err error, c *config.Config) error {
	if errors.Is(err, uow.ErrTooLarge) {
		return TooLarge(name, c)
	}
	return uow.Errors{{File: name, Text: err.Error()}}
}

// TooLarge is what a file is told that has more before its log than the configuration
// allows: long scripts and many steps have different remedies.
func TooLarge(name string, c *config.Config) uow.Errors {
	return uow.Errors{{File: name, Text: fmt.Sprintf("more than %s before the log (limits.uow_size); put long scripts into a file of their own and name it in COMMAND; "+
		"for a file of many steps, raise uow_size in section [limits] of the configuration", units.Size(int64(c.Limits.UOWSize)))}}
}

func kindName(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	case unix.S_IFCHR, unix.S_IFBLK:
		return "a device"
	}
	return "no regular file"
}
