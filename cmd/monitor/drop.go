package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"time"

	"simplejobq/internal/clock"
	"simplejobq/internal/durable"
	"simplejobq/internal/monitor"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// drop puts units of work into a queue: all are written and synced under names
// nobody looks at, then each takes its own name in one step, which never
// replaces anything.
type drop struct {
	sp    *spool.Spool
	to    spool.Queue
	units []*unit
	last  time.Time // the last timestamp given, and to whom
	whose string
}

// unit is one of them.
type unit struct {
	name string
	text *text
	tmp  string        // its name before it is published
	file *durable.File // kept open, so that its inode stays its own
	stat durable.Stat
}

func (d *drop) close() {
	for _, u := range d.units {
		if u.file != nil {
			_ = u.file.Close() // synced already, or given up
		}
		_ = u.text.close() // read only
		if u.tmp != "" {
			_ = d.sp.Dir(d.to).Remove("submit:remove", u.tmp) // what stays is not looked at
		}
	}
}

// stamp completes a file. Those of one call keep the order they were given in.
func (d *drop) stamp(u *unit) {
	now := clock.Wall().UTC().Truncate(time.Millisecond)
	if now.Before(d.last) {
		now = d.last
	}
	if now.Equal(d.last) && u.name < d.whose {
		now = now.Add(time.Millisecond)
	}
	if u.text.unit.Enqueued.IsZero() {
		d.last, d.whose = now, u.name
	}
	u.text.head = u.text.unit.Completed(now)
}

// release lets go of a file that has no log to copy: many may be submitted at
// once.
func (u *unit) release() error {
	b := make([]byte, 1)
	n, err := io.ReadFull(u.text.log, b)
	if err != nil {
		u.text.log = nil
		if !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %s: %w", u.text.name, err)
		}
		f := u.text.file
		if u.text.file = nil; f != nil {
			return f.Close()
		}
		return nil
	}
	u.text.log = io.MultiReader(bytes.NewReader(b[:n]), u.text.log)
	return nil
}

// write makes each unit durable under a name nobody looks at.
func (d *drop) write() error {
	for _, u := range d.units {
		if err := d.writeOne(u); err != nil {
			return err
		}
	}
	return nil
}

func (d *drop) writeOne(u *unit) error {
	whole, err := uow.Parse(u.text.name, u.text.head)
	if err != nil {
		return err
	}
	tmp := ".submit-" + strconv.FormatUint(rand.Uint64(), 36)
	if u.file, err = d.sp.Dir(d.to).Create("submit:create", tmp, 0o666); err != nil {
		return err
	}
	u.tmp = tmp
	if _, err := u.file.Write("submit:write", u.text.head); err != nil {
		return err
	}
	if u.text.log != nil {
		if _, err := io.Copy(writer{u.file}, u.text.log); err != nil {
			return err
		}
	}
	// By this time the monitor knows that the file is whole.
	if err := u.file.SetMtime("submit:time", whole.Enqueued.Add(monitor.SubmitMark)); err != nil {
		return err
	}
	if err := u.file.Sync("submit:sync"); err != nil {
		return err
	}
	// Whoever writes a file holds back its acceptance, so from now on only read.
	read, err := u.file.Reopen("submit:reopen", false)
	if err != nil {
		return err
	}
	err = u.file.Close()
	u.file = read
	if err != nil {
		return err
	}
	u.stat, err = read.Stat()
	return err
}

type writer struct{ f *durable.File }

func (w writer) Write(b []byte) (int, error) { return w.f.Write("submit:write", b) }

// publish gives each its name, and returns those that have it for good.
func (d *drop) publish() (done []*unit, err error) {
	dir := d.sp.Dir(d.to)
	for _, u := range d.units {
		// Crash window: a whole file under a name nobody looks at.
		name := u.name
		err = dir.Move("submit:rename", u.tmp, dir, u.name)
		for n := 1; errors.Is(err, fs.ErrExist); n++ {
			// What waits keeps its name, the newcomer takes a suffix.
			u.name = spool.Older(name, n)
			err = dir.Move("submit:rename", u.tmp, dir, u.name)
		}
		if err != nil {
			break
		}
		u.tmp = ""
		done = append(done, u)
	}
	if len(done) > 0 {
		if e := dir.Sync("submit:sync"); e != nil {
			return nil, errors.Join(err, fmt.Errorf("the disk did not confirm it, so nobody knows whether the files are there to stay: %w", e))
		}
	}
	return done, err
}
