package messages

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/clock"
	"simplejobq/internal/durable"
)

// source is one inode that messages are read from, and how far.
type source struct {
	file     *durable.File
	id       durable.Stat // when it was opened
	readOnly bool
	seen     durable.Stat // at the last look
	unsure   bool         // seen does not prove that nobody wrote since
	resent   bool         // the same text was written once more before it was cut

	head    int64     // end of the leading comment block
	headSum hash.Hash // of [0, head)
	pos     int64     // everything before was handed out or passed over
	sum     hash.Hash // of [0, pos)
	tail    []byte    // the bytes just before pos, to notice a rewrite in place
	long    bool      // pos lies inside a line that is being passed over
}

// How many bytes before pos are compared each time: an append never changes
// them, an editor that writes in place almost always does.
const tailBytes = 256

var errNotRegular = errors.New("is not a regular file")

// openSource opens what path leads to. Devices and FIFOs are not opened at all:
// for some of them opening is doing.
func openSource(path string) (*source, error) {
	s, err := durable.StatPath(path)
	if err != nil {
		return nil, err
	}
	if !s.Regular() {
		return nil, fmt.Errorf("%s %w", path, errNotRegular)
	}
	src := &source{}
	src.file, err = durable.OpenPath("reads:open", path)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
		src.readOnly = true
		src.file, err = durable.OpenPathRead(path)
	}
	if err != nil {
		return nil, err
	}
	if s, err = src.file.Stat(); err == nil && !s.Regular() {
		err = fmt.Errorf("%s %w", path, errNotRegular)
	}
	if err != nil {
		return nil, errors.Join(err, src.file.Close())
	}
	src.id = s
	src.rewind()
	return src, nil
}

// rewind goes back to the first byte.
func (s *source) rewind() {
	s.head, s.pos, s.tail, s.long, s.resent = 0, 0, nil, false, false
	s.sum, s.headSum = sha256.New(), sha256.New()
	s.seen = durable.Stat{}
}

// resume goes on at an offset whose bytes before it hash to sum; it reports
// false, and changes nothing, where they do not.
func (s *source) resume(head, pos int64, sum string, long bool) (bool, error) {
	all, ok, err := s.prefix(pos)
	if err != nil || !ok || sumText(all) != sum {
		return false, err
	}
	headSum, ok, err := s.prefix(head)
	if err != nil || !ok {
		return false, err
	}
	tail := make([]byte, min(pos, tailBytes))
	if _, err := s.file.ReadAt(tail, pos-int64(len(tail))); err != nil {
		return false, ignoreEOF(err)
	}
	s.head, s.headSum, s.pos, s.sum, s.tail, s.long = head, headSum, pos, all, tail, long
	s.seen = durable.Stat{}
	return true, nil
}

// begins reports whether the file's first n bytes hash to sum.
func (s *source) begins(n int64, sum string) (bool, error) {
	h, ok, err := s.prefix(n)
	return ok && sumText(h) == sum, err
}

// prefix hashes the first n bytes; ok is false if there are fewer.
func (s *source) prefix(n int64) (h hash.Hash, ok bool, err error) {
	h = sha256.New()
	buf := make([]byte, min(n, 64<<10))
	for at := int64(0); at < n; {
		b := buf[:min(n-at, int64(len(buf)))]
		if _, err := s.file.ReadAt(b, at); err != nil {
			return h, false, ignoreEOF(err)
		}
		h.Write(b)
		at += int64(len(b))
	}
	return h, true, nil
}

// advance notes that b, which lies at pos, is dealt with.
func (s *source) advance(b []byte) {
	s.sum.Write(b)
	s.pos += int64(len(b))
	s.tail = append(s.tail, b[max(0, len(b)-tailBytes):]...)
	s.tail = s.tail[max(0, len(s.tail)-tailBytes):]
}

// extendHead notes that everything up to pos is the leading comment block.
func (s *source) extendHead() {
	s.head, s.headSum = s.pos, cloneHash(s.sum)
}

// cutToHead notes that the file was cut back to its comment block.
func (s *source) cutToHead() {
	s.pos, s.sum = s.head, cloneHash(s.headSum)
	s.tail = make([]byte, min(s.head, tailBytes))
	if _, err := s.file.ReadAt(s.tail, s.head-int64(len(s.tail))); err != nil {
		s.tail = nil // a rewrite in place then goes unnoticed, nothing else
	}
	s.seen = durable.Stat{}
}

// look notes what the file was like when it was read. A write within one tick of
// the clock leaves it the same times.
func (s *source) look(now durable.Stat) {
	s.seen = now
	s.unsure = clock.Wall().UnixNano()-now.Mtime < int64(100*time.Millisecond)
}

// rewritten reports whether the bytes just before pos are no longer there; of a file
// that ends at pos, whether any before it are not: that was no append.
func (s *source) rewritten(size int64) (bool, error) {
	if size < s.pos {
		return true, nil
	}
	now := make([]byte, len(s.tail))
	_, err := s.file.ReadAt(now, s.pos-int64(len(now)))
	if err := ignoreEOF(err); err != nil {
		return false, err
	}
	if !bytes.Equal(now, s.tail) || size > s.pos || int64(len(s.tail)) == s.pos {
		return !bytes.Equal(now, s.tail), nil
	}
	same, err := s.begins(s.pos, sumText(s.sum))
	return !same, err
}

// writers asks whether anybody else has the file open for writing. Our own
// descriptor must not be in the way: see durable.File.Reopen.
func (s *source) writers() (int, error) {
	if !s.readOnly {
		r, err := s.file.Reopen("reads:reopen", false)
		if err != nil {
			return durable.Unknown, err
		}
		err = s.file.Close()
		s.file, s.readOnly = r, true
		if err != nil {
			return durable.Unknown, err
		}
		defer func() {
			// Without it the file is still read, only no longer emptied.
			if w, err := r.Reopen("reads:reopen", true); err == nil {
				_ = r.Close() // read-only: nothing can be lost in it
				s.file, s.readOnly = w, false
			}
		}()
	}
	state := s.file.ReadLease()
	if state == durable.Quiet {
		s.file.Unlease()
	}
	return state, nil
}

func (s *source) close() error { return s.file.Close() }

func cloneHash(h hash.Hash) hash.Hash {
	c, _ := h.(hash.Cloner).Clone() // SHA-256 always can
	return c
}

func sumText(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
