package uow

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
)

// Growth is more than Completed ever adds to a head. A head that has its log may
// be that much over the limit, so that a file which was just small enough when it
// was accepted is not refused when it is looked at again.
const Growth = 512

// Head reads up to and including the line "==== JOB LOG" with its line end, or to
// the end if there is no such line, and returns those bytes. It is ErrTooLarge if
// they are more than limit (see Growth); r is read no further than that needs.
func Head(r io.Reader, limit int64) ([]byte, error) {
	limit = min(limit, math.MaxInt64-Growth)
	in := bufio.NewReader(r)
	var head []byte
	for start := 0; ; {
		part, err := in.ReadSlice('\n')
		head = append(head, part...)
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if int64(len(head)) > limit+Growth {
			return nil, ErrTooLarge
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if bytes.HasPrefix(head[start:], []byte(titleMark+jobLog)) && isLog(bare(string(head[start:]))) {
			return head, nil
		}
		if err == io.EOF {
			if int64(len(head)) > limit {
				return nil, ErrTooLarge
			}
			return head, nil
		}
		start = len(head)
	}
}

// Blank reports whether head holds nothing but blanks and line ends. Parse refuses
// such a file too, but somebody is probably still writing it.
func Blank(head []byte) bool {
	return strings.Trim(string(head), blanks+"\r\n") == ""
}

// blanks are what may surround anything in a line.
const blanks = " \t"

// bare is a line without its line end. A carriage return alone ends no line.
func bare(line string) string {
	line, ended := strings.CutSuffix(line, "\n")
	if ended {
		line = strings.TrimSuffix(line, "\r")
	}
	return line
}

// isLog recognises the title that ends the parsed part; Head and Parse must agree
// on it to the byte.
func isLog(line string) bool {
	return strings.TrimRight(line, blanks) == titleMark+jobLog
}
