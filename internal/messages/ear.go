package messages

import (
	"bytes"

	"simplejobq/internal/durable"
)

// Ear hears what is appended to monitor_reads while its Inbox waits for a disk
// that does not answer. It only reads and it takes nothing: what it heard is
// still to be read by the Inbox, and may be acted upon early only if acting twice
// does no harm.
type Ear struct {
	path string
	ino  uint64
	pos  int64
}

// Ear begins where the Inbox stands; nil if that has no file.
func (b *Inbox) Ear() *Ear {
	if b.src == nil {
		return nil
	}
	return &Ear{path: b.path, ino: b.src.id.Ino, pos: b.src.pos}
}

// Lines are the whole lines since the last call, comments left out.
func (e *Ear) Lines() (lines []string, err error) {
	st, err := durable.StatPath(e.path)
	if err != nil || !st.Regular() {
		return nil, err
	}
	f, err := durable.OpenPathRead(e.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err = f.Stat(); err != nil || !st.Regular() {
		return nil, err
	}
	if st.Ino != e.ino || st.Size < e.pos {
		e.ino, e.pos = st.Ino, 0
	}
	buf := make([]byte, min(st.Size-e.pos, maxBatch))
	n, err := f.ReadAt(buf, e.pos)
	if err := ignoreEOF(err); err != nil {
		return nil, err
	}
	buf = buf[:bytes.LastIndexByte(buf[:n], '\n')+1]
	e.pos += int64(len(buf))
	for line := range bytes.Lines(buf) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			lines = append(lines, string(line))
		}
	}
	return lines, nil
}
