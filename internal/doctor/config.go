package doctor

import (
	"maps"
	"slices"
	"time"

	"simplejobq/internal/config"
)

// configuration looks for keys that do nothing beside others. That each alone is
// right was found when it was read.
func (e *Exam) configuration() {
	c, before := e.Conf, len(e.found)
	if !c.AllowCommand && len(c.Jobs) == 0 {
		e.doubtful(e.monitorLine("config"), "allow_command is false and there is no job type: no unit of work can be accepted; add a [jobs.NAME] table")
	}
	leaves := c.Job.Leftover == config.LeftoverLeave
	e.silence("[job]", c.Job.Timeout, c.Job.Silence)
	for _, name := range slices.Sorted(maps.Keys(c.Jobs)) {
		t := c.Jobs[name]
		timeout, silence := c.Job.Timeout, c.Job.Silence
		if t.Timeout != nil {
			timeout = *t.Timeout
		}
		if t.Silence != nil {
			silence = *t.Silence
		}
		if t.Timeout != nil || t.Silence != nil {
			e.silence("jobs."+name, timeout, silence)
		}
		if t.Slots > c.Slots {
			e.doubtful(e.monitorLine("config"), "jobs.%s.slots = %d is more than slots = %d: it limits nothing; lower it, or raise slots", name, t.Slots, c.Slots)
		}
		leaves = leaves && (t.Leftover == nil || *t.Leftover == config.LeftoverLeave)
	}
	if leaves && c.Job.Linger != config.Default().Job.Linger {
		e.doubtful(e.monitorLine("config"), `job.linger = %s does nothing, because leftover = "leave" ends nothing; remove one of the two`, c.Job.Linger)
	}
	if len(e.found) == before {
		e.good("it can be read, and no key is without effect")
	}
}

func (e *Exam) silence(where string, timeout, silence config.Duration) {
	if time.Duration(timeout) > 0 && silence >= timeout {
		e.doubtful(e.monitorLine("config"), "%s: silence = %s is not shorter than timeout = %s, so it never comes to pass; shorten it, or remove it", where, silence, timeout)
	}
}
