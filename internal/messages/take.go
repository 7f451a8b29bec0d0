package messages

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"simplejobq/internal/clock"
	"simplejobq/internal/durable"
)

// take reads what is new in the file that is open, and puts the intent on disk
// if there are lines in it. last: the file lost its name and its writers, so a
// line without its newline will not get one.
func (b *Inbox) take(last bool) (lines []Line, said []string, err error) {
	src := b.src
	now, err := src.file.Stat()
	same := now.SameContent(src.seen) && now.Size == src.pos
	if err != nil || same && !src.unsure {
		return nil, nil, err
	}
	rewritten, err := src.rewritten(now.Size)
	if err != nil {
		return nil, nil, err
	}
	if same && !rewritten && !src.resent {
		src.look(now)
		return nil, nil, nil
	}
	if rewritten || src.resent {
		b.again, b.open = 0, false
		if rewritten {
			said = append(said, b.path+" was emptied or rewritten by somebody; it is read from its beginning")
		} else {
			said = append(said, b.path+" was written once more with the same text; since that may have been meant as one message or as two, it counts as a repeat")
			b.again = src.pos
		}
		src.rewind()
		b.settle()
		// Else a crash could find the old mark fitting the new lines.
		if err := b.save("done"); err != nil {
			b.unsaved = true
			return nil, said, err
		}
	}
	before, inbox := *src, *b
	before.sum, before.tail = cloneHash(src.sum), bytes.Clone(src.tail)

	lines, more, err := b.scan(now, last)
	if err == nil && len(lines) > 0 {
		// A crash before this leaves the lines new, one after it brings them
		// again as repeats.
		err = b.save("intent")
	}
	if err != nil {
		file, readOnly := src.file, src.readOnly
		*src, *b = before, inbox
		src.file, src.readOnly = file, readOnly
		return nil, said, err
	}
	src.look(now)
	if !b.open {
		b.settle()
	}
	if b.note != "" && len(lines) > 0 {
		said = append(said, b.note)
	}
	b.note = "" // lines that come from now on are new, record or not
	return lines, append(said, more...), nil
}

// scan goes through the file from pos until there are lines or nothing is left.
func (b *Inbox) scan(now durable.Stat, last bool) (lines []Line, said []string, err error) {
	src := b.src
	for len(lines) == 0 && src.pos < now.Size {
		buf := make([]byte, min(now.Size-src.pos, maxBatch))
		n, err := src.file.ReadAt(buf, src.pos)
		if err := ignoreEOF(err); err != nil {
			return nil, nil, err
		}
		atEnd := src.pos+int64(n) == now.Size
		var more []string
		var rest []byte
		lines, more, rest = b.split(buf[:n])
		said = append(said, more...)
		if atEnd && len(lines) == 0 && len(rest) > 0 {
			more, err := b.unended(rest, now, last)
			return nil, append(said, more...), err
		}
		b.partial = partial{} // the line it was about has its end
		if len(rest) == n {   // it shrank while it was read
			break
		}
		b.more = !atEnd && len(lines) > 0
	}
	return lines, said, nil
}

// split takes the whole lines off buf, which lies at pos.
func (b *Inbox) split(buf []byte) (lines []Line, said []string, rest []byte) {
	for src := b.src; ; {
		i := bytes.IndexByte(buf, '\n')
		if i < 0 {
			break
		}
		line := buf[:i+1]
		buf = buf[i+1:]
		if src.long || i > maxLine {
			if !src.long {
				said = append(said, b.tooLong(line))
			}
			src.advance(line)
			src.long = false
			continue
		}
		if line[0] == '#' && src.pos == src.head {
			src.advance(line)
			src.extendHead()
			continue
		}
		lines = b.line(lines, line)
	}
	if b.src.long || len(buf) > maxLine {
		if !b.src.long {
			said = append(said, b.tooLong(buf))
		}
		b.src.advance(buf)
		b.src.long = true
		buf = nil
	}
	return lines, said, buf
}

func (b *Inbox) tooLong(line []byte) string {
	return fmt.Sprintf("%s: a line of more than 64 KiB is passed over: %s", b.path, Quote(string(line[:2*quoteBytes])))
}

// line adds one line to those handed out, unless there is nothing to act upon.
func (b *Inbox) line(lines []Line, line []byte) []Line {
	text := strings.TrimSuffix(string(line), "\n")
	text = strings.TrimSuffix(text, "\r")
	// Zeros are what a power cut leaves of a line whose bytes did not reach the disk; the
	// one behind them is whole.
	text = strings.TrimLeft(text, "\x00")
	if t := strings.TrimSpace(text); t != "" && t[0] != '#' {
		if !b.open {
			b.settle() // what was passed over until here needs no acting upon
			b.open = true
		}
		lines = append(lines, Line{Text: text, Again: b.src.pos < b.again})
	}
	b.src.advance(line)
	return lines
}

// partial is a last line that has no newline yet.
type partial struct {
	file  durable.Stat // when it last grew
	since time.Time    // it has not
	told  []byte       // what was said of it; nil: nothing yet
}

// What ends a half line, so that the next one is not glued to it. The control character
// has it refused whatever it says, also if a crash comes in between.
const halfEnd = "\x7f\n"

// unended looks at a last line without a newline. It is never acted upon: a disk
// without room keeps the beginning of a line, and KILL JOB is the beginning of KILL
// JOB name. When nobody goes on writing it, that is said, and the line is ended.
func (b *Inbox) unended(rest []byte, now durable.Stat, last bool) (said []string, err error) {
	text := bytes.TrimSpace(bytes.Trim(rest, "\x00"))
	idle := len(text) == 0 || text[0] == '#' // nothing to act upon
	if last {
		if !idle {
			said = append(said, fmt.Sprintf("%s: the last line of the file that had this name before has no newline and is not acted upon: %s; if it is still meant, append it once more, whole", b.path, Quote(string(rest))))
		}
		return said, nil
	}
	p := &b.partial
	if !p.file.SameContent(now) {
		age := max(clock.Wall().UnixNano()-now.Mtime, 0)
		p.file, p.since = now, time.Now().Add(-time.Duration(age))
	}
	if time.Since(p.since) < b.calm {
		return nil, nil
	}
	writers, err := b.src.writers()
	if err != nil {
		return nil, err
	}
	ended := false
	if writers == durable.Quiet && !b.src.readOnly {
		end := halfEnd
		if idle {
			end = "\n"
		}
		_, full := b.src.file.Append("reads:end", []byte(end)) // without room it is tried again
		ended = full == nil
		b.more = b.more || ended
	}
	if told := p.told != nil && bytes.HasPrefix(rest, p.told); told || idle {
		return nil, nil
	}
	p.told = bytes.Clone(rest)
	why := "is not acted upon until it has one: %s; append what is missing of it, or take it out with an editor"
	if ended {
		why = "is not acted upon: %s; if it is still meant, append it once more, whole"
	}
	return []string{b.path + ": its last line has no newline and " + fmt.Sprintf(why, Quote(string(rest)))}, nil
}

// empty cuts the file back to its leading comments if everything else in it was
// acted upon and nobody else has it open. Nobody is made to wait for a disk: the
// record is written before the lease is taken, and again if it is refused then.
func (b *Inbox) empty() (said []string, err error) {
	src := b.src
	if b.open || src.pos == src.head || src.long {
		return nil, nil
	}
	if src.readOnly {
		w, err := src.file.Reopen("reads:reopen", true)
		if err != nil {
			if b.once("read-only") {
				said = []string{b.path + " cannot be written by this monitor: what was acted upon stays in it, and is not acted upon again"}
			}
			return said, nil
		}
		if err := src.file.Close(); err != nil {
			return nil, errors.Join(err, w.Close())
		}
		src.file, src.readOnly = w, false
	}
	now, err := src.file.Stat()
	if err != nil || now.Size != src.pos {
		return nil, err
	}
	switch src.file.WriteLease() {
	case durable.Written:
		return nil, nil
	case durable.Unknown:
		if b.once("no lease") {
			said = []string{b.path + " is not emptied: this monitor may not ask who has it open (not its owner and no CAP_LEASE, or a network file system)"}
		}
		return said, nil
	}
	src.file.Unlease()

	kept := b.cut
	b.cut = cutting{size: src.pos, sum: sumText(src.sum)}
	if age := clock.Wall().UnixNano() - now.Mtime; age > int64(time.Second) && now.SameContent(src.seen) {
		b.cut.time = now.Mtime
	}
	m := b.current()
	m.Done, m.Taken, m.Sum, m.Long = src.head, src.head, sumText(src.headSum), false
	if err := b.saveMark("done", m); err != nil {
		b.cut, b.unsaved = kept, true
		return nil, err
	}
	// Crash window: whether the cut happened cannot always be told afterwards
	// from the same bytes having been appended again. Then they are repeats.
	ok, err := b.cutNow()
	if !ok {
		b.cut = kept
		b.unsaved = true
		if err != nil && b.once("cut: "+err.Error()) {
			said = append(said, err.Error())
		}
		return said, b.save("done")
	}
	src.cutToHead()
	b.settle()
	if s, err := src.file.Stat(); err == nil && s.Size == src.pos {
		src.look(s)
	}
	return said, nil
}

// cutNow cuts the file unless somebody wrote to it since it was read: `echo … >` may
// have put other lines in the place of those that were acted upon, as many bytes of
// them even, or the same ones once more.
func (b *Inbox) cutNow() (ok bool, err error) {
	src, f := b.src, b.src.file
	if f.WriteLease() != durable.Quiet {
		return false, nil
	}
	defer f.Unlease()
	s, err := f.Stat()
	if err != nil || s.Size != src.pos {
		return false, err
	}
	rewritten, err := src.rewritten(s.Size)
	if err != nil || rewritten || !s.SameContent(src.seen) {
		src.unsure = true
		src.resent = err == nil && !rewritten && src.seen.Size == src.pos
		b.more = true
		return false, err
	}
	err = f.Truncate("reads:truncate", src.head)
	return err == nil, err
}
