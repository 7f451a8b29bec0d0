package messages

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"simplejobq/internal/clock"
	"simplejobq/internal/durable"
)

// Stamp is how times are written for people and programs.
const Stamp = "2006-01-02T15:04:05.000Z"

// Says is what the monitor tells people, one line an entry.
type Says struct{ lines lines }

// OpenSays prepares the file name in dir, rotated before it grows past size
// bytes (0: never) with keep old ones kept. Nothing is opened before the first
// Flush: a full or broken disk is no reason not to start.
func OpenSays(dir *durable.Dir, name string, size int64, keep int) (*Says, error) {
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return nil, fmt.Errorf("%q is no file name for what the monitor says", name)
	}
	return &Says{lines{dir: dir, name: name, limit: size, keep: int64(keep), lost: func(n int) []byte {
		return sayLine(clock.Wall(), "trouble", "", fmt.Sprintf("%d lines could not be written here in time and are lost", n))
	}}}, nil
}

// Say notes one entry. uow may be empty; each line of prose becomes a line with
// the same time, word and name.
func (s *Says) Say(t time.Time, word, uow, prose string) {
	for line := range strings.SplitSeq(strings.TrimRight(prose, "\r\n"), "\n") {
		s.lines.add(sayLine(t, word, uow, strings.TrimSuffix(line, "\r")))
	}
}

func sayLine(t time.Time, word, uow, prose string) []byte {
	b := make([]byte, 0, len(Stamp)+2+8+2+len(uow)+2+len(prose)+1)
	b = t.UTC().AppendFormat(b, Stamp)
	b = append(b, "  "...)
	b = append(b, visible(word)...)
	for n := len(word); n < 8; n++ {
		b = append(b, ' ')
	}
	if uow != "" {
		b = append(b, "  "...)
		b = append(b, nameShown(uow)...)
	}
	if prose != "" {
		b = append(b, "  "...)
		b = append(b, visible(prose)...)
	}
	for b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return append(b, '\n')
}

// Full reports that Flush should not wait much longer.
func (s *Says) Full() bool { return s.lines.full() }

// Flush appends everything said so far with one write. After an error it is
// kept for the next Flush, up to 1 MiB; then the oldest goes, with a count.
func (s *Says) Flush() error { return s.lines.flush() }

// Close flushes and gives the file back.
func (s *Says) Close() error { return s.lines.close() }

// SayBeside appends one line past a Says whose disk does not answer. It may wait
// for that disk as well.
func SayBeside(dir *durable.Dir, name string, t time.Time, word, prose string) error {
	f, err := dir.OpenAppend("says beside:open", name, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write("says beside:append", sayLine(t, word, "", prose))
	return errors.Join(err, f.Close())
}
