package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

// errnos are the errors. A short write is two more: SHORT goes on with the rest, TORN
// finds no room for it. And an interrupted call is repeated.
var errnos = map[string]unix.Errno{
	"EIO": unix.EIO, "ENOSPC": unix.ENOSPC, "EDQUOT": unix.EDQUOT, "EROFS": unix.EROFS, "EMFILE": unix.EMFILE, "EACCES": unix.EACCES,
	"EINTR": unix.EINTR, "SHORT": unix.ENOSPC, "TORN": unix.ENOSPC,
}

// unsaid are the calls whose failing is nothing to tell anybody, and why.
var unsaid = map[string]string{
	"lock:truncate":    "only the text that tells who holds it",
	"lock:write":       "only the text that tells who holds it",
	"trouble:open":     "only the board on which trouble is shown besides",
	"trouble:create":   "only the board on which trouble is shown besides",
	"trouble:write":    "only the board on which trouble is shown besides",
	"reads:sync":       "spares the next monitor a question, no more",
	"reads done:write": "at the end it spares the next monitor a question, no more",
	"reads done:sync":  "at the end it spares the next monitor a question, no more",
	"reads:open":       "told in words of its own",
	"record:open":      "of a runner that is ready when the monitor has just ended",
	"record:lock":      "of a record that nobody needs when the monitor ends: the next start takes it",
}

// refused are those at which a refusal is the answer to a question.
var refused = map[string]string{
	"lock:open":   "told in words of its own",
	"accept:open": "a file that may not be written to gets its copy",
	"accept:time": "somebody else's file that may be written to gets its copy",
	"finish:time": "somebody else's file keeps the time it has, and is looked at again",
	"finish:open": "a job took the right to write from its own file",
	"log:open":    "a job took the right to write from its own file",

	"recover:open":    "what may not be written to never had anything of ours that is to be written once more",
	"recover:rewrite": "what may not be written to never had anything of ours that is to be written once more",
	"recover:time":    "what may not be written to never had anything of ours that is to be written once more",
}

// How long "for ever" is: then the cause is gone, and the same monitor has to go on.
const spell = 300 * time.Millisecond

// Many wait for the time at which a monitor tries again.
const waiting = 64

// kind is one way to fail.
type kind struct {
	errno   string
	forever bool
	late    bool // after the deed
}

func (k kind) at(n int) string {
	switch {
	case k.late:
		return fmt.Sprintf("late:%s:%d", k.errno, n)
	case k.forever:
		return fmt.Sprintf("err:%s:%d:%v", k.errno, n, spell)
	}
	return fmt.Sprintf("err:%s:%d", k.errno, n)
}

// atFirst strikes the first call of a site.
func (k kind) atFirst(site string) string {
	word, span := "err", time.Duration(0)
	if k.late {
		word = "late"
	}
	if k.forever {
		span = spell
	}
	return fmt.Sprintf("%s:%s:%s@%v", word, k.errno, site, span)
}

// answer tells that it is none: somebody else holds the lock, that means.
func (k kind) answer(site string) bool {
	return k.errno == "EACCES" && strings.HasSuffix(site, ":lock")
}

func (k kind) partly() bool { return k.errno == "SHORT" || k.errno == "TORN" }

func kinds() (list []kind) {
	for _, errno := range slices.Sorted(maps.Keys(errnos)) {
		list = append(list, kind{errno: errno}, kind{errno: errno, forever: true})
	}
	return list
}

// cover is which sites were struck how.
type cover struct {
	mu    sync.Mutex
	seen  map[string]bool
	sites map[string]bool
}

func (c *cover) has(site string, k kind) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[fmt.Sprint(site, k)]
}

func (c *cover) add(site string, k kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen, c.sites = map[string]bool{}, map[string]bool{}
	}
	c.seen[fmt.Sprint(site, k)], c.sites[site] = true, true
}

// strike is an attack with an error at a call of that site.
type strike struct {
	attack
	site string
	kind kind
}

// first is the same at the first call of its site.
func (s strike) first() strike {
	plan := s.kind.atFirst(s.site)
	if s.runner != "" {
		s.runner = plan
		return s
	}
	s.plans = slices.Clone(s.plans)
	s.plans[len(s.plans)-1] = plan
	return s
}

// choose takes one in so many, but each site with each kind at least once.
func choose(all []strike, of uint32) (some []strike) {
	if of <= 1 {
		return all
	}
	var planned cover
	for _, s := range all {
		if world.At() != world.Quick && !planned.has(s.site, s.kind) || chosen(of, s.attack) {
			planned.add(s.site, s.kind)
			some = append(some, s)
		}
	}
	return some
}

// carryOut has them done. How many calls there are varies with time: what was not met
// where it was expected is met at the first call of its site, if not there then where
// that site was expected elsewhere.
func carryOut(t *testing.T, what string, all []strike) {
	began := time.Now()
	c := &campaign{t: t, width: waiting}
	var planned, done cover
	add := func(s strike) {
		c.add(s.attack, func(r result) { done.add(r.struck[len(r.struck)-1].Site, s.kind) })
	}
	for _, s := range all {
		planned.add(s.site, s.kind)
		add(s)
	}
	c.run()
	if world.At() != world.Quick {
		at := map[string][]strike{}
		for _, s := range all {
			at[s.site] = append(at[s.site], s)
		}
		for again := range 6 {
			for i, s := range all {
				if !done.has(s.site, s.kind) {
					like := s
					if again > 0 {
						like = at[s.site][(i+again*7)%len(at[s.site])]
						like.kind = s.kind
					}
					add(like.first())
				}
			}
			c.run()
		}
		for _, s := range all {
			if !done.has(s.site, s.kind) {
				t.Errorf("%s never met %v", s.site, s.kind)
				done.add(s.site, s.kind)
			}
		}
	}
	world.Figures(t, "%d %s, at %d sites, %d pairs of site and error, in %v", c.done.Load(), what, len(done.sites), len(done.seen), time.Since(began).Round(time.Second))
}

// alike is how many calls all transitions begin with.
func alike(of map[string][]world.Op) (n int) {
	first := of[transitions[0].Name]
	for n = 0; n < len(first); n++ {
		for _, ops := range of {
			if n >= len(ops) || ops[n].Site != first[n].Site {
				return n
			}
		}
	}
	return n
}

// Each call of each transition fails once, and for ever, with each error: it is said,
// nothing changes its state because of it, and when it is over the same monitor
// comes to the end everything comes to without it.
func TestFailMonitor(t *testing.T) {
	together(t)
	d := dry(t, "")
	var all []strike
	for i, tr := range transitions {
		for _, op := range d.monitor[tr.Name] {
			for _, k := range kinds() {
				if i > 0 && op.N <= alike(d.monitor) || k.partly() && !d.writes[op.Site] || k.answer(op.Site) {
					continue
				}
				all = append(all, strike{attack{of: tr, plans: []string{k.at(op.N)}}, op.Site, k})
			}
		}
	}
	carryOut(t, "runs with an error of the monitor's", choose(all, world.Pick[uint32](600, 6, 1)))
}

// The same for the runners' calls.
func TestFailRunner(t *testing.T) {
	together(t)
	d := dry(t, "")
	var all []strike
	for _, tr := range transitions {
		seen := map[int]bool{}
		for _, op := range d.runner[tr.Name] {
			for _, k := range kinds() {
				if seen[op.N] || k.partly() && !d.writes[op.Site] || k.answer(op.Site) {
					continue
				}
				all = append(all, strike{attack{of: tr, runner: k.at(op.N), plans: []string{""}}, op.Site, k})
			}
			seen[op.N] = true
		}
	}
	carryOut(t, "runs with an error of a runner's", choose(all, world.Pick[uint32](300, 2, 1)))
}

// The same for the recovery from a kill, at each pair of a site of the kill and one of
// the recovery.
func TestFailRecovery(t *testing.T) {
	together(t)
	d, k := dry(t, ""), killed(t, "")
	var all []strike
	list := kinds()
	for i, pair := range slices.Sorted(maps.Keys(k.pairs)) {
		for j, op := 0, k.pairs[pair]; j < world.Pick(1, 1, len(list)); j++ {
			// The kinds take turns, so that each site meets all of them.
			kind := list[(7*i+j*len(list)/2+j)%len(list)]
			if kind.partly() && !d.writes[op.second.Site] {
				kind = list[(7*i+j)%(len(list)/2)]
			}
			if kind.partly() && !d.writes[op.second.Site] || kind.answer(op.second.Site) {
				continue
			}
			plans := []string{op.first.plans[0], kind.at(op.second.N)}
			all = append(all, strike{attack{of: op.first.of, plans: plans}, op.second.Site, kind})
		}
	}
	carryOut(t, "runs with an error of the recovery's", choose(all, world.Pick[uint32](40, 1, 1)))
}

// opens tells calls that give a descriptor.
func opens(site string) bool {
	_, call, _ := strings.Cut(site, ":")
	return call == "open" || call == "reopen" || call == "create"
}

// A call that is carried out and fails nevertheless. An open that fails gives nothing.
func TestFailLate(t *testing.T) {
	together(t)
	d := dry(t, "")
	var all []strike
	for i, tr := range transitions {
		for _, op := range d.monitor[tr.Name] {
			if opens(op.Site) || i > 0 && op.N <= alike(d.monitor) {
				continue
			}
			k := kind{errno: "EIO", late: true}
			all = append(all, strike{attack{of: tr, plans: []string{k.at(op.N)}}, op.Site, k})
		}
	}
	carryOut(t, "runs with an error after the deed", choose(all, world.Pick[uint32](100, 1, 1)))
}

// The same where it only looks: a name that can't be asked for is no name that is
// gone.
func TestFailLook(t *testing.T) {
	together(t)
	began := time.Now()
	looks := map[string]int{}
	var mu sync.Mutex
	c := &campaign{t: t, width: 8}
	for _, tr := range transitions {
		c.todo = append(c.todo, func() {
			world.Try(t, tr.Name, func(t *world.Trial) {
				for _, op := range world.Fresh(t, tr).Pass("looks").Ops {
					if op.Site == "look" {
						mu.Lock()
						looks[tr.Name] = op.N
						mu.Unlock()
					}
				}
			})
		})
	}
	c.run()
	c.width = waiting
	for _, tr := range transitions {
		for n := 1; n <= looks[tr.Name]; n++ {
			for _, plan := range []string{"look:EIO:%d", "look:EIO:%d:300ms", "look:EMFILE:%d", "look:EMFILE:%d:300ms"} {
				if a := (attack{of: tr, plans: []string{fmt.Sprintf(plan, n)}}); chosen(world.Pick[uint32](1500, 40, 1), a) {
					c.add(a, nil)
				}
			}
		}
	}
	c.run()
	world.Figures(t, "%d runs with an error of a call that only looks in %v", c.done.Load(), time.Since(began).Round(time.Second))
}
