package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strconv"

	"simplejobq/internal/config"
	"simplejobq/internal/durable"
)

// saysReader reads on in monitor_says from where it ended when it was opened,
// through any number of rotations.
type saysReader struct {
	dir  *durable.Dir
	name string
	keep int
	file *durable.File // nil: there is none yet
	id   durable.Stat
	pos  int64
	part []byte // a line whose end has not come yet
}

func followSays(c *config.Config) (*saysReader, error) {
	dir, err := durable.OpenDir(c.Root)
	if err != nil {
		return nil, err
	}
	s := &saysReader{dir: dir, name: c.Files.Says, keep: c.SaysKeep}
	if err = s.open(s.name); err == nil && s.file != nil {
		s.pos = s.id.Size
	}
	if err != nil {
		s.close()
	}
	return s, err
}

func (s *saysReader) close() {
	if s.file != nil {
		_ = s.file.Close() // read only
	}
	_ = s.dir.Close()
}

func (s *saysReader) open(name string) error {
	f, err := s.dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if s.file != nil {
		if err := s.file.Close(); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	s.file, s.id, s.pos, s.part = f, st, 0, nil
	return nil
}

// read returns the whole lines that have come.
func (s *saysReader) read() (lines []string, err error) {
	for range s.keep + 2 {
		// Asked before reading: what is renamed is not written to any more.
		next, err := s.successor()
		if err != nil {
			return lines, err
		}
		more, err := s.rest()
		lines = append(lines, more...)
		if err != nil || next == "" {
			return lines, err
		}
		if err := s.open(next); err != nil {
			return lines, err
		}
	}
	return lines, nil
}

func (s *saysReader) rest() (lines []string, err error) {
	if s.file == nil {
		return nil, nil
	}
	b, err := io.ReadAll(io.NewSectionReader(s.file, s.pos, 1<<62))
	s.pos += int64(len(b))
	s.part = append(s.part, b...)
	for {
		line, rest, ok := bytes.Cut(s.part, []byte("\n"))
		if !ok {
			return lines, err
		}
		lines, s.part = append(lines, string(line)), rest
	}
}

// successor is the file to read after the one that is open, "" if that is still
// the youngest.
func (s *saysReader) successor() (string, error) {
	younger := s.name
	for i := 0; i <= s.keep; i++ {
		name := s.name
		if i > 0 {
			name += "." + strconv.Itoa(i)
		}
		st, err := s.dir.Stat(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err == nil && s.file != nil && st.Ino == s.id.Ino && st.Dev == s.id.Dev {
			if i == 0 {
				return "", nil
			}
			return younger, nil
		}
		if err == nil || i == 0 {
			younger = name
		}
	}
	// The one that was open has fallen out of those that are kept, or there was
	// none: the oldest there is.
	if _, err := s.dir.Stat(younger); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return younger, nil
}
