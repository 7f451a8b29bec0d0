package uow

// Judge is Parse for who knows more: more tells what else is wrong, so that all of it
// is told at once. It is asked about a file with errors as well, of which it gets what
// could be read: see Unread and Lost.
func Judge(name string, head []byte, more func(*Unit) Errors) (*Unit, error) {
	u := &Unit{
		name: name, head: string(head), eol: "\n",
		statusTitleEnd: -1, statusAt: -1, statusEnd: -1, logTitle: -1, logEnd: -1,
	}
	p := &parser{unit: u, faults: faults{file: name}, in: before}
	p.read()
	p.judge()
	if more != nil {
		p.join(more(u))
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return u, nil
}

// judge checks what only the whole file can tell.
func (p *parser) judge() {
	u := p.unit
	if *p.titleAt.of(unitOfWork) == 0 && !p.bare {
		p.unread()
		if !p.begun && u.logEnd > 0 {
			p.add(p.line, 0, "\"==== JOB LOG\" ends what is read, and no \"==== UNIT OF WORK\" stands above it (move it to the end)")
		} else if !p.begun {
			p.add(0, 0, "the file is empty (write \"==== UNIT OF WORK\" and an item, such as COMMAND :: make backup)")
		} else {
			p.add(0, 0, "no section \"==== UNIT OF WORK\"")
		}
	}
	p.close()
	p.judgeSteps()
	if u.ExpiresIn > 0 && !u.Enqueued.IsZero() {
		u.Expires = u.Enqueued.Add(u.ExpiresIn)
	}
}

// judgeSteps checks what UNIT OF WORK and the steps owe each other.
func (p *parser) judgeSteps() {
	u := p.unit
	if len(u.Steps) == 0 {
		if it, ok := u.find("GOAL"); ok {
			p.about(it, "there are no steps (add STEP sections, or leave the item out)")
		}
		return
	}
	for _, item := range []string{"COMMAND", "CHECK", "CLEANUP", "JOB"} {
		if it, ok := u.find(item); ok {
			p.about(it, "a UOW with steps has none of its own (the first step is in line %d; move it into a step)", u.Steps[0].Line)
		}
	}
}

// unread notes that a line could not be read which may belong where the parser is.
func (p *parser) unread() {
	if p.in == inSteps {
		p.work.step.unread = true
	} else {
		p.unit.unread = true
	}
}

// Unread reports whether a line of a step, or of UNIT OF WORK if i is negative, could
// not be read: what seems to be missing there may stand in it, and has been told.
func (u *Unit) Unread(i int) bool {
	if i < 0 {
		return u.unread || u.lost
	}
	return u.Steps[i].unread
}

// Lost reports whether a title could not be read, so that a step that seems to be
// missing may be there.
func (u *Unit) Lost() bool { return u.lost }

// join adds what others found. A line that holds what is no text was not read as it
// stands there, so nothing more is said of it.
func (f *faults) join(more Errors) {
	garbled := map[int]bool{}
	for _, e := range f.kept {
		garbled[e.Line] = garbled[e.Line] || e.Col > 0
	}
	for _, e := range more {
		if !garbled[e.Line] {
			f.total++
			f.kept = append(f.kept, e)
		}
	}
}
