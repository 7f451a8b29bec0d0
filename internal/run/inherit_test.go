package run

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a job tells about itself.
const tellAll = `cat /proc/self/status; echo "Nofile: $(ulimit -S -n)"; fds=; for i in 0 1 2 3 4 5 6 7 8 9 10 11 12; do [ -e /proc/$$/fd/$i ] && fds="$fds $i"; done; echo "Fds:$fds"
echo "Stdin: $(readlink /proc/$$/fd/0)"; echo "Mask: $(umask)"; echo "Cwd: $(pwd)"; echo "Score: $(cat /proc/self/oom_score_adj)"; echo "Slack: $(cat /proc/self/timerslack_ns)"
echo "Stat: $(cat /proc/$$/stat)"; echo "Me: $$"; echo "Env: $(env | sort | tr '\n' ' ')"`

func facts(log string) map[string]string {
	facts := map[string]string{}
	for line := range strings.Lines(log) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			facts[key] = strings.TrimSpace(value)
		}
	}
	return facts
}

func wantCleanSlate(t *testing.T, log string) {
	t.Helper()
	f := facts(log)
	for key, want := range map[string]string{
		"SigBlk": "0000000000000000", "SigIgn": "0000000000000000", "CapAmb": "0000000000000000",
		"Fds": "0 1 2", "Stdin": "/dev/null", "Score": "0", "Slack": "50000",
	} {
		if f[key] != want {
			t.Errorf("%s is %q in the job, want %q", key, f[key], want)
		}
	}
	stat := strings.Fields(f["Stat"])
	if len(stat) < 20 || stat[4] != f["Me"] || stat[5] != f["Me"] || stat[6] != "0" {
		t.Errorf("group, session and terminal are not the job's own: %q, it is %s", f["Stat"], f["Me"])
	}
}

func TestWhatAJobInherits(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	soft, err := exec.Command("/bin/sh", "-c", "ulimit -S -n").Output()
	if err != nil {
		t.Fatal(err)
	}
	k := newKept(t)
	s := k.spec(sh(tellAll)...)
	s.Dir, s.Umask = "/tmp", 0o27
	s.Env = []string{"PATH=/usr/bin:/bin", "UOW_TICKET=OPS 1", "MONITOR_RUN=forged"}
	if e := k.run(s); e.Exit != 0 {
		t.Fatalf("ended %+v", e)
	}
	log := k.log(s)
	wantCleanSlate(t, log)
	f := facts(log)
	if f["Cwd"] != "/tmp" || f["Mask"] != "0027" || f["Nofile"] != strings.TrimSpace(string(soft)) {
		t.Errorf("directory %q, umask %q, descriptors %q (want %s)", f["Cwd"], f["Mask"], f["Nofile"], soft)
	}
	if want := "MONITOR_RUN=" + s.Run + " PATH=/usr/bin:/bin PWD=/tmp UOW_TICKET=OPS 1"; f["Env"] != want {
		t.Errorf("environment %q, want %q", f["Env"], want)
	}
}

// However a runner was started: signals blocked and ignored, descriptors open,
// another priority and score.
func TestNothingBadIsPassedOn(t *testing.T) {
	dir := t.TempDir()
	boot, err := BootID()
	if err != nil {
		t.Fatal(err)
	}
	spec := &Single{Dir: dir, Spec: &Spec{
		Run: NewIDs(boot).Next(), Link: "u1", UOW: "x", Dir: "/", Argv: sh(tellAll), Env: []string{"PATH=/usr/bin:/bin"}, Label: "try 1",
	}}
	b, err := spec.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"u1": nil, "spec": b} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"/bin/sh", "-c", `echo 7 > /proc/self/oom_score_adj; exec 7</etc/passwd 9>/dev/null; exec "$@"`, "sh"}
	if os.Getuid() == 0 {
		args = append(args, "setpriv", "--inh-caps=+chown", "--ambient-caps=+chown")
	} else {
		t.Log("not root: no ambient capability is tried")
	}
	cmd := asRole("blocked", append(args, runnerPath, filepath.Join(dir, "spec"))...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil || out.Len() > 0 {
		t.Fatalf("%v: %s", err, out.String())
	}
	log, err := os.ReadFile(filepath.Join(dir, "u1"))
	if err != nil {
		t.Fatal(err)
	}
	wantCleanSlate(t, string(log))
	s, live, end := readRecord(t, dir, "1")
	if s.Run != spec.Spec.Run || s.Ino == 0 || !live.MayHaveRun(s.Run) || end == nil || end.Exit != 0 {
		t.Errorf("the record says %+v %+v %+v", s, live, end)
	}
}

func readRecord(t *testing.T, dir, name string) (Start, Live, *End) {
	t.Helper()
	r := openRecord(t, dir, name)
	s, live, end, err := r.Read()
	if err != nil {
		t.Fatal(err)
	}
	return s, live, end
}

func TestNice(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("not root: only a lower priority is tried")
	}
	k := newKept(t)
	nice := func(n *int) string {
		s := k.spec(sh(`cut -d' ' -f19 /proc/self/stat`)...)
		s.Nice = n
		if e := k.run(s); e.Exit != 0 || e.Reason != Exit {
			t.Fatalf("ended %+v", e)
		}
		return strings.Split(k.log(s), "\n")[2]
	}
	plain := nice(nil)
	for _, n := range []int{7, 3, 19} {
		if got := nice(&n); got != strconv.Itoa(n) {
			t.Errorf("NICE %d: the job has %s", n, got)
		}
		if got := nice(nil); got != plain {
			t.Errorf("after NICE %d the next job has %s, want %s", n, got, plain)
		}
	}
	// The thread that forked must live as long as the job: the job would die
	// with it.
	s := k.spec(sh(`sleep 0.5; echo alive`)...)
	s.Nice = new(int)
	*s.Nice = 5
	if e := k.run(s); e.Reason != Exit || !strings.Contains(k.log(s), "\nalive\n") {
		t.Errorf("a nice job ended %+v", e)
	}
}

const isTerminal = `
for fd in 0 1 2; do if [ -t $fd ]; then printf "%s tty\n" $fd; else printf "%s no\n" $fd; fi; done
if (exec 3</dev/tty) 2>/dev/null; then echo "tty opened"; else echo "no /dev/tty"; fi
stty size <&1; printf "a\n\033[31mred\033[0m\r\n"`

func TestTerminal(t *testing.T) {
	k := newKept(t)
	s := k.spec(sh(isTerminal)...)
	s.Terminal = true
	if e := k.run(s); e.Reason != Exit || e.Exit != 0 {
		t.Errorf("ended %+v", e)
	}
	want := "\n0 no\n1 tty\n2 tty\nno /dev/tty\n48 160\na\n\033[31mred\033[0m\r\n---- "
	if log := k.log(s); !strings.Contains(log, want) {
		t.Errorf("the log is %q, want in it %q", log, want)
	}
	// Not a byte of much output is lost, though the terminal's buffer is small.
	s = k.spec("/usr/bin/perl", "-e", `print "$_\n" for 1..100_000`)
	s.Terminal = true
	e := k.run(s)
	if log := k.log(s); e.Output != 588895 || !strings.Contains(log, "\n99999\n100000\n---- ") {
		t.Errorf("%d bytes of 588895, the log ends %q", e.Output, log[len(log)-100:])
	}
	s = k.spec(sh(isTerminal)...)
	if k.run(s); !strings.Contains(k.log(s), "\n0 no\n1 no\n2 no\nno /dev/tty\n") {
		t.Errorf("without TERMINAL: %s", k.log(s))
	}
	// A prompt fails instead of hanging.
	s = k.spec(sh(`read answer </dev/tty || echo "no answer"`)...)
	s.Terminal, s.Timeout = true, 20*time.Second
	if e := k.run(s); e.Reason != Exit || !strings.Contains(k.log(s), "no answer") {
		t.Errorf("a prompt ended %+v: %s", e, k.log(s))
	}
}
