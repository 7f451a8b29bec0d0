package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"simplejobq/internal/durable"

	"golang.org/x/sys/unix"
)

// Claimed is a UOW in currently-executing.
type Claimed struct {
	UOW      string // the name it was claimed under, and goes back to
	Name     string // its name where it is
	At       Queue  // where it is: currently-executing, unless it never starts
	From     Queue
	Ino      uint64
	Dev      uint64
	Token    string // of this claim: an inode may be claimed again, or belong to another file
	Enqueued int64
}

// Link is the name of the second link of a claimed UOW in .monitor/run: it leads
// to the inode wherever people move the file, and it tells the UOW's name.
func (c Claimed) Link() string {
	return cut("u"+strconv.FormatUint(c.Ino, 10)+"-"+c.Token+"-"+c.UOW, nameMax)
}

// token is one that no claim had before.
func (s *Spool) token() string {
	s.last = max(time.Now().UnixNano(), s.last+1)
	return strconv.FormatInt(s.last, 36)
}

// Claim takes an accepted file into currently-executing. Under one lease it is
// read, given to judge, linked and moved, so what runs is what was read. judge
// says whether it is still wanted.
func (s *Spool) Claim(e *Entry, head Head, judge func(Content) error) (c Claimed, err error) {
	if err := s.follow(Executing); err != nil {
		return c, err
	}
	from := s.dirs[e.Queue]
	f, st, err := s.open(e.Queue, e.Name)
	if err != nil {
		return c, err
	}
	taken := false
	defer func() {
		f.Unlease()
		if !taken {
			f.Close()
		} else if e := s.Batch.File(f); err == nil { // cp did not sync it
			err = e
		}
	}()
	content, err := read(f, head)
	if err != nil {
		return c, err
	}
	if content.Writer == durable.Written || st.Links > 1 || st.Ino != e.Ino || st.Size != e.Size || st.Mtime != e.Mtime {
		s.Again(e)
		return c, ErrChanged
	}
	if err := judge(content); err != nil {
		return c, err
	}
	c = Claimed{UOW: e.Name, At: Executing, From: e.Queue, Ino: st.Ino, Dev: st.Dev, Token: s.token(), Enqueued: e.Enqueued}
	if err := from.Link("claim:link", e.Name, s.Run, c.Link()); err != nil {
		if lost := s.There(); isMissing(err) && lost != nil {
			return c, lost // no race over the file: it would be lost again and again
		}
		return c, errors.Join(err, s.undoLink(c)) // a network file system may have made it nevertheless
	}
	// Crash window: a second link of a queued file, removed at start.
	s.leaving(e.Queue, e.Name)
	m, err := s.move("claim", e.Queue, e.Name, Executing, e.Name)
	if err != nil {
		s.stays(e.Queue, e.Name)
		return c, errors.Join(err, s.undoLink(c))
	}
	c.Name = m.NewName
	s.Batch.Dir(s.Run, 0)
	now, err := s.dirs[Executing].Stat(c.Name)
	if err != nil || !now.SameContent(content.Stat) {
		// Replaced between the read and the move: give back what was taken.
		_, back := s.move("claim", Executing, c.Name, e.Queue, e.Name)
		s.Again(e)
		return c, errors.Join(ErrChanged, err, back, s.undoLink(c))
	}
	s.leave(e)
	taken = true
	return c, nil
}

// undoLink takes back the second link of a claim that came to nothing.
func (s *Spool) undoLink(c Claimed) error {
	err := s.Run.Remove("claim:unlink", c.Link())
	if err != nil {
		s.linked[c.Ino] = true
		s.DropLater(c)
	}
	return err
}

// Adopt gives a file its second link where it lies, if it is what was read.
func (s *Spool) Adopt(c Claimed, read durable.Stat) (Claimed, error) {
	// Whoever put it there did not sync it, and it may start after this commit.
	f, st, err := s.open(c.At, c.Name)
	if err != nil {
		return c, err
	}
	if !st.SameContent(read) {
		return c, errors.Join(ErrChanged, f.Close())
	}
	if err := s.Batch.File(f); err != nil {
		return c, err
	}
	c.Token = s.token()
	s.Batch.Dir(s.Run, 0)
	s.Batch.Dir(s.dirs[c.At], 0)
	if err := s.dirs[c.At].Link("claim:link", c.Name, s.Run, c.Link()); err != nil {
		return c, errors.Join(err, s.undoLink(c))
	}
	// The name may have become another file's meanwhile.
	if now, err := s.Run.Stat(c.Link()); err != nil || now.Ino != c.Ino {
		return c, errors.Join(ErrChanged, err, s.undoLink(c))
	}
	return c, nil
}

// Place is where a running UOW's file is.
type Place struct {
	Queue Queue
	Name  string
	Lost  bool // nowhere in the spool: only the second link leads to it
}

// Where finds a claimed UOW, wherever people moved it.
func (s *Spool) Where(c Claimed) (Place, error) {
	if st, err := s.dirs[c.At].Stat(c.Name); err == nil && st.Ino == c.Ino {
		return Place{Queue: c.At, Name: c.Name}, nil
	} else if err != nil && !isMissing(err) {
		return Place{}, err
	}
	for q := range Queues {
		for _, name := range []string{c.UOW, c.Name} {
			st, there, err := s.Find(q, name)
			if err != nil {
				return Place{}, err
			}
			if there && st.Ino == c.Ino {
				return Place{Queue: q, Name: name}, nil
			}
		}
	}
	link, err := s.Run.Stat(c.Link())
	if isMissing(err) {
		link.Links, err = 2, nil // somebody cleared our directory: the file may be anywhere
	}
	if err != nil || link.Links < 2 {
		return Place{Lost: true}, err
	}
	// It has another name somewhere: rare enough to read every directory.
	for q := range Queues {
		place := Place{Lost: true}
		err := s.dirs[q].List(func(n durable.Name) bool {
			if n.Ino == c.Ino {
				place = Place{Queue: q, Name: n.Name}
			}
			return place.Lost
		})
		if err != nil || !place.Lost {
			return place, err
		}
	}
	return Place{Lost: true}, nil
}

// ErrVanished is a claimed UOW that somebody removed with all its names.
var ErrVanished = errors.New("its file was removed, and its second link too")

// Open opens a claimed UOW for writing in place, through its second link:
// wherever people moved it, it is the inode that ran.
func (s *Spool) Open(site durable.Site, c Claimed) (*durable.File, error) {
	f, err := s.Run.OpenWrite(site, c.Link())
	if errors.Is(err, fs.ErrPermission) {
		// Its job took the right to write from its own file.
		if e := s.Run.Allow("finish:chmod", c.Link()); e != nil {
			return nil, errors.Join(err, e)
		}
		f, err = s.Run.OpenWrite(site, c.Link())
	}
	if !isMissing(err) {
		return f, err
	}
	place, err := s.Where(c)
	if err != nil {
		return nil, err
	}
	if place.Lost {
		return nil, ErrVanished
	}
	if f, err = s.dirs[place.Queue].OpenWrite(site, place.Name); err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || st.Ino != c.Ino {
		f.Close()
		return nil, errors.Join(ErrChanged, err)
	}
	return f, nil
}

// Finish moves a UOW to where its end leads, from wherever people put it. strange
// says what was found if it was not in its place. Of one that has ended the second
// link stays until DropLater.
func (s *Spool) Finish(c Claimed, to Queue) (m Moved, strange string, err error) {
	place, err := s.Where(c)
	if err != nil {
		return m, "", err
	}
	if err := s.follow(to); err != nil {
		return m, "", err
	}
	switch {
	case place.Lost:
		strange = "its file was removed or replaced while it ran; its second link is published under its name"
		m, err = s.publishLink(c, to)
	case place.Queue == to && place.Name == c.UOW:
		strange = fmt.Sprintf("its file had been moved to %s already", s.Name(to))
		m = Moved{Name: c.Name, NewName: c.UOW, From: c.At, To: to}
		s.changed(to) // mv did not sync it, and the end is told as one that is on disk
	default:
		if place.Queue != c.At {
			strange = fmt.Sprintf("its file had been moved to %s/%s while it ran", s.Name(place.Queue), place.Name)
		}
		m, err = s.move("finish", place.Queue, place.Name, to, c.UOW)
		m.Name = c.UOW // a person may have renamed it: that is no clash
		if e := s.Entry(place.Queue, place.Name); err == nil && e != nil {
			s.leave(e)
		}
	}
	if err != nil {
		return m, strange, err
	}
	if to.Ended() {
		// Its second link goes when its end was told: until then a crash has that
		// told once more.
		s.linked[c.Ino] = true
	} else {
		s.DropLater(c)
	}
	if s.index[to] != nil {
		st, err := s.dirs[to].Stat(m.NewName)
		if err != nil {
			return m, strange, err
		}
		m.Entry = s.enter(to, m.NewName, st, Accepted, c.Enqueued)
	}
	return m, strange, nil
}

// DropLater removes a second link with what waits for the commit. Its end was told.
func (s *Spool) DropLater(c Claimed) {
	s.Until(func() error {
		err := s.DropSecond(c)
		if delete(s.linked, c.Ino); err != nil {
			s.linked[c.Ino] = true
		}
		return err
	})
}

// publishLink gives a UOW whose name is gone a name again, as move would have.
func (s *Spool) publishLink(c Claimed, to Queue) (Moved, error) {
	m := Moved{Name: c.Name, NewName: c.UOW, From: c.At, To: to}
	err := s.place("finish", &m, func(name string) error {
		err := s.Run.Link("finish:link", c.Link(), s.dirs[to], name)
		if isMissing(err) {
			err = ErrVanished
		}
		return err
	})
	if err == nil {
		s.changed(to)
	}
	return m, err
}

// BringBack moves a running UOW that turned up elsewhere back to its place, and
// returns its name there.
func (s *Spool) BringBack(c Claimed, from Queue, name string) (string, error) {
	m, err := s.move("bring-back", from, name, Executing, c.Name)
	if e := s.Entry(from, name); err == nil && e != nil {
		s.leave(e)
	}
	return m.NewName, err
}

// Second is a second link found in .monitor/run.
type Second struct {
	Claimed
	Links uint64
}

// Seconds lists the second links, and the names of the run records beside them.
func (s *Spool) Seconds() (links []Second, records []string, err error) {
	var names []string
	err = s.Run.List(func(n durable.Name) bool {
		if n.Type != unix.DT_DIR { // no file of ours
			names = append(names, n.Name)
		}
		return true
	})
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		if _, err := strconv.ParseUint(name, 10, 63); err == nil {
			records = append(records, name)
			continue
		}
		number, rest, _ := strings.Cut(strings.TrimPrefix(name, "u"), "-")
		token, uow, ok := strings.Cut(rest, "-")
		ino, err := strconv.ParseUint(number, 10, 64)
		if !ok || err != nil || name[0] != 'u' {
			continue // not ours to judge
		}
		st, err := s.Run.Stat(name)
		if err != nil {
			return nil, nil, err
		}
		if st.Ino == ino {
			c := Claimed{UOW: uow, Name: uow, At: Executing, From: Wait, Ino: ino, Dev: st.Dev, Token: token, Enqueued: st.Mtime}
			links = append(links, Second{c, st.Links})
		}
	}
	return links, records, nil
}

// DropSecond removes a second link that is not needed.
func (s *Spool) DropSecond(c Claimed) error { return s.Run.Remove("heal:unlink", c.Link()) }

// Sync makes sure that what is read from the directories at start is on disk: a
// crash of the monitor alone leaves names that only memory knows.
func (s *Spool) Sync() error {
	var errs []error
	for q := range Queues {
		errs = append(errs, s.dirs[q].Sync("start:sync"))
	}
	return errors.Join(append(errs, s.Run.Sync("start:sync"), s.Private.Sync("start:sync"))...)
}

// Twin heals a half-done move: one file under one name in two queues, as a power
// cut or a link and unlink may leave it. The later state wins: an ended one, what
// executes, what is queued, what is held. A move that is not done then is done
// again by whom it was for. healed tells that it was e's name that went, and where
// the file is.
func (s *Spool) Twin(e *Entry) (at Queue, healed bool, err error) {
	for i, q := range twinOrder {
		if q == e.Queue {
			// Whoever comes now is earlier than e.
			return 0, false, s.dropTwins(e, twinOrder[i+1:])
		}
		st, there, err := s.Find(q, e.Name)
		if err != nil {
			return 0, false, err
		}
		if there && st.Ino == e.Ino {
			if err := s.dirs[e.Queue].Remove("heal:twin", e.Name); err != nil {
				return 0, false, err
			}
			s.changed(e.Queue)
			s.leave(e)
			return q, true, nil
		}
	}
	return 0, false, nil
}

var twinOrder = []Queue{Done, Error, Fail, Archive, Trash, Executing, Priority, Wait, Hold}

func (s *Spool) dropTwins(e *Entry, earlier []Queue) error {
	for _, q := range earlier {
		st, there, err := s.Find(q, e.Name)
		if err != nil {
			return err
		}
		if !there || st.Ino != e.Ino {
			continue
		}
		if err := s.dirs[q].Remove("heal:twin", e.Name); err != nil {
			return err
		}
		s.changed(q)
		if other := s.Entry(q, e.Name); other != nil {
			s.leave(other)
		}
	}
	return nil
}

// Executing lists what lies in currently-executing.
func (s *Spool) Executing() (names []durable.Name, err error) {
	err = s.dirs[Executing].List(func(n durable.Name) bool {
		if !Ignored(n.Name) && !Readme(n.Name) {
			names = append(names, n)
		}
		return true
	})
	return names, err
}
