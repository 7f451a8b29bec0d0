package monitor

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"time"

	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/pattern"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
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
func (s *session) powerCut(j *job, f found, try int) (why string, err error) {
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
	if err := s.unsay(j, flow.Phase(f.start.Phase), try, log); err != nil {
		return "", errors.Join(err, log.Close())
	}
	return why, s.sp.Batch.File(log)
}

// unsay takes back a STATUS that cannot be believed.
func (s *session) unsay(j *job, phase flow.Phase, try int, f *durable.File) error {
	// Before a clean-up its outcome was on disk.
	if st := j.unit.Status; phase != flow.Cleanup && st.Kind != "" && (st.Kind != uow.TryAgain || st.Try > try) {
		blank, _ := uow.StatusField("")
		if _, err := f.WriteAt("recover:status", blank, j.unit.StatusAt()); err != nil {
			return err
		}
		// Crash window: blank, and the record still there: the same again.
		j.unit.Status = uow.Status{}
	}
	return nil
}

// cutZeros cuts a file back to its last byte that is not zero: zeros are what a file
// system leaves of bytes that did not reach the disk. What no power cut was at is
// its job's. It returns the size that is left.
func cutZeros(f *durable.File, size int64) (int64, error) {
	end := size
	for buf := make([]byte, 64<<10); end > 0; {
		b := buf[:min(end, int64(len(buf)))]
		if _, err := f.ReadAt(b, end-int64(len(b))); err != nil {
			return size, err
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
	if end == size {
		return size, nil
	}
	return end, f.Truncate("recover:truncate", end)
}

// mendTorn makes blanks of what is missing within the last lines of the monitor's: a
// power cut may leave a sector of them without the one before it. What a run
// wrote is not touched: its runner's line stands behind it, or nothing does.
func mendTorn(f *durable.File, size int64) error {
	b := make([]byte, min(size, 2*maxNotices))
	from := size - int64(len(b))
	if _, err := f.ReadAt(b, from); err != nil {
		return err
	}
	for end := len(b); ; {
		part := b[bytes.LastIndexByte(b[:end], 0)+1 : end]
		lines := bytes.SplitAfter(part, []byte("\n"))
		if end == len(b) {
			lines = append(lines, nil) // its last line is whole
		}
		for i, line := range lines {
			if i > 0 && i < len(lines)-1 && len(line) > 0 && !unsynced().Match(line) {
				return nil
			}
		}
		if end -= len(part); end == 0 || (from+int64(end))%sector != 0 {
			return nil
		}
		n := len(b[:end]) - len(bytes.TrimRight(b[:end], "\x00"))
		blank := append(bytes.Repeat([]byte(" "), n-1), '\n')
		if _, err := f.WriteAt("recover:mend", blank, from+int64(end-n)); err != nil {
			return err
		}
		end -= n
	}
}

// unsynced are the lines that the monitor writes of a step and of the end.
var unsynced = pattern.Lazy(`^---- \S+Z (?:\[[^\]]+\] \S+ → |done: |error: |fail: )`)

// sector is what a disk writes whole or not at all.
const sector = 512

// After a sync that failed the kernel takes the pages for written, and the next sync
// that succeeds says nothing of them. So what recovery is going to believe is
// written once more, and covered by the commit that recovery ends with: who ended
// the last session, and whether a sync of its failed, nobody knows. Of a long log
// the end is enough: its runner has synced what is before.
const (
	rewriteHead = 64 << 10
	rewriteTail = 2 << 20
)

// gonePast says trouble that keeps something from being written once more: most
// often there was no need, and where nothing can be written nothing is told either.
func (s *session) gonePast(err error) error {
	if durable.Passing(err) {
		s.fault(err)
		return nil
	}
	return err
}

func (s *session) rewrite(c spool.Claimed) error {
	f, err := s.sp.Open("recover:open", c)
	if errors.Is(err, spool.ErrVanished) || errors.Is(err, fs.ErrPermission) {
		return nil // the one is said later, the other never had anything of ours
	}
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil && st.Regular() && s.wentDown {
		if st.Size, err = cutZeros(f, st.Size); err == nil {
			err = mendTorn(f, st.Size)
		}
	}
	if err == nil && st.Regular() {
		head := min(st.Size, rewriteHead)
		err = errors.Join(copyOver(f, 0, head), copyOver(f, max(head, st.Size-rewriteTail), st.Size))
	}
	if err == nil {
		// The time says whether its acceptance was told.
		err = f.SetMtime("recover:time", time.Unix(0, st.Mtime))
	}
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return errors.Join(err, f.Close())
	}
	return s.sp.Batch.File(f)
}

// noteDoubt has a UOW that is queued again say why, if it should have run.
func (s *session) noteDoubt(c spool.Claimed) error {
	text := "the machine went down when this was about to start, or while it ran; it is queued again"
	if err := s.appendLog(c, text); err != nil {
		return err
	}
	s.recovered(c.UOW, text)
	return nil
}

// bootName holds the id of the last boot in which a monitor worked here.
const bootName = "boot"

// rebooted reports whether the machine went down since. A file that is not there,
// or was not synced, says so too.
func (s *session) rebooted() bool {
	f, err := s.sp.Private.Open(bootName)
	if err != nil {
		return true
	}
	defer f.Close()
	b := make([]byte, 64)
	n, _ := f.ReadAt(b, 0)
	return strings.TrimSpace(string(b[:n])) != s.boot
}

// noteBoot writes down that this boot's recovery is done.
func (s *session) noteBoot() error {
	if !s.rebooted() {
		return nil
	}
	if err := s.sp.Private.Remove("boot:remove", bootName); err != nil {
		return err
	}
	f, err := s.sp.Private.Create("boot:create", bootName, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write("boot:write", []byte(s.boot+"\n"))
	return errors.Join(err, f.Close())
}

func copyOver(f *durable.File, from, to int64) error {
	for buf := make([]byte, 256<<10); from < to; {
		n, err := f.ReadAt(buf[:min(to-from, int64(len(buf)))], from)
		if n > 0 {
			if _, err := f.WriteAt("recover:rewrite", buf[:n], from); err != nil {
				return err
			}
		}
		if from += int64(n); err != nil && !errors.Is(err, io.EOF) {
			return err
		} else if n == 0 {
			return nil
		}
	}
	return nil
}

func (s *session) rewriteRecord(r *run.Record) error {
	if err := r.Rewrite(); err != nil {
		return err
	}
	f, err := r.File()
	if err != nil {
		return err
	}
	return s.sp.Batch.File(f)
}
