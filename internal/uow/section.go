package uow

import (
	"fmt"
	"strings"
)

const nameChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// work is a section of items while it is read.
type work struct {
	place place
	unit  *Unit          // what the items say
	step  *Step          // of a STEP; what unit gathers becomes its own in the end
	seen  map[string]int // upper-case name → line
	env   map[string]Item
}

// open begins a section of items. A file may have very many: what one needs only
// while it is read serves the next as well.
func (p *parser) open(in place, u *Unit, st *Step) {
	p.close()
	w := &work{place: in, unit: u, step: st}
	if p.work != nil {
		w.seen, w.env = p.work.seen, p.work.env
		clear(w.seen)
		clear(w.env)
	} else {
		w.seen = map[string]int{}
	}
	p.work = w
}

// close judges the section that has been read.
func (p *parser) close() {
	w := p.work
	if w == nil {
		return
	}
	command, job, cleanup := w.seen["COMMAND"], w.seen["JOB"], w.seen["CLEANUP"]
	if command > 0 && job > 0 {
		p.add(max(command, job), 0, "COMMAND%s and JOB%s exclude each other (keep one)", p.where(command), p.where(job))
	}
	if cleanup > 0 && command == 0 && job == 0 {
		p.add(cleanup, 0, "item \"CLEANUP\": there is nothing to clean up after (add COMMAND or JOB)")
	}
	if st := w.step; st != nil {
		st.Options, st.Own, st.items = w.unit.Options, w.unit.Own, w.unit.items
		p.unit.Steps = append(p.unit.Steps, *st)
	}
}

// splitItem divides a line at the first "::" that has a blank on both sides; at
// the end of a line it stands for an empty content.
func splitItem(line string) (name, content string, ok bool) {
	line = strings.Trim(line, blanks)
	for at := 0; ; at++ {
		next := strings.Index(line[at:], "::")
		if next < 0 {
			break
		}
		at += next
		left, right := line[:at], line[at+2:]
		if (left == "" || strings.HasSuffix(left, " ") || strings.HasSuffix(left, "\t")) &&
			(strings.HasPrefix(right, " ") || strings.HasPrefix(right, "\t")) {
			return strings.TrimRight(left, blanks), strings.TrimLeft(right, blanks), true
		}
	}
	if name, ok = strings.CutSuffix(line, "::"); ok {
		return strings.TrimRight(name, blanks), "", true
	}
	return "", "", false
}

// nameFault tells what is wrong with the name of an item.
func nameFault(name string) string {
	if len(name) <= maxName && isWord(name) {
		return ""
	}
	const write = "letters, digits, blank, _, - and ."
	switch {
	case name == "":
		return "an item needs a name before the ::"
	case len(name) > maxName:
		return "item name " + quote(name) + " is longer than 64 bytes (shorten it)"
	case strings.Trim(name[:1], nameChars) != "" && strings.Trim(name[:1], " _-.") == "":
		return "item name " + quote(name) + " does not begin with a letter or digit (write it so)"
	}
	// The rest has to become an environment variable that any shell can read.
	if bad := strings.Trim(name, nameChars+" _-."); bad != "" {
		return "item name " + quote(name) + " holds " + quote(string([]rune(bad)[:1])) + " (write " + write + ")"
	}
	return ""
}

// isWord reports whether a text is nothing but letters and digits, as most names are.
func isWord(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != ""
}

// item reads one line of a section of items.
func (p *parser) item(w *work, line string) {
	name, content, ok := splitItem(line)
	if !ok {
		hint := "write NAME :: CONTENT on one line"
		if strings.Contains(line, "::") {
			hint = "write NAME :: CONTENT, with a blank on both sides of ::"
		}
		p.stray(line, "is not an item", hint)
		return
	}
	if fault := nameFault(name); fault != "" {
		p.unread()
		p.add(p.line, 0, "%s", fault)
		return
	}
	it := Item{Name: name, Content: content, Line: p.line}
	key := strings.ToUpper(name)
	if again, twice := w.seen[key]; twice {
		p.about(it, "stands there already%s (remove one)", p.where(again))
		return
	}
	w.seen[key] = p.line
	w.unit.items = append(w.unit.items, it)
	if m, ok := meaningOf(name, w.place); ok {
		if fault := p.set(w, m, content); fault != "" {
			p.about(it, "%s", fault)
		}
		return
	}
	env := EnvName(name)
	if other, taken := w.env[env]; taken {
		p.about(it, "becomes %s, as %s%s does (rename one)", env, quote(other.Name), p.where(other.Line))
		return
	}
	if w.env == nil {
		w.env = map[string]Item{}
	}
	w.env[env] = it
	w.unit.Own = append(w.unit.Own, it)
}

// set stores what an item with a meaning says.
func (p *parser) set(w *work, m meaning, content string) (fault string) {
	if w.step != nil && m.step != nil {
		return m.step(w.step, content)
	}
	return m.set(w.unit, content)
}

// about adds an error about an item.
func (p *parser) about(it Item, format string, args ...any) {
	p.add(it.Line, 0, "item %s: %s", quote(it.Name), fmt.Sprintf(format, args...))
}

// where names a line, unless there is no file that a person could look at.
func (p *parser) where(line int) string {
	if p.file == "" {
		return ""
	}
	return fmt.Sprintf(" in line %d", line)
}
