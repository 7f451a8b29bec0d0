// Package systemd tries the units of deploy/systemd under a real, booted systemd.
//
// One throw-away machine (the script box) is booted for all tests; each test has
// a spool of its own there and sees that spool's files from outside as well. What
// needs memory or task limits is not tested here: the machine has no controllers.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machine is the booted box; whyNot says why there is none.
var (
	machine *box
	whyNot  string
)

// The box dies with the thread that started it: that is the main thread, which
// lives as long as the tests.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if whyNot = missing(); whyNot != "" {
		fmt.Println("no machine with systemd:", whyNot)
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "simple-job-q-box-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	machine, err = boot(dir)
	if err != nil {
		fmt.Println("box:", err)
		return 1
	}
	code := m.Run()
	if err := machine.powerOff(); err != nil {
		fmt.Println("box:", err)
		return 1
	}
	return code
}

// missing names what the box needs and this machine has not.
func missing() string {
	if os.Geteuid() != 0 {
		return "not run as root"
	}
	var lacks []string
	for program, pkg := range map[string]string{
		"/lib/systemd/systemd": "systemd", "systemctl": "systemd", "unshare": "util-linux", "nsenter": "util-linux",
		"setpriv": "util-linux", "pivot_root": "util-linux", "/bin/kill": "procps",
	} {
		if _, err := exec.LookPath(program); err != nil {
			lacks = append(lacks, fmt.Sprintf("%s (Debian package %s)", program, pkg))
		}
	}
	if len(lacks) > 0 {
		return "missing " + strings.Join(lacks, ", ")
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || !strings.Contains(string(mounts), " - cgroup2 ") {
		return "no cgroup2 is mounted"
	}
	if out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "--cgroup", "--net", "true").CombinedOutput(); err != nil {
		return fmt.Sprintf("no namespaces: %v: %s", err, out)
	}
	return ""
}

// box is the throw-away machine.
type box struct {
	dir    string
	script *exec.Cmd
	ended  chan error
}

// boot installs what `make install` would and starts the machine.
func boot(dir string) (*box, error) {
	// Others than root go through it.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	b := &box{dir: dir, ended: make(chan error, 1)}
	disk := filepath.Join(dir, "disk")
	for _, d := range []string{"etc", "srv/gate", "srv/disk", "var/spool/simple-job-q", "usr/local/bin", "usr/local/libexec/simple-job-q", "usr/local/lib/systemd/system"} {
		if err := os.MkdirAll(filepath.Join(disk, d), 0o755); err != nil {
			return nil, err
		}
	}
	// The spool of the plain unit is on a file system of its own.
	err := os.WriteFile(filepath.Join(disk, "etc/fstab"), []byte("/srv/disk /var/spool/simple-job-q none bind 0 0\n"), 0o644)
	if err != nil {
		return nil, err
	}
	for _, unit := range units {
		text, err := os.ReadFile(filepath.Join("../../deploy/systemd", unit))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(disk, "usr/local/lib/systemd/system", unit), text, 0o644); err != nil {
			return nil, err
		}
	}
	if err := readSources("../../cmd", "../../internal"); err != nil {
		return nil, err
	}
	for where, pkg := range map[string]string{"usr/local/bin/monitor": "./cmd/monitor", "usr/local/libexec/simple-job-q/runner": "./cmd/runner"} {
		build := exec.Command("go", "build", "-o", filepath.Join(disk, where), pkg)
		build.Dir = "../.."
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building %s: %w\n%s", pkg, err, out)
		}
	}
	b.script = exec.Command("./box", "boot", dir)
	b.script.Stdout, b.script.Stderr = os.Stdout, os.Stderr
	b.script.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := b.script.Start(); err != nil {
		return nil, err
	}
	go func() { b.ended <- b.script.Wait() }()
	if err := b.awaitUp(30 * time.Second); err != nil {
		return nil, errors.Join(err, b.powerOff())
	}
	return b, nil
}

// readSources reads what the binaries are built from: go test remembers a result
// for as long as no file changes that the test itself has read.
func readSources(dirs ...string) error {
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") {
				_, err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	_, err := os.ReadFile("box")
	return err
}

// awaitUp waits until the machine has come up, whatever became of its units.
func (b *box) awaitUp(limit time.Duration) error {
	var state string
	var err error
	for end := time.Now().Add(limit); time.Now().Before(end); pause() {
		select {
		case err := <-b.ended:
			b.ended <- err
			return errors.Join(errors.New("it ended while booting"), err)
		default:
		}
		state, err = b.run("systemctl", "is-system-running")
		if state == "running" || state == "degraded" {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("it is not up after %v, but %q", limit, state), err)
}

// powerOff ends the machine, the hard way if it has to be.
func (b *box) powerOff() error {
	_, err := b.run("systemctl", "poweroff")
	select {
	case err := <-b.ended:
		return err
	case <-time.After(20 * time.Second):
	}
	_ = b.script.Process.Signal(syscall.SIGTERM)
	<-b.ended
	return errors.Join(errors.New("it did not power off within 20 s"), err)
}

// run carries out a command in the machine and gives its standard output without
// the last line break.
func (b *box) run(words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, "./box", append([]string{"in", b.dir}, words...)...)
	var errs strings.Builder
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("%q: %w: %s", words, err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimRight(string(out), "\n"), err
}

// path is where a file of the machine is seen from outside.
func (b *box) path(inside string) string { return filepath.Join(b.dir, "disk", inside) }

// pause is the step of everything that polls with a deadline.
func pause() { <-time.After(20 * time.Millisecond) }
