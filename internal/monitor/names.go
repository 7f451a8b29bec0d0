package monitor

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"simplejobq/internal/durable"
	"simplejobq/internal/spool"
	"simplejobq/internal/status"
	"simplejobq/internal/uow"
)

// errNobody is what a name means that nobody has seen.
var errNobody = errors.New("no UOW of this name")

// target is what a name means.
type target struct {
	queue spool.Queue
	name  string
	entry *spool.Entry // in a live queue
	job   *job         // executing
}

// resolve says what a name means: the UOW of that name that is executing; else
// the first in order of those queued or held; else, of those that ended, the one
// enqueued last. queue/NAME means exactly that file. Directories of ended UOWs
// are only asked if ended is set.
func (s *session) resolve(name string, ended bool) (target, error) {
	if dir, plain, ok := strings.Cut(name, "/"); ok {
		q, known := s.sp.ByName(dir)
		if !known {
			return target{}, fmt.Errorf("%w: %q is no queue", errNobody, dir)
		}
		return s.exactly(q, plain)
	}
	if j := s.names[name]; j != nil {
		return target{queue: j.At, name: j.Name, job: j}, nil
	}
	var first *spool.Entry
	for _, q := range spool.Live { // in their order
		if e := s.sp.Entry(q, name); e != nil && first == nil {
			first = e
		}
	}
	if first != nil {
		return target{queue: first.Queue, name: name, entry: first}, nil
	}
	for _, j := range s.jobs { // one that never starts, on its way out
		if j.UOW == name && j.unstarted {
			return target{queue: j.At, name: j.Name, job: j}, nil
		}
	}
	if !ended {
		return target{}, errNobody
	}
	return s.latest(name)
}

func (s *session) exactly(q spool.Queue, name string) (target, error) {
	if q == spool.Executing {
		for _, j := range s.jobs {
			if j.Name == name && j.At == q {
				return target{queue: q, name: name, job: j}, nil
			}
		}
	}
	if e := s.sp.Entry(q, name); e != nil {
		return target{queue: q, name: name, entry: e}, nil
	}
	if spool.Ignored(name) || spool.Readme(name) || name == "" || strings.Contains(name, "/") {
		return target{}, errNobody
	}
	_, there, err := s.sp.Find(q, name)
	if err == nil && !there {
		err = errNobody
	}
	return target{queue: q, name: name}, err
}

// latest finds the ended UOW of a name that was enqueued last.
func (s *session) latest(name string) (best target, err error) {
	if spool.Ignored(name) || spool.Readme(name) || name == "" || len(name) > 255 {
		return target{}, errNobody
	}
	var found []target
	var stamps []int64
	for _, q := range []spool.Queue{spool.Done, spool.Error, spool.Fail, spool.Archive, spool.Trash} {
		st, there, err := s.sp.Find(q, name)
		if err != nil {
			return best, err
		}
		if there && (q != spool.Trash || len(found) == 0) {
			found, stamps = append(found, target{queue: q, name: name}), append(stamps, st.Mtime)
		}
	}
	if len(found) == 0 {
		return best, errNobody
	}
	var when int64
	for i, t := range found {
		if len(found) > 1 { // otherwise it does not matter, and that is nearly always so
			if u, _, err := s.readUnit(t.queue, name); err == nil {
				stamps[i] = durable.Nanos(u.Enqueued)
			}
		}
		if i == 0 || stamps[i] > when {
			best, when = t, stamps[i]
		}
	}
	return best, nil
}

// isFile reports whether a text is queue/NAME, for exactly that file.
func (s *session) isFile(arg string) bool {
	_, err := s.resolve(arg, true)
	return strings.Contains(arg, "/") && err == nil
}

// matching finds what a message means: a name, or queue/pattern with shell
// wildcards for many. many tells that a pattern was given.
func (s *session) matching(arg string) (list []target, many bool, err error) {
	dir, pattern, ok := strings.Cut(arg, "/")
	q, known := s.sp.ByName(dir)
	t, err := s.resolve(arg, true)
	if errors.Is(err, errNobody) && strings.HasPrefix(arg, `"`) {
		// As monitor_says and the lists show a name with blanks.
		if plain, e := strconv.Unquote(arg); e == nil {
			t, err = s.resolve(plain, true)
		}
	}
	// A file of exactly this name goes before the pattern.
	if !ok || !known || !strings.ContainsAny(pattern, `*?[\`) || err == nil {
		return []target{t}, false, err
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, true, fmt.Errorf("%q is no pattern: %w", pattern, err)
	}
	var names []string
	err = s.sp.Dir(q).List(func(n durable.Name) bool {
		if match, _ := path.Match(pattern, n.Name); match && !spool.Ignored(n.Name) && !spool.Readme(n.Name) && spool.CheckName(n.Name) == nil &&
			!(q == spool.Trash && strings.HasSuffix(n.Name, ".why")) {
			names = append(names, n.Name)
		}
		return true
	})
	if err != nil {
		return nil, true, err
	}
	slices.Sort(names)
	for _, name := range names {
		if t, err := s.exactly(q, name); err == nil {
			list = append(list, t)
		} else if !errors.Is(err, errNobody) {
			return nil, true, err
		}
	}
	if len(list) == 0 {
		err = fmt.Errorf("%w: nothing in %s matches %q", errNobody, dir, pattern)
	}
	return list, true, err
}

// readUnit reads the head of a file of any queue.
func (s *session) readUnit(q spool.Queue, name string) (*uow.Unit, spool.Content, error) {
	return ReadUnit(s.sp, q, name, int64(s.conf.Limits.UOWSize))
}

// ReadUnit reads the head of a file as a unit of work.
func ReadUnit(sp *spool.Spool, q spool.Queue, name string, limit int64) (*uow.Unit, spool.Content, error) {
	c, err := sp.Read(q, name, func(r io.Reader) ([]byte, error) { return uow.Head(r, limit) })
	if err != nil {
		return nil, c, err
	}
	if c.HeadErr != nil {
		return nil, c, c.HeadErr
	}
	u, err := uow.Parse(name, c.Head)
	return u, c, err
}

func quoteName(name string) string { return status.Name(name) }
