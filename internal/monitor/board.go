package monitor

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
	"simplejobq/internal/spool"
)

// board is a file with room of its own, so that who asks why nothing happens is
// told even where nothing new can be written. Where not even that can be written
// (a quota of a file system that copies on write, a read-only one), locks tell
// the errno: byte N of the file is locked while errno N is in the way.
type board struct {
	f     *durable.File
	stale bool
	held  map[unix.Errno]bool
}

const (
	boardName = "trouble"
	boardSize = 4096
	lastErrno = 133
)

// hang opens the board. Without one everything works but for `explain`.
func (b *board) hang(sp *spool.Spool, woes []*woe) error {
	f, err := sp.Private.OpenWrite("trouble:open", boardName)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = sp.Private.Create("trouble:create", boardName, 0o644); err == nil {
			f.Overwrite()
		}
	}
	if err != nil {
		return err
	}
	b.f, b.held = f, map[unix.Errno]bool{}
	return b.write(woes)
}

// write shows what is wrong now.
func (b *board) write(woes []*woe) error {
	if b.f == nil {
		return nil
	}
	var text strings.Builder
	now := map[unix.Errno]bool{}
	for _, w := range woes {
		text.WriteString(w.String() + "\n")
		if w.errno > 0 && w.errno <= lastErrno {
			now[w.errno] = true
		}
	}
	var errs []error
	for e := range now {
		if !b.held[e] {
			errs = append(errs, b.f.LockByte("trouble:lock", int64(e), true))
		}
	}
	for e := range b.held {
		if !now[e] {
			errs = append(errs, b.f.LockByte("trouble:lock", int64(e), false))
		}
	}
	b.held = now
	room := bytes.Repeat([]byte{' '}, boardSize)
	copy(room[:boardSize-1], text.String())
	room[boardSize-1] = '\n'
	_, err := b.f.WriteAt("trouble:write", room, 0)
	return errors.Join(append(errs, err)...)
}

func (b *board) close() error {
	if b.f == nil {
		return nil
	}
	f := b.f
	b.f = nil
	return f.Close()
}

// post brings the board up to date.
func (s *session) post() error {
	if !s.board.stale {
		return nil
	}
	s.board.stale = false
	if s.board.f == nil {
		if err := s.board.hang(s.sp, s.current()); err != nil {
			return err
		}
	}
	return s.board.write(s.current())
}

// readBoard is what the monitor has on its board, and what anybody can see of the
// disk.
func readBoard(sp *spool.Spool) (list []string) {
	f, err := sp.Private.Open(boardName)
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, boardSize)
	n, _ := f.ReadAt(b, 0)
	for line := range strings.Lines(string(b[:n])) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	for e := unix.Errno(1); e <= lastErrno && len(list) == 0; e++ {
		if held, err := f.LockedByte(int64(e)); err == nil && held {
			list = append(list, e.Error())
		}
	}
	if readOnly, err := sp.Root.ReadOnly(); err == nil && readOnly && len(list) == 0 {
		list = append(list, "the spool's file system is mounted read-only")
	}
	return list
}
