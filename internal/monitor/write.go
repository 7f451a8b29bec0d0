package monitor

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// write puts the outcome into STATUS, in place, and into the log if it must stand
// there too. What can't be written is said and tried again: nothing moves
// without it.
func (s *session) write(j *job) {
	err := s.writeStatus(j, j.text, j.logged)
	if errors.Is(err, spool.ErrVanished) {
		s.vanished(j)
		return
	}
	if j.unwritten = err != nil; err != nil {
		s.fault(err)
		s.later(time.Second)
		return
	}
	j.written = s.turns
	if !s.owesCleanup(j) { // else its record tells that there is something to clean up
		j.witnessed()
		s.vacate(j)
	}
}

// writeStatus opens the file by its second link: wherever people moved it, it is
// the inode that ran.
func (s *session) writeStatus(j *job, text string, logged bool) error {
	f, err := s.sp.Open("finish:open", j.Claimed)
	if err != nil {
		return err
	}
	done := func(err error) error { return errors.Join(err, f.Close()) }
	head, err := s.head(f)
	if err != nil && !errors.Is(err, uow.ErrTooLarge) {
		return done(err)
	}
	short := roomy(j, text)
	field, cut := uow.StatusField(short)
	u := j.unit
	if !u.Is(head) {
		u, err = uow.Parse(j.UOW, head)
	}
	if err != nil || !u.Complete() {
		// Somebody rewrote the file while it ran: no room to be sure of. The log
		// is at its end, whatever stands before.
		logged = true
		s.troubleSaid(fmt.Sprintf("%s was edited while it ran and is no complete unit of work any more; its outcome stands at the end of its log", quoteName(j.UOW)))
	} else if _, err := f.WriteAt("finish:status", field, u.StatusAt()); err != nil {
		return done(err)
	}
	// Crash window: STATUS new, the line not there. It is only for people.
	if logged || cut || short != text {
		if err := s.logLines(f, text); err != nil {
			return done(err)
		}
	}
	if !j.to.Ended() {
		// It keeps its place, and is known to be accepted after a restart too.
		if err := f.SetMtime("finish:time", time.Unix(0, j.Enqueued)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return done(err)
		}
	}
	return s.sp.Batch.File(f)
}

// appendLog adds lines of the monitor's to the log of a UOW that was claimed.
func (s *session) appendLog(c spool.Claimed, lines ...string) error {
	f, err := s.sp.Open("log:open", c)
	if err != nil {
		return err
	}
	if err := s.logLines(f, lines...); err != nil {
		return errors.Join(err, f.Close())
	}
	return s.sp.Batch.File(f)
}

// logLines writes lines of the monitor's at the end of a log.
func (s *session) logLines(f *durable.File, lines ...string) error {
	head := "---- " + uow.Stamp(s.wall) + " "
	return appendText(f, head+strings.Join(lines, "\n"+head)+"\n")
}

// appendText writes whole lines at the end of a file, where runners may write as well.
// What of them is torn for want of room stays, for bytes of theirs may follow: the
// next try writes it whole below.
func appendText(f *durable.File, text string) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	b := []byte(text)
	var last [1]byte
	if st.Size > 0 {
		if _, err := f.ReadAt(last[:], st.Size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			b = append([]byte{'\n'}, b...)
		}
	}
	_, err = f.Append("log:write", b)
	return err
}

// logTells reports whether the last line of a plain UOW's runner says already how it
// ended.
func (s *session) logTells(j *job, text string) bool {
	return j.last != nil && j.last.Phase == flow.Command && j.last.end != nil && strings.HasPrefix(text, j.last.end.Text)
}
