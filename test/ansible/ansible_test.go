// Package ansible tries the queue with real jobs: Debian's ansible-core, started
// by a job type, on this machine and on one that is not there.
package ansible

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
)

// patience covers a playbook on a busy machine.
const patience = 60 * time.Second

// Of the pseudo-terminal of a job with TERMINAL :: yes.
var window = pty.Winsize{Rows: 48, Cols: 160}

func TestPlaybooks(t *testing.T) {
	s := newSpool(t)
	for _, c := range []struct {
		name, queue, status string
		inventory, playbook string
		terminal            bool
	}{
		{"good", "done-q", "done: exit 0 after ", "here", "", false},
		{"failing", "error-q", `error: output matched "^fatal: "`, "here", "broken.yml", false},
		{"unreachable", "fail-q", `fail: output matched "UNREACHABLE!"`, "nowhere", "", false},
		{"good-terminal", "done-q", "done: exit 0 after ", "here", "", true},
		{"failing-terminal", "error-q", `error: output matched "^fatal: "`, "here", "broken.yml", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.T = t
			uow := "==== UNIT OF WORK\nJOB :: ansible\nINVENTORY :: " + c.inventory + "\n"
			playbook := "site.yml"
			if c.playbook != "" {
				playbook = c.playbook
				uow += "PLAYBOOK :: " + c.playbook + "\n"
			}
			if c.terminal {
				uow += "TERMINAL :: yes\n"
			}
			s.drop(c.name, uow)
			text := s.ended(c.queue, c.name)
			if got := status(text); !strings.HasPrefix(got, c.status) {
				t.Errorf("STATUS is %q, want %q first", got, c.status)
			}
			if !strings.Contains(text, uow) {
				t.Errorf("what was asked for is not in the file:\n%s", text)
			}
			got := log(t, text)
			if !strings.Contains(got, "\x1b[0;3") && !strings.Contains(got, "\x1b[1;3") {
				t.Errorf("the log has no colours:\n%q", got)
			}
			if d := cmp.Diff(s.printed(c.terminal, c.inventory, playbook), got); d != "" {
				t.Errorf("printed without the queue (-), in the log (+):\n%s", d)
			}
		})
	}
}

// The arguments of a job type are checked before anything is run.
func TestRefusedArguments(t *testing.T) {
	s := newSpool(t)
	for name, items := range map[string]string{
		"option":   "JOB :: ansible\nINVENTORY :: --version\n",
		"playbook": "JOB :: ansible\nINVENTORY :: here\nPLAYBOOK :: ../site.yml\n",
		"missing":  "JOB :: ansible\n",
		"command":  "COMMAND :: ansible-playbook --version\n",
	} {
		s.drop(name, "==== UNIT OF WORK\n"+items)
		s.until(name+" is refused", func() bool { return s.read("trash/"+name+".why") != "" })
		if s.read("trash/"+name) == "" {
			t.Errorf("%s has a reason and is gone itself", name)
		}
	}
}

// Somebody on the machine runs a playbook by hand: the job waits for its end.
func TestProcessGate(t *testing.T) {
	s := newSpool(t)
	fake := filepath.Join(t.TempDir(), "ansible-playbook")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fake, program, 0o755); err != nil {
		t.Fatal(err)
	}
	other := exec.Command(fake, "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = other.Wait(); close(ended) }()
	defer func() { _ = other.Process.Kill(); <-ended }()

	s.drop("held", "==== UNIT OF WORK\nJOB :: ansible\nINVENTORY :: here\n")
	why := ""
	s.until("the digest tells why it waits", func() bool {
		var digest struct{ Next []struct{ Name, Why string } }
		if json.Unmarshal([]byte(s.read("status/status.json")), &digest) != nil || len(digest.Next) != 1 {
			return false
		}
		why = digest.Next[0].Why
		return strings.Contains(why, "ansible-playbook")
	})
	if !strings.Contains(why, strconv.Itoa(other.Process.Pid)) {
		t.Errorf("it waits because %q; want the number of the process, %d", why, other.Process.Pid)
	}
	if strings.Contains(s.read("monitor_events"), `"started"`) {
		t.Error("it was started")
	}
	_ = other.Process.Kill()
	<-ended
	s.ended("done-q", "held")
}

// spool is a spool with a monitor.
type spool struct {
	*testing.T
	dir string
	env []string // of a job
}

func newSpool(t *testing.T) *spool {
	t.Helper()
	for program, pkg := range map[string]string{"ansible-playbook": "ansible-core", "ssh": "openssh-client"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is missing (Debian package %s)", program, pkg)
		}
	}
	bin := build(t)
	s := &spool{T: t, dir: filepath.Join(t.TempDir(), "spool")}
	scratch := t.TempDir()
	own := map[string]string{
		"ANSIBLE_FORCE_COLOR": "1", "ANSIBLE_HOME": scratch, "ANSIBLE_SSH_CONTROL_PATH_DIR": filepath.Join(scratch, "cp"),
		"ANSIBLE_LOCAL_TEMP": scratch, "ANSIBLE_REMOTE_TEMP": scratch, "TERM": "xterm-256color",
	}
	playbooks, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile("testdata/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	config = fmt.Appendf(config, "directory = %q\n", playbooks)
	for name, value := range own {
		config = fmt.Appendf(config, "env.%s = %q\n", name, value)
		s.env = append(s.env, name+"="+value)
	}
	s.env = append(s.env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME="+os.Getenv("HOME"))

	monitor := filepath.Join(bin, "monitor")
	if out, err := exec.Command(monitor, "init", s.dir).CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "config.toml"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	run := exec.Command(monitor, "run", "--root", s.dir)
	run.Stderr = &said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := run.Wait(); err != nil || said.Len() > 0 {
			t.Errorf("the monitor ended with %v and said:\n%s", err, said.String())
		}
		if t.Failed() {
			t.Logf("monitor_says:\n%s", s.read("monitor_says"))
		}
	})
	return s
}

// build leaves both binaries in a directory.
func build(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	// go test remembers a result as long as nothing changes that the test has
	// read: so it reads what the binaries are made of.
	for _, dir := range []string{"../../cmd", "../../internal"} {
		err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") {
				_, err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("go", "build", "-o", bin+"/", "../../cmd/monitor", "../../cmd/runner").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// printed is what the same playbook prints when it is run by hand into a file, or
// in a terminal.
func (s *spool) printed(terminal bool, inventory, playbook string) string {
	s.Helper()
	c := exec.Command("ansible-playbook", "-i", inventory, playbook)
	c.Dir, c.Env = "testdata", s.env
	var out []byte
	if terminal {
		size := window
		master, err := pty.StartWithSize(c, &size)
		if err != nil {
			s.Fatal(err)
		}
		defer master.Close()
		out, _ = io.ReadAll(master) // EIO is how a terminal says that all have left
		out = bytes.ReplaceAll(out, []byte("\r\n"), []byte("\n"))
		_ = c.Wait() // its exit status is not asked for
	} else {
		file, err := os.Create(filepath.Join(s.TempDir(), "printed"))
		if err != nil {
			s.Fatal(err)
		}
		defer file.Close()
		c.Stdout, c.Stderr = file, file
		_ = c.Run()
		if out, err = os.ReadFile(file.Name()); err != nil {
			s.Fatal(err)
		}
	}
	if len(out) == 0 {
		s.Fatal("ansible-playbook printed nothing")
	}
	return string(out)
}

// drop moves a UOW into wait-q.
func (s *spool) drop(name, text string) {
	s.Helper()
	outside := filepath.Join(s.dir, ".new-"+name)
	if err := os.WriteFile(outside, []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
	if err := os.Rename(outside, filepath.Join(s.dir, "wait-q", name)); err != nil {
		s.Fatal(err)
	}
}

func (s *spool) until(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); !holds(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// ended waits for the end of a UOW and gives its text; any other queue than the
// wanted one is an error.
func (s *spool) ended(queue, name string) (text string) {
	s.Helper()
	s.until(name+" has ended", func() bool {
		for _, q := range []string{"done-q", "error-q", "fail-q", "trash"} {
			if text = s.read(q + "/" + name); text != "" {
				if q != queue {
					s.Fatalf("%s is in %s, want %s:\n%s%s", name, q, queue, text, s.read(q+"/"+name+".why"))
				}
				return true
			}
		}
		return false
	})
	return text
}

func (s *spool) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(s.dir, name))
	return string(b)
}

// status is the STATUS line.
func status(text string) string {
	_, after, _ := strings.Cut(text, "==== STATUS\n")
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimRight(line, " ")
}

// log is what lies between the monitor's first line of the log and its next.
func log(t *testing.T, text string) string {
	t.Helper()
	_, after, ok := strings.Cut(text, "==== JOB LOG\n---- ")
	_, output, more := strings.Cut(after, "\n")
	last := strings.Index(output, "\n---- ")
	if !ok || !more || last < 0 {
		t.Fatalf("no log in:\n%s", text)
	}
	return output[:last+1]
}
