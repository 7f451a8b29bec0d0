package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/pattern"
	"simplejobq/internal/run"
	"simplejobq/internal/uow"
)

// Of a run its record tells, and of a flow its past. Where these are gone or damaged,
// because somebody was at .monitor, the log of the UOW is the witness that is left:
// what had begun is not begun a second time without a word.

// trace is what a log tells of the runs since its UOW was queued anew.
type trace struct {
	what traces
	try  int // of the last line of a run
}

type traces int

const (
	nothingRan traces = iota
	brokeOff          // one began, and of its end there is no word
	hadEnded          // one began and ended
)

var (
	runLine   = pattern.Lazy(`^---- \S+ (?:\[\S+\] )?try (\d+)(?: of \d+)?(?: \w+)?: `)
	endLine   = pattern.Lazy(`^---- \S+ (\[\S+\] )?(try \d+( of \d+)?( \w+)?: (exit \d+|killed by \S+|timed out|silent for|not started|interrupted)|done: |error: |fail: )`)
	freshLine = pattern.Lazy(`^---- \S+ (put back into |begins again from step |the machine went down .*; it is queued again)`)
)

// So much of a log is looked at for the last line of ours.
const logTail = 1 << 20

// traceIn looks for traces of runs behind the head of a file.
func traceIn(f *durable.File, head int64) (t trace, err error) {
	st, err := f.Stat()
	if err != nil || st.Size <= head {
		return t, err
	}
	b := make([]byte, min(st.Size-head, logTail))
	n, err := f.ReadAt(b, st.Size-int64(len(b)))
	if err != nil && !errors.Is(err, io.EOF) {
		return t, err
	}
	if st.Size-head > logTail { // the last of our lines may be further up
		t.what = brokeOff
	}
	for line := range bytes.Lines(b[:n]) {
		if !bytes.HasPrefix(line, []byte("---- ")) {
			continue
		}
		if m := runLine().FindSubmatch(line); m != nil {
			t.try, _ = strconv.Atoi(string(m[1]))
			t.what = brokeOff
		}
		switch {
		case freshLine().Match(line):
			t = trace{}
		case endLine().Match(line):
			t.what = hadEnded
		}
	}
	return t, nil
}

// traceOf is that of a UOW that was claimed.
func (s *session) traceOf(j *job) (t trace, err error) {
	f, err := s.sp.Run.Open(j.Link())
	if err != nil {
		return t, err
	}
	t, err = traceIn(f, int64(j.unit.LogAt()))
	return t, errors.Join(err, f.Close())
}

// unknownTry is a step that is about to start and of which the log tells that a try had
// begun: what its runner wrote stands there no sooner than its record. After a power cut
// it may be there without it, and then nothing was started.
func (s *session) unknownTry(j *job) (step string) {
	for i, next := range j.ahead {
		if !s.wentDown && len(next) > 0 && next[0].to.InTry() && j.tried[i] && j.flow.Standing(i).State == flow.Ready {
			return j.plan.Node(i).Name
		}
	}
	return ""
}

const startedAnew = "nobody knows of the run above any more; started anew"

// recordLost reports whether a plain UOW without a record had been started all the
// same, and does what follows from that.
func (s *session) recordLost(j *job) (bool, error) {
	st := j.unit.Status
	if st.Kind != "" && st.Kind != uow.TryAgain {
		return false, nil
	}
	t, err := s.traceOf(j)
	if err != nil || t.what == nothingRan || st.Kind == uow.TryAgain && t.try < st.Try {
		return false, err
	}
	if t.what == hadEnded {
		if st.Kind == "" {
			j.notices = append(j.notices, startedAnew)
		}
		return false, nil
	}
	s.begin(j)
	s.cutOff(j)
	return true, nil
}

// cutOff ends, or starts again with a word, what was started by a monitor of which there
// is no trace but the log. What still runs of it is ended.
func (s *session) cutOff(j *job) {
	text := "interrupted: it had been started, and nothing is left that tells what became of it" + s.endUnknown(j.UOW)
	s.recovered(j.UOW, text)
	s.more = true
	if j.flow == nil { // no room for its past yet: it begins when there is
		j.notices = append(j.notices, text)
		return
	}
	if n := j.plan.Node(0); j.plain() && n.RetryInterrupted {
		j.notices = append(j.notices, text+"; started again")
		return
	}
	if s.cancel(j, flow.Interrupted, text) {
		s.settle(j)
	}
}

// endUnknown ends what runs of a UOW and belongs to no run that is known. It returns
// words for that.
func (s *session) endUnknown(name string) string {
	ids, err := run.RunsOf(s.conf.Root, name)
	s.fault(err)
	known := map[string]bool{}
	for _, j := range s.jobs {
		for _, c := range j.commands {
			known[c.runID] = true
		}
	}
	ended := 0
	for _, id := range ids {
		if !known[id] && !s.recorded[id] {
			n, err := run.KillTree(id, run.Live{})
			s.fault(err)
			ended += n
		}
	}
	if ended == 0 {
		return ""
	}
	return fmt.Sprintf("; what still ran of it was ended (%d)", ended)
}
