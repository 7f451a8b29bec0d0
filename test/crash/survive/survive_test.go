// Package survive kills what a running job hangs on (its monitor, its runner, both,
// the machine), exchanges the programs under it, and judges that its exit status
// and output are kept, or that it is said to have been interrupted and nothing of
// it is left; and that it never runs a second time without a word.
//
// A booted systemd does the same with single jobs in test/systemd; here it is many,
// at moments nobody chose.
package survive

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

func TestMain(m *testing.M) { world.Main(m) }

// among is a random time between two.
func among(from, to time.Duration) time.Duration {
	return from + time.Duration(rand.Int64N(int64(to-from)))
}

// Killed again and again, also in the middle of its recovery.
func TestMonitorKilled(t *testing.T) {
	through(t, func(m *machine) {
		m.start()
		if rand.IntN(2) == 0 {
			m.awaitWork()
		}
		time.Sleep(among(5*time.Millisecond, 200*time.Millisecond))
		m.kill()
	})
}

func TestRestarted(t *testing.T) {
	through(t, func(m *machine) {
		m.start()
		m.awaitWork()
		time.Sleep(among(5*time.Millisecond, 200*time.Millisecond))
		m.stop()
	})
}

// The monitor lives and sees its runners die.
func TestRunnerKilled(t *testing.T) {
	through(t, func(m *machine) {
		m.start()
		m.awaitWork()
		time.Sleep(among(5*time.Millisecond, 150*time.Millisecond))
		m.killRunners(1)()
	})
}

// In the same instant; runners that live on are adopted, and may be killed then.
func TestBothKilled(t *testing.T) {
	through(t, func(m *machine) {
		m.start()
		m.awaitWork()
		time.Sleep(among(5*time.Millisecond, 200*time.Millisecond))
		kill := m.killRunners(1 + rand.IntN(3))
		if rand.IntN(2) == 0 {
			m.kill()
			kill()
		} else {
			kill()
			m.kill()
		}
	})
}

// The programs are replaced under a monitor that has runners at work and idle ones,
// by another build and back: after the restart each has to do with what the other
// left, and before it the old monitor with new runners.
func TestUpgraded(t *testing.T) {
	other := t.TempDir()
	build(t, other, "another")
	through(t, func(m *machine) {
		if m.builds == nil {
			m.builds = []string{world.Bin, other}
		}
		m.start()
		m.awaitWork()
		time.Sleep(among(5*time.Millisecond, 150*time.Millisecond))
		m.builds[0], m.builds[1] = m.builds[1], m.builds[0]
		m.install(m.builds[0])
		if rand.IntN(2) == 0 {
			time.Sleep(among(1*time.Millisecond, 150*time.Millisecond))
		}
		if rand.IntN(2) == 0 {
			m.kill()
		} else {
			m.stop()
		}
	})
}

// Everything dies at once and comes back under another boot id, with process
// numbers that begin anew. Half of the times everybody is asked to end first, as a
// shutdown does.
func TestRebooted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a machine within the machine (namespaces) needs root")
	}
	through(t, func(m *machine) {
		m.boot()
		m.awaitWork()
		time.Sleep(among(5*time.Millisecond, 500*time.Millisecond))
		if rand.IntN(2) == 0 {
			m.cut()
		} else {
			m.shutdown()
		}
	})
}

// through drops jobs and disturbs until all have ended, then judges.
func through(t *testing.T, disturb func(*machine)) {
	t.Parallel()
	began := time.Now()
	m := newMachine(t)
	jobs := makeJobs(world.Pick(10, 200, 3000))
	for _, j := range jobs {
		m.names = append(m.names, j.name)
		m.Drop(world.Unit{Name: j.name, Drop: "wait-q", Text: j.text()})
	}
	// Not for ever: the last ones, that are begun again, would never be through.
	for turns := 0; turns < 20+len(jobs)/2 && !m.ended(jobs); turns++ {
		disturb(m)
	}
	if m.cmd != nil {
		m.stop()
	}
	m.once()
	m.judge(jobs)
	world.Figures(t, "%d jobs, %d disturbances: %d exit statuses kept, %d interrupted and said so, %d second runs announced; in %v",
		len(jobs), m.disturbed, m.kept, m.interrupted, m.repeated, time.Since(began).Round(100*time.Millisecond))
}

// ended reports whether each job is in a queue of the ended.
func (m *machine) ended(jobs []job) bool {
	for _, q := range []string{"wait-q", "currently-executing"} {
		for _, j := range jobs {
			if m.There(q, j.name) {
				return false
			}
		}
	}
	left, err := filepath.Glob(filepath.Join(m.Root, ".monitor/run/u*"))
	return err == nil && len(left) == 0
}
