package messages

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// visible is s with everything escaped that would move a cursor, break a line
// or not be seen. It is for reading, not for reading back.
func visible(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return escapeAll(s)
		}
	}
	return s
}

func escapeAll(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		b.WriteString(escape(r, s[i:i+n]))
		i += n
	}
	return b.String()
}

// escape shows one rune, which was read from raw.
func escape(r rune, raw string) string {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		const hex = "0123456789abcdef"
		return `\x` + string(hex[raw[0]>>4]) + string(hex[raw[0]&15])
	case strconv.IsPrint(r):
		return raw
	}
	q := strconv.QuoteRune(r)
	return q[1 : len(q)-1]
}

// nameShown is a UOW's name as says and events show it: quoted as soon as
// there is anything in it that a reader could take for something else.
func nameShown(name string) string {
	if name == "" {
		return `""`
	}
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		if r == ' ' || r == '"' || r == '\'' || !strconv.IsPrint(r) || r == utf8.RuneError && n == 1 {
			return strconv.Quote(name)
		}
		i += n
	}
	return name
}

// validShown shows only what JSON cannot hold; control characters it can.
func validShown(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			b.WriteString(escape(r, s[i:i+1]))
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}
