package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"simplejobq/internal/status"
	"simplejobq/internal/uow"
)

func (p *program) newLog() *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use:   "log NAME",
		Short: "the job log of a unit of work",
		Long: `log writes what stands behind "==== JOB LOG" in a unit of work, wherever it is: as
it is into a pipe, without escape sequences other than colours on a terminal.
With -f it goes on until the unit of work has ended and is on disk.`,
		Example: `  monitor log deploy-7
  monitor log -f deploy-7
  monitor log fail-q/deploy-7 | less -R`,
		Args: wants(1, "one name"),
		RunE: func(_ *cobra.Command, args []string) error { return p.log(args[0], follow) },
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "follow to its end")
	return c
}

func (p *program) log(name string, follow bool) error {
	c, sp, err := p.open()
	if err != nil {
		return err
	}
	defer sp.Close()
	t, err := p.followName(c, sp, name)
	if err != nil {
		return err
	}
	defer t.close()
	if follow {
		if err := p.sayIfNobody(sp, []*trail{t}); err != nil {
			return err
		}
	}
	l := &logReader{trail: t, out: p.stdout}
	if p.terminal() {
		l.screen = &screen{w: p.stdout, color: p.color()}
		l.out = l.screen
	}
	return l.run(follow)
}

// logReader copies the log of a file that may still grow.
type logReader struct {
	trail  *trail
	out    io.Writer
	screen *screen // nil: raw
	ino    uint64  // of the file that pos is for
	pos    int64   // 0: its log has not been found yet
}

func (l *logReader) run(follow bool) error {
	for pace := (pace{}); ; {
		var ended bool
		var err error
		if follow {
			// Asked before reading: what is read after the end is all there is.
			var found bool
			if found, err = l.trail.look(); err == nil && found {
				ended, err = l.trail.settled()
			}
			if err != nil && !errors.Is(err, errGone) {
				return err
			}
		}
		n, e := l.copy()
		if e != nil {
			return e
		}
		if !follow || ended || err != nil {
			if l.screen != nil {
				err = errors.Join(err, l.screen.end())
			}
			return err
		}
		if n > 0 {
			pace.d = 0
			continue
		}
		if l.screen != nil {
			if err := l.screen.idle(); err != nil {
				return err
			}
		}
		time.Sleep(pace.next())
	}
}

// copy writes what is new.
func (l *logReader) copy() (int64, error) {
	t := l.trail
	if l.ino != t.stat.Ino {
		l.ino, l.pos = t.stat.Ino, 0
	}
	if l.pos == 0 {
		pos, err := t.logAt()
		if err != nil || pos == 0 {
			return 0, err
		}
		l.pos = pos
	}
	n, err := io.Copy(l.out, io.NewSectionReader(t.file, l.pos, 1<<62))
	l.pos += n
	return n, err
}

// logAt is where the log begins, 0 if there is none yet.
func (t *trail) logAt() (int64, error) {
	head, err := uow.Head(io.NewSectionReader(t.file, 0, 1<<62), 64<<20)
	if errors.Is(err, uow.ErrTooLarge) {
		return 0, fmt.Errorf("%s holds no job log in its first 64 MiB", status.Name(t.name))
	}
	if err != nil {
		return 0, err
	}
	if !endsInLog(head) {
		return 0, nil
	}
	return int64(len(head)), nil
}

// endsInLog reports whether a head that uow.Head read ends because the log
// begins, not because the file does.
func endsInLog(head []byte) bool {
	lines := bytes.Split(bytes.TrimRight(head, "\r\n"), []byte("\n"))
	return string(bytes.TrimRight(lines[len(lines)-1], " \t\r")) == "==== JOB LOG"
}

// screen shows a job's output on a terminal: nothing in it can do more there
// than set colours. A line is shown when it is whole, or when nothing more has
// come for a moment.
type screen struct {
	w     io.Writer
	color bool
	part  []byte
}

const longestPart = 64 << 10

func (s *screen) Write(b []byte) (int, error) {
	s.part = append(s.part, b...)
	n := bytes.LastIndexByte(s.part, '\n') + 1
	if n == 0 && len(s.part) > longestPart {
		n = len(s.part)
	}
	if err := s.show(n); err != nil {
		return 0, err
	}
	return len(b), nil
}

// idle shows the beginning of a line, but nothing that a sequence, a character
// or a carriage return begins in.
func (s *screen) idle() error {
	n := len(s.part)
	if i := bytes.IndexAny(s.part, "\x1b\r"); i >= 0 {
		n = i
	}
	for i := 1; i < utf8.UTFMax && i <= n; i++ {
		if utf8.RuneStart(s.part[n-i]) {
			if !utf8.FullRune(s.part[n-i : n]) {
				n -= i
			}
			break
		}
	}
	return s.show(n)
}

func (s *screen) end() error { return s.show(len(s.part)) }

func (s *screen) show(n int) error {
	if n == 0 {
		return nil
	}
	_, err := io.WriteString(s.w, status.Strip(string(s.part[:n]), s.color))
	s.part = append(s.part[:0], s.part[n:]...)
	return err
}
