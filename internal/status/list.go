package status

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Table writes a line for each UOW, as [Job.Line] does.
func Table(w io.Writer, jobs []Job, color bool) error {
	for _, j := range jobs {
		if _, err := fmt.Fprintln(w, j.Line(color)); err != nil {
			return fmt.Errorf("write list: %w", err)
		}
	}
	return nil
}

// Line is one UOW in one line: enqueued, state, queue, name, and what is to be
// said about it. Columns are separated by two blanks and at least as wide as
// usual values, so that lines stand under each other without knowing each
// other; none is ever empty or, but for the last, holds a blank outside quotes.
func (j Job) Line(color bool) string {
	enqueued := "-"
	if !j.Enqueued.IsZero() {
		enqueued = j.Enqueued.String()
	}
	state := pad(word(string(j.State)), 8)
	if color {
		state = paint(j.State, state)
	}
	const gap = "  "
	return pad(enqueued, 24) + gap + state + gap + pad(word(j.Queue), 19) + gap + pad(Name(j.Name), 24) + gap + j.about()
}

// about is the last column.
func (j Job) about() string {
	var parts []string
	switch j.State {
	case Running, Ending:
		parts = j.progress()
		if !j.Started.IsZero() {
			parts = append([]string{"since " + j.Started.String()}, parts...)
		}
		if j.PID > 0 {
			parts = append(parts, fmt.Sprintf("pid %d", j.PID))
		}
	case Waiting, Held:
		parts = j.progress()
	default: // STATUS tells of its tries
		parts = j.steps()
	}
	for _, text := range []string{j.Why, j.Status} {
		if text = oneLine(text); text != "" {
			parts = append(parts, text)
			break
		}
	}
	about := strings.Join(parts, ", ")
	if title := oneLine(j.Title); title != "" {
		about = strings.TrimSpace(about + "  (" + title + ")")
	}
	if about == "" {
		return "-"
	}
	return about
}

func (j Job) progress() []string {
	var parts []string
	if j.Try > 0 {
		parts = append(parts, fmt.Sprintf("try %d", j.Try))
	}
	return append(parts, j.steps()...)
}

func (j Job) steps() []string {
	if j.Steps == nil {
		return nil
	}
	return []string{fmt.Sprintf("%d/%d steps", j.Steps.Done, j.All)}
}

// Name shows a UOW's name: as it is, or quoted if a blank, a quote or a
// character that can't be seen is in it.
func Name(name string) string {
	odd := func(r rune) bool {
		return r == '"' || r == '\\' || r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r)
	}
	if name == "" || !graphic(name) && strings.ContainsFunc(name, odd) {
		return strconv.Quote(name)
	}
	return name
}

// graphic reports whether a name holds nothing but letters, digits and - . _ ~ of ASCII, as
// most do.
func graphic(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
		default:
			return false
		}
	}
	return true
}

// word is Name for what is only odd in a digest written by somebody else.
func word(s string) string {
	if s == "" {
		return "-"
	}
	return Name(s)
}

func pad(s string, width int) string {
	const blanks = "                        " // as wide as the widest column
	return s + blanks[:max(0, width-utf8.RuneCountInString(s))]
}

// oneLine makes text of any origin fit to stand in a line of ours.
func oneLine(s string) string {
	return strings.TrimSpace(breaks.Replace(Strip(s, false)))
}

var breaks = strings.NewReplacer("\n", " ", "\t", " ")

// The foreground colours every terminal has.
var colors = map[State]int{
	Held: 33, Running: 36, Ending: 36, Done: 32, Error: 31, Fail: 35, Trashed: 31,
}

func paint(state State, text string) string {
	c, ok := colors[state]
	if !ok {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", c, text)
}
