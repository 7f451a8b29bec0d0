package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"simplejobq/internal/durable"

	"golang.org/x/sys/unix"
)

// Queue is a directory of the spool, and so the state of what lies in it.
type Queue int

const (
	Wait      Queue = iota // dropped by people, left by a claim; a crash leaves it as it is
	Priority               // the same, served first
	Hold                   // parked by people or HOLD; left only by people or RELEASE
	Executing              // entered by a claim, left by the end of a run; a crash leaves it to recovery
	Done                   // entered when a run succeeded, left only by people
	Error                  // entered when it was unsuccessful
	Fail                   // entered when it did not run to its end
	Archive                // entered by ARCHIVE and people
	Trash                  // entered by what is no UOW, by TRASH and people
	Queues                 // how many there are
)

// Live queues are indexed and watched; what lies in the others is only asked for
// by name.
var Live = []Queue{Priority, Wait, Hold}

// Ended reports whether a UOW there has come to its end.
func (q Queue) Ended() bool {
	return q == Done || q == Error || q == Fail || q == Archive || q == Trash
}

// rank orders the directories of a commit: where things arrive before where
// they leave.
func (q Queue) rank() int {
	return map[Queue]int{Trash: 0, Archive: 0, Done: 1, Error: 1, Fail: 1, Executing: 2, Hold: 3, Priority: 3, Wait: 3}[q]
}

// Layout says where things are.
type Layout struct {
	Root  string
	Names [Queues]string
}

// The part of the tree that is nobody else's business.
const (
	private   = ".monitor"
	version   = "simple-job-q spool 1\n"
	tmpMode   = 0o600
	whyMode   = 0o644 // the reason is for whoever dropped the file
	queueMode = 0o777
)

// Spool is an open spool.
type Spool struct {
	layout  Layout
	Root    *durable.Dir
	Private *durable.Dir // .monitor
	Tmp     *durable.Dir // .monitor/tmp: our own temporaries
	Run     *durable.Dir // .monitor/run: run records and second links
	dirs    [Queues]*durable.Dir
	lost    [Queues]bool // the path leads elsewhere or nowhere
	lock    durable.Stat // of the lock file, if it is ours; see There

	index   [Queues]*index
	Batch   *durable.Batch  // what was changed since the last commit
	after   []func() error  // what may be done once that is on disk
	changes [Queues]change  // of the directories, until they are told
	linked  map[uint64]bool // files whose second link could not be removed yet
	seq     int             // names of temporaries
	last    int64           // the last token
	moved   *arrivals

	// Taken, if not nil, is given each entry that comes from the shelf, and there is one;
	// NoteOf makes the Note of a kind.
	Taken  func(e *Entry)
	NoteOf func(kind string) any

	// Kept, if not nil, is told where something is that somebody wrote while its name
	// was being accepted.
	Kept func(name, text string)

	mu    sync.Mutex // guards hints, which the watcher's goroutine adds to
	hints [Queues]hints

	watched bool // there was a watcher
}

// LayoutError is a spool that can't be worked on until a person changes it.
type LayoutError struct{ Text string }

func (e *LayoutError) Error() string { return e.Text }

// ErrBusy is returned by Lock when another monitor holds the spool.
var ErrBusy = errors.New("another monitor works on this spool")

// Open opens an existing spool. Nothing in it is changed.
func Open(layout Layout) (_ *Spool, err error) {
	s := &Spool{layout: layout, linked: map[uint64]bool{}}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.Root, err = durable.OpenDir(layout.Root); durable.Passing(err) {
		return nil, err
	} else if err != nil {
		return nil, &LayoutError{fmt.Sprintf("%s: no such spool (make one with: monitor init %[1]s): %v", layout.Root, cause(err))}
	}
	var faults []string
	var passing error
	open := func(parent *durable.Dir, name string) *durable.Dir {
		if parent == nil {
			return nil
		}
		d, err := parent.Sub(name)
		switch {
		case durable.Passing(err):
			passing = err
			return nil
		case err != nil:
			faults = append(faults, fmt.Sprintf("%s: %v; it must be a directory of the spool (monitor init %s makes what is missing)", parent.Join(name), cause(err), layout.Root))
			return nil
		case d.Dev() != s.Root.Dev():
			faults = append(faults, fmt.Sprintf("%s: lies on another file system than %s; one spool must lie on one file system, because a UOW is moved by renaming it", d.Path(), layout.Root))
		case !d.SameMount(s.Root):
			faults = append(faults, fmt.Sprintf("%s: is a mount of its own (a bind mount) below %s; a UOW is moved by renaming it, and nothing can be renamed from one mount to another: unmount it, or mount the whole spool", d.Path(), layout.Root))
		}
		return d
	}
	for q, name := range layout.Names {
		s.dirs[q] = open(s.Root, name)
	}
	s.Private = open(s.Root, private)
	s.Tmp, s.Run = open(s.Private, "tmp"), open(s.Private, "run")
	if passing != nil {
		return nil, passing
	}
	if len(faults) > 0 {
		return nil, &LayoutError{strings.Join(faults, "\n")}
	}
	if err := s.checkVersion(); err != nil {
		return nil, err
	}
	s.moved = openArrivals()
	for _, q := range Live {
		s.index[q] = newIndex()
		s.moved.follow(q, s.dirs[q].Fd())
	}
	s.Batch = durable.NewBatch(s.Root)
	return s, nil
}

// Reopen is [Open] for who holds the spool's lock. What is not the spool with that
// lock any more, or none at all, is a [LostError]; what only can't be looked at now
// is not.
func Reopen(layout Layout, lock *durable.File) (*Spool, error) {
	s, err := Open(layout)
	if errors.As(err, new(*LayoutError)) {
		// A queue's directory alone may come back.
		if gone := isGone(layout.Root); gone != nil {
			err = gone
		}
	}
	if err != nil {
		return nil, err
	}
	if s.lock, err = lock.Stat(); err == nil {
		err = s.locked()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// isGone is the [LostError] of a spool that is not there any more, another error if
// nobody can tell.
func isGone(root string) error {
	for _, path := range []string{root, filepath.Join(root, private), filepath.Join(root, private, "version")} {
		_, err := durable.StatPath(path)
		if isMissing(err) || errors.Is(err, unix.ENOTDIR) {
			return &LostError{Path: path}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func (s *Spool) checkVersion() error {
	f, err := s.Private.Open("version")
	if durable.Passing(err) {
		return err
	}
	if err != nil {
		return &LayoutError{fmt.Sprintf("%s: %v; this is not a spool made by monitor init", s.Private.Join("version"), cause(err))}
	}
	defer f.Close()
	b := make([]byte, 64)
	n, err := f.Read(b)
	if durable.Passing(err) {
		return err
	}
	if err != nil || string(b[:n]) != version {
		return &LayoutError{fmt.Sprintf("%s: found %q, this monitor works on %q; use the monitor that made this spool, or move the UOWs into a new one", f.Path(), b[:n], version)}
	}
	return nil
}

// IsSpool reports whether dir was made by Make.
func IsSpool(dir string) bool {
	d, err := durable.OpenDir(filepath.Join(dir, private))
	if err != nil {
		return false
	}
	defer d.Close()
	_, err = d.Stat("version")
	return err == nil
}

// Make makes what is missing of a spool below an existing directory. The
// version is written last: before it there is no spool.
func Make(layout Layout) error {
	root, err := durable.OpenDir(layout.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range append(layout.Names[:], private) {
		if err := root.Mkdir("init:mkdir", name, queueMode); err != nil {
			return err
		}
	}
	own, err := root.Sub(private)
	if err != nil {
		return err
	}
	defer own.Close()
	for _, name := range []string{"tmp", "run"} {
		if err := own.Mkdir("init:mkdir", name, 0o755); err != nil {
			return err
		}
	}
	if _, err := own.Stat("version"); err == nil {
		return nil
	}
	// Whole or not there: half of it would be a spool of an unknown kind.
	const next = "version.new"
	if err := own.RemoveAll("init:remove", next); err != nil {
		return err
	}
	f, err := own.Create("init:create", next, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write("init:write", []byte(version))
	if err == nil {
		err = f.Sync("init:sync")
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := own.Move("init:rename", next, own, "version"); err != nil {
		return err
	}
	if err := errors.Join(own.Sync("init:sync"), root.Sync("init:sync")); err != nil {
		return err
	}
	if parent, err := durable.OpenDir(filepath.Dir(layout.Root)); err == nil {
		defer parent.Close()
		return parent.Sync("init:sync")
	}
	return nil
}

// Close gives all descriptors back.
func (s *Spool) Close() {
	if s.Batch != nil {
		s.Batch.Discard()
	}
	if s.moved != nil {
		s.moved.close()
	}
	for _, d := range append(s.dirs[:], s.Root, s.Private, s.Tmp, s.Run) {
		if d != nil {
			d.Close()
		}
	}
}

// Name is the configured name of a queue.
func (s *Spool) Name(q Queue) string { return s.layout.Names[q] }

// Dir is the directory of a queue.
func (s *Spool) Dir(q Queue) *durable.Dir { return s.dirs[q] }

// ByName finds a queue by its configured name.
func (s *Spool) ByName(name string) (Queue, bool) {
	for q, n := range s.layout.Names {
		if n == name {
			return Queue(q), true
		}
	}
	return 0, false
}

// Lock makes this process the spool's monitor until the returned file is
// closed. The lock is of the kernel, so it dies with the process; the text in
// the file only tells people who holds it.
func (s *Spool) Lock(holder string) (*durable.File, error) {
	var faults []string
	for _, d := range append(s.dirs[:], s.Root, s.Private, s.Tmp, s.Run) {
		if err := d.Writable(); errors.Is(err, fs.ErrPermission) {
			faults = append(faults, fmt.Sprintf("%s: this user (uid %d) may not write there; give the spool to the user the monitor runs as (chown -R), or run it as the spool's owner", d.Path(), os.Geteuid()))
		}
	}
	if len(faults) > 0 {
		return nil, &LayoutError{strings.Join(faults, "\n")}
	}
	f, err := s.Private.OpenAppend("lock:open", "lock", 0o644)
	if errors.Is(err, unix.EISDIR) {
		return nil, &LayoutError{s.Private.Join("lock") + ": is a directory; it must be a file (remove the directory)"}
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, &LayoutError{fmt.Sprintf("%s: this user (uid %d) may not write it: another user's monitor made it; run as that user, or chown -R the spool", s.Private.Join("lock"), os.Geteuid())}
	}
	if err != nil {
		return nil, err
	}
	got, err := f.Lock("lock:lock")
	if err != nil || !got {
		who := Holder(f)
		f.Close()
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %s", ErrBusy, who)
	}
	if err := f.Truncate("lock:truncate", 0); err == nil {
		_, err = f.Write("lock:write", []byte(holder+"\n"))
		// A full disk costs only the text: the lock itself is held.
		if err != nil && !durable.Passing(err) {
			f.Close()
			return nil, err
		}
	}
	if s.lock, err = f.Stat(); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Holder is what the holder of the lock wrote about itself.
func Holder(lock *durable.File) string {
	b := make([]byte, 256)
	n, _ := lock.ReadAt(b, 0)
	if text := strings.TrimSpace(string(b[:n])); text != "" {
		return text
	}
	return "a monitor that had no room to tell its pid"
}

// Watched reports who holds the spool, "" if nobody does. It takes no lock.
func (s *Spool) Watched() (string, error) { return WatchedIn(s.Private) }

// WatchedIn does so by the directory .monitor alone, of a spool that may be in disorder.
func WatchedIn(private *durable.Dir) (string, error) {
	f, err := private.Open("lock")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	held, err := f.Locked()
	if err != nil || !held {
		return "", err
	}
	return Holder(f), nil
}

// After has f done once what was changed so far is on disk.
func (s *Spool) After(f func() error) { s.after = append(s.after, f) }

// Until has f done after the commit, and after each later one until it succeeds.
func (s *Spool) Until(f func() error) {
	s.After(func() error {
		err := f()
		if err != nil {
			s.Until(f)
		}
		return err
	})
}

// Now has f done at once or, if that fails, as Until does. The error is of the first try.
func (s *Spool) Now(f func() error) error {
	err := f()
	if err != nil {
		s.Until(f)
	}
	return err
}

// Commit makes durable what was changed since the last one. An error is final:
// the caller must open the spool anew and look.
func (s *Spool) Commit() error {
	if err := s.Batch.Commit("round:commit"); err != nil {
		return err
	}
	s.Batch = s.Batch.Next()
	return nil
}

// ClearUp does what waited for the commit. An error is trouble, no more: what is
// left over is found at the next start.
func (s *Spool) ClearUp() error {
	after := s.after
	s.after = nil
	var errs []error
	for _, f := range after {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

func (s *Spool) changed(qs ...Queue) {
	for _, q := range qs {
		s.Batch.Dir(s.dirs[q], q.rank())
	}
}
