package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"simplejobq/internal/durable"

	"golang.org/x/sys/unix"
)

// Record is a run record as the monitor sees it: it writes the start and the
// wish to kill, and reads the rest.
type Record struct {
	name string
	dir  *durable.Dir
	file *durable.File
	area area
}

// OpenRecord opens the record called name in the run directory.
func OpenRecord(dir *durable.Dir, name string) (*Record, error) {
	f, err := dir.OpenWrite("record:open", name)
	if err != nil {
		return nil, err
	}
	s, err := f.Stat()
	if err == nil && !s.Regular() {
		err = fmt.Errorf("%s: %w: it is not a regular file", f.Path(), ErrDamaged)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Record{name: name, dir: dir, file: f}, nil
}

// IsRecord tells the name of a record from other names in the run directory.
func IsRecord(name string) bool {
	n, err := strconv.ParseUint(name, 10, 63)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == name
}

// Name is its name in the run directory.
func (r *Record) Name() string { return r.name }

// Close gives it up; what stands in it and who holds its lock does not change.
func (r *Record) Close() error { return r.file.Close() }

// WriteStart announces a command. It must be durable before the command is
// launched: the write alone is not.
//
// Crash window: a start without the end that carries its run id, without the
// fork mark. Recovery launches it.
func (r *Record) WriteStart(s Start) error {
	r.area.reset()
	s.put(&r.area)
	return r.write("record:start", startAt)
}

func (r *Record) write(site durable.Site, at int64) error {
	b, err := r.area.seal()
	if err != nil {
		return fmt.Errorf("%s: %w", r.file.Path(), err)
	}
	_, err = r.file.WriteAt(site, b, at)
	return err
}

// Sync makes what stands in the record durable.
func (r *Record) Sync() error { return r.file.Sync("record:sync") }

// File is a descriptor of its own for a batch to sync and to close: of this very
// file, whatever has its name by now.
func (r *Record) File() (*durable.File, error) { return r.file.Dup() }

// Read is all a record tells. The end is nil unless it belongs to the start. A
// record nobody wrote a start to has an empty one.
func (r *Record) Read() (Start, Live, *End, error) {
	var b [recordSize]byte
	for again := 2; ; again-- {
		n, err := r.file.ReadAt(b[:], 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return Start{}, Live{}, nil, err
		}
		s, live, end, err := decode(b[:n])
		// The runner may have been in the middle of a write.
		if err == nil && !live.Damaged || again == 0 {
			if err != nil {
				err = fmt.Errorf("%s: %w", r.file.Path(), err)
			}
			return s, live, end, err
		}
	}
}

func decode(b []byte) (s Start, live Live, end *End, err error) {
	part := func(at int) []byte { return b[min(at, len(b)):min(at+areaSize, len(b))] }
	if _, err := readArea(part(startAt), s.field); err != nil {
		return Start{}, Live{Damaged: true}, nil, err
	}
	if _, err := readArea(part(liveAt), live.field); err != nil {
		live = Live{Damaged: true}
	}
	if end = decodeEnd(part(endAt)); end != nil && end.Run != s.Run {
		end = nil
	}
	return s, live, end, nil
}

// Locked reports whether a runner holds the record: a result is there or will
// come.
func (r *Record) Locked() (bool, error) { return r.file.Locked() }

// Wait returns when no runner holds the record any more, or with the context's
// error. It costs no thread.
func (r *Record) Wait(ctx context.Context) error {
	exit := r.openRunner()
	if exit != nil {
		defer exit.Close()
	}
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		locked, err := r.Locked()
		if err != nil || !locked {
			return err
		}
		// The lock decides; the runner's exit only says when to look. Without
		// it, looking now and then is all there is.
		if exit != nil {
			_ = awaitReadable(ctx, exit) // whatever it says, the lock is asked again
			exit.Close()
			exit = nil
		} else {
			_ = sleep(ctx, pause)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// RequestKill writes the wish that this run be ended; Terminate then makes the
// runner look.
func (r *Record) RequestKill(run, reason string) error {
	r.area.reset()
	r.area.text("run", run)
	r.area.text("reason", cut(reason, 1024))
	return r.write("record:kill", killAt)
}

func (r *Record) killRequest() (run, reason string) {
	var b [areaSize]byte
	n, _ := r.file.ReadAt(b[:], killAt)
	_, err := readArea(b[:n], func(key, value string) error {
		switch key {
		case "run":
			run = value
		case "reason":
			reason = value
		}
		return nil
	})
	if err != nil {
		return "", ""
	}
	return run, reason
}

// Terminate sends SIGTERM to the runner that holds the record. That there is
// none any more is no error: then the record tells the rest.
func (r *Record) Terminate() error {
	p := r.openRunner()
	if p == nil {
		return nil
	}
	defer p.Close()
	err := unix.PidfdSendSignal(int(p.Fd()), unix.SIGTERM, nil, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("asking the runner of %s to end its command: %w", r.file.Path(), err)
	}
	return nil
}

// openRunner is a pidfd of the runner, nil if it is gone.
func (r *Record) openRunner() *os.File {
	_, live, _, err := r.Read()
	if err != nil || live.Runner <= 0 {
		return nil
	}
	fd, err := unix.PidfdOpen(live.Runner, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil
	}
	// Asked after the descriptor is open: from here the number can't be reused.
	p, err := Process(live.Runner)
	if err != nil || p.Start != live.RunnerStart {
		unix.Close(fd)
		return nil
	}
	return os.NewFile(uintptr(fd), "runner")
}

// Remove removes a record nobody holds, and closes it once that is done. It refuses
// one that is held: somebody is going to write into it.
func (r *Record) Remove(site durable.Site) error {
	held, err := r.file.Lock(site)
	if err == nil && !held {
		err = fmt.Errorf("%s: a runner holds it", r.file.Path())
	}
	if err != nil {
		return err
	}
	// The runner may have removed it, and the name may be another's by now.
	mine, err := r.file.Stat()
	if err != nil {
		return err
	}
	there, err := r.dir.Stat(r.name)
	if err == nil && there.Ino == mine.Ino && there.Dev == mine.Dev {
		err = r.dir.Remove(site, r.name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // it stays open, for another try
	}
	return r.file.Close()
}

// Rewrite writes once more what stands in a record nobody holds.
func (r *Record) Rewrite() error {
	var b [recordSize]byte
	n, err := r.file.ReadAt(b[:], 0)
	if err == nil || errors.Is(err, io.EOF) {
		_, err = r.file.WriteAt("record:rewrite", b[:n], 0)
	}
	return err
}
