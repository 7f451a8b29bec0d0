package systemd

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var units = []string{"simple-job-q.service", "simple-job-q@.service"}

// patience is for everything that should take no time; a busy test machine is
// given some.
const patience = 15 * time.Second

var spools int // made so far; each has a number, for -count

// spool is one spool in the machine and the unit that works on it.
type spool struct {
	*testing.T
	unit   string
	inside string // the directory as the machine sees it
	dir    string // as it is seen from here
}

// newSpool makes a spool and starts a unit on it that is like the shipped one but
// for the settings.
func newSpool(t *testing.T, settings ...string) *spool {
	t.Helper()
	s := madeSpool(t, settings...)
	s.systemctl("start", s.unit)
	return s
}

// madeSpool is newSpool without the start.
func madeSpool(t *testing.T, settings ...string) *spool {
	t.Helper()
	if machine == nil {
		t.Skip("no machine with systemd:", whyNot)
	}
	spools++
	name := strings.ToLower(strings.TrimPrefix(t.Name(), "Test")) + strconv.Itoa(spools)
	s := &spool{T: t, unit: "simple-job-q@srv-" + name + ".service", inside: "/srv/" + name}
	s.dir = machine.path(s.inside)
	s.in("monitor", "init", s.inside)
	if len(settings) > 0 {
		s.dropIn(settings...)
	}
	t.Cleanup(s.clear)
	return s
}

// clear leaves nothing running for the next test, and tells what happened if
// this one failed.
func (s *spool) clear() {
	if s.Failed() {
		journal, _ := machine.run("journalctl", "-u", s.unit, "-o", "short-precise", "--no-pager", "-n", "40")
		s.Logf("journal:\n%s\nmonitor_says:\n%s", journal, s.read("monitor_says"))
	}
	_, _ = machine.run("systemctl", "stop", s.unit)
	_, _ = machine.run("systemctl", "kill", "--signal=KILL", s.unit)
}

// in carries out a command in the machine that has to succeed.
func (s *spool) in(words ...string) string {
	s.Helper()
	out, err := machine.run(words...)
	if err != nil {
		s.Fatal(err)
	}
	return out
}

func (s *spool) systemctl(words ...string) string {
	s.Helper()
	return s.in(append([]string{"systemctl"}, words...)...)
}

// dropIn gives the unit further lines of [Service].
func (s *spool) dropIn(settings ...string) {
	s.Helper()
	d := machine.path("/etc/systemd/system/" + s.unit + ".d")
	if err := os.MkdirAll(d, 0o755); err != nil {
		s.Fatal(err)
	}
	write(s.T, filepath.Join(d, "test.conf"), "[Service]\n"+strings.Join(settings, "\n")+"\n")
	s.systemctl("daemon-reload")
}

func (s *spool) property(name string) string {
	s.Helper()
	return s.systemctl("show", "--property", name, "--value", s.unit)
}

// pid is the monitor's process number in the machine.
func (s *spool) pid() string {
	s.Helper()
	pid := s.property("MainPID")
	if pid == "0" || pid == "" {
		s.Fatal("the unit has no main process")
	}
	return pid
}

// until polls for what must become true.
func (s *spool) until(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); !holds(); pause() {
		if time.Now().After(end) {
			s.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func (s *spool) untilProperty(name, want string) {
	s.Helper()
	var got string
	for end := time.Now().Add(patience); ; pause() {
		if got = s.property(name); got == want {
			return
		}
		if time.Now().After(end) {
			s.Fatalf("%s is %q after %v, want %q", name, got, patience, want)
		}
	}
}

// drop moves a UOW into wait-q.
func (s *spool) drop(name string, items ...string) {
	s.Helper()
	outside := filepath.Join(s.dir, ".new-"+name)
	write(s.T, outside, "==== UNIT OF WORK\n"+strings.Join(items, "\n")+"\n")
	if err := os.Rename(outside, filepath.Join(s.dir, "wait-q", name)); err != nil {
		s.Fatal(err)
	}
}

// job drops a UOW that runs until its gate is opened, and then exits with 7. It
// waits until the job runs, and gives its process number.
func (s *spool) job(name string, items ...string) string {
	s.Helper()
	s.drop(name, append([]string{fmt.Sprintf(
		"COMMAND :: echo $$ >> %s; echo begun; while [ ! -e %s ]; do sleep 0.05; done; echo through; exit 7",
		s.inside+"/ran-"+name, s.gate(name))}, items...)...)
	s.until(name+" runs", func() bool { return strings.HasSuffix(s.read("ran-"+name), "\n") })
	return s.runs(name)[0]
}

func (s *spool) gate(name string) string { return "/srv/gate/" + filepath.Base(s.inside) + "-" + name }

// open lets a job end.
func (s *spool) open(name string) {
	s.Helper()
	write(s.T, machine.path(s.gate(name)), "")
}

// runs are the process numbers of all runs of a job, in order.
func (s *spool) runs(name string) []string { return strings.Fields(s.read("ran-" + name)) }

// ended waits for a UOW in one of the ended queues and gives its whole text.
func (s *spool) ended(queue, name string) string {
	s.Helper()
	s.until(fmt.Sprintf("%s in %s (it is in %q)", name, queue, s.where(name)), func() bool {
		for _, q := range s.where(name) {
			if q != queue && strings.HasSuffix(q, "-q") && q != "wait-q" && q != "priority-q" || q == "trash" {
				s.Fatalf("%s is in %s, want %s:\n%s", name, q, queue, s.read(q+"/"+name))
			}
		}
		_, err := os.Stat(filepath.Join(s.dir, queue, name))
		return err == nil
	})
	if at := s.where(name); len(at) != 1 {
		s.Errorf("%s is in %q, want one place", name, at)
	}
	return s.read(queue + "/" + name)
}

// where are the directories of the spool that hold a file of this name.
func (s *spool) where(name string) []string {
	found, _ := filepath.Glob(filepath.Join(s.dir, "*", name))
	for i, f := range found {
		found[i] = filepath.Base(filepath.Dir(f))
	}
	return found
}

// read gives a file of the spool, "" if there is none.
func (s *spool) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(s.dir, name))
	return string(b)
}

// says counts the lines of monitor_says that hold the text.
func (s *spool) says(text string) (n int) {
	for line := range strings.Lines(s.read("monitor_says")) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (s *spool) untilSays(text string) {
	s.Helper()
	s.until(fmt.Sprintf("monitor_says tells %q", text), func() bool { return s.says(text) > 0 })
}

// tell appends a message.
func (s *spool) tell(message string) {
	s.Helper()
	f, err := os.OpenFile(filepath.Join(s.dir, "monitor_reads"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, message); err != nil {
		s.Fatal(err)
	}
}

// started counts the `started` events of a UOW.
func (s *spool) started(name string) (n int) {
	s.Helper()
	f, err := os.Open(filepath.Join(s.dir, "monitor_events"))
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e struct{ Event, UOW string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			s.Fatalf("monitor_events: %v in %q", err, lines.Text())
		}
		if e.Event == "started" && e.UOW == name {
			n++
		}
	}
	return n
}

// journal is what the unit has written there, without dates.
func (s *spool) journal() string {
	s.Helper()
	s.in("journalctl", "--sync")
	return s.in("journalctl", "-u", s.unit, "-o", "cat", "--no-pager")
}

// status is the STATUS line of a UOW.
func status(text string) string {
	_, after, _ := strings.Cut(text, "==== STATUS\n")
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimRight(line, " ")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func contains(t *testing.T, what, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %q:\n%s", what, want, text)
		}
	}
}
