package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

// locked is a box whose lock is ours.
func locked(t *testing.T) (*box, *durable.File) {
	t.Helper()
	b := newBox(t)
	lock, err := b.Lock("me")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	return b, lock
}

// What goes away under a monitor, and what is put in its place, ends it: within a
// session and between two.
func TestLost(t *testing.T) {
	replace := func(path string) error {
		st, err := os.Stat(path)
		if err == nil {
			err = os.Rename(path, path+".away")
		}
		if err != nil {
			return err
		}
		if st.IsDir() {
			return os.Mkdir(path, 0o755)
		}
		return os.WriteFile(path, nil, 0o644)
	}
	file := func(path string) error { return errors.Join(os.RemoveAll(path), os.WriteFile(path, nil, 0o644)) }
	for _, c := range []struct {
		path, says string
		between    bool // two sessions it is noticed too
		act        map[string]func(string) error
	}{
		{"", "the spool was moved away or removed", true, map[string]func(string) error{"removed": os.RemoveAll, "replaced": replace, "a file": file}},
		{".monitor", "the spool was moved away or removed", true, map[string]func(string) error{"removed": os.RemoveAll, "replaced": replace, "a file": file}},
		{".monitor/lock", "the lock file was removed or replaced", true, map[string]func(string) error{"removed": os.RemoveAll, "replaced": replace}},
		{".monitor/run", "the directory was removed or replaced", false, map[string]func(string) error{"removed": os.RemoveAll, "replaced": replace}},
		{".monitor/tmp", "the directory was removed or replaced", false, map[string]func(string) error{"removed": os.RemoveAll, "replaced": replace}},
	} {
		for how, act := range c.act {
			t.Run(c.path+" "+how, func(t *testing.T) {
				b, lock := locked(t)
				if _, _, err := b.Follow(); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(b.root, c.path)
				if err := act(path); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.RemoveAll(path + ".away") })
				var lost *LostError
				if _, _, err := b.Follow(); !errors.As(err, &lost) || lost.Path != path || !strings.Contains(lost.Error(), c.says) {
					t.Errorf("within a session: %v", err)
				}
				s, err := Reopen(Layout{Root: b.root, Names: names}, lock)
				if s != nil {
					s.Close()
				}
				if !c.between {
					return // made anew it serves; without it a person has to make it
				}
				if lost = nil; !errors.As(err, &lost) || !strings.HasPrefix(lost.Path, path) || !strings.Contains(lost.Error(), c.says) {
					t.Errorf("between two: %v", err)
				}
			})
		}
	}
}

// What can't be looked at for now, or is not as it should be, may be again.
func TestUnreadableIsNotLost(t *testing.T) {
	b, lock := locked(t)
	layout := Layout{Root: b.root, Names: names}
	var lost *LostError
	for _, errno := range []unix.Errno{unix.EIO, unix.ENOTCONN, unix.EACCES, unix.EUCLEAN, unix.EHOSTDOWN} {
		for after := range 20 { // each look of Reopen, one after the other
			calls := 0
			durable.Looking = func() error {
				if calls++; calls <= after {
					return nil
				}
				return errno
			}
			s, err := Reopen(layout, lock)
			there := b.There()
			durable.Looking = nil
			if s != nil {
				s.Close()
			}
			if errors.As(errors.Join(err, there), &lost) || (err != nil || there != nil) != (calls > after) {
				t.Errorf("%v after %d looks: %v, %v", errno, after, err, there)
			}
		}
	}
	if err := os.Rename(b.path(Hold, ""), b.root+"/aside"); err != nil {
		t.Fatal(err)
	}
	if _, err := Reopen(layout, lock); err == nil || errors.As(err, &lost) {
		t.Errorf("without a queue: %v", err)
	}
	if err := os.Rename(b.root+"/aside", b.path(Hold, "")); err != nil {
		t.Fatal(err)
	}
	s, err := Reopen(layout, lock)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := errors.Join(s.There(), os.Remove(b.root+"/.monitor/lock")); err != nil {
		t.Fatal(err)
	}
	if err := s.There(); !errors.As(err, &lost) || !lost.Lock {
		t.Errorf("reopened, and its lock file is gone: %v", err)
	}
}

// Who only looks holds no lock, and misses none.
func TestThereWithoutLock(t *testing.T) {
	b, _ := locked(t)
	s, err := Open(Layout{Root: b.root, Names: names})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := errors.Join(os.Remove(b.root+"/.monitor/lock"), s.There()); err != nil {
		t.Error(err)
	}
}

// A claim whose second link has no directory is no race over its file: it would be
// lost in each round.
func TestClaimWithoutRunDirectory(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "a", "text\n")
	e := b.look(Wait, "a")
	if err := errors.Join(b.accept(b.acceptance(e, "")), os.RemoveAll(b.root+"/.monitor/run")); err != nil {
		t.Fatal(err)
	}
	var lost *LostError
	if _, err := b.Claim(e, everything, yes); !errors.As(err, &lost) || isMissing(err) {
		t.Errorf("%v", err)
	}
	b.has(Wait, "a", "text\n")
	if _, err := b.Look(true, time.Now()); err != nil {
		t.Errorf("the queues are all there: %v", err)
	}
}
