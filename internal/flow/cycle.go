package flow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxCycles are told of one plan: a person mends these and looks again.
	maxCycles = 20
	// searchLimit bounds the search for the very shortest cycle of a tangle, in
	// edges looked at.
	searchLimit = 1 << 21
	// maxNames of a cycle are named; the middle of a longer one is left out.
	maxNames = 1000
)

// cycles tells the cycles of the graph, each tangle's shortest first: once one is
// found its last edge counts no more, so that another one is found next.
func (p *planner) cycles() {
	c := &cycler{edges: p.pred, gone: make([]bool, len(p.pred.to))}
	for found := 0; ; {
		tangles := c.tangles()
		if len(tangles) == 0 {
			return
		}
		for _, tangle := range tangles {
			if found++; found > maxCycles {
				return
			}
			cycle := c.shortest(tangle)
			p.fault(int(cycle[0]), "AFTER", Circular, "these steps wait for one another: %s (remove one of them from the AFTER of the one before it)", p.path(cycle))
		}
	}
}

func (p *planner) path(cycle []int32) string {
	var names []string
	for _, i := range append(cycle, cycle[0]) {
		name := p.nodes[i].Name
		if q := strconv.Quote(name); q[1:len(q)-1] != name {
			name = q
		}
		names = append(names, name)
	}
	if n := len(names); n > maxNames {
		middle := fmt.Sprintf("… %d more …", n-maxNames)
		names = slices.Concat(names[:maxNames/2], []string{middle}, names[n-maxNames/2:])
	}
	return strings.Join(names, " → ")
}

// cycler looks for cycles along the edges that are not gone.
type cycler struct {
	edges
	gone []bool
}

// tangles are the sets of more than one step in which each can be reached from
// each (Tarjan's algorithm, with a stack of its own: a chain may be long).
func (c *cycler) tangles() (all [][]int32) {
	n := len(c.at) - 1
	number, low := make([]int32, n), make([]int32, n)
	open := make([]bool, n)
	next := slices.Clone(c.at[:n]) // the edge each step goes on with
	var stack, path []int32
	count := int32(0)
	enter := func(i int32) {
		count++
		number[i], low[i], open[i] = count, count, true
		stack, path = append(stack, i), append(path, i)
	}
	for root := range n {
		if number[root] == 0 {
			enter(int32(root))
		}
		for len(path) > 0 {
			i := path[len(path)-1]
			if e := next[i]; e < c.at[i+1] {
				next[i]++
				switch j := c.to[e]; {
				case c.gone[e]:
				case number[j] == 0:
					enter(j)
				case open[j]:
					low[i] = min(low[i], number[j])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				above := path[len(path)-1]
				low[above] = min(low[above], low[i])
			}
			if low[i] < number[i] {
				continue
			}
			at := len(stack) - 1
			for stack[at] != i {
				at--
			}
			for _, j := range stack[at:] {
				open[j] = false
			}
			if len(stack)-at > 1 {
				tangle := slices.Clone(stack[at:])
				slices.Sort(tangle)
				all = append(all, tangle)
			}
			stack = stack[:at]
		}
	}
	slices.SortFunc(all, func(a, b []int32) int { return int(a[0] - b[0]) })
	return all
}

// shortest finds a shortest cycle of a tangle, takes its last edge away and
// returns it from its first step as written. In a very large tangle it is the
// shortest of those through its first step.
func (c *cycler) shortest(tangle []int32) []int32 {
	inside := make(map[int32]bool, len(tangle))
	edges := 0
	for _, i := range tangle {
		inside[i] = true
		edges += len(c.of(int(i)))
	}
	starts := tangle
	if len(tangle)*edges > searchLimit {
		starts = tangle[:1]
	}
	var best []int32
	last := int32(-1)
	for _, start := range starts {
		if cycle, edge := c.through(start, inside, len(best)); cycle != nil {
			best, last = cycle, edge
		}
	}
	c.gone[last] = true
	first := slices.Index(best, slices.Min(best))
	return slices.Concat(best[first:], best[:first])
}

// through is the shortest cycle through a step, if it is shorter than limit, and
// its last edge.
func (c *cycler) through(start int32, inside map[int32]bool, limit int) ([]int32, int32) {
	from := map[int32]int32{start: -1}
	level := map[int32]int{start: 1}
	queue := []int32{start}
	for at := 0; at < len(queue); at++ {
		i := queue[at]
		if limit > 0 && level[i] >= limit {
			return nil, -1
		}
		for e := c.at[i]; e < c.at[i+1]; e++ {
			j := c.to[e]
			if c.gone[e] || !inside[j] {
				continue
			}
			if j == start {
				var cycle []int32
				for ; i >= 0; i = from[i] {
					cycle = append(cycle, i)
				}
				slices.Reverse(cycle)
				return cycle, e
			}
			if _, seen := from[j]; !seen {
				from[j], level[j] = i, level[i]+1
				queue = append(queue, j)
			}
		}
	}
	return nil, -1
}
