package monitor

import (
	"errors"

	"simplejobq/internal/durable"
	"simplejobq/internal/uow"
)

// powerCut says why a run of before the last boot counts as interrupted, "" if it
// has ended.
//
// A run's log, its end and its STATUS are made durable by one commit, and a power
// cut within that may keep any of them without the others. So an end counts if it
// is there and its log as well, and a STATUS not without the end. Once the commit
// was through there is no record of the run any more, or one whose end and log are
// whole.
func (s *session) powerCut(j *job, f found) (why string, err error) {
	log, err := s.sp.Open("recover:open", j.Claimed)
	if err != nil {
		return "", err
	}
	why = "the machine went down while it ran"
	if f.end != nil {
		whole, err := f.end.LogWhole(log)
		if err != nil || whole {
			return "", errors.Join(err, log.Close())
		}
		why = "the machine went down before what it had written was on disk"
	}
	if err := s.unsay(j, log); err != nil {
		return "", errors.Join(err, log.Close())
	}
	return why, s.sp.Batch.File(log)
}

// unsay takes back a STATUS that cannot be believed, and the zeros that a file
// system leaves at the end of a log whose bytes it lost.
func (s *session) unsay(j *job, f *durable.File) error {
	if st := j.unit.Status; st.Kind != "" && (st.Kind != uow.TryAgain || st.Try > j.try) {
		blank, _ := uow.StatusField("")
		if _, err := f.WriteAt("recover:status", blank, j.unit.StatusAt()); err != nil {
			return err
		}
		// Crash window: blank, and the record still there: the same again.
		j.unit.Status = uow.Status{}
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	end := st.Size
	for buf := make([]byte, 64<<10); end > 0; {
		b := buf[:min(end, int64(len(buf)))]
		if _, err := f.ReadAt(b, end-int64(len(b))); err != nil {
			return err
		}
		n := len(b)
		for n > 0 && b[n-1] == 0 {
			n--
		}
		end -= int64(len(b) - n)
		if n > 0 {
			break
		}
	}
	if end = max(end, j.unit.LogAt()); end >= st.Size {
		return nil
	}
	return f.Truncate("recover:truncate", end)
}
