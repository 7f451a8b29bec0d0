package walk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// drop is a file that was written elsewhere and moved in.
func (w *walk) drop() {
	u := w.create(one(w, []string{"wait-q", "wait-q", "wait-q", "priority-q", "hold-q"}))
	tmp := filepath.Join(w.home, u.id)
	w.write(tmp, u.text)
	u.gone = !quietly(tmp, w.in(u.at, u.name))
	w.note("mv %s %s/%s (%s), there was one: %v", u.id, u.at, u.name, u.kind.name, u.gone)
}

// copyIn writes a file in place, in two goes.
func (w *walk) copyIn() {
	u := w.create(one(w, []string{"wait-q", "priority-q", "hold-q"}))
	pause := time.Duration(w.rng.IntN(150)) * time.Millisecond
	f, err := os.OpenFile(w.in(u.at, u.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		u.gone = true
		return
	}
	if err == nil {
		_, err = f.WriteString(u.text[:len(u.text)/2])
	}
	time.Sleep(pause)
	if err == nil {
		_, err = f.WriteString(u.text[len(u.text)/2:])
	}
	if err = errors.Join(err, f.Close()); err != nil {
		w.T.Fatal(err)
	}
	w.note("cp %s %s/%s (%s), slowly: %v", u.id, u.at, u.name, u.kind.name, pause)
}

// away takes a file out of the spool: only then can be told which it was.
func (w *walk) away(queue, name string) (u *unit, st, path string) {
	path = filepath.Join(w.home, fmt.Sprint("away-", len(w.acts)))
	if u, _ := w.unit(w.in(queue, name)); u == nil || !quietly(w.in(queue, name), path) {
		return nil, "", ""
	}
	u, st = w.unit(path)
	if u != nil {
		u.gone = true
		if isLive(queue) && ended(st) {
			u.loose = true
		}
	}
	return u, st, path
}

var removable = []string{"wait-q", "priority-q", "hold-q", "done-q", "error-q", "fail-q", "archive"}

func (w *walk) remove() {
	q, name, ok := w.some(removable...)
	if !ok {
		return
	}
	if u, _, path := w.away(q, name); u != nil {
		w.note("rm %s/%s (%s)", q, name, u.id)
		if err := os.Remove(path); err != nil {
			w.T.Fatal(err)
		}
	}
}

func (w *walk) takeOut() {
	if q, name, ok := w.some(removable...); ok {
		if u, _, path := w.away(q, name); u != nil {
			w.note("mv %s/%s %s (%s)", q, name, filepath.Base(path), u.id)
		}
	}
}

// putIn brings back what was taken out.
func (w *walk) putIn() {
	files, _ := filepath.Glob(w.home + "/away-*")
	to := one(w, []string{"wait-q", "wait-q", "priority-q", "hold-q", "done-q"})
	if len(files) == 0 {
		return
	}
	path := one(w, files)
	if u, st := w.unit(path); u != nil && quietly(path, w.in(to, u.name)) {
		w.note("mv %s %s/%s (%s)", filepath.Base(path), to, u.name, u.id)
		u.gone = false
		u.placed("home", to, st)
	}
}

// move is a person's mv between queues.
func (w *walk) move() {
	q, name, ok := w.some(append([]string{"trash"}, removable...)...)
	to := one(w, []string{"wait-q", "wait-q", "priority-q", "hold-q", "done-q", "archive", "trash"})
	if !ok || to == q {
		return
	}
	u, st := w.unit(w.in(q, name))
	switch {
	case u == nil:
	case u.shared: // by way of home, to know which it was
		u, st, path := w.away(q, name)
		if u != nil && quietly(path, w.in(to, name)) {
			w.note("mv %s/%s %s, then %s (%s)", q, name, filepath.Base(path), to, u.id)
			u.gone = false
			u.placed("home", to, st)
		}
	case quietly(w.in(q, name), w.in(to, name)):
		w.note("mv %s/%s %s (%s)", q, name, to, u.id)
		u.placed(q, to, st)
	}
}

// rename gives a file another name where it is.
func (w *walk) rename() {
	q, name, ok := w.some("wait-q", "priority-q", "hold-q", "done-q", "error-q")
	other := fmt.Sprint("renamed-", len(w.acts))
	if u, _ := w.unit(w.in(q, name)); !ok || u == nil || !quietly(w.in(q, name), w.in(q, other)) {
		return
	}
	// It may be running under its new name by now.
	for _, p := range append([]string{q}, queues...) {
		if u, _ := w.unit(w.in(p, other)); u != nil {
			w.note("mv %s/%s %s (%s)", q, name, other, u.id)
			u.call(other)
			return
		}
	}
	w.T.Errorf("%s/%s was renamed to %s, and is not to be found", q, name, other)
}

// replace is an editor that saves by rename: the new text has the old one's name.
func (w *walk) replace() {
	q, name, ok := w.some("wait-q", "priority-q", "hold-q")
	u := w.create(q)
	u.gone = true
	if !ok {
		return
	}
	tmp := filepath.Join(w.home, u.id)
	w.write(tmp, u.text)
	if old, _ := w.unit(w.in(q, name)); old == nil {
		return
	}
	if unix.Renameat2(unix.AT_FDCWD, tmp, unix.AT_FDCWD, w.in(q, name), unix.RENAME_EXCHANGE) != nil {
		return
	}
	u.gone = false
	u.call(name)
	// What came out is known; it may be in nobody's way any more.
	old, st := w.unit(tmp)
	if old == nil {
		w.T.Fatalf("replaced %s/%s, and what came out is unknown", q, name)
	}
	w.note("%s replaces %s in %s/%s (%s)", u.id, old.id, q, name, u.kind.name)
	old.gone, old.shared = true, true
	w.inherit(u, old)
	if isLive(q) && ended(st) {
		old.loose = true
	}
}

// rewrite is an editor that saves in place, in two goes, what has not run yet.
func (w *walk) rewrite() {
	q, name, ok := w.some("wait-q", "priority-q", "hold-q")
	u := w.create(q)
	u.gone = true
	pause := time.Duration(w.rng.IntN(60)) * time.Millisecond
	if !ok {
		return
	}
	f, err := os.OpenFile(w.in(q, name), os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer f.Close()
	// From now on it can't be claimed; if it has been, it is not ours.
	if to, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd())); err != nil || to != w.in(q, name) {
		return
	}
	old, _ := w.unit(w.in(q, name))
	b, err := os.ReadFile(w.in(q, name))
	if err != nil || old == nil || old.kind.name == "garbage" || strings.Contains(string(b), " try 1") {
		return
	}
	u.kind, u.text = old.kind, strings.ReplaceAll(string(b), old.id, u.id)
	u.gone = false
	u.call(name)
	old.gone, old.shared = true, true
	w.inherit(u, old)
	w.edited = append(w.edited, u, old)
	w.note("%s is written over %s in %s/%s, slowly: %v", u.id, old.id, q, name, pause)
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(u.text[:len(u.text)/2]), 0)
	}
	time.Sleep(pause)
	if err == nil {
		_, err = f.WriteAt([]byte(u.text), 0)
	}
	if err != nil {
		w.T.Fatal(err)
	}
}

// steal moves a UOW that runs, or puts one among those.
func (w *walk) steal() {
	to := one(w, []string{"wait-q", "hold-q", "done-q", "trash"})
	if w.rng.IntN(2) == 0 {
		q, name, ok := w.some("hold-q", "done-q")
		if !ok {
			return
		}
		u, st := w.unit(w.in(q, name))
		if u == nil || u.shared || u.kind.end == "" || u.kind.name == "garbage" || !quietly(w.in(q, name), w.in("currently-executing", name)) {
			return
		}
		w.note("mv %s/%s currently-executing (%s)", q, name, u.id)
		to := "priority-q" // which is the same, in the end
		if word, _, _ := strings.Cut(st, ":"); ended(st) {
			to = word + "-q" // where it belongs
		}
		u.placed(q, to, st)
		u.shared, u.stolen = true, true
		return
	}
	q, name, ok := w.some("currently-executing")
	if !ok {
		return
	}
	u, _ := w.unit(w.in(q, name))
	if u == nil || u.shared || !quietly(w.in(q, name), w.in(to, name)) {
		return
	}
	w.note("mv currently-executing/%s %s (%s)", name, to, u.id)
	u.shared, u.stolen = true, true // it may be called otherwise when it is back
}
