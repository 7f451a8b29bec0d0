package monitor

import (
	"bufio"
	"errors"
	"io"
	"regexp"
	"strings"
	"time"

	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/messages"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// retell tells the end of a UOW that may not have been told.
func (s *session) retell(c spool.Claimed, place spool.Place, u *uow.Unit) {
	moved := s.event("moved", place.Name)
	moved.From, moved.To = s.sp.Name(spool.Executing), s.sp.Name(place.Queue)
	s.journal.Tell(moved)
	ev := s.event("ended", place.Name)
	if u != nil {
		ev.Outcome, ev.Reason = u.Status.Kind, u.Status.Text
	}
	s.journal.Tell(ev)
	s.say("recovered", place.Name, "had ended when the last monitor did: "+ev.Reason+", in "+moved.To)
}

// retellAccepted tells of an acceptance in the round in which it was claimed, if
// that round was never told of.
func (s *session) retellAccepted(j *job) {
	st, err := s.sp.Run.Stat(j.Link())
	if err != nil || st.Mtime != durable.Nanos(j.unit.Enqueued)+int64(SubmitMark) {
		return
	}
	ev := s.event("accepted", j.UOW)
	ev.To = s.sp.Name(j.From)
	s.journal.Tell(ev)
}

// stepLine is a line of a log that tells of a step, or that the flow begins anew.
type stepLine struct {
	at       time.Time
	step     string
	from, to flow.State
	text     string
	anew     bool
}

// A step's output stands behind its name; these lines can only be the monitor's.
var (
	stepText = regexp.MustCompile(`^---- (\S+Z) \[([^\]]+)\] (\S+) → (\S+?)(?:: (.*))?$`)
	anewText = regexp.MustCompile(`^---- \S+Z put back into `)
)

// readSteps calls back for each such line.
func readSteps(log io.Reader, each func(stepLine)) error {
	r := bufio.NewReaderSize(log, 64<<10)
	for {
		b, err := r.ReadSlice('\n')
		if line := strings.TrimSuffix(string(b), "\n"); strings.HasPrefix(line, "---- ") {
			if anewText.MatchString(line) {
				each(stepLine{anew: true})
			} else if m := stepText.FindStringSubmatch(line); m != nil {
				l := stepLine{step: m[2], text: m[5]}
				var errAt error
				var is, was bool
				l.at, errAt = time.Parse(time.RFC3339Nano, m[1])
				l.from, was = flow.StateNamed(m[3])
				if l.to, is = flow.StateNamed(m[4]); is && was && errAt == nil {
					each(l)
				}
			}
		}
		for errors.Is(err, bufio.ErrBufferFull) { // a long line is none of these
			_, err = r.ReadSlice('\n')
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Of logs and events as much is read as the last rounds of a monitor can have written.
const (
	stepTail  = 8 << 20
	eventTail = 4 << 20
)

// toldSteps is what monitor_events tells of steps: how often each change of one, and
// from when on it does.
type toldSteps struct {
	since time.Time
	count map[stepChange]int
}

type stepChange struct{ uow, step, from, to string }

func (s *session) readTold() (*toldSteps, error) {
	if s.told != nil {
		return s.told, nil
	}
	s.fault(s.journal.Flush()) // what a session before this one in the same process has told
	events, err := messages.Tail(s.sp.Root, s.conf.Files.Events, eventTail)
	if err != nil {
		return nil, err
	}
	t := &toldSteps{count: map[stepChange]int{}}
	for _, ev := range events {
		if t.since.IsZero() {
			t.since = ev.Time
		}
		if ev.Event == "step" {
			t.count[stepChange{ev.UOW, ev.Step, ev.From, ev.To}]++
		}
	}
	s.told = t
	return t, nil
}

// retellSteps tells of the changes of steps that the log of a flow has and
// monitor_events has not: the one is written before the round's commit, the other
// after. And what the log has already of what is not yet known again is noted, so
// that it is not said twice.
func (s *session) retellSteps(j *job) error {
	told, err := s.readTold()
	if err != nil {
		return err
	}
	f, err := s.sp.Run.Open(j.Link())
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	from := max(0, st.Size-stepTail)
	said := map[int][]stepLine{}
	err = readSteps(io.NewSectionReader(f, from, st.Size-from), func(l stepLine) {
		if l.anew {
			clear(said)
			return
		}
		what := stepChange{j.UOW, l.step, l.from.String(), l.to.String()}
		i, known := j.plan.Index(l.step)
		switch {
		case told.count[what] > 0:
			told.count[what]--
		case !l.at.Before(told.since):
			ev := s.event("step", j.UOW)
			ev.Time, ev.Step, ev.From, ev.To, ev.Reason = l.at, l.step, what.from, what.to, l.text
			if known {
				ev.Try = j.flow.Standing(i).Try
			}
			s.journal.Tell(ev)
		}
		if !known {
			return
		}
		if l.to == j.flow.Standing(i).State {
			delete(said, i)
		} else {
			said[i] = append(said[i], l)
		}
	})
	j.ahead = said
	return err
}

// isSaid reports whether a change is one that the last monitor had said.
func (j *job) isSaid(ch flow.Change) bool {
	next := j.ahead[ch.Step]
	if len(next) == 0 {
		return false
	}
	if next[0].from == ch.From && next[0].to == ch.To {
		j.ahead[ch.Step] = next[1:]
		return true
	}
	delete(j.ahead, ch.Step)
	return false
}
