package uow

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxName = 64

// Parse reads a file up to its log. name is what messages call the file. On any
// error there is no Unit, and the error is the Errors of the whole file. What only
// the graph of the steps tells, such as a cycle, is still to be judged: see StepFault.
func Parse(name string, head []byte) (*Unit, error) { return Judge(name, head, nil) }

// section is where in a file the parser is.
type section int

const (
	before   section = iota // no title yet
	inWork                  // UNIT OF WORK
	inSteps                 // a STEP
	inStatus                // STATUS
	astray                  // below a title that means nothing, or is in the wrong place
)

type parser struct {
	faults
	unit    *Unit
	in      section
	line    int
	titleAt titleLines     // the line of each title seen
	stepAt  map[string]int // the line of each STEP seen, by name
	work    *work          // the section of items that is being read
	begun   bool           // a line that is not blank has been read
	bare    bool           // items stand above the first title
	status  bool           // STATUS has its text
	dirty   bool           // this line held what is no text, and that has been told
}

func (p *parser) read() {
	u := p.unit
	for _, mark := range []string{"\xff\xfe", "\xfe\xff"} {
		if strings.HasPrefix(u.head, mark) {
			p.add(1, 0, "the file is UTF-16 (save it as UTF-8)")
			*p.titleAt.of(unitOfWork) = 1 // nothing else about it is worth telling
			u.lost = true
			return
		}
	}
	for at := 0; at < len(u.head); {
		end := len(u.head)
		if n := strings.IndexByte(u.head[at:], '\n'); n >= 0 {
			end = at + n + 1
		}
		p.line++
		if p.line == 1 && strings.HasSuffix(u.head[:end], "\r\n") {
			u.eol = "\r\n"
		}
		line := bare(u.head[at:end])
		if isLog(line) {
			u.logTitle, u.logEnd = at, end
			u.head = u.head[:end]
			return
		}
		p.one(p.clean(line), at, end)
		at = end
	}
}

// one reads one line before the log, which is head[at:end] with its line end.
func (p *parser) one(line string, at, end int) {
	blank := isBlank(line)
	if p.in == inStatus && blank {
		// An empty STATUS is a line of blanks with room for a text.
		if p.unit.statusAt < 0 && len(line) >= StatusRoom {
			p.unit.statusAt, p.unit.statusEnd = at, at+len(line)
		}
		return
	}
	if blank {
		return
	}
	first := !p.begun
	p.begun = true
	if first && p.timestamp(line) || p.title(line, end) {
		return
	}
	switch p.in {
	case before:
		p.untitled(line, first)
	case inWork, inSteps:
		p.item(p.work, line)
	case inStatus:
		p.statusText(line, at)
	case astray:
		// The title has been complained about; what it was to mean is not known.
	}
}

// clean complains about what is no text and returns the line without it.
func (p *parser) clean(line string) string {
	const bom = "\ufeff"
	if p.line == 1 && strings.HasPrefix(line, bom) {
		p.add(1, 1, "the file begins with a byte order mark (save it as UTF-8 without BOM)")
		line = line[len(bom):]
	}
	// Below a title that was probably meant for the log, bytes may be anything.
	if p.in == astray {
		return line
	}
	p.dirty = false
	if isPlain(line) {
		return line
	}
	col := 0
	for i, r := range line {
		col++
		fault := ""
		switch {
		case r == '\r':
			fault = "carriage return without a line feed (end lines with LF or CRLF)"
		case r == utf8.RuneError && !strings.HasPrefix(line[i:], "\ufffd"):
			fault = fmt.Sprintf("byte %q is not UTF-8 (save the file as UTF-8)", line[i:i+1])
		case unicode.IsControl(r) && r != '\t':
			fault = fmt.Sprintf("control character %q (remove it; of these only TAB may stand in a UOW)", r)
		default:
			continue
		}
		p.add(p.line, col, "%s", fault)
		p.dirty = true
		break
	}
	if !p.dirty {
		return line
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) && r != '\t' {
			return -1
		}
		return r
	}, line)
}

// isPlain reports whether a line holds nothing but ASCII that can be seen, as most do.
func isPlain(line string) bool {
	line = behindRoom(line)
	for i := range len(line) {
		if c := line[i]; (c < ' ' || c > '~') && c != '\t' {
			return false
		}
	}
	return true
}

func (p *parser) timestamp(line string) bool {
	t, meant, ok := parseTimestamp(line)
	if ok {
		p.unit.Enqueued = t
	} else if meant {
		p.add(p.line, 0, "%s is not a timestamp (write \"timestamp: %s\", or leave the line out)",
			quote(strings.Trim(line, blanks)), timeExample)
	}
	return meant
}

// title reads a line if it is a title, or was meant for one. A title that is only
// misspelled begins the section it was meant for, so that what stands there is
// checked too.
func (p *parser) title(line string, end int) bool {
	title, name, ok := splitTitle(line)
	if !ok {
		if p.in == inWork || p.in == inSteps || p.in == before {
			if _, _, isItem := splitItem(line); isItem && !strings.HasPrefix(strings.Trim(line, blanks), "==") {
				return false
			}
		}
		var like bool
		if title, name, like = likeTitle(line); !like {
			return false
		}
		p.misspelled(line, title)
	}
	again := *p.titleAt.of(title)
	seen := again > 0
	if !seen {
		*p.titleAt.of(title) = p.line
	}
	p.in = astray
	switch {
	case title == unitOfWork && seen:
		p.add(p.line, 0, "a second %s (the first is in line %d; a file is one UOW)", unitOfWork, again)
		p.in = inWork
		p.open(inUnit, &Unit{}, nil)
		p.unread()
	case title == unitOfWork:
		p.in = inWork
		p.open(inUnit, p.unit, nil)
		if *p.titleAt.of(stepTitle) > 0 || *p.titleAt.of(statusTitle) > 0 {
			p.add(p.line, 0, "%s is not the first section (move it up)", unitOfWork)
		}
	case title == stepTitle:
		p.step(name)
	case title == statusTitle && seen:
		p.add(p.line, 0, "a second %s (the first is in line %d; remove one)", statusTitle, again)
	case title == statusTitle:
		p.in = inStatus
		p.unit.statusTitleEnd = end
	}
	return true
}

func (p *parser) misspelled(line, nearest string) {
	p.unit.lost = p.unit.lost || nearest == ""
	if p.dirty {
		return
	}
	if t := strings.TrimLeft(line, blanks); t != line {
		if _, _, ok := splitTitle(t); ok {
			p.add(p.line, 0, "%s: a title begins in the first column (remove the blanks before it)", quote(strings.TrimRight(t, blanks)))
			return
		}
	}
	line = strings.Trim(line, blanks)
	switch nearest {
	case "":
		p.add(p.line, 0, "%s is not a title (write \"==== UNIT OF WORK\", \"==== STEP name\", \"==== STATUS\" or \"==== JOB LOG\")", quote(line))
	case stepTitle:
		p.add(p.line, 0, "%s is not a title (write \"==== STEP name\")", quote(line))
	default:
		p.add(p.line, 0, "%s is not a title (write %q)", quote(line), titleMark+nearest)
	}
}

func (p *parser) step(name string) {
	if again, twice := p.stepAt[name]; twice {
		p.add(p.line, 0, "a second step %s (the first is in line %d; give it another name)", quote(name), again)
	} else {
		if p.stepAt == nil {
			p.stepAt = map[string]int{}
		}
		p.stepAt[name] = p.line
	}
	const write = "write letters, digits, -, _ and ., at most 64 bytes"
	p.unit.lost = p.unit.lost || name == ""
	if strings.Trim(name, nameChars+"-_.") != "" || name == "" || len(name) > maxName {
		p.add(p.line, 0, "step name %s", not(name, "allowed", write))
	}
	p.in = inSteps
	p.open(inStep, &Unit{}, &Step{Name: name, Line: p.line})
}

// untitled reads a line above the first title.
func (p *parser) untitled(line string, first bool) {
	if _, _, ok := splitItem(line); ok {
		p.add(p.line, 0, "an item stands above the title of its section (write \"==== UNIT OF WORK\" above it)")
		p.bare = true
		p.in = inWork
		p.open(inUnit, p.unit, nil)
		p.item(p.work, line)
		return
	}
	what := "belongs to no section"
	if first {
		what = "is neither a timestamp nor a title"
	}
	p.stray(line, what, "a UOW begins with \"==== UNIT OF WORK\"")
}

// stray complains about a line that has no business where it stands.
func (p *parser) stray(line, what, write string) {
	p.unread()
	if p.dirty {
		return
	}
	line = strings.Trim(line, blanks)
	if strings.HasPrefix(line, timestampMark) {
		what, write = "is not in the first line", "move it there, or leave it out"
	}
	p.add(p.line, 0, "%s %s (%s)", quote(line), what, write)
}

func (p *parser) statusText(line string, at int) {
	if p.status {
		p.add(p.line, 0, "%s: STATUS holds one line", quote(strings.Trim(line, blanks)))
		return
	}
	p.status = true
	p.unit.statusAt, p.unit.statusEnd = at, at+len(line)
	s, err := ParseStatus(line)
	switch {
	case err != nil:
		p.add(p.line, 0, "%s", err)
	case len(strings.TrimRight(line, blanks)) > StatusRoom:
		// Only so much is overwritten: the rest would stand behind every later text.
		p.add(p.line, 0, "STATUS is longer than %d bytes (shorten it, or empty it)", StatusRoom)
	}
	p.unit.Status = s
}
