package doctor

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
	"simplejobq/internal/spool"
	"simplejobq/internal/status"
	"simplejobq/internal/units"
)

// clock looks whether the time of day can be believed, and whether times in the
// queues can: they order what waits.
func (e *Exam) clock() {
	var t unix.Timex
	if state, err := unix.Adjtimex(&t); err != nil {
		e.good("whether the clock is kept right can't be asked: %v", err)
	} else if state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0 {
		e.doubtful("timedatectl set-ntp true", "nothing keeps the clock right (it is not synchronised): NOT BEFORE and EXPIRES go by it, and UOWs are ordered by it")
	} else {
		e.good("the clock is synchronised")
	}
	// Nobody makes a program or a spool in the future.
	for _, path := range []string{"/proc/self/exe", filepath.Join(e.Conf.Root, ".monitor/version")} {
		if st, err := os.Stat(path); err == nil && st.ModTime().Sub(e.Now) > units.Day {
			e.wrong("date; timedatectl", "the clock says %s, which is before %s was made (%s): set it", status.At(e.Now), path, status.At(st.ModTime()))
		}
	}
	e.times()
}

// Files are looked at until so many were: it is about whether there are any.
const mostFiles = 20_000

// What is older was stamped by a clock that was not set.
var dawn = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// times looks for odd ones among what is queued. The time of a file's last change is
// its timestamp once it is accepted.
func (e *Exam) times() {
	if e.view == nil {
		return
	}
	left, before := mostFiles, len(e.found)
	for _, q := range spool.Live {
		dir := e.view.Spool().Dir(q)
		var late, early int
		var latest, earliest string
		err := dir.List(func(n durable.Name) bool {
			if spool.Ignored(n.Name) || spool.Readme(n.Name) {
				return true
			}
			left--
			st, err := dir.Stat(n.Name)
			if err != nil || !st.Regular() {
				return left > 0
			}
			switch at := time.Unix(0, st.Mtime); {
			case at.Sub(e.Now) > time.Minute:
				late++
				latest = n.Name
			case at.Before(dawn):
				early++
				earliest = n.Name
			}
			return left > 0
		})
		if err != nil {
			e.doubtful(line("ls", "-ld", dir.Path()), "%v", err)
			continue
		}
		if late > 0 {
			e.doubtful(line("touch", dir.Join(latest)), "%s of times in the future in %s, %q for one: they wait behind all others; a touch gives one the time of now", units.Count(late, "file", "files"), dir.Path(), latest)
		}
		if early > 0 {
			e.doubtful(line("touch", dir.Join(earliest)), "%s of times before %d in %s, %q for one: they go before all others; a touch gives one the time of now", units.Count(early, "file", "files"), dawn.Year(), dir.Path(), earliest)
		}
	}
	if len(e.found) == before {
		e.good("no file that waits is of the future, or of long ago")
	}
}
