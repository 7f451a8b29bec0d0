package messages

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

// bufferLimit bounds what is kept while a file cannot be written.
const bufferLimit = 1 << 20

// lines is a file that whole lines are appended to and that is rotated by size.
// Nothing touches the disk before flush.
type lines struct {
	dir   *durable.Dir
	name  string
	limit int64 // 0: never rotated
	keep  int64
	lost  func(n int) []byte // the line that owns up to n lost ones

	queue   []entry
	bytes   int
	dropped int

	file *durable.File
	id   durable.Stat
	end  int64 // where our last write ended
	sent int   // bytes of the first queued line that are in the file already
	torn bool  // the file ends within a line that is not the first queued one
	out  []byte
}

type entry struct {
	text []byte
	lost int // it owns up to as many lost ones
}

func (l *lines) add(text []byte) {
	l.queue, l.bytes = append(l.queue, entry{text: text}), l.bytes+len(text)
	for l.bytes > bufferLimit && len(l.queue) > 1 {
		l.drop()
	}
}

// full reports that it is time for a flush, long before anything is dropped.
func (l *lines) full() bool { return l.bytes > bufferLimit/4 }

// drop forgets the oldest line and counts it.
func (l *lines) drop() {
	e := l.queue[0]
	l.queue, l.bytes = l.queue[1:], l.bytes-len(e.text)
	if l.torn = l.torn || l.sent > 0; e.lost > 0 {
		l.dropped += e.lost
	} else {
		l.dropped++
	}
	l.sent = 0
}

// flush appends what is queued. What does not get into the file stays queued;
// an error of rotation alone costs no line.
func (l *lines) flush() error {
	if len(l.queue) == 0 {
		return nil
	}
	if l.dropped > 0 && l.sent == 0 {
		own := l.lost(l.dropped)
		l.queue = append([]entry{{own, l.dropped}}, l.queue...)
		l.bytes, l.dropped = l.bytes+len(own), 0
	}
	size, err := l.ready()
	if err != nil {
		return err
	}
	var rotated error
	if l.limit > 0 && size > 0 && size+int64(l.bytes-l.sent) > l.limit && l.sent == 0 {
		rotated = l.rotate()
		if size, err = l.ready(); err != nil {
			return errors.Join(rotated, err)
		}
	}
	if l.sent > 0 && size != l.end {
		// Somebody wrote behind our half line: it is written whole once more.
		l.sent, l.torn = 0, true
	}
	l.out = l.out[:0]
	if l.torn {
		l.out = append(l.out, '\n')
	}
	lead := len(l.out)
	l.out = append(l.out, l.queue[0].text[l.sent:]...)
	for _, e := range l.queue[1:] {
		l.out = append(l.out, e.text...)
	}
	n, err := l.file.Write(durable.Site(l.name+":append"), l.out)
	l.end = size + int64(n)
	l.wrote(n, lead)
	return errors.Join(rotated, err)
}

// wrote takes off the queue what the first n bytes of a write held.
func (l *lines) wrote(n, lead int) {
	if n < lead || n == 0 {
		return
	}
	l.torn = false
	n += l.sent - lead
	done := 0
	for done < len(l.queue) && n >= len(l.queue[done].text) {
		n -= len(l.queue[done].text)
		l.bytes -= len(l.queue[done].text)
		done++
	}
	if l.sent = n; done == len(l.queue) {
		clear(l.queue)
		l.queue = l.queue[:0]
		return
	}
	l.queue = l.queue[done:]
}

// ready opens the file, or anew if its name leads elsewhere by now, and tells
// its size.
func (l *lines) ready() (size int64, err error) {
	if l.file != nil {
		s, err := l.dir.Stat(l.name)
		if err == nil && s.Dev == l.id.Dev && s.Ino == l.id.Ino {
			return s.Size, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		if err := l.leave(); err != nil {
			return 0, err
		}
	}
	f, err := l.dir.OpenAppend(durable.Site(l.name+":open"), l.name, 0o644)
	if err != nil {
		return 0, err
	}
	s, err := f.Stat()
	if err == nil && !s.Regular() {
		err = fmt.Errorf("%s is not a regular file", f.Path())
	}
	last := []byte{'\n'}
	if err == nil && s.Size > 0 {
		_, err = f.ReadAt(last, s.Size-1)
	}
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	l.file, l.id, l.end, l.sent, l.torn = f, s, s.Size, 0, last[0] != '\n'
	return s.Size, nil
}

// leave gives the file back. A half line of ours in it stays behind.
func (l *lines) leave() error {
	f := l.file
	l.file, l.sent, l.torn = nil, 0, false
	return f.Close()
}

// rotate makes room: name.1 is the youngest, name.keep falls out. Nothing is
// copied or truncated, so that who follows the old file has all of it.
func (l *lines) rotate() error {
	site := durable.Site(l.name + ":rotate")
	old := func(i int64) string { return fmt.Sprintf("%s.%d", l.name, i) }
	if l.keep <= 0 {
		if err := l.dir.Remove(site, l.name); err != nil {
			return err
		}
		return l.leave()
	}
	// Only what stands in the way moves: up to the first free number.
	free := int64(1)
	for ; free < l.keep; free++ {
		if _, err := l.dir.Stat(old(free)); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
	}
	for i := free - 1; i >= 1; i-- {
		if err := l.dir.Replace(site, old(i), l.dir, old(i+1)); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	if err := l.dir.Replace(site, l.name, l.dir, old(1)); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return l.leave()
}

func (l *lines) close() error {
	err := l.flush()
	if l.file != nil {
		err = errors.Join(err, l.leave())
	}
	return err
}
