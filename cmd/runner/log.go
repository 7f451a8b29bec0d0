package main

import (
	"bytes"
	"errors"
	"io/fs"
	"time"

	"simplejobq/internal/clock"
	"simplejobq/internal/durable"
	"simplejobq/internal/run"

	"golang.org/x/sys/unix"
)

const (
	keptTail  = 64 << 10               // of the output beyond the limit
	backEvery = 1 << 20                // bytes between two write-backs
	logRetry  = 250 * time.Millisecond // between two tries at a full disk

	longestPart = 64 << 10 // that is held back until it ends
)

// jobLog is the file the output goes to. What it could not write stays in hand
// and is tried again: while something is in hand nothing more is read, so the
// job waits in its own write and no byte is dropped.
type jobLog struct {
	f       *durable.File
	from    int64 // its size when the run began
	end     int64 // its size, as nobody else appends while the run lasts
	back    int64 // up to here the kernel was asked to write it to the disk
	written int64 // by this run, with the runner's own lines
	sum     uint32
	last    byte

	hand  []byte
	again time.Time  // when the next try is due
	why   unix.Errno // of the last one that failed
	lost  bool       // something was given up

	prefix string // of each line of output, where several commands write one log
	part   []byte // of a line that has no end yet

	limit  int64 // of output kept, 0: all
	output int64 // bytes the command wrote
	kept   int64 // of these handed to the file
	tail   []byte
}

// open opens the log, with a line break where what stands there lacks one.
func (l *jobLog) open(dir *durable.Dir, link string) error {
	f, err := dir.OpenExisting("log:open", link)
	if err != nil {
		return err
	}
	s, err := f.Stat()
	if err == nil && !s.Regular() {
		err = errors.New("log: " + f.Path() + " is not a regular file")
	}
	l.last = '\n'
	if err == nil && s.Size > 0 {
		var b [1]byte
		_, err = f.ReadAt(b[:], s.Size-1)
		l.last = b[0]
	}
	if err != nil {
		f.Close()
		return err
	}
	l.f, l.from, l.end, l.back = f, s.Size, s.Size, s.Size
	return nil
}

func (l *jobLog) blocked() bool { return len(l.hand) > 0 }

// write hands b to the file, or takes it in hand.
func (l *jobLog) write(b []byte) {
	if len(b) == 0 || l.f == nil {
		l.lost = l.lost || len(b) > 0
		return
	}
	l.last = b[len(b)-1]
	if l.blocked() {
		l.hand = append(l.hand, b...)
		return
	}
	if rest := l.try(b); len(rest) > 0 {
		l.hand = append(l.hand[:0], rest...)
		l.again = time.Now().Add(logRetry)
	}
}

// try writes and returns what did not get there and is worth another try.
func (l *jobLog) try(b []byte) []byte {
	n, err := l.f.Write("log:append", b)
	if l.written <= syncAbove { // beyond that it is synced, and nobody asks
		l.sum = run.LogSum(l.sum, b[:n])
	}
	l.end += int64(n)
	l.written += int64(n)
	if l.end-l.back >= backEvery {
		_ = l.f.WriteBack("log:writeback", l.back, l.end-l.back) // a wish, no promise
		l.back = l.end
	}
	if err != nil {
		_ = errors.As(err, &l.why)
	}
	// A right that was taken away may be given back, as room may come.
	if err != nil && !durable.Passing(err) && !errors.Is(err, fs.ErrPermission) {
		l.lost = true
		return nil
	}
	if torn := n > 0 && n < len(b) && b[n-1] != '\n'; torn && l.prefix != "" {
		// Others write between its halves: it stands there whole once more.
		line := bytes.LastIndexByte(b[:n], '\n') + 1
		return append([]byte{'\n'}, b[line:]...)
	}
	return b[n:]
}

// retry tries again what is in hand.
func (l *jobLog) retry(now time.Time) {
	if !l.blocked() || now.Before(l.again) {
		return
	}
	l.hand = append(l.hand[:0:0], l.try(l.hand)...)
	l.again = now.Add(logRetry)
	if len(l.hand) == 0 {
		l.hand = nil
	}
}

// giveUp drops what is in hand, and what is still to come.
func (l *jobLog) giveUp() {
	l.lost = l.lost || l.blocked()
	l.hand = nil
}

// line writes one of the runner's own lines.
func (l *jobLog) line(label, text string) {
	b := make([]byte, 0, 64+len(label)+len(text))
	if l.last != '\n' {
		b = append(b, '\n')
	}
	b = append(b, "---- "...)
	b = clock.Wall().UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(append(append(b, ' '), label...), ": "...)
	l.write(append(append(b, text...), '\n'))
}

// take keeps output up to the limit, and beyond it the end.
func (l *jobLog) take(b []byte) {
	l.output += int64(len(b))
	if l.limit > 0 && l.kept+int64(len(b)) > l.limit {
		room := l.limit - l.kept
		l.beyond(b[room:])
		b = b[:room]
	}
	l.kept += int64(len(b))
	if len(b) > 0 {
		l.put(b)
	}
}

// put writes output: whole lines behind their prefix, if there is one.
func (l *jobLog) put(b []byte) {
	if l.prefix == "" {
		l.write(b)
		return
	}
	var whole []byte
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 && len(l.part)+len(b) < longestPart {
			l.part = append(l.part, b...)
			break
		}
		if end == 0 {
			end = len(b)
		}
		whole = append(append(append(whole, l.prefix...), l.part...), b[:end]...)
		if whole[len(whole)-1] != '\n' {
			whole = append(whole, '\n')
		}
		l.part, b = l.part[:0], b[end:]
	}
	l.write(whole)
}

// endLine writes the line that has no end, when nothing more comes.
func (l *jobLog) endLine() {
	if len(l.part) > 0 {
		part := append([]byte(l.prefix), l.part...)
		l.part = nil
		l.write(append(part, '\n'))
	}
}

func (l *jobLog) beyond(b []byte) {
	if len(b) > keptTail {
		b = b[len(b)-keptTail:]
	}
	if l.tail == nil {
		l.tail = make([]byte, 0, 2*keptTail)
	}
	if len(l.tail)+len(b) > cap(l.tail) {
		l.tail = l.tail[:copy(l.tail, l.tail[len(l.tail)+len(b)-keptTail:])]
	}
	l.tail = append(l.tail, b...)
}

// flushTail writes the end of what was beyond the limit and reports how much
// before it is missing.
func (l *jobLog) flushTail(label string, count func(int64) string) (dropped int64) {
	if len(l.tail) == 0 {
		return 0
	}
	tail := l.tail[max(0, len(l.tail)-keptTail):]
	if dropped = l.output - l.kept - int64(len(tail)); dropped > 0 {
		l.line(label, count(dropped))
	}
	l.put(tail)
	l.endLine()
	l.tail = nil
	return dropped
}
