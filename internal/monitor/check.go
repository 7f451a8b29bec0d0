package monitor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"simplejobq/internal/config"
	"simplejobq/internal/units"
	"simplejobq/internal/uow"
)

// Check reads the head of a file as a unit of work that this configuration can
// run. What the format alone can't tell is checked here: the job type, its
// arguments, what the local executor can't do. The error is uow.Errors.
func Check(c *config.Config, name string, head []byte) (*uow.Unit, error) {
	u, err := uow.Parse(name, head)
	if err != nil {
		return nil, err
	}
	var faults uow.Errors
	fault := func(item, format string, args ...any) { faults = append(faults, u.Fault(item, format, args...)) }
	kind := c.Jobs[typeName(c, u)]
	switch {
	case u.Job != "" && kind == nil:
		fault("JOB", "no job type of this name is configured%s", configured(c))
	case !u.Asks() && c.Job.Type == "":
		fault("", "nothing to run: write COMMAND :: and the command (or JOB :: and a job type%s)", configured(c))
	}
	if !c.AllowCommand {
		for _, item := range []string{"COMMAND", "CHECK", "CLEANUP"} {
			if _, ok := u.Get(item); ok {
				fault(item, "is not allowed by this configuration (allow_command = false); use JOB with a job type%s", configured(c))
			}
		}
	}
	if kind != nil {
		_, missing := kind.Fill(u.Get)
		for _, m := range missing {
			fault(m.Item, "%s", m.Text)
		}
	}
	for item, names := range map[string][]string{"AFTER": u.After, "AFTER ANY": u.AfterAny} {
		for _, name := range names {
			if queue, _, ok := strings.Cut(name, "/"); ok && !slices.Contains(queues(c), queue) {
				fault(item, "%q is no queue whose UOWs can be waited for (write NAME or queue/NAME; queues: %s)", queue, strings.Join(queues(c), ", "))
			}
		}
	}
	for _, item := range []string{"MEMORY", "CPUS"} {
		if _, ok := u.Get(item); ok {
			fault(item, "the local executor can't limit it; leave the item out until this machine's configuration names an executor that can (systemd)")
		}
	}
	if len(faults) == 0 {
		return u, nil
	}
	slices.SortStableFunc(faults, func(a, b *uow.Error) int { return a.Line - b.Line })
	return nil, faults
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
		return uow.Errors{{File: name, Text: fmt.Sprintf("more than %s before the log (limits.uow_size); put long scripts into a file of their own and name it in COMMAND", units.Size(int64(c.Limits.UOWSize)))}}
	}
	return uow.Errors{{File: name, Text: err.Error()}}
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
