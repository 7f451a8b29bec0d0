package status

import (
	"strings"
	"unicode/utf8"
)

// Strip takes escape sequences and control characters out of a job's text, so
// that it can be shown on a terminal and do nothing there. Line breaks and tabs
// stay; a carriage return within a line, as progress bars write, becomes a line
// break, because text written over text could hide it. With keepColor the
// sequences that set colours stay.
//
// A sequence that is not finished ends with its line: a job can make its own
// line unreadable but not the ones after it. So a text may be stripped line by
// line. What is not UTF-8 is shown as U+FFFD.
func Strip(s string, keepColor bool) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for len(s) > 0 {
		r, n := decode(s)
		switch {
		case r == esc:
			n = sequence(s, n, &b, keepColor)
		case r == csi:
			n += controlSequence(s[n:])
		case r == dcs, r == sos, r == osc, r == pm, r == apc:
			n += commandString(s[n:], r == osc)
		case r == '\r':
			if len(s) > 1 && s[1] != '\n' {
				b.WriteByte('\n')
			}
		case r == '\n', r == '\t', r >= ' ' && r < 0x7f, r >= 0xa0:
			b.WriteRune(r)
		}
		s = s[n:]
	}
	return b.String()
}

// The controls that begin a sequence; those from 0x80 are also written as the
// escape character and the letter 0x40 below them.
const (
	bel = 0x07
	esc = 0x1b
	dcs = 0x90 // device control, to ST
	sos = 0x98 // start of string, to ST
	csi = 0x9b // parameters and a final byte
	st  = 0x9c // string terminator
	osc = 0x9d // operating system command, to ST or BEL
	pm  = 0x9e // privacy message, to ST
	apc = 0x9f // application command, to ST
)

func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '\n' && c != '\t' && (c < ' ' || c > '~') {
			return false
		}
	}
	return true
}

// decode reads a rune; a single byte of 0x80 to 0x9f, which is no UTF-8, is the
// control it is on a terminal of eight bits.
func decode(s string) (rune, int) {
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 && s[0] >= 0x80 && s[0] <= 0x9f {
		r = rune(s[0])
	}
	return r, n
}

// sequence measures what begins with the escape character at s, which is n
// long, and writes it if it is a colour that is to stay.
func sequence(s string, n int, b *strings.Builder, keepColor bool) int {
	if len(s) == n {
		return n
	}
	switch c := s[n]; {
	case c == '[':
		end := n + 1 + controlSequence(s[n+1:])
		if keepColor && isColor(s[n+1:end]) {
			b.WriteString(s[:end])
		}
		return end
	case c == 'P', c == 'X', c == ']', c == '^', c == '_':
		return n + 1 + commandString(s[n+1:], c == ']')
	case c >= 0x20 && c < 0x30: // intermediates, then one byte
		i := n
		for i < len(s) && s[i] >= 0x20 && s[i] < 0x30 {
			i++
		}
		if i < len(s) && s[i] >= 0x30 && s[i] < 0x7f {
			i++
		}
		return i
	case c >= 0x30 && c < 0x7f:
		return n + 1
	}
	return n // not a sequence; what follows is judged for itself
}

// controlSequence measures the rest of a control sequence. A byte that can't be in one
// ends it and is not part of it.
func controlSequence(s string) int {
	i := 0
	for i < len(s) && s[i] >= 0x20 && s[i] < 0x40 {
		i++
	}
	if i < len(s) && s[i] >= 0x40 && s[i] < 0x7f {
		i++
	}
	return i
}

// isColor knows the one kind of control sequence that only paints: digits and
// their separators, not so many that they are something else.
func isColor(s string) bool {
	params, ok := strings.CutSuffix(s, "m")
	return ok && len(params) <= 64 && strings.Trim(params, "0123456789;:") == ""
}

// commandString measures a string up to its terminator, or the end of the
// line, which is not part of it.
func commandString(s string, bellEnds bool) int {
	for i := 0; i < len(s); {
		r, n := decode(s[i:])
		switch {
		case r == '\n' || r == '\r':
			return i
		case r == st, r == bel && bellEnds:
			return i + n
		case r == esc && strings.HasPrefix(s[i+1:], `\`):
			return i + 2
		case r == esc:
			return i // a new sequence; the terminal drops the string, too
		}
		i += n
	}
	return len(s)
}
