package spool

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// Watcher turns notifications into hints. A notification is a hint, the scan is
// the truth: whatever is lost here costs time, never a file.
type Watcher struct {
	spool *Spool
	fs    *fsnotify.Watcher
	paths map[string]Queue
	extra string // monitor_reads
	wake  func()
	done  chan struct{}
}

// Watch watches the live queues and one file. wake is called, from a goroutine
// of its own, whenever there may be something to look at; it must not block. With
// a Watcher the error tells what can't be watched for now: [Watcher.Renew] tries
// again.
func (s *Spool) Watch(file string, wake func()) (*Watcher, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &Watcher{spool: s, fs: n, paths: map[string]Queue{}, extra: file, wake: wake, done: make(chan struct{})}
	for _, q := range Live {
		w.paths[filepath.Clean(s.dirs[q].Path())] = q
	}
	err = w.Renew()
	s.watched = true
	go w.run()
	return w, err
}

// Renew watches again what is not watched any more: a replaced directory takes
// its watch with it.
func (w *Watcher) Renew() error {
	var errs []error
	for path := range w.paths {
		if err := w.fs.Add(path); err != nil && !isMissing(err) { // whoever looks says that it is gone
			errs = append(errs, fmt.Errorf("watch %s: %w", path, err))
		}
	}
	// The file may be missing for a moment, while an editor saves it.
	if err := w.fs.Add(w.extra); err != nil && !isMissing(err) {
		errs = append(errs, fmt.Errorf("watch %s: %w", w.extra, err))
	}
	return errors.Join(errs...)
}

// Close ends the watching and waits for its goroutine.
func (w *Watcher) Close() error {
	err := w.fs.Close()
	<-w.done
	return err
}

func (w *Watcher) run() {
	defer close(w.done)
	for {
		select {
		case ev, ok := <-w.fs.Events:
			if !ok {
				return
			}
			w.event(ev)
		case _, ok := <-w.fs.Errors:
			if !ok {
				return
			}
			// An overflow says that events were lost; any other error may mean it.
			for _, q := range Live {
				w.spool.hint(q, func(h *hints) { h.all, h.ours = true, nil })
			}
			w.wake()
		}
	}
}

func (w *Watcher) event(ev fsnotify.Event) {
	// Times and modes change at each of our own moves; a change of content says
	// Write as well.
	if ev.Op == fsnotify.Chmod {
		return
	}
	if q, ok := w.paths[ev.Name]; ok {
		w.spool.hint(q, func(h *hints) { h.lost, h.all = true, true })
	} else if q, ok := w.paths[filepath.Dir(ev.Name)]; ok {
		name, ours := filepath.Base(ev.Name), false
		w.spool.hint(q, func(h *hints) {
			if ours = (ev.Op == fsnotify.Rename || ev.Op == fsnotify.Remove) && h.left(name); !ours {
				h.add(name)
			}
		})
		if ours {
			return
		}
	} else if ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename) {
		_ = w.fs.Add(w.extra) // replaced by an editor; if it is gone, the timer looks again
	}
	w.wake()
}

func (s *Spool) hint(q Queue, add func(*hints)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add(&s.hints[q])
}

// leaving tells the watcher that we are about to move a file out of a queue, which is no
// news. One that is told of a move that did not happen passes over the next of that
// name, and the timer's look sees what came of it.
func (s *Spool) leaving(q Queue, name string) {
	if s.watched {
		s.hint(q, func(h *hints) {
			if h.ours == nil {
				h.ours = map[string]int{}
			}
			h.ours[name]++
		})
	}
}

// stays takes it back.
func (s *Spool) stays(q Queue, name string) { s.hint(q, func(h *hints) { h.left(name) }) }

// left reports whether we took a name away, once for each time.
func (h *hints) left(name string) bool {
	n := h.ours[name]
	if n > 1 {
		h.ours[name] = n - 1
	} else {
		delete(h.ours, name)
	}
	return n > 0
}

// Overlook has every file of the live queues looked at again.
func (s *Spool) Overlook() {
	for _, q := range Live {
		s.hint(q, func(h *hints) { h.all = true })
	}
}
