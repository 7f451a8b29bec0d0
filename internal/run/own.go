package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"simplejobq/internal/durable"
)

// Own is a run record as the runner that made it sees it. It is locked as long
// as it is open.
type Own struct {
	rec  Record
	live Live
}

// CreateRecord makes a record under the first free number, with all the room it
// will ever need, and locks it. Both are durable when it returns.
func CreateRecord(dir *durable.Dir) (*Own, error) {
	me, err := Process(os.Getpid())
	if err != nil {
		return nil, fmt.Errorf("asking for the runner's own start time: %w", err)
	}
	for n := 1; ; n++ {
		name := strconv.Itoa(n)
		f, err := dir.Create("record:create", name, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		o := &Own{rec: Record{name: name, dir: dir, file: f}, live: Live{Runner: me.PID, RunnerStart: me.Start, Space: numberSpace()}}
		kept, err := o.fill()
		if err == nil && kept {
			return o, nil
		}
		if err != nil {
			err = errors.Join(err, dir.Remove("record:remove", name))
			f.Close()
			return nil, err
		}
		f.Close()
	}
}

// fill reports false when a monitor that was just starting took the file, blank
// and not yet locked, for a leftover.
func (o *Own) fill() (kept bool, err error) {
	f := o.rec.file
	locked, err := f.Lock("record:lock")
	if err != nil || !locked {
		return false, err
	}
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := o.rec.dir.Stat(o.rec.name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || there.Ino != mine.Ino {
		return false, err
	}
	var blanks [recordSize]byte
	for i := range blanks {
		blanks[i] = ' '
		if i%64 == 63 {
			blanks[i] = '\n'
		}
	}
	if _, err := f.WriteAt("record:fill", blanks[:], 0); err != nil {
		return false, err
	}
	if err := o.writeLive(); err != nil {
		return false, err
	}
	if err := f.Sync("record:sync"); err != nil {
		return false, err
	}
	return true, o.rec.dir.Sync("record:sync")
}

// Name is its name in the run directory.
func (o *Own) Name() string { return o.rec.name }

// Path is for messages.
func (o *Own) Path() string { return o.rec.file.Path() }

// WriteStart is for a runner without a monitor.
func (o *Own) WriteStart(s Start) error { return o.rec.WriteStart(s) }

// Forking sets the fork mark: from here on the command may have run.
func (o *Own) Forking(run string) error {
	o.live = Live{Forked: run, Runner: o.live.Runner, RunnerStart: o.live.RunnerStart, Space: o.live.Space}
	return o.writeLive()
}

// Forked tells the job's process number.
func (o *Own) Forked(live Live) error {
	o.live.PID, o.live.Started, o.live.Born = live.PID, live.Started, sinceBoot()
	return o.writeLive()
}

func (o *Own) writeLive() error {
	o.rec.area.reset()
	o.live.put(&o.rec.area)
	return o.rec.write("record:live", liveAt)
}

// WriteEnd writes the end in place, into room that is there, and gives the area
// as it stands on disk, good until the next call.
func (o *Own) WriteEnd(e *End) ([]byte, error) {
	b, err := o.rec.area.end(e)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Path(), err)
	}
	_, err = o.rec.file.WriteAt("record:end", b, endAt)
	return b, err
}

// KillRequest is the reason somebody wants this run ended, "" if nobody does.
func (o *Own) KillRequest(run string) string {
	of, reason := o.rec.killRequest()
	if of != run || run == "" {
		return ""
	}
	if reason == "" {
		return "killed by request"
	}
	return reason
}

// Start is the run the monitor has announced, "" for none.
func (o *Own) Start() (run string, err error) {
	s, _, _, err := o.rec.Read()
	return s.Run, err
}

// Sync makes the record durable.
func (o *Own) Sync() error { return o.rec.Sync() }

// Remove removes it while its lock is still held; the end of the process then
// lets the lock go.
func (o *Own) Remove() error { return o.rec.dir.Remove("record:remove", o.rec.name) }
