package logdisk

import (
	"fmt"
	"maps"
	"math/rand/v2"
)

// Told is what each witness had seen.
type Told map[string]string

// Epoch is the time between two flushes: what the disk surely holds, and what
// was written then.
type Epoch struct {
	stable  *Image
	writes  []Op
	moments []moment
}

// moment is the time between two words of witnesses.
type moment struct {
	told  Told
	until int // so many of the epoch's writes had come at its end
}

// Epochs divides a recording.
func (r *Recording) Epochs() (all []*Epoch) {
	disk, told := r.Base.Clone(), maps.Clone(r.Told)
	e := &Epoch{stable: r.Base}
	over := func() { e.moments = append(e.moments, moment{maps.Clone(told), len(e.writes)}) }
	for _, op := range r.Log {
		switch op.Kind {
		case Write:
			e.writes = append(e.writes, op)
			disk.Write(op.Off, op.Data)
		case Mark:
			over()
			told[op.Mark] += string(op.Data)
		case Flush:
			over()
			all = append(all, e)
			e = &Epoch{stable: disk.Clone()}
		}
	}
	over()
	return append(all, e)
}

// State is one thing the disk may hold after a power cut.
type State struct {
	What  string // for people
	Told  []Told // what witnesses may have seen by then: later ones have seen more
	Torn  int    // writes of which a part survived
	base  *Image
	added []piece
}

type piece struct {
	off  int64
	data []byte
}

// Image is what the disk holds.
func (s *State) Image() *Image {
	m := s.base.Clone()
	for _, p := range s.added {
		m.Write(p.off, p.data)
	}
	return m
}

// state is what is there if of each of an epoch's writes that survived which keep
// gives.
func (e *Epoch) state(keep func(n int, op Op) []piece) *State {
	s := &State{base: e.stable}
	last := 0
	for n, op := range e.writes {
		if pieces := keep(n, op); len(pieces) > 0 {
			s.added, last = append(s.added, pieces...), n+1
		}
	}
	// It can't be before the last of what survived was written, and any time from
	// there to the next flush.
	for _, m := range e.moments {
		if m.until >= last {
			s.Told = append(s.Told, m.told)
		}
	}
	return s
}

func whole(op Op) []piece { return []piece{{op.Off, op.Data}} }

// first is what is left if the first n writes survive and no more.
func (e *Epoch) first(n int) *State {
	s := e.state(func(i int, op Op) []piece {
		if i < n {
			return whole(op)
		}
		return nil
	})
	s.What = fmt.Sprintf("the first %d of %d writes survived", n, len(e.writes))
	return s
}

// some is what is left if chance decides about each write, and about each sector
// of one or another.
func (e *Epoch) some(r *rand.Rand, sector int) *State {
	torn := 0
	s := e.state(func(_ int, op Op) (pieces []piece) {
		switch {
		case r.IntN(2) == 0:
			return nil
		case len(op.Data) <= sector || r.IntN(4) > 0:
			return whole(op)
		}
		torn++
		for at := 0; at < len(op.Data); at += sector {
			if r.IntN(2) == 0 {
				pieces = append(pieces, piece{op.Off + int64(at), op.Data[at:min(at+sector, len(op.Data))]})
			}
		}
		return pieces
	})
	s.Torn = torn
	s.What = fmt.Sprintf("some of %d writes survived, %d torn", len(e.writes), torn)
	return s
}

// Choose takes most states of distinct content, fewer if there are no more. Half
// of them are beginnings of what was written, all of these if there are fewer; the
// others are left to chance. sector is what the disk writes whole or not at all.
func Choose(epochs []*Epoch, most int, r *rand.Rand, sector int) (chosen []*State) {
	seen := map[Sum]*State{}
	take := func(e int, s *State) {
		s.What = fmt.Sprintf("flush %d of %d, then %s", e, len(epochs)-1, s.What)
		sum := s.Image().Sum()
		if old := seen[sum]; old != nil {
			// All of one epoch is nothing of the next.
			old.Told = append(old.Told, s.Told...)
			return
		}
		seen[sum] = s
		chosen = append(chosen, s)
	}
	for i, e := range epochs {
		for n := range len(e.writes) + 1 {
			take(i, e.first(n))
		}
	}
	if n := len(chosen); n > most/2 {
		some := chosen[:0:0]
		from := r.IntN(n)
		for i := range most / 2 {
			some = append(some, chosen[(from+i*n/(most/2))%n])
		}
		chosen = some
	}
	// Where much was written there is much to choose from.
	var often []int
	for i, e := range epochs {
		for range min(len(e.writes)-1, 8) {
			often = append(often, i)
		}
	}
	for tries := 20 * most; len(often) > 0 && len(chosen) < most && tries > 0; tries-- {
		i := often[r.IntN(len(often))]
		take(i, epochs[i].some(r, sector))
	}
	return chosen
}
