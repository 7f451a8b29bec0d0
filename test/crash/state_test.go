package crash

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"simplejobq/test/crash/crashfs"
	"simplejobq/test/crash/world"
)

// The power goes while the real monitor and its runners work, at any operation, with
// any part of what nobody synced on the disk; then, after another boot, the real
// monitor makes of that disk what it can, once, and once more without a change.
//
// The disk is crashfs; see there for the models. Each workload is recorded once, and
// its states are drawn from the log: a moment of the cut, a prefix of the journal
// that reaches at least to the last sync, as if a stranger's fsync had committed
// there, and for each file what became of its bytes. Equal states are judged once:
// see shape.
func TestPowerCut(t *testing.T) {
	// What every change must survive is the same for each; CRASH_SEED has others drawn.
	seed := world.Pick(1, 1, uint64(time.Now().UnixNano()))
	if s, err := strconv.ParseUint(os.Getenv("CRASH_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("CRASH_SEED=%d", seed)
	b := newCuts(t, seed)
	if file := os.Getenv("CRASH_STATE"); file != "" {
		b.once(file)
		return
	}
	began := time.Now()
	work := workloads(b.rng)
	b.logs = b.recordAll(len(work), func(t *world.Trial, i int) *recorded { return b.record(t, work[i]) })
	recorded := time.Since(began)
	if hunting {
		b.drawJournalled(min(3_000, 300*len(work)))
		return
	}
	b.drawJournalled(world.Pick(120, 8_600, 100_000))
	b.cutRecoveries(world.Pick(3, 60, 400), world.Pick(20, 1_450, 15_000))
	var strict string
	if n := world.Pick(0, 150, 4_000); n > 0 {
		strict = b.drawStrict(n)
	}
	world.Figures(t, "power cut, journalled: %d distinct states (%d of them cuts of a recovery), %d judged, %d violations; %d workloads recorded in %v, %v in all",
		len(b.trees), b.ofRecoveries, b.judged.Load(), b.bad.Load(), len(b.logs), recorded.Round(time.Second), time.Since(began).Round(time.Second))
	if strict != "" {
		world.Figures(t, "power cut, strict: %s", strict)
	}
	if least := world.Pick(120, 10_000, 50_000); len(b.trees) < least {
		t.Errorf("%d distinct states, want at least %d", len(b.trees), least)
	}
}

// hunting is for test/mutants: enough states of all workloads to find what the sample
// of make test does not, and no more once something is found.
var hunting = os.Getenv("CRASH_HUNT") != ""

// cuts is one disk with what was recorded on it.
type cuts struct {
	t    *testing.T
	rng  *rand.Rand
	disk *crashfs.Disk
	dir  string

	logs    []*recorded
	trees   map[string]bool              // shapes seen
	quieted map[[sha256.Size]byte]string // see quiet
	pairs   map[string]bool              // with what had been told

	judged, bad  atomic.Int64
	ofRecoveries int
}

func newCuts(t *testing.T, seed uint64) *cuts {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts a FUSE file system, and gives the workload another boot id")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("needs FUSE: ", err)
	}
	b := &cuts{
		t: t, rng: rand.New(rand.NewPCG(seed, 0)), dir: world.Scratch(t, world.Memory()),
		trees: map[string]bool{}, pairs: map[string]bool{}, quieted: map[[sha256.Size]byte]string{},
	}
	mnt := filepath.Join(b.dir, "mnt")
	err := os.Mkdir(mnt, 0o755)
	if err == nil {
		b.disk, err = crashfs.Mount(mnt)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.disk.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// cutState is one disk after a cut, and what was acknowledged before.
type cutState struct {
	of     *recorded
	tree   *crashfs.Tree
	cut    int // operations done
	synced int // at least so many are on the disk
	prefix int // and so many are
	how    string
	before world.Ledger
}

func (s *cutState) String() string {
	op := "nothing"
	if s.cut > 0 {
		op = s.of.log.Ops[s.cut-1].String()
	}
	return fmt.Sprintf("%s: power cut after operation %d (%s, last call of the monitor: %s), journal up to %d (synced to %d), %s",
		s.of.name, s.cut, op, s.of.site(s.cut), s.prefix, s.synced, s.how)
}
