package graph

import (
	"cmp"
	"math"
	"slices"
)

// point is a place that a layer holds: a step, or where a line that passes it does so.
// Those of the steps come first, in their order.
type point struct {
	layer int
	at    float64 // along the layer
	room  float64 // half of what it needs there
	over  []int   // points of the layer before that it is tied to
	under []int
}

// layout gives each step a layer, one more than the last it comes after, and in it a
// place near to what it is tied to.
type layout struct {
	points []point
	layers [][]int // points of each layer, in their order along it
	lines  [][]int // of each edge: the points it goes through, both ends included
	most   int     // points
}

// passing is how many points a layout may hold that lines pass: beyond it lines go
// straight, whatever they cross.
const passing = 20000

// newLayout lays out steps that need so much room along their layers. Steps must not wait for
// one another: what does is laid out as if it came after nothing.
func newLayout(steps []Step, layers []int, room float64) *layout {
	l := &layout{most: len(steps) + passing}
	depth := 0
	for _, layer := range layers {
		l.points = append(l.points, point{layer: layer, room: room})
		depth = max(depth, layer+1)
	}
	l.layers = make([][]int, depth)
	for i := range steps {
		for _, before := range steps[i].After {
			if layers[before] < layers[i] {
				l.tie(before, i)
			}
		}
	}
	for i := range l.points {
		p := &l.points[i]
		l.layers[p.layer] = append(l.layers[p.layer], i)
	}
	l.sort()
	l.place()
	return l
}

func layersOf(steps []Step) []int {
	layers, missing := make([]int, len(steps)), make([]int, len(steps))
	behind := make([][]int, len(steps))
	var turn []int
	for i := range steps {
		missing[i] = len(steps[i].After)
		for _, before := range steps[i].After {
			behind[before] = append(behind[before], i)
		}
		if missing[i] == 0 {
			turn = append(turn, i)
		}
	}
	for n := 0; n < len(turn); n++ {
		for _, i := range behind[turn[n]] {
			layers[i] = max(layers[i], layers[turn[n]]+1)
			if missing[i]--; missing[i] == 0 {
				turn = append(turn, i)
			}
		}
	}
	return layers
}

// tie draws a line between two steps, with a point in each layer between.
func (l *layout) tie(from, to int) {
	through := []int{from}
	if first, last := l.points[from].layer, l.points[to].layer; len(l.points)+last-first < l.most {
		for layer := first + 1; layer < last; layer++ {
			l.points = append(l.points, point{layer: layer, room: 8})
			through = append(through, len(l.points)-1)
		}
	}
	through = append(through, to)
	for n := 1; n < len(through); n++ {
		a, b := through[n-1], through[n]
		l.points[a].under = append(l.points[a].under, b)
		l.points[b].over = append(l.points[b].over, a)
	}
	l.lines = append(l.lines, through)
}

// sweeps over all layers to and fro: more change little.
const sweeps = 12

// sort orders each layer by the middle of what its points are tied to in the layer
// before, then behind, to and fro, so that few lines cross.
func (l *layout) sort() {
	rank := make([]float64, len(l.points))
	renumber := func(layer []int) {
		for n, i := range layer {
			rank[i] = float64(n)
		}
	}
	for _, layer := range l.layers {
		renumber(layer)
	}
	for n := range sweeps {
		for k := range l.layers {
			layer := l.layers[k]
			if n%2 == 1 {
				layer = l.layers[len(l.layers)-1-k]
			}
			middle := make(map[int]float64, len(layer))
			for _, i := range layer {
				ties := l.points[i].over
				if n%2 == 1 {
					ties = l.points[i].under
				}
				if middle[i] = rank[i]; len(ties) > 0 {
					sum := 0.0
					for _, t := range ties {
						sum += rank[t]
					}
					middle[i] = sum / float64(len(ties))
				}
			}
			slices.SortStableFunc(layer, func(a, b int) int { return cmp.Compare(middle[a], middle[b]) })
			renumber(layer)
		}
	}
}

// place moves the points of each layer to the middle of what they are tied to, as near
// as the room of their neighbours allows.
func (l *layout) place() {
	for _, layer := range l.layers {
		at := 0.0
		for _, i := range layer {
			p := &l.points[i]
			p.at = at + p.room
			at += 2 * p.room
		}
	}
	for n := range sweeps {
		for k := range l.layers {
			layer := l.layers[k]
			if n%2 == 1 {
				layer = l.layers[len(l.layers)-1-k]
			}
			l.settle(layer, n%2 == 1)
		}
	}
	least := math.Inf(1)
	for i := range l.points {
		least = min(least, l.points[i].at-l.points[i].room)
	}
	for i := range l.points {
		l.points[i].at -= least
	}
}

// block is a run of points that touch one another, and where they would all like to be.
type block struct {
	from, to int // in the layer
	wish     float64
}

// settle gives the points of a layer the places nearest to their wishes, in the sense
// of least squares, at which none overlaps the next: neighbours whose wishes collide
// are joined and take the mean of them.
func (l *layout) settle(layer []int, fromBelow bool) {
	offset := make([]float64, len(layer)) // of a point in a row of all of them
	var blocks []block
	for n, i := range layer {
		p := &l.points[i]
		if n > 0 {
			offset[n] = offset[n-1] + l.points[layer[n-1]].room + p.room
		}
		ties := p.over
		if fromBelow {
			ties = p.under
		}
		wish := p.at
		if len(ties) > 0 {
			wish = 0
			for _, t := range ties {
				wish += l.points[t].at / float64(len(ties))
			}
		}
		blocks = append(blocks, block{n, n + 1, wish - offset[n]})
		for k := len(blocks) - 1; k > 0 && blocks[k-1].wish > blocks[k].wish; k-- {
			a, b := blocks[k-1], blocks[k]
			na, nb := float64(a.to-a.from), float64(b.to-b.from)
			blocks = append(blocks[:k-1], block{a.from, b.to, (a.wish*na + b.wish*nb) / (na + nb)})
		}
	}
	for _, b := range blocks {
		for n := b.from; n < b.to; n++ {
			l.points[layer[n]].at = b.wish + offset[n]
		}
	}
}
