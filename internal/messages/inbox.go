package messages

import (
	"errors"
	"time"

	"simplejobq/internal/durable"
)

// Inbox takes lines out of monitor_reads. It is used by one goroutine.
//
// Two marks on disk go around each batch: before lines are returned the intent,
// "handed out up to here"; after they were acted upon the done mark. What a
// crash leaves between the two comes again, and says so.
type Inbox struct {
	path  string
	marks *marks
	saved mark  // what the disk knows
	away  mark  // where reading stopped, while src is nil
	lost  error // there is no usable mark from before

	// Before is asked before a file is made where there is none: where nothing of
	// ours is any more none is to grow.
	Before func() error

	src     *source // nil: waiting for a file that can be read
	open    bool    // lines were handed out and are not yet acted upon
	done    int64   // everything before was acted upon …
	doneSum string  // … and hashes to this
	long    bool    // done lies inside a line that is being passed over
	cut     cutting // the last cut, until it is known to be on disk
	again   int64   // lines that begin before it are repeats
	unsaved bool    // the disk must learn of done before anything else happens

	partial  partial
	calm     time.Duration // how long it has not grown when it is said
	patience time.Duration // how long a nameless file is followed for its writers
	left     time.Time     // since when it is
	more     bool
	note     string
	trouble  string
	told     map[string]bool
}

// cutting is how the file began when it was about to be cut; see mark.
type cutting struct {
	size int64
	sum  string
	time int64
}

// Line is one line somebody appended.
type Line struct {
	Text  string
	Again bool // it may have been acted upon before a crash
}

const (
	// How long a nameless file is followed where leases do not tell of writers.
	blindPatience = 5 * time.Second

	maxLine  = 64 << 10
	maxBatch = 1 << 20
)

// OpenInbox begins where the last one stopped. The file at path is made with
// its how-to if there is none; one that cannot be read now is waited for. What
// is worth telling people is returned, here as elsewhere.
func OpenInbox(path string, state *durable.Dir, name string) (*Inbox, []string, error) {
	marks, last, err := openMarks(state, name)
	if err != nil && !unknownMark(err) {
		return nil, nil, err
	}
	last.Seq = 0
	b := &Inbox{
		path: path, marks: marks, saved: last, away: last, lost: err,
		calm: 2 * time.Second, patience: 10 * time.Second, told: map[string]bool{},
	}
	return b, b.follow(), nil
}

// Path is the name the messages are appended to.
func (b *Inbox) Path() string { return b.path }

// More reports whether the last Read knew of more than it returned: call it
// again, after Done, before going to sleep.
func (b *Inbox) More() bool { return b.more }

// Waiting reports that there is no file that could be read.
func (b *Inbox) Waiting() bool { return b.src == nil }

// Leaving reports that a file which lost its name is still waited for.
func (b *Inbox) Leaving() bool { return !b.left.IsZero() }

// Unended reports that the last line has no newline, and that is to be looked at again.
func (b *Inbox) Unended() bool { return !b.partial.since.IsZero() && b.partial.told == nil }

// Read returns the complete lines that came since, at most 1 MiB of them,
// without blank lines and comments. They are on record as handed out before it
// returns. Read may be called again before Done; Done then covers both.
func (b *Inbox) Read() (lines []Line, said []string, err error) {
	b.more = false
	// At most: the rest of a file that lost its name, then the one that has it.
	for range 2 {
		if b.src == nil {
			said = append(said, b.follow()...)
		}
		if b.unsaved {
			if err := b.save("done"); err != nil {
				return nil, said, err
			}
		}
		if b.src == nil {
			return nil, said, nil
		}
		lines, more, err := b.take(false)
		said = append(said, more...)
		if err != nil {
			return nil, said, err
		}
		here, more := b.named()
		said = append(said, more...)
		if len(lines) > 0 {
			b.more = b.more || !here
			b.left = time.Time{}
			return lines, said, nil
		}
		if here {
			b.left = time.Time{}
			more, err := b.empty()
			return nil, append(said, more...), err
		}
		lines, gone, more, err := b.leave()
		said = append(said, more...)
		if err != nil || !gone {
			return lines, said, err
		}
	}
	b.more = true // the name is changing faster than we look
	return nil, said, nil
}

// leave finishes a file that lost its name: what is still being written to it is
// waited for, then the way is free for the one that has the name now.
func (b *Inbox) leave() (lines []Line, gone bool, said []string, err error) {
	if b.open {
		return nil, false, nil, nil // its lines have to be acted upon first
	}
	writers, err := b.src.writers()
	if err != nil {
		return nil, false, nil, err
	}
	patience := b.patience
	if writers == durable.Unknown { // nobody can tell: who has it open had time to write
		patience = min(patience, blindPatience)
	}
	if writers != durable.Quiet {
		if b.left.IsZero() {
			b.left = time.Now()
		}
		if time.Since(b.left) < patience {
			return nil, false, nil, nil
		}
	}
	if writers == durable.Written {
		said = append(said, b.path+": the file that had this name before is still open somewhere for writing; what is written there is no longer read")
	}
	lines, more, err := b.take(true)
	said = append(said, more...)
	if err != nil || len(lines) > 0 {
		b.more = err == nil
		return lines, false, said, err
	}
	b.away = b.current()
	err = b.src.close()
	b.src, b.left, b.partial = nil, time.Time{}, partial{}
	return nil, true, said, err
}

// Done notes that everything handed out was acted upon, and takes it out of the
// file if nobody else has that open. After an error the lines may come again
// after a crash; the next call of Read or Done tries to note it again.
func (b *Inbox) Done() (said []string, err error) {
	if b.src == nil {
		return nil, nil
	}
	if b.open {
		b.open, b.unsaved = false, true
		b.settle()
	}
	// A file that lost its name is not cut: the one that has it now may begin
	// with the same lines.
	here, said := b.named()
	if here {
		var more []string
		more, err = b.empty()
		said = append(said, more...)
	}
	if err == nil && b.unsaved {
		err = b.save("done")
	}
	return said, err
}

// settle: nothing before pos is left to act upon.
func (b *Inbox) settle() {
	b.done, b.doneSum, b.long = b.src.pos, sumText(b.src.sum), b.src.long
	if b.done >= b.again {
		b.again = 0
	}
}

// current is the mark that tells the disk what is known here.
func (b *Inbox) current() mark {
	if b.src == nil {
		return b.away
	}
	return mark{
		Ino: b.src.id.Ino, Head: min(b.src.head, b.done),
		Done: b.done, Sum: b.doneSum, Long: b.long,
		// Repeats that were not handed out yet stay repeats after another crash.
		Taken: max(b.src.pos, b.again),
		Cut:   b.cut.size, CutSum: b.cut.sum, CutTime: b.cut.time,
	}
}

func (b *Inbox) save(act string) error { return b.saveMark(act, b.current()) }

func (b *Inbox) saveMark(act string, m mark) error {
	err := b.marks.save(act, m)
	if err == nil {
		b.saved, b.unsaved = m, false
	}
	return err
}

// Close leaves the record so that nothing has to be called a repeat later,
// unless lines are still being acted upon.
func (b *Inbox) Close() error {
	var err error
	if b.src != nil {
		m := b.current()
		if here, _ := b.named(); here && m.Done == m.Taken && m.Cut > 0 {
			// Once the cut is on disk the bytes it took cannot come back.
			if err = b.src.file.Sync("reads:sync"); err == nil {
				m.Cut, m.CutSum, m.CutTime = 0, "", 0
			}
		}
		if !b.open && err == nil && m != b.saved {
			err = b.saveMark("done", m)
		}
		err = errors.Join(err, b.src.close())
		b.src = nil
	}
	return errors.Join(err, b.marks.close())
}

// once reports whether this has not been told yet.
func (b *Inbox) once(what string) bool {
	if b.told[what] {
		return false
	}
	b.told[what] = true
	return true
}
