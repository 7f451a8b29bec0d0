package run

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Ways out of a tree, none of which is one.
var escapes = map[string]string{
	"background":    `sleep 300 & sleep 301`,
	"session":       `setsid sleep 300 & sleep 301`,
	"daemon":        `(setsid sh -c 'sleep 300 & exit' &) ; sleep 301`,
	"daemon twice":  `perl -e 'use POSIX; fork and exit; setsid; fork and exit; chdir "/"; close STDIN; close STDOUT; close STDERR; sleep 300'; sleep 301`,
	"clean env":     `env -i setsid sleep 300 & sleep 301`,
	"ignores TERM":  `(trap '' TERM; sleep 300; sleep 300) & sleep 301`,
	"stopped child": `sh -c 'kill -STOP $$' & sleep 301`,
	"always new":    `perl -e 'use POSIX; $SIG{TERM} = "IGNORE"; while (1) { if (fork) { POSIX::_exit(0) } setsid }' & sleep 301`,
}

// ours counts the processes below the kept runner.
func ours(t *testing.T, k *kept) int {
	t.Helper()
	all, err := Processes()
	if err != nil {
		t.Fatal(err)
	}
	below := map[int]bool{k.runner.PID(): true}
	count := 0
	for again := true; again; {
		again = false
		for _, p := range all {
			if below[p.Parent] && !below[p.PID] && !p.Dead() {
				below[p.PID], again = true, true
				count++
			}
		}
	}
	return count
}

func TestTimeoutEndsTheWholeTree(t *testing.T) {
	k := newKept(t)
	for name, command := range escapes {
		t.Run(name, func(t *testing.T) {
			defer k.as(t)()
			s := k.spec(sh(command)...)
			s.Timeout, s.Grace = 200*time.Millisecond, 100*time.Millisecond
			began := time.Now()
			if e := k.run(s); e.Reason != Timeout || time.Since(began) > 20*time.Second {
				t.Errorf("ended %+v after %v", e, time.Since(began))
			}
			if n := ours(t, k); n != 0 {
				t.Errorf("%d processes left", n)
			}
			nobodyLeft(t, s.Run)
		})
	}
}

func TestWhatIsLeftBehindIsEnded(t *testing.T) {
	k := newKept(t)
	for name, command := range escapes {
		t.Run(name, func(t *testing.T) {
			defer k.as(t)()
			s := k.spec(sh(strings.TrimSuffix(strings.TrimSuffix(command, "sleep 301"), "; ") + "\necho out; exit 4")...)
			s.Grace = 100 * time.Millisecond
			e := k.run(s)
			if e.Reason != Exit || e.Exit != 4 || e.Wall > 10*time.Second {
				t.Errorf("ended %+v", e)
			}
			if log := k.log(s); !regexp.MustCompile(`try 1: (\d+ )?process(es)? left behind (was|were) ended`).MatchString(log) || !strings.Contains(log, "\nout\n") {
				t.Errorf("the log does not say it:\n%s", log)
			}
			if n := ours(t, k); n != 0 {
				t.Errorf("%d processes left", n)
			}
		})
	}
	// Named, and who goes within the linger time is not spoken of.
	s := k.spec(sh("sleep 300 & exit 0")...)
	if k.run(s); !regexp.MustCompile(`try 1: 1 process left behind was ended: sleep \(pid \d+\)\n---- .* exit 0 after `).MatchString(k.log(s)) {
		t.Errorf("the log is\n%s", k.log(s))
	}
	s = k.spec(sh("(sleep 0.1; echo late) & exit 0")...)
	s.Linger = 10 * time.Second
	if k.run(s); strings.Contains(k.log(s), "left behind") || !strings.Contains(k.log(s), "late\n") {
		t.Errorf("the log is\n%s", k.log(s))
	}
}

func TestLeftoverMayLive(t *testing.T) {
	k := newKept(t)
	s := k.spec(sh("setsid sleep 300 & echo $!; exit 0")...)
	s.Leave = true
	if e := k.run(s); e.Reason != Exit {
		t.Errorf("ended %+v", e)
	}
	log := k.log(s)
	if !regexp.MustCompile(`1 process left behind was left running: \w+ \(pid \d+\)`).MatchString(log) {
		t.Errorf("the log is\n%s", log)
	}
	if g, ok := k.next().(Gone); !ok || g.Err != nil || !g.Reaped {
		t.Errorf("the runner has to go: %+v", g)
	}
	rec := k.runner.Record()
	if locked, err := rec.Locked(); locked || err != nil {
		t.Errorf("locked %v, %v", locked, err)
	}
	tree, err := treeOf(s.Run, Live{})
	if err != nil || len(tree) != 1 {
		t.Fatalf("left are %+v, %v; want the sleep", tree, err)
	}
	if n, err := KillTree(s.Run, Live{}); n != 1 || err != nil {
		t.Errorf("KillTree: %d, %v", n, err)
	}
	nobodyLeft(t, s.Run)
	if err := rec.Remove("test:remove"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(k.dir.Join(rec.Name())); !os.IsNotExist(err) {
		t.Errorf("the record is still there: %v", err)
	}
}

func TestForkBomb(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("skipped: only root can give the bomb a user of its own with a limit of processes")
	}
	k := newKept(t)
	s := k.spec("/usr/bin/setpriv", "--reuid=65534", "--clear-groups", "/bin/bash", "-c", `ulimit -u 120; trap '' TERM; : () { : | : & }; : 2>/dev/null; sleep 300`)
	s.Timeout, s.Grace = 200*time.Millisecond, 50*time.Millisecond
	if e := k.run(s); e.Reason != Timeout {
		t.Errorf("ended %+v", e)
	}
	if n := ours(t, k); n != 0 {
		t.Errorf("%d processes left", n)
	}
}

func TestKillTreeSparesOthers(t *testing.T) {
	boot, err := BootID()
	if err != nil {
		t.Fatal(err)
	}
	ids := NewIDs(boot)
	run := ids.Next()
	stranger := asSleeper(t, "MONITOR_RUN="+ids.Next())
	// Its number is the one the record tells, but it was born at another time.
	old := Live{Forked: run, PID: stranger, Born: bootTime(run) - int64(time.Hour)}
	if n, err := KillTree(run, old); n != 0 || err != nil {
		t.Errorf("KillTree: %d, %v", n, err)
	}
	nameless := asSleeper(t)
	if n, err := KillTree(run, Live{Forked: run, PID: nameless, Born: bootTime(run) - int64(time.Hour)}); n != 0 || err != nil {
		t.Errorf("KillTree by a number used again: %d, %v", n, err)
	}
	for _, pid := range []int{stranger, nameless} {
		if p, err := Process(pid); err != nil || p.Dead() {
			t.Errorf("process %d was not spared", pid)
		}
	}
	if n, err := KillTree(run, Live{Forked: run, PID: nameless, Born: sinceBoot()}); n != 1 || err != nil {
		t.Errorf("KillTree by session: %d, %v; want the one", n, err)
	}
	if n, err := KillTree("", Live{PID: 1}); n != 0 || err != nil {
		t.Errorf("KillTree of no run: %d, %v", n, err)
	}
}

// What lives on in the job's session when its leader is gone is ours only with the
// numbers of the same space, and if it is not older than the run.
func TestKillTreeWithoutLeader(t *testing.T) {
	boot, err := BootID()
	if err != nil {
		t.Fatal(err)
	}
	run := NewIDs(boot).Next()
	later := boot + "-" + strconv.FormatInt(sinceBoot()+int64(time.Hour), 10)
	leader, left := orphan(t)
	live := Live{Forked: run, PID: leader, Born: sinceBoot(), Space: numberSpace()}
	for what, l := range map[string]Live{
		"another container's": {Forked: run, PID: leader, Born: live.Born, Space: "pid:[1] 1"},
		"not told whose":      {Forked: run, PID: leader, Born: live.Born},
		"born before the run": {Forked: later, PID: leader, Born: sinceBoot() + int64(2*time.Hour), Space: live.Space},
	} {
		if n, err := KillTree(l.Forked, l); n != 0 || err != nil {
			t.Errorf("%s: KillTree: %d, %v", what, n, err)
		}
		if p, err := Process(left); err != nil || p.Dead() {
			t.Fatalf("%s: it was not spared", what)
		}
	}
	if n, err := KillTree(run, live); n != 1 || err != nil {
		t.Errorf("KillTree: %d, %v; want the one", n, err)
	}
	// The id in the environment counts wherever the numbers are from.
	if asSleeper(t, "MONITOR_RUN="+run); live.Space != "" {
		live.Space += "0"
	}
	if n, err := KillTree(run, live); n != 1 || err != nil {
		t.Errorf("KillTree by id: %d, %v; want the one", n, err)
	}
}

// orphan leaves a process behind in a session whose leader is gone.
func orphan(t *testing.T) (leader, left int) {
	t.Helper()
	out, err := exec.Command("/usr/bin/env", "-i", "/usr/bin/setsid", "--wait", "/bin/sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $$ $!").Output()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(out), &leader, &left); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Kill(left, unix.SIGKILL) })
	eventually(t, "the leader is gone", func() bool { _, err := Process(leader); return err != nil })
	return leader, left
}

// asSleeper starts a process in a session of its own with just this environment.
func asSleeper(t *testing.T, env ...string) int {
	t.Helper()
	pid, err := unixForkExec("/bin/sleep", []string{"sleep", "300"}, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, 0, nil)
	})
	return pid
}
