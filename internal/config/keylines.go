package config

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// keyLines tells for each key of a text that the TOML library has accepted the
// line on which it first stands, tables included; the library tells a line only
// for what it refuses itself. On any other text the answer is of no use, but it
// is given.
//
// It gives up at what is nested deeper than maxDepth and says where; the time
// and memory the library takes for that grow with its square.
func keyLines(text string) (lines map[string]int, tooDeep int) {
	s := lineScanner{text: text, line: 1, lines: map[string]int{}}
	var table []string
	for {
		s.skip(" \t\r\n")
		switch {
		case s.pos >= len(s.text):
			return s.lines, s.tooDeep
		case s.text[s.pos] == '[':
			s.skip("[ \t")
			table = s.key(nil)
			s.skip("] \t")
		default:
			s.pair(table)
		}
	}
}

type lineScanner struct {
	text  string
	pos   int
	line  int
	lines map[string]int

	depth   int // of brackets
	tooDeep int // line, 0 if nothing is
}

// maxDepth is far above what any key of ours needs.
const maxDepth = 20

func (s *lineScanner) giveUp() {
	s.tooDeep, s.pos = s.line, len(s.text)
}

// next steps over one byte.
func (s *lineScanner) next() {
	if s.pos < len(s.text) {
		if s.text[s.pos] == '\n' {
			s.line++
		}
		s.pos++
	}
}

func (s *lineScanner) at(c byte) bool { return s.pos < len(s.text) && s.text[s.pos] == c }

// skip steps over the given bytes and over comments.
func (s *lineScanner) skip(set string) {
	for s.pos < len(s.text) {
		switch {
		case strings.IndexByte(set, s.text[s.pos]) >= 0:
			s.next()
		case s.text[s.pos] == '#':
			for s.pos < len(s.text) && s.text[s.pos] != '\n' {
				s.pos++
			}
		default:
			return
		}
	}
}

// pair reads KEY = VALUE. It always gets on by at least a byte.
func (s *lineScanner) pair(table []string) {
	path := s.key(table)
	s.skip(" \t")
	s.next() // the equals sign
	s.value(path)
}

// key reads a key, dotted or not, and notes the line for it and each table it
// goes through.
func (s *lineScanner) key(table []string) []string {
	path := table
	for {
		if len(path)-len(table) > maxDepth {
			s.giveUp()
		}
		s.skip(" \t")
		path = child(path, s.part())
		if _, known := s.lines[join(path)]; !known {
			s.lines[join(path)] = s.line
		}
		s.skip(" \t")
		if !s.at('.') {
			return path
		}
		s.next()
	}
}

func (s *lineScanner) part() string {
	start := s.pos
	if s.at('"') || s.at('\'') {
		s.quoted()
		return unquote(s.text[start:s.pos])
	}
	for s.pos < len(s.text) && strings.IndexByte(" \t\r\n.=]#", s.text[s.pos]) < 0 {
		s.pos++
	}
	return s.text[start:s.pos]
}

// quoted steps over a string of any of the four kinds.
func (s *lineScanner) quoted() {
	quote := s.text[s.pos : s.pos+1]
	if strings.HasPrefix(s.text[s.pos:], strings.Repeat(quote, 3)) {
		quote = strings.Repeat(quote, 3)
	}
	s.pos += len(quote)
	for s.pos < len(s.text) && !strings.HasPrefix(s.text[s.pos:], quote) {
		if quote[0] == '"' && s.at('\\') {
			s.next()
		}
		s.next()
	}
	s.pos = min(s.pos+len(quote), len(s.text))
	// A multi-line string may end in up to two quotes of its own.
	for len(quote) == 3 && s.at(quote[0]) {
		s.pos++
	}
}

// unquote leaves the escapes of a quoted key to the library.
func unquote(key string) string {
	var value struct{ K string }
	if _, err := toml.Decode("K = "+key, &value); err != nil {
		return key
	}
	return value.K
}

// value steps over a value; keys in inline tables are noted.
func (s *lineScanner) value(path []string) {
	s.skip(" \t")
	switch {
	case s.pos >= len(s.text):
	case s.at('"') || s.at('\''):
		s.quoted()
	case s.at('['):
		s.group(']', func() { s.value(path) })
	case s.at('{'):
		s.group('}', func() { s.pair(path) })
	default:
		for s.pos < len(s.text) && strings.IndexByte(",]}#\r\n", s.text[s.pos]) < 0 {
			s.pos++
		}
	}
}

// group reads what stands between brackets.
func (s *lineScanner) group(end byte, one func()) {
	if s.depth++; s.depth > maxDepth {
		s.giveUp()
	}
	defer func() { s.depth-- }()
	s.next()
	for {
		s.skip(" \t\r\n,")
		if s.pos >= len(s.text) {
			return
		}
		if s.at(end) {
			s.next()
			return
		}
		before := s.pos
		one()
		if s.pos == before {
			s.next()
		}
	}
}
