package config

import (
	"fmt"
	"slices"
	"strings"
)

// Error is one fault of a configuration file. Line is 0 where none can be told.
type Error struct {
	File string
	Line int
	Text string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Text)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// Errors are all faults of a file in the order of its lines; one line of text
// each.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, fault := range e {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a single fault.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, fault := range e {
		errs[i] = fault
	}
	return errs
}

// source tells where in which file a key was set.
type source struct {
	file  string
	lines map[string]int // by joined path
}

// join makes one map key of a path; no TOML key of ours holds a NUL, and one
// of somebody else's can at worst be given a wrong line.
func join(path []string) string { return strings.Join(path, "\x00") }

// line is that of the key itself, else of the nearest table around it: a key
// that is missing is best looked for there.
func (s source) line(path []string) int {
	for n := len(path); n > 0; n-- {
		if line := s.lines[join(path[:n])]; line > 0 {
			return line
		}
	}
	return 0
}

// fault notes an error at a key. A value that could not even be read is not
// judged a second time.
func (d *decoder) fault(path []string, format string, args ...any) {
	if d.bad[join(path)] {
		return
	}
	d.bad[join(path)] = true
	d.errs = append(d.errs, &Error{File: d.from.file, Line: d.from.line(path), Text: fmt.Sprintf(format, args...)})
}

// faultAt is fault with the key's name before the text.
func (d *decoder) faultAt(path []string, format string, args ...any) {
	d.fault(path, "%s: %s", dotted(path), fmt.Sprintf(format, args...))
}

// maxErrors is what a person still reads; a file that is something else
// altogether would have one fault a line.
const maxErrors = 50

func (d *decoder) sorted() Errors {
	slices.SortStableFunc(d.errs, func(a, b *Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Text, b.Text)
	})
	if more := len(d.errs) - maxErrors; more > 0 {
		return append(d.errs[:maxErrors], &Error{File: d.from.file, Text: fmt.Sprintf("and %d more", more)})
	}
	return d.errs
}
