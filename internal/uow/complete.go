package uow

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Complete reports whether the file has all that a run needs to be recorded in it
// without moving a byte: a timestamp, a STATUS with its room, and a log.
func (u *Unit) Complete() bool {
	return !u.Enqueued.IsZero() && u.hasRoom() && u.logEnd >= 0 && strings.HasSuffix(u.head, "\n")
}

// Is reports whether u was read from just these bytes.
func (u *Unit) Is(head []byte) bool { return u.head == string(head) }

func (u *Unit) hasRoom() bool {
	return u.statusAt >= 0 && u.statusEnd-u.statusAt >= StatusRoom
}

// StatusAt is the offset of the StatusRoom bytes of STATUS in a Complete unit's
// file.
func (u *Unit) StatusAt() int64 { return int64(u.statusAt) }

// LogAt is the offset of the log's first byte in the file; if that has no log, the
// length of the head.
func (u *Unit) LogAt() int64 { return int64(len(u.head)) }

// Completed is the head with what Complete asks for added: the timestamp, unless
// there is one, is now. Every byte that was there is kept, in its order.
func (u *Unit) Completed(now time.Time) []byte {
	c := completion{eol: u.eol}
	c.Grow(len(u.head) + Growth)
	if u.Enqueued.IsZero() {
		c.line(timestampLine(now))
		if first, _, _ := strings.Cut(u.head, "\n"); strings.Trim(first, blanks+"\r") != "" {
			c.line("")
		}
	}
	rest := u.head
	keep := func(end int) {
		c.WriteString(rest[:end-(len(u.head)-len(rest))])
		rest = u.head[end:]
	}
	switch {
	case u.statusTitleEnd < 0:
		if u.logEnd >= 0 {
			keep(u.logTitle)
		} else {
			keep(len(u.head))
		}
		c.gap()
		c.line(titleMark + statusTitle)
		c.line(strings.Repeat(" ", StatusRoom))
		c.line("")
	case u.statusAt < 0:
		keep(u.statusTitleEnd)
		c.end()
		c.line(strings.Repeat(" ", StatusRoom))
	case !u.hasRoom():
		keep(u.statusEnd)
		c.WriteString(strings.Repeat(" ", StatusRoom-(u.statusEnd-u.statusAt)))
	}
	keep(len(u.head))
	if u.logEnd < 0 {
		c.gap()
		c.line(titleMark + jobLog)
	}
	c.end()
	return c.Bytes()
}

// completion adds lines in the manner of the file.
type completion struct {
	bytes.Buffer
	eol string
}

func (c *completion) line(s string) {
	c.WriteString(s)
	c.WriteString(c.eol)
}

// end ends a last line that has no line end.
func (c *completion) end() {
	if b := c.Bytes(); len(b) > 0 && b[len(b)-1] != '\n' {
		c.WriteString(c.eol)
	}
}

// gap sets a title apart by a blank line.
func (c *completion) gap() {
	c.end()
	if b := c.Bytes(); !bytes.HasSuffix(b, []byte("\n\n")) && !bytes.HasSuffix(b, []byte("\n\r\n")) {
		c.line("")
	}
}

// New renders a complete unit of work with these items in their order. What Parse
// would refuse, or would read as anything else than these items, is an error; its
// errors name items, not lines, for there is no file yet.
func New(enqueued time.Time, items []Item) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\n%s%s\n", timestampLine(enqueued), titleMark, unitOfWork)
	var wrong Errors
	for _, it := range items {
		content := strings.Trim(it.Content, blanks)
		if strings.ContainsAny(it.Content, "\r\n") {
			wrong = append(wrong, &Error{Text: "item " + quote(it.Name) + ": holds a line break (a long script is a file of its own, named in COMMAND)"})
		} else if fault := nameFault(it.Name); fault != "" {
			wrong = append(wrong, &Error{Text: fault})
		} else if content == "" {
			fmt.Fprintf(&b, "%s ::\n", it.Name)
		} else {
			fmt.Fprintf(&b, "%s :: %s\n", it.Name, content)
		}
	}
	fmt.Fprintf(&b, "\n%s%s\n%s\n\n%s%s\n", titleMark, statusTitle, strings.Repeat(" ", StatusRoom), titleMark, jobLog)
	u, err := Parse("", b.Bytes())
	var found Errors
	if errors.As(err, &found) {
		for _, e := range found {
			wrong = append(wrong, &Error{Text: e.Text})
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	if len(u.items) != len(items) {
		return nil, fmt.Errorf("rendering a UOW: %d items became %d", len(items), len(u.items))
	}
	return b.Bytes(), nil
}
