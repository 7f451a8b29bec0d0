package crash

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"simplejobq/test/crash/crashfs"
	"simplejobq/test/crash/world"
)

// cutWork is what is done while the power may go.
type cutWork struct {
	name   string
	units  []world.Unit
	copied bool // the UOWs come by cp: two writes, each to where the file belongs
	rules  crashfs.Rules
	syncfs bool  // one syncfs a round, as on ext4; else fsync of each file and directory
	kills  []int // the monitor is killed at these operations, and started again
}

// child is submitted by another job, from a file outside.
var child = world.Plain(world.Witness + "echo child")

// cutTransitions are the ways through the queues, and some more in which other
// things are acknowledged than by the monitor: a job tells outside what it knows to
// be on disk.
func cutTransitions() []world.Transition {
	type units = []world.Unit
	monitor := fmt.Sprintf(`%s --root "$MONITOR_ROOT" `, filepath.Join(world.Bin, "monitor"))
	large := "==== UNIT OF WORK\n"
	for i := range 6 {
		large += fmt.Sprintf("NOTE%d :: %s\n", i, strings.Repeat("x", 190))
	}
	return append(world.Transitions(), []world.Transition{
		{Name: "submit", Units: units{
			{Name: "child", Drop: "wait-q", Text: child, End: "done-q", Status: "done: exit 0", Runs: 1},
			{Name: "parent", Drop: "wait-q", Text: world.Plain(world.Witness + monitor + `submit "$W/child" && echo child >> "$W/submitted"; ` +
				monitor + `wait child && echo child >> "$W/waited"`), End: "done-q", Status: "done: exit 0", Runs: 1},
		}},
		{Name: "synced message", Units: units{
			{Name: "captive", Drop: "hold-q", Text: world.Plain(world.Witness), End: "done-q", Status: "done: exit 0", Runs: 1},
			{Name: "frees", Drop: "wait-q", Text: world.Plain(world.Witness + world.Tell("RELEASE captive") + `; until sync "$MONITOR_ROOT/monitor_reads"; do :; done 2>/dev/null; echo captive >> "$W/sent"`), End: "done-q", Status: "done: exit 0", Runs: 1},
		}},
		{Name: "large", Units: units{
			{Name: "large", Drop: "wait-q", Text: large + "COMMAND :: " + world.Witness + "seq 300\n", End: "done-q", Status: "done: exit 0", Runs: 1},
		}},
		{Name: "back", Units: units{
			{Name: "back", Drop: "wait-q", Text: world.Plain(world.Witness + `mv "$MONITOR_FILE" "$MONITOR_ROOT/wait-q/"; sleep 0.05`), End: "done-q", Status: "done: exit 0", Runs: 1},
		}},
		// From a backup, with its times: it looks as if it had been accepted already, and
		// nobody synced it.
		{Name: "restored", Units: units{
			{Name: "restored", Drop: "wait-q", Text: world.Complete(world.Witness, ""), End: "done-q", Status: "done: exit 0", Runs: 1},
		}},
		{Name: "retried", Units: units{
			{Name: "retried", Drop: "wait-q", Text: world.Plain(world.Witness+"echo once more", "RETRY INTERRUPTED :: yes\n"), End: "done-q", Status: "done: exit 0", Runs: 1},
		}},
	}...)
}

// workloads are these, each with one of the variants of file system and of commit,
// some with a monitor that is killed: then the power may go during its successor's
// recovery.
func workloads(rng *rand.Rand) (all []cutWork) {
	variants := []cutWork{
		{name: "syncfs", syncfs: true},
		{name: "fsync", rules: crashfs.Rules{SyncTakes: 5 * time.Millisecond}},
		{name: "fsync, no exchange", rules: crashfs.Rules{NoExchange: true}},
		{name: "syncfs, no exchange", syncfs: true, rules: crashfs.Rules{NoExchange: true}},
		{name: "syncfs, copied in", syncfs: true, copied: true},
		{name: "fsync, copied in", copied: true},
	}
	add := func(name string, units []world.Unit, v cutWork, kills ...int) {
		for _, k := range kills {
			v.name += fmt.Sprintf(", killed at %d", k)
		}
		v.name, v.units, v.kills = name+", "+v.name, units, kills
		all = append(all, v)
	}
	list := cutTransitions()
	if hunting {
		list = only(list)
		for i, tr := range list {
			add(tr.Name, tr.Units, variants[1])
			add(tr.Name, tr.Units, variants[[]int{0, 2, 4}[i%3]])
			add(tr.Name, tr.Units, variants[5])
			add(tr.Name, tr.Units, variants[i%2], 20+rng.IntN(60))
			for range 8 / len(list) { // what the last monitor left in memory
				add(tr.Name, tr.Units, variants[1], 70+rng.IntN(30))
			}
		}
		return all
	}
	if world.At() == world.Quick {
		for i, v := range variants {
			tr := list[(rng.IntN(len(list)/len(variants)))*len(variants)+i]
			add(tr.Name, tr.Units, v)
		}
		add("several", several(rng, list), variants[0], 20+rng.IntN(150))
		return all
	}
	for _, tr := range list {
		for _, v := range variants {
			add(tr.Name, tr.Units, v)
		}
		for range world.Pick(0, 2, 12) {
			add(tr.Name, tr.Units, variants[rng.IntN(len(variants))], 20+rng.IntN(60))
		}
	}
	for range world.Pick(0, 4, 24) {
		add("several", several(rng, list), variants[rng.IntN(len(variants))], 20+rng.IntN(150), 20+rng.IntN(100))
	}
	return all
}

// several is some of the transitions in one spool.
func several(rng *rand.Rand, list []world.Transition) (units []world.Unit) {
	there := map[string]bool{}
	for _, i := range rng.Perm(len(list))[:4] {
		for _, u := range list[i].Units {
			if !there[u.Name] {
				there[u.Name] = true
				units = append(units, u)
			}
		}
	}
	return units
}

// recorded is a workload's log.
type recorded struct {
	cutWork
	log    crashfs.Log
	root   string       // where the disk was
	boot   int          // of the machine, so many there were before
	before world.Ledger // of what was before the log began
}

// diskWorld makes a world of a served tree.
func diskWorld(t testing.TB, v *crashfs.Live, out string) *world.World {
	return &world.World{T: t, Dir: v.Path(), Root: filepath.Join(v.Path(), "spool"), W: filepath.Join(v.Path(), "w"), Out: out}
}

// recordAll makes so many recordings, several at a time.
func (b *cuts) recordAll(n int, record func(t *world.Trial, i int) *recorded) []*recorded {
	b.t.Helper()
	logs := make([]*recorded, n)
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	world.Each(numbers, func(i int) {
		world.Try(b.t, fmt.Sprint("recording ", i), func(t *world.Trial) { logs[i] = record(t, i) })
	})
	if slices.Contains(logs, nil) {
		b.t.FailNow()
	}
	return logs
}

// record carries a workload out and returns its log.
func (b *cuts) record(t *world.Trial, w cutWork) *recorded {
	v := b.disk.Serve(crashfs.NewTree(), w.rules)
	defer v.Drop()
	x := diskWorld(t, v, b.dir)
	x.Init()
	x.Write("done-q/namesake", "somebody's file\n")
	if err := os.WriteFile(filepath.Join(x.W, "child"), []byte(child), 0o644); err != nil {
		t.Fatal(err)
	}
	v.Outside("w")
	v.Rebase()
	for _, u := range w.units {
		switch {
		case u.Name == "child":
		case w.copied, u.Name == "restored":
			copyIn(x, u)
		default:
			x.Drop(u)
		}
	}
	for _, k := range w.kills {
		b.work(x, w, 0, fmt.Sprint("kill:", k))
	}
	b.work(x, w, 0, "")
	gone(t, v)
	return taken(w, v)
}

// copyIn writes a UOW as cp does.
func copyIn(x *world.World, u world.Unit) {
	f, err := os.OpenFile(filepath.Join(x.Root, u.Drop, u.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err == nil {
		half := len("==== UNIT OF WORK\nCOMM")
		_, err = f.WriteString(u.Text[:half])
		_, err2 := f.WriteString(u.Text[half:])
		err = errors.Join(err, err2, f.Close())
	}
	if m := stamped.FindStringSubmatch(u.Text); err == nil && u.Name == "restored" {
		var then time.Time
		if then, err = time.Parse(time.RFC3339, m[1]); err == nil {
			err = os.Chtimes(f.Name(), then, then)
		}
	}
	if err != nil {
		x.T.Fatal(err)
	}
}

// taken is the log of a tree that nobody works on any more.
func taken(w cutWork, v *crashfs.Live) *recorded {
	r := &recorded{cutWork: w, log: v.Log(), root: v.Path()}
	if w.syncfs {
		r.commits()
	}
	return r
}

// recordRecovery keeps the log of a recovery, which then is a workload of its own.
func (b *cuts) recordRecovery(t *world.Trial, s *cutState) *recorded {
	v := b.serve(s)
	defer v.Drop()
	w := s.of.cutWork
	w.name += ", recovering"
	b.work(diskWorld(t, v, b.dir), w, s.of.boot+1, "")
	gone(t, v)
	r := taken(w, v)
	r.before, r.boot = s.before, s.of.boot+1
	return r
}

// work runs the monitor on the disk until it is idle or killed; its runners may live
// on. It sees the nth boot, another than those who come later; its trace goes into the
// log.
func (b *cuts) work(x *world.World, w cutWork, nth int, fault string) {
	boot := filepath.Join(b.dir, fmt.Sprint("boot-", nth))
	// Several that work at once may see the same boot: none of them half of its id, and
	// none another file in its place, which can't be mounted then.
	f, err := os.CreateTemp(b.dir, "boot")
	if err == nil {
		_, err = fmt.Fprintf(f, "a0e1c2d3-0000-4000-8000-%012d\n", nth)
		err = errors.Join(err, f.Chmod(0o644), f.Close())
		if e := os.Link(f.Name(), boot); !errors.Is(e, fs.ErrExist) {
			err = errors.Join(err, e)
		}
		err = errors.Join(err, os.Remove(f.Name()))
	}
	if err != nil {
		x.T.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	monitor := x.Command(ctx, fault, "--once")
	cmd := exec.CommandContext(ctx, "unshare", append([]string{
		"--mount", "sh", "-c", `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`, boot,
	}, monitor.Args...)...)
	cmd.Env, cmd.Stderr = append(monitor.Env, "MONITOR_FAULT_TRACE="+filepath.Join(x.W, "trace")), monitor.Stderr
	if w.syncfs {
		cmd.Env = append(cmd.Env, "MONITOR_FAULT_SYNCFS=1")
	}
	if err := cmd.Run(); err != nil && fault == "" {
		x.T.Fatalf("%s: %v\n%s", w.name, err, x.Story())
	}
}

// gone waits until nobody has anything open.
func gone(t testing.TB, v *crashfs.Live) {
	for deadline := time.Now().Add(30 * time.Second); v.Open() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("somebody still has a file open 30 s after all was done")
			return
		}
	}
}

// commitLine is in the trace before each durable.Batch.Commit.
var commitLine = regexp.MustCompile(`^\d+ (accept:sync|[a-z]+:commit)\n$`)

// commits puts the syncfs calls into the log: FUSE swallows them, but the trace has
// a line right before each.
func (r *recorded) commits() {
	for i := range r.log.Ops {
		o := &r.log.Ops[i]
		if o.Outside && o.Kind == crashfs.Write && commitLine.Match(o.Data) {
			*o = crashfs.Op{Kind: crashfs.SyncAll}
		}
	}
}

// site is what the monitor was about to do when so much was done.
func (r *recorded) site(cut int) string {
	for i := cut - 1; i >= 0; i-- {
		if o := &r.log.Ops[i]; o.Kind == crashfs.SyncAll {
			return "a commit"
		} else if o.Outside && o.Kind == crashfs.Write {
			if _, site, ok := strings.Cut(strings.TrimSpace(string(o.Data)), " "); ok {
				return site
			}
		}
	}
	return "none"
}
