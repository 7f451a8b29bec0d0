package systemd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The machine is rebooted under running jobs. The spool is the plain unit's, on a
// file system that is mounted at boot and that the jobs keep busy at shutdown.
func TestReboot(t *testing.T) {
	s := enabled(t)
	s.job("plain")
	s.job("again", "RETRY INTERRUPTED :: yes")
	s.job("tidy", "CLEANUP :: echo tidied up")
	s.drop("stubborn", "COMMAND :: trap '' TERM HUP; echo > "+s.inside+"/deaf; while :; do sleep 0.05; done")
	s.until("stubborn runs", func() bool { return s.read("deaf") != "" })
	s.drop("queued", "COMMAND :: echo queued")
	s.until("it is accepted", func() bool { return strings.HasPrefix(s.read("wait-q/queued"), "timestamp: ") })

	s.reboot("reboot")

	s.untilProperty("ActiveState", "active")
	contains(t, "the UOW", status(s.ended("fail-q", "plain")), "fail: interrupted: terminated from outside after ")
	if n := len(s.runs("plain")); n != 1 {
		t.Errorf("an interrupted job ran %d times", n)
	}
	s.until("RETRY INTERRUPTED runs again", func() bool { return len(s.runs("again")) == 2 })
	s.open("again")
	text := s.ended("error-q", "again")
	contains(t, "the UOW", status(text), "error: exit 7 after ", "try 1")
	contains(t, "its log", text, ": interrupted: terminated from outside after ", "\nbegun\nthrough\n")
	text = s.ended("fail-q", "tidy")
	contains(t, "the UOW", status(text), "fail: interrupted: terminated from outside after ")
	contains(t, "its log", text, "\ntidied up\n")
	contains(t, "the UOW", status(s.ended("fail-q", "stubborn")), "fail: interrupted: terminated from outside after ")
	s.ended("done-q", "queued")
	s.atRest()
}

// The power fails: nothing had the time to say anything.
func TestPowerCut(t *testing.T) {
	s := enabled(t)
	s.job("plain")
	s.job("again", "RETRY INTERRUPTED :: yes")
	s.reboot("reboot", "--force", "--force")
	contains(t, "the UOW", status(s.ended("fail-q", "plain")), "fail: interrupted")
	s.until("RETRY INTERRUPTED runs again", func() bool { return len(s.runs("again")) == 2 })
	s.open("again")
	contains(t, "the UOW", status(s.ended("error-q", "again")), "error: exit 7 after ")
	if n := len(s.runs("plain")); n != 1 {
		t.Errorf("an interrupted job ran %d times", n)
	}
	contains(t, "monitor_says", s.read("monitor_says"), "the machine went down while it ran")
	s.atRest()
}

// The spool's file system is there before the monitor, and goes after it.
func TestMountedFirst(t *testing.T) {
	s := enabled(t)
	s.systemctl("stop", "/var/spool/simple-job-q")
	if got := s.property("ActiveState"); got != "inactive" {
		t.Errorf("without its file system the unit is %q", got)
	}
	if entries, err := os.ReadDir(machine.path(s.inside)); err != nil || len(entries) > 0 {
		t.Errorf("below the mount point: %v, %v; want nothing", entries, err)
	}
	s.systemctl("start", s.unit)
	s.drop("one", "COMMAND :: echo one")
	s.ended("done-q", "one")
}

// enabled is the plain unit on /var/spool/simple-job-q, started at boot.
func enabled(t *testing.T) *spool {
	t.Helper()
	if machine == nil {
		t.Skip("no machine with systemd:", whyNot)
	}
	s := &spool{T: t, unit: units[0], inside: "/var/spool/simple-job-q", dir: machine.path("/srv/disk")}
	t.Cleanup(s.clear)
	_, _ = machine.run("systemctl", "stop", s.unit)
	files, err := filepath.Glob(filepath.Join(s.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	gates, _ := filepath.Glob(machine.path(s.gate("*")))
	for _, f := range append(append(files, gates...), filepath.Join(s.dir, ".monitor")) {
		if err := os.RemoveAll(f); err != nil {
			t.Fatal(err)
		}
	}
	s.in("monitor", "init", s.inside)
	write(t, filepath.Join(s.dir, "config.toml"), "slots = 4\n[job]\nkill_grace = \"500ms\"\n")
	s.systemctl("enable", "--now", s.unit)
	return s
}

// reboot ends the machine and waits for the next boot.
func (s *spool) reboot(words ...string) {
	s.Helper()
	leader := filepath.Join(machine.dir, "leader")
	before, err := os.ReadFile(leader)
	if err != nil {
		s.Fatal(err)
	}
	// The command may be cut off by what it does.
	_, _ = machine.run(append([]string{"systemctl"}, words...)...)
	began := time.Now()
	s.until("the machine boots again", func() bool {
		now, err := os.ReadFile(leader)
		return err == nil && string(now) != string(before)
	})
	if err := machine.awaitUp(patience); err != nil {
		s.Fatal(err)
	}
	s.Logf("up again after %v", time.Since(began).Round(time.Millisecond))
}

// atRest checks that nothing is left of what ran.
func (s *spool) atRest() {
	s.Helper()
	s.until("no run records are left but those of idle runners", func() bool {
		links, err := filepath.Glob(filepath.Join(s.dir, ".monitor/run/[a-z]*"))
		return err == nil && len(links) == 0
	})
	if left, _ := filepath.Glob(filepath.Join(s.dir, "currently-executing", "[^R]*")); len(left) > 0 {
		s.Errorf("left in currently-executing: %q", left)
	}
}
