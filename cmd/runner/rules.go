package main

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	longestLine = 64 << 10 // a longer one is matched in pieces …
	overlap     = 4 << 10  // … that share as much
)

// rules look for error_if and fail_if in the output, line by line, colours and
// other escape sequences taken out. They are kept from one command to the next.
type rules struct {
	texts         [2][]string
	patterns      [2][]*regexp.Regexp
	hit           [2]int // index of the first that matched, -1
	line, cleaned []byte // a line that is not whole yet
}

const (
	errorRule = iota
	failRule
)

// begin makes ready for the output of the next command.
func (r *rules) begin(errorIf, failIf []string) error {
	r.hit = [2]int{-1, -1}
	r.line = r.line[:0]
	for i, texts := range [2][]string{errorIf, failIf} {
		if slices.Equal(texts, r.texts[i]) {
			continue
		}
		r.texts[i], r.patterns[i] = nil, nil
		var compiled []*regexp.Regexp
		for k, text := range texts {
			p, err := regexp.Compile(text)
			if err != nil {
				return fmt.Errorf("the pattern %q: %w", text, err)
			}
			compiled = append(compiled, p)
			texts[k] = strings.Clone(text) // else the whole spec stays in memory
		}
		r.texts[i], r.patterns[i] = texts, compiled
	}
	return nil
}

// open reports whether there is still something to find.
func (r *rules) open() bool {
	return len(r.patterns[errorRule]) > 0 && r.hit[errorRule] < 0 || len(r.patterns[failRule]) > 0 && r.hit[failRule] < 0
}

// feed takes output. A line ends with a line feed or, as progress bars write
// them, with a carriage return.
func (r *rules) feed(b []byte) {
	for r.open() && len(b) > 0 {
		n := bytes.IndexAny(b, "\r\n")
		if n < 0 {
			r.hold(b)
			return
		}
		if len(r.line) == 0 && n <= longestLine {
			r.match(b[:n])
		} else {
			r.hold(b[:n])
			r.match(r.line)
			r.line = r.line[:0]
		}
		b = b[n+1:]
	}
}

// hold keeps the beginning of a line. One that grows too long is matched piece by
// piece, each with the end of the one before; where a piece was cut stands a NUL,
// so that ^ and $ mean the line's own ends.
func (r *rules) hold(b []byte) {
	for len(b) > 0 {
		n := min(len(b), longestLine-len(r.line))
		r.line = append(r.line, b[:n]...)
		if b = b[n:]; len(r.line) < longestLine {
			return
		}
		r.match(append(r.line, 0))
		tail := r.line[len(r.line)-overlap:]
		r.line = append(append(r.line[:0], 0), tail...)
	}
}

// end matches a last line without a line break.
func (r *rules) end() {
	if len(r.line) > 0 && r.open() {
		r.match(r.line)
	}
	r.line = nil
}

func (r *rules) match(line []byte) {
	if bytes.IndexByte(line, 0x1b) >= 0 {
		r.cleaned = appendPlain(r.cleaned[:0], line)
		line = r.cleaned
	}
	for i := range r.patterns {
		if r.hit[i] >= 0 {
			continue
		}
		r.hit[i] = slices.IndexFunc(r.patterns[i], func(p *regexp.Regexp) bool { return p.Match(line) })
	}
}

// appendPlain leaves out the escape sequences of ECMA-48: control sequences
// (colours, cursor), strings (titles, links) and the short ones.
func appendPlain(to, line []byte) []byte {
	for i := 0; i < len(line); {
		if line[i] != 0x1b {
			to = append(to, line[i])
			i++
			continue
		}
		i++
		if i == len(line) {
			break
		}
		kind := line[i]
		i++
		switch kind {
		case '[':
			for i < len(line) && line[i] >= 0x20 && line[i] < 0x40 {
				i++
			}
			if i < len(line) && line[i] >= 0x40 && line[i] < 0x7f {
				i++
			}
		case ']', 'P', 'X', '^', '_': // up to BEL or ESC \
			for i < len(line) && line[i] != 0x07 && line[i] != 0x1b {
				i++
			}
			if i < len(line) && line[i] == 0x07 {
				i++
			} else if i+1 < len(line) && line[i+1] == '\\' {
				i += 2
			}
		default:
			for i--; i < len(line) && line[i] >= 0x20 && line[i] < 0x30; {
				i++
			}
			if i < len(line) && line[i] >= 0x30 && line[i] < 0x7f {
				i++
			}
		}
	}
	return to
}
