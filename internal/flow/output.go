package flow

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	// MaxOutput is the most an output file may hold, in bytes: whatever is in one
	// that is longer can't be values of a flow.
	MaxOutput = 2 * MaxContext

	maxValueName = 64
	nameChars    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
)

// OutputError is what is wrong with an output file.
type OutputError struct {
	Line int // 0: the file as a whole
	Text string
}

func (e *OutputError) Error() string {
	if e.Line == 0 {
		return "invalid output: " + e.Text
	}
	return fmt.Sprintf("invalid output in line %d: %s", e.Line, e.Text)
}

// ParseOutput reads what the commands of a try wrote into their output file: lines
// NAME=VALUE, or NAME<<END, lines of the value, and a line END. Empty lines between
// them mean nothing, of two values of a name the later one counts. The values come
// out sorted by name. The error is an OutputError.
func ParseOutput(b []byte) ([]Value, error) {
	if len(b) > MaxOutput {
		return nil, &OutputError{Text: fmt.Sprintf("it is more than %d bytes (write large things into a file in $MONITOR_SHARED)", MaxOutput)}
	}
	found := map[string]string{}
	r := outputReader{rest: b}
	for r.next() {
		if len(r.line) == 0 {
			continue
		}
		if err := r.entry(found); err != nil {
			return nil, err
		}
	}
	values := make([]Value, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		values = append(values, Value{name, found[name]})
	}
	if n := weight(values); n > MaxContext {
		return nil, &OutputError{Text: fmt.Sprintf("its values are %d bytes together (at most %d; write large things into a file in $MONITOR_SHARED)", n, MaxContext)}
	}
	return values, nil
}

type outputReader struct {
	rest, line []byte
	n          int
}

func (r *outputReader) next() bool {
	if len(r.rest) == 0 {
		return false
	}
	r.line, r.rest, _ = bytes.Cut(r.rest, []byte("\n"))
	r.n++
	return true
}

// entry reads the value that begins in this line.
func (r *outputReader) entry(found map[string]string) error {
	line, begins := r.line, r.n
	wrong := func(format string, args ...any) error {
		return &OutputError{begins, fmt.Sprintf(format, args...)}
	}
	rest := bytes.TrimLeft(line, nameChars)
	name := string(line[:len(line)-len(rest)])
	const write = "write NAME=VALUE, or NAME<<END, the lines of the value and END; a name is letters, digits and _"
	switch {
	case name == "" || len(rest) == 0 || rest[0] != '=' && !bytes.HasPrefix(rest, []byte("<<")):
		return wrong("%s is no value (%s)", short(line), write)
	case len(name) > maxValueName:
		return wrong("the name %s is longer than %d bytes", short([]byte(name)), maxValueName)
	}
	value := rest[1:]
	if rest[0] != '=' {
		end := rest[2:]
		if len(end) == 0 {
			return wrong("%s names no END (%s)", short(line), write)
		}
		whole := r.rest
		for {
			before := len(whole) - len(r.rest)
			if !r.next() {
				return wrong("the value of %s has no line %s that ends it", name, short(end))
			}
			if bytes.Equal(r.line, end) {
				value = bytes.TrimSuffix(whole[:before], []byte("\n"))
				break
			}
		}
	}
	if bytes.IndexByte(value, 0) >= 0 {
		return wrong("the value of %s holds a zero byte, which no environment can", name)
	}
	if len(value) > MaxValue {
		return wrong("the value of %s is %d bytes (at most %d; write large things into a file in $MONITOR_SHARED)", name, len(value), MaxValue)
	}
	found[strings.ToUpper(name)] = string(value)
	return nil
}

// short shows what a command wrote: on one line, and not much of it.
func short(b []byte) string {
	const most = 80
	if len(b) <= most {
		return strconv.Quote(string(b))
	}
	return strconv.Quote(string(b[:most]) + "…")
}
