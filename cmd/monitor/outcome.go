package main

import (
	"io"
	"strconv"
	"strings"

	"simplejobq/internal/pattern"
	"simplejobq/internal/uow"
)

var (
	exitText = pattern.Lazy(`^exit ([0-9]{1,3}) `)
	phase    = pattern.Lazy(`^(step "[^"]*" \(try \d+ of \d+\): )?(no act: )?((check|recheck) )?`)
)

// jobStatus is the exit status that stands for an outcome as STATUS tells it.
func jobStatus(text string) int {
	kind, rest, _ := strings.Cut(text, ": ")
	if kind == uow.Done {
		return exitOK
	}
	rest = rest[len(phase().FindString(rest)):]
	if after, ok := strings.CutPrefix(rest, "output matched "); ok {
		// The pattern is quoted, and may hold anything.
		if quoted, err := strconv.QuotedPrefix(after); err == nil {
			rest = strings.TrimPrefix(after[len(quoted):], ": ")
		}
	}
	if m := exitText().FindStringSubmatch(rest); m != nil {
		if code, err := strconv.Atoi(m[1]); err == nil && code > 0 && code < 256 {
			return code
		}
		return exitNo
	}
	switch {
	case strings.HasPrefix(rest, "timed out ") || strings.HasPrefix(rest, "silent "):
		return exitTime
	case kind == uow.Failed:
		return exitFail
	}
	return exitNo
}

// wholeStatus finds the outcome in the log's end if STATUS had no room for all
// of it.
func (t *trail) wholeStatus(cut string) (string, error) {
	st, err := t.file.Stat()
	if err != nil {
		return "", err
	}
	b := make([]byte, min(st.Size, 64<<10))
	if _, err := t.file.ReadAt(b, st.Size-int64(len(b))); err != nil && err != io.EOF {
		return "", err
	}
	begin, _, _ := strings.Cut(cut, "…")
	found := ""
	for line := range strings.SplitSeq(string(b), "\n") {
		rest, ok := strings.CutPrefix(line, "---- ")
		if !ok {
			continue
		}
		if _, text, ok := strings.Cut(rest, " "); ok && strings.HasPrefix(text, begin) {
			found = text
		}
	}
	return found, nil
}
