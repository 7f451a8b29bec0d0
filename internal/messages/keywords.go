package messages

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// What may stand behind a keyword.
type argument int

const (
	none argument = iota
	optionalName
	needsName
	nameFromStep // a name, then perhaps FROM and a step
)

// The one table of what the monitor understands. A keyword of two words stands
// as a whole.
var keywords = []struct {
	word string
	arg  argument
	show string
	help string
}{
	{"HELP", none, "", "this text, in monitor_says"},
	{"STATUS", none, "", "the digest, in monitor_says"},
	{"CONFIG", none, "", "the configuration in force, in monitor_says"},
	{"SHUTDOWN", none, "", "stop; running jobs go on and are found again"},
	{"FINISH", none, "", "start nothing new; stop when the running have ended"},
	{"KILL JOB", optionalName, " [name]", "end the running job; all of them without a name"},
	{"PAUSE", none, "", "start nothing new, also after a restart"},
	{"RESUME", none, "", "go on after PAUSE"},
	{"HOLD", needsName, " name", "park it: to hold-q"},
	{"RELEASE", needsName, " name", "from hold-q to wait-q"},
	{"PROMOTE", needsName, " name", "to priority-q"},
	{"DEMOTE", needsName, " name", "to wait-q"},
	{"REQUEUE", nameFromStep, " name", "an ended one back to wait-q, to begin anew"},
	{"ARCHIVE", needsName, " name", "put it away for keeping"},
	{"TRASH", needsName, " name", "put it away for throwing away"},
	{"CLEANUP", needsName, " name", "run the clean-ups of an ended one"},
	{"EXPLAIN", needsName, " name", "why it is where it is"},
	{"RELOAD", none, "", "read the configuration again"},
}

// Message is one line of monitor_reads, understood.
type Message struct {
	Keyword string
	Args    string // what follows the keyword, trimmed; a name may hold blanks
	ID      string // of a trailing " #id", so that the sender knows its answer
	Raw     string // the line as it was written
	Again   bool   // a crash left it without its done mark: it may have been acted upon
}

// Target is the name a message is about and, for REQUEUE name FROM step, the
// step. A UOW whose own name holds " FROM " is meant by queue/pattern.
func (m Message) Target() (name, step string) {
	if i := strings.LastIndex(m.Args, " FROM "); i >= 0 && m.Keyword == "REQUEUE" {
		return strings.TrimSpace(m.Args[:i]), strings.TrimSpace(m.Args[i+len(" FROM "):])
	}
	return m.Args, ""
}

const maxID = 64

// Parse reads one line. The error is the whole answer to who wrote it; Raw and
// ID are there also then.
func Parse(line string) (Message, error) {
	m := Message{Raw: line}
	s := strings.TrimSpace(line)
	s, m.ID = cutID(s)
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); i >= 0 {
		return m, fmt.Errorf("not understood: %s holds a control character", Quote(line))
	}
	for _, k := range keywords {
		rest, ok := cutKeyword(s, k.word)
		if !ok {
			continue
		}
		m.Keyword, m.Args = k.word, rest
		switch name, step := m.Target(); {
		case k.arg == none && rest != "":
			return m, fmt.Errorf("not understood: %s: %s stands alone", Quote(line), k.word)
		case k.arg != none && k.arg != optionalName && name == "":
			return m, fmt.Errorf("not understood: %s: write %s%s", Quote(line), k.word, k.show)
		case k.arg == nameFromStep && step == "" && (name != rest || strings.HasSuffix(rest, " FROM")):
			return m, fmt.Errorf("not understood: %s: write %s name FROM step", Quote(line), k.word)
		}
		return m, nil
	}
	if s == "" {
		return m, fmt.Errorf("not understood: %s is no message; HELP lists them", Quote(line))
	}
	if near := nearestKeyword(s); near != "" {
		return m, fmt.Errorf("not understood: %s; did you mean %s?", Quote(line), near)
	}
	return m, fmt.Errorf("not understood: %s; HELP lists the messages", Quote(line))
}

// cutID takes a trailing " #id" off.
func cutID(s string) (rest, id string) {
	i := strings.LastIndexByte(s, '#')
	if i < 1 || s[i-1] != ' ' || len(s)-i-1 > maxID || i+1 == len(s) {
		return s, ""
	}
	for _, c := range []byte(s[i+1:]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return s, ""
		}
	}
	return strings.TrimSpace(s[:i]), s[i+1:]
}

// cutKeyword takes a keyword off the front of s; any blanks may part its words.
func cutKeyword(s, keyword string) (rest string, ok bool) {
	for word := range strings.FieldsSeq(keyword) {
		if s, ok = strings.CutPrefix(s, word); !ok || s != "" && s[0] != ' ' && s[0] != '\t' {
			return "", false
		}
		s = strings.TrimLeft(s, " \t")
	}
	return s, true
}

// nearestKeyword guesses by the first word and by the first two.
func nearestKeyword(s string) string {
	var all []string
	for _, k := range keywords {
		all = append(all, k.word)
	}
	words := strings.Fields(s)
	if len(words) > 1 {
		if near := Nearest(words[0]+" "+words[1], all); near != "" {
			return near
		}
	}
	if strings.EqualFold(words[0], "kill") {
		return "KILL JOB"
	}
	return Nearest(words[0], all)
}

// HowTo is the comment block a new monitor_reads begins with, and the answer to
// HELP. file is the path people append to.
func HowTo(file string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Messages to the monitor: append one line each, for example
#   echo "STATUS" >> %s
# The answer appears in monitor_says (follow it with tail -F). A line needs its
# newline, and is taken out once it is acted upon; this block of lines that
# begin with # stays.
# Keywords are capitals. A name is the name of a unit of work; queue/name means
# exactly that file, and queue/pattern with * and ? means many.
#
`, visible(file))
	for _, k := range keywords {
		fmt.Fprintf(&b, "#   %-22s  %s\n", k.word+k.show, k.help)
		if k.arg == nameFromStep {
			fmt.Fprintf(&b, "#   %-22s  %s\n", k.word+" name FROM step", "keep what the other steps got done")
		}
	}
	return b.String()
}

const quoteBytes = 80

// Quote shows what somebody wrote: escaped, in quotes, cut at 80 bytes.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, n := 0, 0; i < len(s); i += n {
		r, size := utf8.DecodeRuneInString(s[i:])
		n = size
		part := escape(r, s[i:i+n])
		if r == '"' || r == '\\' {
			part = `\` + part
		}
		if b.Len()-1+len(part) > quoteBytes {
			b.WriteString("…")
			break
		}
		b.WriteString(part)
	}
	b.WriteByte('"')
	return b.String()
}
