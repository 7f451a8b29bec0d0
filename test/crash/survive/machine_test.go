package survive

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"simplejobq/internal/durable"
	"simplejobq/internal/run"
	"simplejobq/test/crash/world"
)

const settings = `slots = 6
sleep_time = "100ms"
settle_time = "20ms"
[job]
kill_grace = "200ms"
linger = "20ms"
env = { W = %q }
[ready]
free_space = "0B"
`

// machine is a spool and who works on it.
type machine struct {
	*world.World
	bin    string   // its programs
	builds []string // what is installed there in turn
	log    *os.File
	cmd    *exec.Cmd // the monitor, or all of a machine within
	boots  int
	names  []string // of all jobs

	must map[string]string // runs that have to be called interrupted, and their UOW
	may  map[string]bool   // UOWs of which some run may be

	disturbed, kept, interrupted, repeated int
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{World: world.New(t, nil), must: map[string]string{}, may: map[string]bool{}}
	m.Write("config.toml", fmt.Sprintf(settings, m.W))
	m.bin = filepath.Join(m.Dir, "bin")
	if err := os.Mkdir(m.bin, 0o755); err != nil {
		t.Fatal(err)
	}
	m.install(world.Bin)
	if err := os.WriteFile(filepath.Join(m.W, "job.sh"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.log, err = os.Create(filepath.Join(m.Out, "stderr")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.kill(); m.log.Close(); m.clear() })
	return m
}

// clear ends what a failed test leaves, so that its files can go.
func (m *machine) clear() {
	for _, pid := range m.runners() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for _, pid := range m.left() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// build makes the programs once more, as another version.
func build(t *testing.T, dir, version string) {
	t.Helper()
	c := exec.Command("go", "build", "-tags", "faults", "-ldflags", "-s -w -X main.Version="+version, "-o", dir+"/", "simplejobq/cmd/monitor", "simplejobq/cmd/runner")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
}

// install replaces the programs the way a package manager does.
func (m *machine) install(from string) {
	m.T.Helper()
	for _, name := range []string{"runner", "monitor"} {
		if err := copyFile(filepath.Join(from, name), filepath.Join(m.bin, name+".new")); err != nil {
			m.T.Fatal(err)
		}
		if err := os.Rename(filepath.Join(m.bin, name+".new"), filepath.Join(m.bin, name)); err != nil {
			m.T.Fatal(err)
		}
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	// Any fork of this process would hold it open for writing and keep it from being
	// executed: so a program of its own writes it.
	c := exec.Command("dd", "of="+to, "bs=1M", "status=none")
	c.Stdin = in
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w %s", from, err, out)
	}
	return os.Chmod(to, 0o755)
}

// start starts the monitor if there is none.
func (m *machine) start() {
	m.T.Helper()
	if m.cmd != nil {
		return
	}
	m.launch(exec.Command(filepath.Join(m.bin, "monitor"), "--root", m.Root, "run"))
}

func (m *machine) launch(c *exec.Cmd) {
	m.T.Helper()
	c.Stderr = m.log
	if err := c.Start(); err != nil {
		m.T.Fatal(err)
	}
	m.cmd = c
}

// kill ends the monitor, or all of the machine within, without a warning.
func (m *machine) kill() {
	if m.cmd == nil {
		return
	}
	m.disturbed++
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
	m.cmd = nil
}

// stop asks the monitor to end, which it does well.
func (m *machine) stop() {
	m.T.Helper()
	m.disturbed++
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		m.T.Fatal(err)
	}
	late := time.AfterFunc(time.Minute, func() { _ = m.cmd.Process.Kill() })
	// Asked before it listens to signals it is ended by this one.
	if err := m.cmd.Wait(); err != nil && err.Error() != "signal: terminated" {
		m.T.Fatalf("stop: %v\n%s", err, m.Story())
	}
	late.Stop()
	m.cmd = nil
}

// once has a monitor go on until nothing is left to do.
func (m *machine) once() {
	m.T.Helper()
	m.launch(exec.Command(filepath.Join(m.bin, "monitor"), "--root", m.Root, "run", "--once"))
	late := time.AfterFunc(time.Minute, func() { _ = m.cmd.Process.Kill() })
	defer late.Stop()
	if err := m.cmd.Wait(); err != nil {
		m.T.Fatalf("the last monitor: %v\n%s", err, m.Story())
	}
	m.cmd = nil
}

// awaitWork waits until a command runs: on a busy machine a monitor that is killed
// before would never get to anything.
func (m *machine) awaitWork() {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		busy := false
		m.records(func(r *run.Record) {
			held, err := r.Locked()
			start, live, end, e := r.Read()
			busy = busy || errors.Join(err, e) == nil && held && start.Run != "" && end == nil && live.MayHaveRun(start.Run)
		})
		if busy {
			return
		}
	}
}

// records calls yield with each run record there is.
func (m *machine) records(yield func(*run.Record)) {
	m.T.Helper()
	dir, err := durable.OpenDir(filepath.Join(m.Root, ".monitor/run"))
	if err != nil {
		m.T.Fatal(err)
	}
	defer dir.Close()
	err = dir.List(func(n durable.Name) bool {
		if !run.IsRecord(n.Name) {
			return true
		}
		if r, err := run.OpenRecord(dir, n.Name); err == nil { // else it has gone meanwhile
			yield(r)
			r.Close()
		}
		return true
	})
	if err != nil {
		m.T.Fatal(err)
	}
}

// runners are those that live.
func (m *machine) runners() (pids []int) {
	m.records(func(r *run.Record) {
		if _, live, _, err := r.Read(); err == nil && alive(live) {
			pids = append(pids, live.Runner)
		}
	})
	return pids
}

func alive(live run.Live) bool {
	p, err := run.Process(live.Runner)
	return err == nil && p.Start == live.RunnerStart && !p.Dead()
}

// killRunners stops some runners, notes what each is in the middle of, and returns
// what kills them.
func (m *machine) killRunners(most int) (kill func()) {
	m.T.Helper()
	all := m.runners()
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	dead := map[int]bool{}
	for _, pid := range all {
		if len(dead) < most && syscall.Kill(pid, syscall.SIGSTOP) == nil && stopped(pid) {
			dead[pid] = true
		}
	}
	m.records(func(r *run.Record) {
		start, live, end, err := r.Read()
		if err == nil && dead[live.Runner] && alive(live) && end == nil && start.Run != "" && live.MayHaveRun(start.Run) {
			m.must[start.Run] = start.UOW
		}
	})
	return func() {
		for pid := range dead {
			m.disturbed++
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// stopped waits until a process does nothing any more; false if it ended first.
func stopped(pid int) bool {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Microsecond) {
		p, err := run.Process(pid)
		if err != nil || p.Dead() {
			return false
		}
		if p.State == 'T' {
			return true
		}
	}
	return false
}

// The first process of a machine within: it has process numbers and a boot id of
// its own. USR1 is a shutdown: everybody is asked, and shortly after all is over.
const first = `mount -t proc proc /proc && mount --bind "$1" /proc/sys/kernel/random/boot_id || exit 99
trap 'kill -s TERM -- -1; sleep "$after"; exit 0' USR1
: > "$1.up"
shift
"$@" &
wait
`

// boot starts a machine within, and the monitor in it.
func (m *machine) boot() {
	m.T.Helper()
	m.boots++
	id := filepath.Join(m.Dir, fmt.Sprintf("boot%d", m.boots))
	if err := os.WriteFile(id, fmt.Appendf(nil, "00000000-0000-4000-8000-%012d\n", m.boots), 0o644); err != nil {
		m.T.Fatal(err)
	}
	c := exec.Command("/bin/sh", "-c", first, "sh", id, filepath.Join(m.bin, "monitor"), "--root", m.Root, "run")
	c.Env = append(os.Environ(), fmt.Sprintf("after=0.%03d", rand.IntN(400)))
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}
	m.launch(c)
	m.Until(10*time.Second, "the machine within is up", func() bool {
		_, err := os.Stat(id + ".up")
		return err == nil
	})
}

// cut ends the machine within at once. What its records say then is all there is:
// each run without an end was interrupted.
func (m *machine) cut() {
	m.T.Helper()
	m.kill()
	youngest := map[string]run.Start{}
	unended := map[string]bool{}
	m.records(func(r *run.Record) {
		s, _, end, err := r.Read()
		if err != nil {
			m.T.Fatal(err)
		}
		if y := youngest[s.UOW]; s.Run != "" && cmp.Or(cmp.Compare(len(s.Run), len(y.Run)), strings.Compare(s.Run, y.Run)) > 0 {
			youngest[s.UOW], unended[s.UOW] = s, end == nil
		}
	})
	for name, s := range youngest {
		if unended[name] {
			m.must[s.Run] = name
		}
	}
}

// shutdown asks everybody in the machine within to end, and then ends it. Whom that
// interrupted only they knew: who had begun and not left may have been.
func (m *machine) shutdown() {
	m.T.Helper()
	before := map[string]bool{}
	for _, q := range []string{"done-q", "error-q", "fail-q"} {
		entries, err := os.ReadDir(filepath.Join(m.Root, q))
		if err != nil {
			m.T.Fatal(err)
		}
		for _, e := range entries {
			before[e.Name()] = true
		}
	}
	if err := m.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		m.T.Fatal(err)
	}
	m.disturbed++
	if err := m.cmd.Wait(); err != nil {
		m.T.Fatalf("shutdown: %v\n%s", err, m.Story())
	}
	m.cmd = nil
	for _, name := range m.names {
		if !before[name] && !m.There("wait-q", name) {
			m.may[name] = true
		}
	}
}
