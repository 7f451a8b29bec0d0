package monitor

import (
	"fmt"

	"simplejobq/internal/flow"
	"simplejobq/internal/messages"
)

// killJob ends one running job, or all.
func (s *session) killJob(m messages.Message) {
	if m.Args == "" {
		n := 0
		for _, j := range s.jobs {
			if text, ok := s.kill(j); ok {
				s.answer(m, j.UOW, text)
				n++
			}
		}
		s.answer(m, "", fmt.Sprintf("KILL JOB: %d UOWs", n))
		return
	}
	s.each(m, m.Args, func(t target) string {
		if t.job == nil {
			return fmt.Sprintf("not done: it is not executing (it is in %s)", s.sp.Name(t.queue))
		}
		text, _ := s.kill(t.job)
		return text
	})
}

const killReason = "killed by request"

// kill asks for the end of a job, wherever it stands.
func (s *session) kill(j *job) (string, bool) {
	ending := fmt.Sprintf("is being ended: SIGTERM now, SIGKILL after %v", s.conf.Job.KillGrace)
	switch {
	case j.state == cleaning:
		// The clean-up that runs is ended; the others still run.
		for _, c := range j.commands {
			if c.stage == starting || c.stage == alive {
				s.end(c, killReason)
				return "its clean-up " + ending, true
			}
		}
		return "not done: its clean-up is about to start; the outcome stands", false
	case j.state != working || j.flow == nil:
		return "not done: it has ended already", false
	case !j.plain():
		if !s.cancel(j, flow.Killed, killReason) {
			if j.out() > 0 {
				return ending, true // for the second time
			}
			return "not done: it has ended already", false
		}
		if j.out() == 0 {
			return "ended; its clean-up follows, if it has any", true
		}
		return ending, true
	}
	c := j.shown()
	switch {
	case c == nil || c.stage == told:
		// Between two commands, or not started yet: it ends here and now, so that
		// the wish can't get lost.
		phase := j.flow.Phase(0)
		if !s.cancel(j, flow.Killed, "killed by request before its "+string(phase)+" was started") {
			return "not done: it has ended already", false
		}
		s.settle(j)
		return "ended before its " + string(phase) + " was started", true
	case c.stage == starting:
		c.killed = killReason
		return "it is about to start; it is ended as soon as it has", true
	case c.stage == ended:
		if c.killed != "" {
			return "it was ended when this was asked", true
		}
		return "not done: it has ended already", false
	}
	c.killed = killReason
	if err := c.kill(killReason); err != nil {
		s.fault(err)
		return "not done: " + err.Error(), false
	}
	return ending, true
}
