package systemd

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// directives are the settings of a unit file, in order, without [Install].
func directives(t *testing.T, unit string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../deploy/systemd", unit))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "[Install]" {
			break
		}
		if line != "" && line[0] != '#' && line[0] != '[' {
			all = append(all, line)
		}
	}
	return all
}

func TestShippedDirectives(t *testing.T) {
	want := []string{
		"Type=notify", "KillMode=process", "Restart=on-failure", "RestartPreventExitStatus=78", "StartLimitIntervalSec=0",
		"OOMPolicy=continue", "TasksMax=infinity", "AmbientCapabilities=CAP_LEASE",
	}
	begin := []string{"WatchdogSec=", "RequiresMountsFor=", "ExecReload="}
	// Jobs would inherit them.
	never := []string{"Private", "Protect", "RuntimeDirectory", "DynamicUser", "NoNewPrivileges", "Restrict", "SystemCall", "Delegate"}
	for _, unit := range units {
		all := directives(t, unit)
		for _, w := range want {
			if !slices.Contains(all, w) {
				t.Errorf("%s lacks %s", unit, w)
			}
		}
		for _, b := range begin {
			if !slices.ContainsFunc(all, func(d string) bool { return strings.HasPrefix(d, b) }) {
				t.Errorf("%s lacks %s", unit, b)
			}
		}
		for _, n := range never {
			if slices.ContainsFunc(all, func(d string) bool { return strings.HasPrefix(d, n) }) {
				t.Errorf("%s has %s..., which its jobs would inherit", unit, n)
			}
		}
	}
}

// The two units differ in the spool and in nothing else.
func TestUnitsAgree(t *testing.T) {
	plain := directives(t, units[0])
	for i, d := range plain {
		plain[i] = strings.ReplaceAll(d, "/var/spool/simple-job-q", "%f")
	}
	if d := cmp.Diff(plain, directives(t, units[1])); d != "" {
		t.Errorf("%s (-) against %s (+):\n%s", units[0], units[1], d)
	}
}

func TestVerify(t *testing.T) {
	s := madeSpool(t)
	out := s.in("systemd-analyze", "verify", "--man=no", "simple-job-q.service", s.unit)
	if out != "" {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	if got := s.property("TasksMax"); got != "infinity" {
		t.Errorf("TasksMax is %q", got)
	}
	if got := s.property("RequiresMountsFor"); got != s.inside {
		t.Errorf("RequiresMountsFor is %q, want %q", got, s.inside)
	}
}

// Any directory can be an instance, spelled by systemd-escape as the unit tells.
func TestOddPath(t *testing.T) {
	s := madeSpool(t)
	odd := s.inside + "/my media-q, 100% ☃"
	s.in("monitor", "init", odd)
	s.unit = s.in("systemd-escape", "--path", "--template=simple-job-q@.service", odd)
	s.inside, s.dir = odd, machine.path(odd)
	s.systemctl("start", s.unit)
	if got := s.property("Description"); got != "Job queue on "+odd {
		t.Errorf("Description is %q", got)
	}
	s.drop("one", "COMMAND :: pwd")
	contains(t, "the UOW", s.ended("done-q", "one"), "\n"+odd+"\n")
}

func TestStartAndStop(t *testing.T) {
	s := madeSpool(t, farewell)
	began := time.Now()
	s.systemctl("start", s.unit)
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("ready after %v", d)
	}
	if got := s.property("ActiveState"); got != "active" {
		t.Fatalf("after the start it is %q", got)
	}
	contains(t, "status line", s.property("StatusText"), "0 running")

	s.drop("hello", "COMMAND :: echo hello")
	contains(t, "the UOW", s.ended("done-q", "hello"), "\nhello\n", "\ndone: exit 0 after ")

	s.systemctl("stop", s.unit)
	for property, want := range map[string]string{"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0", "NRestarts": "0"} {
		if got := s.property(property); got != want {
			t.Errorf("after the stop %s is %q, want %q", property, got, want)
		}
	}
	if got, want := s.read("farewell"), "monitor stopped; nothing is running\n"; got != want {
		t.Errorf("the last status line is %q, want %q", got, want)
	}
}

// farewell keeps the status line that came with STOPPING=1: systemd forgets a
// unit that is down.
const farewell = `ExecStopPost=/bin/sh -c 'systemctl show --property StatusText --value %n > %f/farewell'`

// What runs shows in systemctl status.
func TestStatusLine(t *testing.T) {
	s := newSpool(t)
	s.job("one")
	s.until("the status line tells of the job", func() bool { return strings.Contains(s.property("StatusText"), "1 running") })
	s.open("one")
	s.ended("error-q", "one")
	s.until("the status line tells of its end", func() bool { return strings.Contains(s.property("StatusText"), "0 running") })
}

// SHUTDOWN is a wish, not a failure: the unit stays down.
func TestShutdownMessage(t *testing.T) {
	s := newSpool(t, farewell)
	s.job("one")
	s.tell("SHUTDOWN")
	s.untilProperty("ActiveState", "inactive")
	if got, want := s.read("farewell"), "monitor stopped; 1 UOW runs on under its runner\n"; got != want {
		t.Errorf("the last status line is %q, want %q", got, want)
	}
	if got := s.property("Result") + " " + s.property("NRestarts"); got != "success 0" {
		t.Errorf("result and restarts are %q", got)
	}
}

func TestReload(t *testing.T) {
	s := newSpool(t)
	pid := s.pid()
	config := filepath.Join(s.dir, "config.toml")

	s.job("one")
	s.drop("two", "COMMAND :: echo two")
	write(t, config, "slots = 2\n")
	s.systemctl("reload", s.unit)
	s.untilSays("configuration read again")
	s.ended("done-q", "two") // beside the first
	s.untilProperty("ActiveState", "active")

	write(t, config, "slots = 1\nsloots = 3\n")
	s.systemctl("reload", s.unit)
	s.untilSays("configuration not reloaded")
	contains(t, "monitor_says", s.read("monitor_says"), "config.toml:2", `"sloots"`)
	s.untilProperty("ActiveState", "active")
	s.drop("three", "COMMAND :: echo three")
	s.ended("done-q", "three") // the old one, with two slots, stays in force

	s.open("one")
	s.ended("error-q", "one")
	if s.pid() != pid || s.property("NRestarts") != "0" {
		t.Errorf("the monitor is another one: %s, was %s", s.pid(), pid)
	}
}

// A configuration in /etc is a link away, and is found when it is read again.
func TestConfigurationInEtc(t *testing.T) {
	s := madeSpool(t)
	etc := machine.path("/etc/simple-job-q")
	if err := os.MkdirAll(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(etc, "config.toml"), "[job]\nenv = { FROM = \"etc\" }\n")
	if err := os.Symlink("/etc/simple-job-q/config.toml", filepath.Join(s.dir, "config.toml")); err != nil {
		t.Fatal(err)
	}
	s.systemctl("start", s.unit)
	s.drop("one", "COMMAND :: echo from $FROM")
	contains(t, "the UOW", s.ended("done-q", "one"), "\nfrom etc\n")
	write(t, filepath.Join(etc, "config.toml"), "[job]\nenv = { FROM = \"there\" }\n")
	s.systemctl("reload", s.unit)
	s.untilSays("configuration read again")
	s.drop("two", "COMMAND :: echo from $FROM")
	contains(t, "the UOW", s.ended("done-q", "two"), "\nfrom there\n")
}

// A restart mends no configuration: systemd leaves it alone.
func TestBadConfigurationStaysDown(t *testing.T) {
	s := madeSpool(t)
	write(t, filepath.Join(s.dir, "config.toml"), "slots = 0\n")
	if _, err := machine.run("systemctl", "start", s.unit); err == nil {
		t.Error("it started with slots = 0")
	}
	s.untilProperty("ActiveState", "failed")
	if got := s.property("ExecMainStatus") + " " + s.property("NRestarts"); got != "78 0" {
		t.Errorf("exit status and restarts are %q, want 78 and none", got)
	}
	contains(t, "the journal", s.journal(), "config.toml:1", "slots")
}

func TestNoSpool(t *testing.T) {
	s := madeSpool(t)
	if err := os.Rename(s.dir, s.dir+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := machine.run("systemctl", "start", s.unit); err == nil {
		t.Error("it started without a spool")
	}
	s.untilProperty("ActiveState", "failed")
	if got := s.property("ExecMainStatus") + " " + s.property("NRestarts"); got != "78 0" {
		t.Errorf("exit status and restarts are %q, want 78 and none", got)
	}
	contains(t, "the journal", s.journal(), s.inside, "monitor init")
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("a spool has come into being")
	}
}

func TestSecondMonitor(t *testing.T) {
	s := newSpool(t)
	pid := s.pid()
	out, err := machine.run("sh", "-c", `monitor run --root "$1" 2>&1; echo "status $?"`, "sh", s.inside)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "the second monitor", out, "status 75", "pid "+pid)
	if s.pid() != pid {
		t.Error("the first monitor is another one now")
	}
}

// While somebody's own monitor has the spool the unit waits for it to go.
func TestUnitWaitsForForeignMonitor(t *testing.T) {
	s := madeSpool(t, "RestartSec=200ms")
	other := "hand-" + filepath.Base(s.inside)
	s.in("systemd-run", "--unit", other, "monitor", "run", "--root", s.inside)
	s.untilSays("up")
	if _, err := machine.run("systemctl", "start", s.unit); err == nil {
		t.Error("the unit started on a spool that has a monitor")
	}
	s.until("it was tried again", func() bool { n, _ := strconv.Atoi(s.property("NRestarts")); return n >= 2 })
	s.systemctl("stop", other)
	s.untilProperty("ActiveState", "active")
}

func TestJournal(t *testing.T) {
	s := madeSpool(t)
	write(t, filepath.Join(s.dir, "config.toml"), "tee = \"stdout\"\n")
	s.systemctl("start", s.unit)
	s.drop("two-lines", `COMMAND :: printf 'one line\nanother line\n'`)
	s.ended("done-q", "two-lines")
	s.until("the job's output is in the journal", func() bool { return strings.Contains(s.journal(), "another line") })
	lines := strings.Split(s.journal(), "\n")
	for _, want := range []string{"one line", "another line"} {
		if n := len(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l != want })); n != 1 {
			t.Errorf("the journal has %q %d times as a line, want once:\n%s", want, n, strings.Join(lines, "\n"))
		}
	}
	name := strings.TrimSuffix(s.unit, ".service")
	contains(t, "journalctl -t "+name, s.in("journalctl", "-t", name, "-o", "cat", "--no-pager"), "one line\nanother line")

	// After a restart the runner of the last monitor still reaches it.
	s.job("long")
	s.systemctl("restart", s.unit)
	s.open("long")
	s.ended("error-q", "long")
	s.until("what an adopted run says is in the journal", func() bool { return strings.Contains(s.journal(), "\nthrough") })
}

func TestTmpfiles(t *testing.T) {
	s := madeSpool(t)
	write(t, filepath.Join(s.dir, "config.toml"), "sleep_time = \"200ms\"\n")
	s.systemctl("start", s.unit)
	s.drop("ended", "COMMAND :: true")
	s.ended("done-q", "ended")
	s.drop("refused", "COMMAND ::")
	s.until("it is refused", func() bool { return s.read("trash/refused.why") != "" })
	s.tell("PAUSE")
	s.untilSays("nothing new starts")
	s.drop("waits", "COMMAND :: true")
	s.until("it is accepted", func() bool { return strings.HasPrefix(s.read("wait-q/waits"), "timestamp: ") })
	text, err := os.ReadFile("../../deploy/systemd/tmpfiles.d/simple-job-q.conf")
	if err != nil {
		t.Fatal(err)
	}
	there := func() []string {
		files, err := filepath.Glob(filepath.Join(s.dir, "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	before := there()

	// As shipped, it takes nothing that ended a moment ago.
	shipped := strings.ReplaceAll(string(text), "/var/spool/simple-job-q", s.inside)
	write(t, machine.path("/etc/tmpfiles.d-test.conf"), shipped)
	s.in("systemd-tmpfiles", "--clean", "/etc/tmpfiles.d-test.conf")
	if d := cmp.Diff(before, there()); d != "" {
		t.Errorf("as shipped it removed:\n%s", d)
	}

	var aged strings.Builder
	for line := range strings.Lines(shipped) {
		if strings.HasPrefix(line, "e ") {
			line = line[:strings.Index(line, "cm:")] + "0\n"
		}
		aged.WriteString(line)
	}
	write(t, machine.path("/etc/tmpfiles.d-test.conf"), aged.String())
	s.in("systemd-tmpfiles", "--clean", "/etc/tmpfiles.d-test.conf")
	want := slices.DeleteFunc(before, func(f string) bool {
		q := filepath.Base(filepath.Dir(f))
		return !strings.HasPrefix(filepath.Base(f), "README") && slices.Contains([]string{"done-q", "error-q", "fail-q", "trash"}, q)
	})
	if d := cmp.Diff(want, there()); d != "" {
		t.Errorf("when all is old enough (-want +got):\n%s", d)
	}
	s.drop("next", "COMMAND :: true")
	s.tell("RESUME")
	s.ended("done-q", "waits")
	s.ended("done-q", "next")
}
