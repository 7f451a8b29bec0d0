package systemd

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// adopted opens the job's gate and checks that all that happened to the monitor
// has not touched the job: the one run of it ended as it always would have.
func (s *spool) adopted(name, pid string) {
	s.Helper()
	if alive, err := machine.run("test", "-d", "/proc/"+pid); err != nil {
		s.Errorf("the job's process %s is gone: %v %s", pid, err, alive)
	}
	s.open(name)
	text := s.ended("error-q", name)
	contains(s.T, "the UOW", status(text), "error: exit 7 after ", "try 1")
	contains(s.T, "its log", text, "\nbegun\nthrough\n---- ")
	if runs := s.runs(name); len(runs) != 1 || s.started(name) != 1 {
		s.Errorf("it ran as %q, started %d times; want once", runs, s.started(name))
	}
}

func TestRestart(t *testing.T) {
	s := newSpool(t)
	pid, before := s.job("one"), s.pid()
	s.systemctl("restart", s.unit)
	if s.pid() == before {
		t.Fatal("no restart")
	}
	s.untilSays("adopted")
	s.adopted("one", pid)
}

func TestTenRestarts(t *testing.T) {
	s := newSpool(t)
	pid := s.job("one")
	for range 10 {
		s.systemctl("restart", s.unit)
	}
	if got := s.says("adopted"); got != 10 {
		t.Errorf("adopted %d times, want 10", got)
	}
	s.adopted("one", pid)
}

// Its end comes while no monitor is there.
func TestEndsWhileStopped(t *testing.T) {
	s := newSpool(t)
	s.job("one")
	s.systemctl("stop", s.unit)
	s.open("one")
	s.until("the job's end is in its log", func() bool { return strings.Contains(s.read("currently-executing/one"), ": exit 7 after") })
	s.systemctl("start", s.unit)
	contains(t, "the UOW", status(s.ended("error-q", "one")), "error: exit 7 after ")
	if s.started("one") != 1 || len(s.runs("one")) != 1 {
		t.Errorf("started %d times, ran as %q", s.started("one"), s.runs("one"))
	}
}

func TestKilled(t *testing.T) {
	s := newSpool(t, "RestartSec=100ms")
	pid, before := s.job("one"), s.pid()
	for n := 1; n <= 3; n++ {
		s.in("kill", "-KILL", s.pid())
		s.untilProperty("NRestarts", strconv.Itoa(n))
		s.untilProperty("ActiveState", "active")
	}
	if s.pid() == before {
		t.Error("it is still the same monitor")
	}
	s.adopted("one", pid)
}

// A monitor that hangs is replaced; its job does not notice.
func TestWatchdog(t *testing.T) {
	s := newSpool(t, "WatchdogSec=1s", "RestartSec=100ms")
	pid := s.job("one")
	s.in("kill", "-STOP", s.pid())
	s.untilProperty("NRestarts", "1")
	s.untilProperty("ActiveState", "active")
	contains(t, "the journal", s.journal(), "Watchdog timeout")
	s.adopted("one", pid)
}

// Nothing to do is no reason for the watchdog.
func TestWatchdogIdle(t *testing.T) {
	s := newSpool(t, "WatchdogSec=500ms")
	pid := s.pid()
	turns := s.property("WatchdogTimestampMonotonic")
	for range 4 {
		s.until("it shows that it lives", func() bool { return s.property("WatchdogTimestampMonotonic") != turns })
		turns = s.property("WatchdogTimestampMonotonic")
	}
	if s.pid() != pid || s.property("NRestarts") != "0" {
		t.Error("it was restarted")
	}
}

// A disk that does not answer is no reason for the watchdog either: killing the
// monitor would not make it answer, over and over.
func TestWatchdogFrozenDisk(t *testing.T) {
	s := madeSpool(t, "WatchdogSec=2s", "RestartSec=100ms")
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skip("no file system to freeze:", err)
	}
	if _, err := machine.run("sh", "-c", "command -v mkfs.ext4"); err != nil {
		t.Skip("no file system to freeze: mkfs.ext4 is missing (Debian package e2fsprogs)")
	}
	image := s.inside + ".ext4"
	s.in("truncate", "--size=32M", image)
	s.in("mkfs.ext4", "-q", image)
	s.in("mount", "-o", "loop", image, s.inside)
	t.Cleanup(func() {
		_, _ = machine.run("systemctl", "kill", "--signal=KILL", s.unit)
		_, _ = machine.run("umount", "--lazy", s.inside)
	})
	// From outside it is seen through the machine's first process.
	leader, err := os.ReadFile(filepath.Join(machine.dir, "leader"))
	if err != nil {
		t.Fatal(err)
	}
	s.dir = filepath.Join("/proc", strings.TrimSpace(string(leader)), "root", s.inside)
	s.in("monitor", "init", s.inside)
	write(t, filepath.Join(s.dir, "config.toml"), "sleep_time = \"200ms\"\nready.free_space = \"1MiB\"\n")
	s.systemctl("start", s.unit)
	before := s.pid()
	pid := s.job("one")

	thaw := freeze(t, s.inside)
	defer thaw()
	write(t, machine.path(s.gate("one")), "") // its last words and its end have to wait
	hung := false
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); pause() {
		if s.property("MainPID") != before || s.property("NRestarts") != "0" {
			t.Fatal("the monitor was killed because of the disk")
		}
		threads, _ := machine.run("sh", "-c", "cat /proc/"+before+"/task/*/stat")
		hung = hung || strings.Contains(threads, ") D ")
	}
	if !hung {
		t.Error("the disk never held the monitor up: nothing was tested")
	}
	thaw()
	contains(t, "the UOW", status(s.ended("error-q", "one")), "error: exit 7 after ")
	if runs := s.runs("one"); len(runs) != 1 || runs[0] != pid || s.pid() != before {
		t.Errorf("runs %q, monitor %s; want one run by %s under %s", runs, s.pid(), pid, before)
	}
}

// freeze freezes a file system of the machine. What holds it frozen is no process
// of the machine, and lets go when its input ends: a test that dies leaves no
// frozen file system behind, under which nothing could be killed.
func freeze(t *testing.T, inside string) (thaw func()) {
	t.Helper()
	leader, err := os.ReadFile(filepath.Join(machine.dir, "leader"))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("nsenter", "--target", strings.TrimSpace(string(leader)), "--mount", "--",
		"sh", "-c", `fsfreeze --freeze "$1" && echo frozen; read rest; fsfreeze --unfreeze "$1"`, "sh", inside)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	thaw = sync.OnceFunc(func() {
		in.Close()
		if err := c.Wait(); err != nil {
			t.Error("thaw:", err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "frozen\n" {
		thaw()
		t.Fatalf("freeze: %q, %v", line, err)
	}
	return thaw
}

// systemctl kill reaches the jobs: the way to end everything.
func TestKillEverything(t *testing.T) {
	s := newSpool(t)
	s.job("one")
	s.systemctl("kill", s.unit)
	s.untilProperty("ActiveState", "inactive")
	s.until("nothing of the job is left", func() bool {
		out, _ := machine.run("pgrep", "-f", s.gate("one"))
		return out == ""
	})
	s.systemctl("start", s.unit)
	contains(t, "the UOW", status(s.ended("fail-q", "one")), "fail: interrupted: terminated from outside")
}

// The kernel's killer takes a job; the queue and the other jobs stay.
func TestJobKilled(t *testing.T) {
	s := newSpool(t)
	write(t, filepath.Join(s.dir, "config.toml"), "slots = 2\n")
	s.systemctl("reload", s.unit)
	s.untilSays("configuration read again")
	pid, victim := s.job("one"), s.job("two")
	s.in("kill", "-KILL", victim)
	contains(t, "the UOW", status(s.ended("fail-q", "two")), "fail: killed by SIGKILL")
	s.adopted("one", pid)
}
