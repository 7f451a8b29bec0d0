package doctor

import (
	"errors"
	"path/filepath"

	"simplejobq/internal/durable"
)

// probe tries operations on a file of its own. What a probe that was killed leaves
// in .monitor/tmp the monitor removes at its next start.
type probe struct {
	e    *Exam
	dir  *durable.Dir
	name string
}

func (p *probe) end() {
	for _, name := range []string{p.name, p.name + "-b", p.name + "-c"} {
		_ = p.dir.Remove("doctor:remove", name)
	}
}

func (p *probe) sync(f *durable.File) {
	if err := errors.Join(f.Sync("doctor:sync"), p.dir.Sync("doctor:sync")); err != nil {
		p.e.wrong("dmesg | tail", "a sync fails: %v; nothing can be promised on this disk", err)
		return
	}
	b := durable.NewBatch(p.dir)
	if b.Whole() {
		p.e.good("a commit is one syncfs for everything, which is known to report errors here")
		return
	}
	p.e.good("a commit is an fsync of each file and directory: slower than one syncfs, which is not known to be true here")
}

func (p *probe) lock(f *durable.File) {
	got, err := f.Lock("doctor:lock")
	other, openErr := p.dir.Open(p.name)
	if openErr == nil {
		defer other.Close()
		held, askErr := other.Locked()
		if err == nil && got && askErr == nil && held {
			p.e.good("locks hold: two monitors can't work on one spool")
			return
		}
		err = errors.Join(err, askErr)
	}
	p.e.wrong(line("findmnt", "-T", p.dir.Path()), "locks (F_OFD_SETLK) do not hold here: %v; two monitors might work on one spool: put it on a local file system", errors.Join(err, openErr))
}

// lease asks whether the kernel tells of a file's writers, with one and without.
func (p *probe) lease() {
	reader, err := p.dir.Open(p.name)
	if err != nil {
		return
	}
	defer reader.Close()
	quiet := reader.ReadLease()
	reader.Unlease()
	writer, err := p.dir.OpenWrite("doctor:open", p.name)
	if err != nil {
		return
	}
	defer writer.Close()
	written := reader.ReadLease()
	reader.Unlease()
	if quiet != durable.Quiet || written != durable.Written {
		p.e.doubtful(line("findmnt", "-T", p.dir.Path()), "leases (F_SETLEASE) do not tell who writes a file here: what is dropped is accepted after five seconds without change; monitor submit does not wait")
		return
	}
	p.e.good("leases tell whether a file is being written")
	e := p.e
	if !e.as.leases && e.as.uid != 0 {
		do := "systemctl edit simple-job-q"
		if e.unit.name != "" {
			do = line("systemctl", "edit", e.unit.name)
		}
		e.doubtful(do, "%s has no CAP_LEASE: files that others drop are accepted after five seconds without change; AmbientCapabilities=CAP_LEASE in the unit gives it", e.as.name)
	}
}

// renames tries what keeps a file from being overwritten or lost while it moves.
func (p *probe) renames() {
	b := p.name + "-b"
	if err := p.dir.Link("doctor:link", p.name, p.dir, b); err != nil {
		p.e.wrong(line("findmnt", "-T", p.dir.Path()), "hard links can't be made here: %v; the monitor keeps one to each running UOW: put the spool on another file system", err)
		return
	}
	_ = p.dir.Remove("doctor:remove", b)
	c := p.name + "-c"
	err := p.dir.MoveAtOnce("doctor:move", p.name, p.dir, b)
	if errors.Is(err, durable.ErrTwoSteps) {
		p.e.doubtful(line("findmnt", "-T", p.dir.Path()), "a move takes two steps here (no RENAME_NOREPLACE): a crash in between leaves two names of one file, which the next start heals")
		err = p.dir.Move("doctor:move", p.name, p.dir, b)
	} else if err == nil {
		p.e.good("a move is one step and overwrites nothing (RENAME_NOREPLACE), and hard links work")
	}
	if err == nil {
		var f *durable.File
		if f, err = p.dir.Create("doctor:create", c, 0o600); err == nil {
			err = errors.Join(f.Close(), p.dir.Exchange("doctor:exchange", b, p.dir, c))
		}
	}
	switch {
	case errors.Is(err, durable.ErrNoExchange):
		p.e.doubtful(line("findmnt", "-T", p.dir.Path()), "two names can't be exchanged here (no RENAME_EXCHANGE): a file is completed by turns, and for a moment has no name in its queue")
	case err != nil:
		p.e.wrong(line("ls", "-la", filepath.Dir(p.dir.Path())), "a rename fails: %v", err)
	default:
		p.e.good("two names can be exchanged (RENAME_EXCHANGE)")
	}
}
