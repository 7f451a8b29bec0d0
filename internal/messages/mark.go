package messages

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"simplejobq/internal/durable"
)

// mark is what the disk knows of how far monitor_reads was acted upon. Offsets
// count from the file's first byte.
type mark struct {
	Seq  uint64 `json:"seq"`
	Ino  uint64 `json:"ino"`
	Head int64  `json:"head"` // end of the leading comment block

	// [0, Done) was acted upon, and Sum is the hash of these bytes: they tell
	// the same file, or an editor's copy of it, from another one. Long: Done
	// lies inside a line that is being passed over.
	Done int64  `json:"done"`
	Sum  string `json:"sum"`
	Long bool   `json:"long,omitempty"`

	// Lines in [Done, Taken) were handed out, and perhaps acted upon.
	Taken int64 `json:"taken"`

	// The file was about to be cut: [0, Cut) had been acted upon and its hash
	// was CutSum. CutTime is the file's mtime at that moment, or 0 where that
	// moment was too near for an mtime to tell anything.
	Cut     int64  `json:"cut,omitempty"`
	CutSum  string `json:"cut_sum,omitempty"`
	CutTime int64  `json:"cut_time,omitempty"`
}

// marks keeps the last mark in a file of two slots, written in turn and in
// place: whatever a crash leaves of the one, the other is whole.
type marks struct {
	dir  *durable.Dir
	name string
	file *durable.File // nil: make the file anew before writing
	seq  uint64
}

const (
	slotSize = 4096 // what a disk may tear is smaller, or just this
	sumSize  = 2 * sha256.Size
)

var (
	errNoMark  = errors.New("there is no record of what was acted upon before")
	errDamaged = errors.New("the record of what was acted upon before is damaged")
)

// openMarks reads the last mark. No file: errNoMark; nothing usable in it:
// errDamaged; the marks can be used after either.
func openMarks(dir *durable.Dir, name string) (*marks, mark, error) {
	m := &marks{dir: dir, name: name}
	if err := dir.Remove("reads state:remove", name+".new"); err != nil {
		return m, mark{}, err
	}
	f, err := dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return m, mark{}, errNoMark
	}
	if err != nil {
		return m, mark{}, err
	}
	s, err := f.Stat()
	if err == nil && !s.Regular() {
		err = errDamaged
	}
	buf := make([]byte, 2*slotSize)
	n := 0
	if err == nil {
		n, err = f.ReadAt(buf, 0)
	}
	if err := errors.Join(ignoreEOF(err), f.Close()); err != nil {
		return m, mark{}, err
	}
	var last mark
	found := false
	for i := range 2 {
		if got, ok := readSlot(buf[min(n, i*slotSize):min(n, (i+1)*slotSize)]); ok && (!found || got.Seq > last.Seq) {
			last, found = got, true
		}
	}
	if !found {
		return m, mark{}, errDamaged
	}
	m.seq = last.Seq
	if m.file, err = dir.OpenWrite("reads state:open", name); err != nil {
		return m, mark{}, err
	}
	return m, last, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// A slot is the hash of a line, the line, and blanks.
func (k mark) slot() []byte {
	text, _ := json.Marshal(k) // numbers and hex digits only
	sum := sha256.Sum256(text)
	b := fmt.Appendf(nil, "%x %s\n", sum, text)
	return append(b, bytes.Repeat([]byte{' '}, slotSize-len(b))...)
}

func readSlot(b []byte) (k mark, ok bool) {
	line, _, found := bytes.Cut(b, []byte{'\n'})
	if !found || len(line) < sumSize+1 {
		return k, false
	}
	sum := sha256.Sum256(line[sumSize+1:])
	if hex.EncodeToString(sum[:]) != string(line[:sumSize]) || json.Unmarshal(line[sumSize+1:], &k) != nil {
		return k, false
	}
	return k, k.Head >= 0 && k.Head <= k.Done && k.Done <= k.Taken && k.Cut >= 0
}

// save makes a mark durable. After an error nobody knows what the file holds,
// so the next save makes a new one; the old stays until then.
func (m *marks) save(act string, k mark) error {
	site := func(op string) durable.Site { return durable.Site("reads " + act + ":" + op) }
	k.Seq = m.seq + 1
	if m.file == nil {
		return m.remake(k)
	}
	_, err := m.file.WriteAt(site("write"), k.slot(), int64(k.Seq%2)*slotSize)
	if err == nil {
		err = m.file.Sync(site("sync"))
	}
	if err != nil {
		m.file.Close() // its bytes are in doubt anyway
		m.file = nil
		return err
	}
	m.seq = k.Seq
	return nil
}

func (m *marks) remake(k mark) error {
	temp := m.name + ".new"
	if err := m.dir.Remove("reads state:remove", temp); err != nil {
		return err
	}
	f, err := m.dir.Create("reads state:create", temp, 0o600)
	if err != nil {
		return err
	}
	// Both slots: what is written in place later finds its room.
	_, err = f.WriteAt("reads state:write", append(k.slot(), k.slot()...), 0)
	if err == nil {
		err = f.Sync("reads state:sync")
	}
	if err == nil {
		err = m.dir.Replace("reads state:rename", temp, m.dir, m.name)
	}
	if err == nil {
		err = m.dir.Sync("reads state:sync directory")
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	// Crash window: the new file is there, nothing was handed out yet. It says
	// at most that lines were, and they come with Again.
	m.file, m.seq = f, k.Seq
	return nil
}

func (m *marks) close() error {
	if m.file == nil {
		return nil
	}
	err := m.file.Close()
	m.file = nil
	return err
}

// unknownMark tells an error that work can go on without: nothing is known of
// what was acted upon, and nothing keeps us from writing down what will be.
func unknownMark(err error) bool {
	return errors.Is(err, errNoMark) || errors.Is(err, errDamaged)
}
