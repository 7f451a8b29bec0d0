package run

import (
	"errors"
	"hash/crc32"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A record is four areas of one page each. A page is written in one call, so a
// writer that is killed leaves the old or the new; what a power cut tears the
// checksum shows. Each area has one writer.
const (
	areaSize = 4096
	startAt  = 0 * areaSize // the monitor
	liveAt   = 1 * areaSize // the runner
	killAt   = 2 * areaSize // the monitor
	endAt    = 3 * areaSize // the runner

	recordSize = 4 * areaSize
)

// ErrDamaged says that a record's area is neither blank nor whole.
var ErrDamaged = errors.New("the run record is damaged")

var errTooLong = errors.New("it does not fit into a run record")

const sumLen = len("sum=01234567\n")

// area collects the lines of an area; it is reused.
type area struct{ b []byte }

func (a *area) reset() { a.b = a.b[:0] }

func (a *area) text(key, value string) {
	if value == "" {
		return
	}
	a.b = append(append(a.b, key...), '=')
	a.b = appendEscaped(a.b, value)
	a.b = append(a.b, '\n')
}

func (a *area) number(key string, n int64) {
	if n == 0 {
		return
	}
	a.b = append(append(a.b, key...), '=')
	a.b = append(strconv.AppendInt(a.b, n, 10), '\n')
}

// room is what still fits.
func (a *area) room() int { return areaSize - sumLen - 1 - len(a.b) }

// seal fills the area up and ends it with its checksum.
func (a *area) seal() ([]byte, error) {
	if a.room() < 0 {
		return nil, errTooLong
	}
	for len(a.b) < areaSize-sumLen-1 {
		a.b = append(a.b, ' ')
	}
	a.b = append(a.b, '\n')
	sum := crc32.ChecksumIEEE(a.b)
	a.b = append(a.b, "sum="...)
	for shift := 28; shift >= 0; shift -= 4 {
		a.b = append(a.b, "0123456789abcdef"[sum>>shift&15])
	}
	a.b = append(a.b, '\n')
	return a.b, nil
}

// readArea calls field for each line of an area. Blank is one nobody wrote yet.
func readArea(b []byte, field func(key, value string) error) (blank bool, err error) {
	body := b
	if len(b) >= sumLen {
		body = b[:len(b)-sumLen]
	}
	if isBlank(b) {
		return true, nil
	}
	var sum uint64
	if len(b) == areaSize {
		tail := string(b[len(body):])
		sum, err = strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(tail, "sum="), "\n"), 16, 32)
	}
	if len(b) != areaSize || err != nil || uint32(sum) != crc32.ChecksumIEEE(body) {
		return false, ErrDamaged
	}
	lines := string(body)
	for lines != "" {
		line, rest, _ := strings.Cut(lines, "\n")
		if lines = rest; strings.TrimLeft(line, " ") == "" {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return false, ErrDamaged
		}
		if value, ok = unescape(value); !ok {
			return false, ErrDamaged
		}
		if err := field(key, value); err != nil {
			return false, ErrDamaged
		}
	}
	return false, nil
}

func isBlank(b []byte) bool {
	for _, c := range b {
		if c != ' ' && c != '\n' && c != 0 {
			return false
		}
	}
	return true
}

// appendEscaped writes s so that it stays on one line and on any terminal.
func appendEscaped(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			b = append(b, `\\`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c < ' ' || c == 0x7f:
			b = append(b, '\\', 'x', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		switch {
		case i < len(s) && s[i] == '\\':
			b = append(b, '\\')
		case i < len(s) && s[i] == 'n':
			b = append(b, '\n')
		case i+2 < len(s) && s[i] == 'x':
			c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			b = append(b, byte(c))
			i += 2
		default:
			return "", false
		}
	}
	return string(b), true
}

// cut shortens s so that it takes at most room bytes when escaped.
func cut(s string, room int) string {
	const mark = "…"
	var one [16]byte
	used, keep := 0, 0 // keep: how much of s fits with the mark behind it
	for i := 0; i < len(s); {
		_, width := utf8.DecodeRuneInString(s[i:])
		used += len(appendEscaped(one[:0], s[i:i+width]))
		if i += width; used <= room-len(mark) {
			keep = i
		}
		if used > room {
			if room < len(mark) {
				return ""
			}
			return s[:keep] + mark
		}
	}
	return s
}
