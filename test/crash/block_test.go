package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"simplejobq/test/crash/logdisk"
	"simplejobq/test/crash/world"
)

// How a recording is made.
const (
	calm  = "calm"  // the monitor works through the scenario
	busy  = "busy"  // and a stranger syncs all the time, and so makes the half of a round durable
	again = "again" // the power went before: the monitor recovers from that
)

// drive is a real file system on a disk as small as it takes.
type drive struct {
	kind    string
	size    int64
	mkfs    []string
	options string
	sector  int      // what the disk writes whole or not at all
	records []string // how
	states  int      // that are judged of each of them
}

func drives() []drive {
	many := []string{calm, busy, again, busy, again}
	return []drive{
		{
			"ext4", 32 << 20, []string{"-q", "-F", "-J", "size=4", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"}, "", 512,
			world.Pick([]string{busy}, []string{calm, busy, again}, many), world.Pick(8, 50, 400),
		},
		{"xfs", 300 << 20, []string{"-q", "-K"}, "nouuid", 512, world.Pick(nil, []string{busy, again}, many), world.Pick(0, 12, 360)},
		{"btrfs", 110 << 20, []string{"-q", "-K"}, "nodiscard", 4096, world.Pick(nil, []string{busy, again}, many), world.Pick(0, 12, 360)},
	}
}

// Real file systems on a disk whose cache is lost with the power: whatever survives
// of what was written since the last flush, the next monitor finds what was told,
// and runs nothing twice in silence.
func TestBlockStates(t *testing.T) {
	if err := logdisk.Sweep(world.Memory()); err != nil {
		t.Error(err)
	}
	for _, d := range drives() {
		if len(d.records) == 0 {
			continue
		}
		t.Run(d.kind, func(t *testing.T) {
			if why := d.unable(); why != "" {
				t.Skip(why)
			}
			d.try(t)
		})
	}
}

// unable says why there can be no such disk here.
func (d drive) unable() string {
	if os.Geteuid() != 0 {
		return "only root can mount"
	}
	if _, err := exec.LookPath("mkfs." + d.kind); err != nil {
		return err.Error()
	}
	for _, dev := range []string{"/dev/fuse", "/dev/loop-control"} {
		f, err := os.OpenFile(dev, os.O_RDWR, 0)
		if err != nil {
			return err.Error()
		}
		f.Close()
	}
	return ""
}

// tally is what was seen in the states of one drive.
type tally struct {
	writes, flushes                      int
	bad, unmounted, interrupted, resumed atomic.Int64
	judged                               sync.Map // by their sums
}

// note is called when a state was looked at.
func (n *tally) note(t *world.Trial, s *logdisk.State, v *verdict) {
	count := func(c *atomic.Int64, yes bool) {
		if yes {
			c.Add(1)
		}
	}
	count(&n.bad, t.Failed())
	count(&n.unmounted, v.unmounted)
	count(&n.interrupted, v.interrupted)
	count(&n.resumed, v.resumed)
	if !v.unmounted {
		n.judged.Store(s.Image().Sum(), true)
	}
}

func (d drive) try(t *testing.T) {
	began := time.Now()
	var n tally
	var chosen []*logdisk.State
	for i, how := range d.records {
		var rec tape
		if !world.Try(t, how, func(t *world.Trial) {
			b := bench{t, d}
			if how == again {
				whole := slices.DeleteFunc(chosen, func(s *logdisk.State) bool { return s.Torn > 0 })
				rec = b.resume(whole[rand.IntN(len(whole))])
			} else {
				rec = b.record(how == busy)
			}
		}) {
			break
		}
		for _, op := range rec.Log {
			switch op.Kind {
			case logdisk.Write:
				n.writes++
			case logdisk.Flush:
				n.flushes++
			}
		}
		chosen = logdisk.Choose(rec.Epochs(), d.states, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), d.sector)
		world.Each(chosen, func(s *logdisk.State) {
			world.Try(t, fmt.Sprintf("%s %s %d, %s", d.kind, how, i, s.What), func(t *world.Trial) {
				var v verdict
				defer func() { n.note(t, s, &v) }()
				b := bench{t, d}
				b.judge(s, rec.texts, &v)
			})
		})
	}
	states := 0
	n.judged.Range(func(any, any) bool { states++; return true })
	world.Figures(t, "%s: %d distinct states of %d writes and %d flushes, %d violations, %d not to be mounted; %d with an interrupted run, %d with one started again; %.0f s",
		d.kind, states, n.writes, n.flushes, n.bad.Load(), n.unmounted.Load(), n.interrupted.Load(), n.resumed.Load(), time.Since(began).Seconds())
}

// blockUnits are those of the scenario, and some that are running for a while, or
// write much, when the power goes.
func blockUnits() []world.Unit {
	return append(world.Scenario(),
		world.Unit{Name: "long", Drop: "priority-q", Text: world.Plain(world.Witness + "echo begun; sleep 0.7; echo over"), End: "done-q", Status: "done: exit 0", Runs: 1},
		world.Unit{Name: "retried", Drop: "wait-q", Text: world.Plain(world.Witness+"sleep 0.4", "RETRY INTERRUPTED :: yes\n"), End: "done-q", Status: "done: exit 0", Runs: 1},
		world.Unit{Name: "talker", Drop: "wait-q", Text: world.Plain(world.Witness + "seq 1 20000"), End: "done-q", Status: "done: exit 0", Runs: 1},
	)
}

// verdict is what there was to be seen in a state.
type verdict struct {
	unmounted   bool
	interrupted bool // a run
	resumed     bool // one was started again
}

// judge lets a monitor recover from what the disk holds, and judges what came of
// that.
func (b *bench) judge(s *logdisk.State, texts map[string]string, v *verdict) {
	x, mnt := b.world()
	image := filepath.Join(x.Dir, "cut.img")
	b.store(s, image)
	if err := logdisk.Mount(b.kind, b.options, image, mnt); err != nil {
		v.unmounted = true
		if s.Torn == 0 { // half of a superblock is what no file system survives
			b.Errorf("%v", err)
		}
		return
	}
	var ledgers []world.Ledger
	for _, told := range s.Told {
		ledgers = append(ledgers, b.ledger(told, texts))
	}
	last := ledgers[len(ledgers)-1]
	b.outside(x, last)
	x.Once("")

	faults := b.logs(x, v)
	v.resumed = last.Ran["retried"]+x.Ran()["retried"] > 1
	for _, l := range ledgers {
		faults = append(faults, x.CheckAfterCut(blockUnits(), l)...)
	}
	slices.Sort(faults)
	if !x.Well(slices.Compact(faults), "after that") && os.Getenv("CRASH_KEEP") != "" {
		kept := filepath.Join(os.TempDir(), filepath.Base(x.Dir)+".img")
		b.store(s, kept)
		b.Logf("kept: %s", kept)
	}
	b.also(logdisk.Unmount(mnt))
}

// logs looks at what the UOWs tell of themselves.
func (b *bench) logs(x *world.World, v *verdict) (faults []string) {
	for path, text := range b.texts(x) {
		v.interrupted = v.interrupted || strings.Contains(text, " interrupted: ")
		whole := true
		switch path {
		case "done-q/long":
			whole = strings.Contains(text, "\nbegun\nover\n")
		case "done-q/talker":
			whole = strings.Contains(text, "\n1\n2\n3\n") && strings.Count(text, "\n") >= 20000
		}
		if !whole {
			faults = append(faults, path+": its log is not whole")
		}
	}
	return faults
}
