package monitor

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/messages"
	"simplejobq/internal/pattern"
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

// stepLine is a line of a log that tells of a step, of the context, or that the flow
// begins anew, wholly or from a step.
type stepLine struct {
	at       time.Time
	step     string
	from, to flow.State
	text     string
	kind     lineKind
}

type lineKind int

const (
	ofStep lineKind = iota
	ofRun           // its runner's
	ofContext
	isAnew
	isFrom
)

func (l stepLine) change() stepChange { return stepChange{l.step, l.from.String(), l.to.String()} }

// A step's output stands behind its name; these lines can only be the monitor's.
var (
	stepText  = pattern.Lazy(`^---- (\S+Z) \[([^\]]+)\] (\S+) → (\S+?)(?:: (.*))?$`)
	runText   = pattern.Lazy(`^---- \S+Z \[([^\]]+)\] try \d`)
	otherText = pattern.Lazy(`^---- \S+Z (put back into |begins again from step |context )`)
	otherKind = map[string]lineKind{"put back into ": isAnew, "begins again from step ": isFrom, "context ": ofContext}
)

// readSteps calls back for each such line.
func readSteps(log io.Reader, each func(stepLine)) error {
	r := bufio.NewReaderSize(log, 64<<10)
	for {
		b, err := r.ReadSlice('\n')
		if line := strings.TrimSuffix(string(b), "\n"); strings.HasPrefix(line, "---- ") {
			if m := otherText().FindStringSubmatch(line); m != nil {
				each(stepLine{kind: otherKind[m[1]]})
			} else if m := runText().FindStringSubmatch(line); m != nil {
				each(stepLine{kind: ofRun, step: m[1]})
			} else if m := stepText().FindStringSubmatch(line); m != nil {
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
	eventTail = 1 << 20
)

// toldSteps is what the end of monitor_events tells of the steps of each UOW, in order.
type toldSteps struct {
	since   time.Time // when it begins
	changes map[string][]stepChange
}

type stepChange struct{ step, from, to string }

func (s *session) readTold() (*toldSteps, error) {
	if s.told != nil {
		return s.told, nil
	}
	s.fault(s.journal.Flush()) // what a session before this one in the same process has told
	events, err := messages.Tail(s.sp.Root, s.conf.Files.Events, eventTail)
	if err != nil {
		return nil, err
	}
	t := &toldSteps{changes: map[string][]stepChange{}}
	for _, ev := range events {
		if t.since.IsZero() {
			t.since = ev.Time
		}
		if ev.Event == "step" {
			t.changes[ev.UOW] = append(t.changes[ev.UOW], stepChange{ev.Step, ev.From, ev.To})
		}
	}
	s.told = t
	return t, nil
}

// untold is where in the lines of a log those begin that were not told. Both are in the
// same order, so it is behind what was told last.
func (t *toldSteps) untold(uow string, lines []stepLine) int {
	told := t.changes[uow]
	if len(told) == 0 {
		if len(lines) > 0 && lines[0].at.Before(t.since) {
			return len(lines) // it was told of long ago
		}
		return 0
	}
	is := func(l stepLine, ch stepChange) bool { return l.change() == ch }
	const enough = 8 // that they come twice in this order is not likely
	for n := min(len(told), enough); n > 0; n-- {
		last := told[len(told)-n:]
		for at := len(lines) - n; at >= 0; at-- {
			if slices.EqualFunc(lines[at:at+n], last, is) {
				return at + n
			}
		}
	}
	return len(lines) // the log was edited
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
	var lines []stepLine
	anew := 0 // the first of this life
	j.tried = map[int]bool{}
	err = readSteps(io.NewSectionReader(f, from, st.Size-from), func(l stepLine) {
		switch l.kind {
		case ofStep:
			lines = append(lines, l)
			if i, known := j.plan.Index(l.step); known {
				delete(j.tried, i)
			}
		case ofRun:
			if i, known := j.plan.Index(l.step); known {
				j.tried[i] = true
			}
		case ofContext:
			j.contextSaid++
		case isAnew:
			anew, j.contextSaid = len(lines), 0
		case isFrom:
			j.contextSaid = 0
		}
	})
	if err != nil {
		return err
	}
	for _, l := range lines[told.untold(j.UOW, lines):] {
		ev := s.event("step", j.UOW)
		ev.Time, ev.Step, ev.From, ev.To, ev.Reason = l.at, l.step, l.from.String(), l.to.String(), l.text
		if i, known := j.plan.Index(l.step); known {
			ev.Try = j.flow.Standing(i).Try
		}
		s.journal.Tell(ev)
	}
	j.ahead = map[int][]stepLine{}
	for _, l := range lines[anew:] {
		i, known := j.plan.Index(l.step)
		switch {
		case !known:
		case l.to == j.flow.Standing(i).State:
			delete(j.ahead, i)
		default:
			j.ahead[i] = append(j.ahead[i], l)
		}
	}
	return nil
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
