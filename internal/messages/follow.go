package messages

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

// named reports whether the path still leads to the file that is open.
func (b *Inbox) named() (here bool, said []string) {
	s, err := durable.StatPath(b.path)
	switch {
	case err == nil:
		return s.Dev == b.src.id.Dev && s.Ino == b.src.id.Ino, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return false, nil
	case b.once("name: " + err.Error()):
		said = []string{err.Error() + "; the file open since before is read on"}
	}
	return true, said
}

// follow opens what the path leads to, or makes it, and finds where to go on.
// Trouble is said when it begins and when it is over.
func (b *Inbox) follow() (said []string) {
	src, err := openSource(b.path)
	made := false
	if errors.Is(err, fs.ErrNotExist) && b.Before != nil {
		if e := b.Before(); e != nil {
			return nil // whoever asked for that says it
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = durable.CreateWhole("reads:create", b.path, 0o660, []byte(HowTo(b.path)))
		if made = err == nil; made || errors.Is(err, fs.ErrExist) {
			// Made by somebody else meanwhile, or a symbolic link to nothing.
			src, err = openSource(b.path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s cannot be made or leads nowhere: %w", b.path, err)
		}
	}
	if err == nil {
		b.src = src
		said, err = b.locate(b.away, made)
	}
	if err != nil {
		if b.src != nil {
			err = errors.Join(err, b.src.close())
			b.src = nil
		}
		if what := err.Error(); what != b.trouble {
			b.trouble = what
			said = []string{"no messages can be read until this is mended: " + what}
		}
		return said
	}
	if b.trouble != "" {
		b.trouble = ""
		said = append([]string{b.path + " can be read again"}, said...)
	}
	if src.readOnly && b.once("read-only") {
		said = append(said, b.path+" cannot be written by this monitor: what was acted upon stays in it, and is not acted upon again")
	}
	return said
}

// locate finds in the file just opened the place where reading stopped: in the
// same file, or in a copy of it that an editor wrote. It rather takes a line
// twice, as a repeat, than not at all.
func (b *Inbox) locate(m mark, made bool) (said []string, err error) {
	src, size := b.src, b.src.id.Size
	same, err := src.resume(m.Head, m.Done, m.Sum, m.Long)
	if err != nil {
		return nil, err
	}
	again := int64(0)
	if same && m.Taken > m.Done {
		again = m.Taken
	}
	cutBack := false
	if m.Cut > m.Done || m.Cut > 0 && !same {
		if cutBack, err = src.begins(m.Cut, m.CutSum); err != nil {
			return nil, err
		}
	}
	if cutBack && src.id.Ino == m.Ino && size == m.Cut && m.CutTime != 0 && src.id.Mtime == m.CutTime {
		// Not touched since: the cut never happened, and all of it was acted upon.
		if same, err = src.resume(m.Head, m.Cut, m.CutSum, false); err != nil {
			return nil, err
		}
	} else if cutBack {
		again = max(again, m.Cut)
		said = append(said, b.path+" begins with lines that were acted upon already; since they may have been appended again, they count as repeats")
	}
	switch {
	case b.lost != nil && !made:
		if size > 0 {
			b.note = fmt.Sprintf("%s: %s; everything after its leading comments is acted upon", b.path, b.lost)
		}
		if errors.Is(b.lost, errDamaged) {
			again = size
		}
	case b.lost != nil:
	case made:
		said = append(said, b.path+" was missing and has been made anew")
	case !same && !cutBack:
		said = append(said, b.path+" is not the file that was read before, or was rewritten; it is read from its beginning")
	case src.id.Ino != m.Ino && m.Done > m.Head:
		said = append(said, b.path+" is another file that begins with what was acted upon already; it is read on from there")
	}
	b.unsaved = !same // a crash must not find the old mark fitting by chance later
	b.lost = nil
	b.again = again
	b.cut = cutting{m.Cut, m.CutSum, m.CutTime}
	b.settle()
	return said, nil
}
