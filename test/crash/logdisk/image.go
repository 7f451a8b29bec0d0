package logdisk

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"os"

	"golang.org/x/sys/unix"
)

const pageSize = 4096

type page [pageSize]byte

var blank page

// Sum tells images apart by their content.
type Sum [16]byte

// Image is what a disk holds. Pages of zeros take no room, and no page is ever
// changed in place, so that a copy costs little.
type Image struct {
	Size  int64
	pages map[int64]*page
	sum   Sum
}

// Load reads a sparse file.
func Load(path string) (*Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m := &Image{Size: st.Size(), pages: map[int64]*page{}}
	for end := int64(0); ; {
		data, err := f.Seek(end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return m, nil // only a hole is left
		}
		if err == nil {
			end, err = f.Seek(data, unix.SEEK_HOLE)
		}
		if err != nil {
			return nil, err
		}
		b := make([]byte, end-data)
		if _, err := f.ReadAt(b, data); err != nil {
			return nil, err
		}
		m.Write(data, b)
	}
}

// Store writes the image into an empty file.
func (m *Image) Store(f *os.File) error {
	for n, p := range m.pages {
		if _, err := f.WriteAt(p[:], n*pageSize); err != nil {
			return err
		}
	}
	return f.Truncate(m.Size)
}

// Clone is a copy that can be changed by itself.
func (m *Image) Clone() *Image { return &Image{m.Size, maps.Clone(m.pages), m.sum} }

// Sum is of the content.
func (m *Image) Sum() Sum { return m.sum }

// Write overwrites a part.
func (m *Image) Write(off int64, data []byte) {
	for len(data) > 0 {
		n, at := off/pageSize, off%pageSize
		p := new(page)
		if old := m.pages[n]; old != nil {
			*p = *old
			m.mix(n, old)
		}
		k := copy(p[at:], data)
		if *p == blank {
			delete(m.pages, n)
		} else {
			m.pages[n] = p
			m.mix(n, p)
		}
		off, data = off+int64(k), data[k:]
	}
}

// mix takes a page into the sum, or out of it.
func (m *Image) mix(n int64, p *page) {
	h := sha256.New()
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], uint64(n))
	h.Write(number[:])
	h.Write(p[:])
	for i, c := range h.Sum(nil)[:len(m.sum)] {
		m.sum[i] ^= c
	}
}

// Read fills b, which must lie within the image.
func (m *Image) Read(off int64, b []byte) {
	for len(b) > 0 {
		p := m.pages[off/pageSize]
		if p == nil {
			p = &blank
		}
		k := copy(b, p[off%pageSize:])
		off, b = off+int64(k), b[k:]
	}
}
