package uow

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrTooLarge says that more stands before the log than the limit allows.
var ErrTooLarge = errors.New("too large before its log")

const (
	// maxErrors are told of one file: a person mends the first few and looks again.
	maxErrors = 50
	// keptErrors bounds what a file of nothing but errors can cost in memory.
	keptErrors = 1000
	// maxQuote is how much of a user's text one error repeats.
	maxQuote = 80
)

// Error is one thing wrong with a file.
type Error struct {
	File string
	Line int // from 1; 0 is the file as a whole
	Col  int // in characters, from 1; 0 where it would not help
	Text string
}

// Error is one line, whatever the file's name holds.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(showName(e.File))
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
			if e.Col > 0 {
				fmt.Fprintf(&b, ":%d", e.Col)
			}
		}
		b.WriteString(": ")
	}
	return b.String() + e.Text
}

// Errors are all errors of one file, sorted by line.
type Errors []*Error

func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the single errors.
func (es Errors) Unwrap() []error {
	all := make([]error, len(es))
	for i, e := range es {
		all[i] = e
	}
	return all
}

// faults gathers the errors of one file.
type faults struct {
	file  string
	kept  Errors
	total int
}

func (f *faults) add(line, col int, format string, args ...any) {
	f.total++
	if len(f.kept) < keptErrors {
		f.kept = append(f.kept, &Error{File: f.file, Line: line, Col: col, Text: fmt.Sprintf(format, args...)})
	}
}

func (f *faults) err() error {
	if f.total == 0 {
		return nil
	}
	slices.SortStableFunc(f.kept, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	if f.total > maxErrors {
		rest := &Error{File: f.file, Text: fmt.Sprintf("... and %d more", f.total-maxErrors)}
		return append(f.kept[:maxErrors:maxErrors], rest)
	}
	return f.kept
}

// quote shows a user's text: on one line, without control characters, short.
func quote(s string) string {
	if len(s) <= maxQuote {
		return strconv.Quote(s)
	}
	return strconv.Quote(cutAt(s, maxQuote) + "…")
}

// cutAt cuts s to at most n bytes without dividing a character.
func cutAt(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// showName leaves a plain name plain: names are bytes, and one that holds a line
// break must not look like two errors.
func showName(s string) string {
	if quoted := strconv.Quote(s); quoted[1:len(quoted)-1] != s {
		return quoted
	}
	return s
}
