package spool

import (
	"encoding/binary"
	"hash/maphash"
)

// shelf holds the many that are queued and wait for nothing but their turn. Of them
// only the name, the place in the order and what tells the file again is known: about
// 50 bytes each, none of which the garbage collector has to look at. Who has more to
// tell, or is asked for, is an [Entry].
type shelf struct {
	slots [][]slot
	names [][]byte    // cells of a byte for the length, the name, and room for a link
	cells [256]uint32 // by length of the name: the first cell nobody uses, + 1; it leads to the next
	table []uint32    // open addressing by name: some bits of its hash and the number of its slot + 1
	lanes []lane
	n     int
	free  uint32 // the first of the slots nobody uses, + 1; pos leads to the next
	waste int    // bytes of cells nobody uses
	turn  uint16 // of the last whole listing, 0 or marked
	seed  maphash.Seed
}

// slot is one of them, in 26 bytes: numbers in parts, of which none wants more room than
// it needs.
type slot struct {
	at   [4]uint16 // the time of the order and of the file's last change alike
	ino  [3]uint16
	name [2]uint16 // its cell
	pos  [2]uint16 // in its lane
	size uint16
	lane uint16 // and whether the last whole listing had it
}

const (
	unread    = 0 // the lane of those not read yet
	marked    = 1 << 15
	perChunk  = 1260    // slots, which fill an allocation of 32 KiB
	perNames  = 1 << 16 // bytes
	linkSize  = 4
	idBits    = 24
	idMask    = 1<<idBits - 1
	sizeLimit = 1 << 16
	inoLimit  = 1 << 48
	laneLimit = 1 << 10
)

func split2(n uint32) [2]uint16 { return [2]uint16{uint16(n), uint16(n >> 16)} }
func join2(p [2]uint16) uint32  { return uint32(p[1])<<16 | uint32(p[0]) }
func (s *slot) when() int64 {
	return int64(s.at[3])<<48 | int64(s.at[2])<<32 | int64(s.at[1])<<16 | int64(s.at[0])
}
func (s *slot) inode() uint64 {
	return uint64(s.ino[2])<<32 | uint64(s.ino[1])<<16 | uint64(s.ino[0])
}
func (s *slot) where() int { return int(s.lane &^ marked) }

func (h *shelf) at(i uint32) *slot { return &h.slots[i/perChunk][i%perChunk] }

func newShelf() *shelf { return &shelf{seed: maphash.MakeSeed(), lanes: make([]lane, unread+1)} }

func (h *shelf) name(s *slot) []byte {
	b := h.names[s.name[1]][s.name[0]:] // a chunk has as many bytes as fit the one half
	return b[1 : 1+int(b[0])]
}

// laneOf is the lane of a kind, made if need be; false if there are too many.
func (h *shelf) laneOf(kind string) (int, bool) {
	for i := unread + 1; i < len(h.lanes); i++ {
		if h.lanes[i].kind == kind {
			return i, true
		}
	}
	if len(h.lanes) == laneLimit {
		return 0, false
	}
	h.lanes = append(h.lanes, lane{kind: kind})
	return len(h.lanes) - 1, true
}

// put adds what is not there yet; false if it does not fit.
func (h *shelf) put(name string, in int, at int64, ino uint64, size int64) bool {
	if size < 0 || size >= sizeLimit || ino >= inoLimit || len(name) > 255 || h.free == 0 && len(h.slots)*perChunk >= idMask {
		return false
	}
	if (h.n+1)*5 > len(h.table)*4 {
		h.grow()
	}
	if h.free == 0 {
		chunk := make([]slot, perChunk)
		for i := range chunk {
			chunk[i].pos = split2(uint32(len(h.slots)*perChunk + i + 2))
		}
		chunk[perChunk-1].pos = split2(0)
		h.slots = append(h.slots, chunk)
		h.free = uint32((len(h.slots)-1)*perChunk + 1)
	}
	i := h.free - 1
	s := h.at(i)
	h.free = join2(s.pos)
	*s = slot{
		at: [4]uint16{uint16(at), uint16(at >> 16), uint16(at >> 32), uint16(at >> 48)}, ino: [3]uint16{uint16(ino), uint16(ino >> 16), uint16(ino >> 32)},
		name: split2(h.cell(name)), size: uint16(size), lane: uint16(in) | h.turn,
	}
	h.n++
	h.enlist(i, maphash.String(h.seed, name))
	h.join(i)
	return true
}

// cell keeps a name, where one of that length was if there is such a place.
func (h *shelf) cell(name string) uint32 {
	size := max(1+len(name), 1+linkSize)
	at := h.cells[len(name)] - 1
	if h.cells[len(name)] == 0 {
		last := len(h.names) - 1
		if last < 0 || len(h.names[last])+size > perNames {
			h.names = append(h.names, make([]byte, 0, perNames))
			last++
		}
		at = uint32(last*perNames + len(h.names[last]))
		h.names[last] = h.names[last][:len(h.names[last])+size]
	} else {
		h.cells[len(name)] = binary.NativeEndian.Uint32(h.names[at/perNames][at%perNames+1:])
		h.waste -= size
	}
	b := h.names[at/perNames][at%perNames:]
	b[0] = byte(len(name))
	copy(b[1:], name)
	return at
}

// vacate is the end of a name.
func (h *shelf) vacate(at uint32) {
	b := h.names[at/perNames][at%perNames:]
	n := b[0]
	binary.NativeEndian.PutUint32(b[1:], h.cells[n])
	h.cells[n] = at + 1
	h.waste += max(1+int(n), 1+linkSize)
}

// home is where the search for a hash begins.
func (h *shelf) home(hash uint64) int { return int(uint64(uint32(hash)) * uint64(len(h.table)) >> 32) }

func tag(hash uint64) uint32 { return uint32(hash>>40) << idBits }

func (h *shelf) next(at int) int {
	if at++; at == len(h.table) {
		return 0
	}
	return at
}

func (h *shelf) enlist(i uint32, hash uint64) {
	at := h.home(hash)
	for h.table[at] != 0 {
		at = h.next(at)
	}
	h.table[at] = tag(hash) | (i + 1)
}

// grow makes a longer table: a quarter, because a million of them are to be small.
func (h *shelf) grow() {
	old := h.table
	h.table = make([]uint32, len(old)+max(len(old)/4, 64))
	for _, v := range old {
		if v != 0 {
			i := v&idMask - 1
			h.enlist(i, maphash.Bytes(h.seed, h.name(h.at(i))))
		}
	}
}

// find is the number of a name's slot, and where the table has it.
func (h *shelf) find(name string) (i uint32, at int, ok bool) {
	if h.n == 0 {
		return 0, 0, false // there may be no table
	}
	hash := maphash.String(h.seed, name)
	t := tag(hash)
	for at = h.home(hash); h.table[at] != 0; at = h.next(at) {
		if v := h.table[at]; v&^idMask == t {
			if i = v&idMask - 1; string(h.name(h.at(i))) == name {
				return i, at, true
			}
		}
	}
	return 0, 0, false
}

// remove takes out what find found. Those behind it in the table move up, as far as
// their search still finds them.
func (h *shelf) remove(i uint32, at int) {
	s := h.at(i)
	h.quit(i)
	gap := at
	for at = h.next(at); h.table[at] != 0; at = h.next(at) {
		home := h.home(maphash.Bytes(h.seed, h.name(h.at(h.table[at]&idMask-1))))
		stays := gap < home && home <= at
		if at < gap { // the search goes on at the beginning
			stays = gap < home || home <= at
		}
		if stays {
			continue
		}
		h.table[gap], gap = h.table[at], at
	}
	h.table[gap] = 0
	h.vacate(join2(s.name))
	*s = slot{pos: split2(h.free)}
	h.free = i + 1
	h.n--
	if used := len(h.slots) * perChunk; h.waste > perNames && h.waste > len(h.names)*perNames/2 || used > 4*perChunk && h.n < used/4 {
		h.pack()
	}
}

// pack gives back the room of those that have left.
func (h *shelf) pack() {
	small := shelf{turn: h.turn, seed: h.seed}
	for _, l := range h.lanes {
		small.lanes = append(small.lanes, lane{kind: l.kind})
	}
	for in, l := range h.lanes {
		for _, i := range l.heap {
			s := h.at(i)
			small.put(string(h.name(s)), in, s.when(), s.inode(), int64(s.size))
			n, _, _ := small.find(string(h.name(s)))
			small.at(n).lane = s.lane
		}
	}
	*h = small
}
