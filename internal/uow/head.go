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

// HeadIn is Head of a file of which text is the beginning or, if so, the whole. It is not ok
// if more has to be read.
func HeadIn(text []byte, whole bool, limit int64) (head []byte, ok bool, err error) {
	limit = min(limit, math.MaxInt64-Growth)
	const title = titleMark + jobLog
	for at := 0; ; at += len(title) {
		i := bytes.Index(text[at:], []byte(title))
		if i < 0 {
			break
		}
		if at += i; at > 0 && text[at-1] != '\n' {
			continue
		}
		end := len(text)
		if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i + 1
		} else if !whole {
			break
		}
		if !isLog(bare(string(text[at:end]))) {
			continue
		}
		if int64(end) > limit+Growth {
			return nil, true, ErrTooLarge
		}
		return text[:end], true, nil
	}
	if whole && int64(len(text)) > limit {
		return nil, true, ErrTooLarge
	}
	return text, whole, nil
}

// Blank reports whether head holds nothing but blanks and line ends. Parse refuses
// such a file too, but somebody is probably still writing it.
func Blank(head []byte) bool {
	return strings.Trim(string(head), blanks+"\r\n") == ""
}

// blanks are what may surround anything in a line.
const blanks = " \t"

func isBlank(line string) bool {
	line = behindRoom(line)
	for i := range len(line) {
		if line[i] != ' ' && line[i] != '\t' {
			return false
		}
	}
	return true
}

// emptyRoom is the longest line of most files.
var emptyRoom = strings.Repeat(" ", StatusRoom)

// behindRoom is a line without the blanks of an empty STATUS, which are many.
func behindRoom(line string) string {
	if len(line) >= StatusRoom && line[:StatusRoom] == emptyRoom {
		return line[StatusRoom:]
	}
	return line
}

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
	rest, is := strings.CutPrefix(line, titleMark+jobLog)
	return is && isBlank(rest)
}
