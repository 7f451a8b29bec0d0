package debian

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// isRoot skips a test that makes a root directory of its own.
func isRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not run as root")
	}
	if out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "true").CombinedOutput(); err != nil {
		t.Skipf("no namespaces: %v: %s", err, out)
	}
}

// packages makes a database of dpkg that knows of nothing but systemd, which the
// package depends on.
func packages(t *testing.T, dir string) string {
	t.Helper()
	shell(t, ".", "mkdir -p "+dir+"/info "+dir+"/updates "+dir+"/alternatives")
	for name, text := range map[string]string{
		"status":      "Package: systemd\nStatus: install ok installed\nMaintainer: x\nArchitecture: amd64\nVersion: 252\nDescription: x\n\n",
		"info/format": "1\n", "info/systemd.list": "/.\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The package on a machine without a running systemd, as in an image that is being
// made: this machine's own files, with everything that is written kept apart.
func TestInImage(t *testing.T) {
	needs(t, "unshare", "systemd-sysusers")
	isRoot(t)
	deb := theDeb(t)
	script := `
mount -t tmpfs tmpfs "$1"; cd "$1"; mkdir up work root
mount -t overlay overlay -o lowerdir=/,upperdir=up,workdir=work root
mount -t proc proc root/proc
mount -t tmpfs tmpfs root/run
mount -t tmpfs tmpfs root/var/lib/dpkg
cp -R "$4/." root/var/lib/dpkg
cp "$2" root/1.deb; cp "$3" root/2.deb
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
exec chroot root sh -exc '
q=/var/spool/simple-job-q
umask 077
dpkg -i /1.deb
test "$(readlink $q/config.toml)" = /etc/simple-job-q/config.toml
test "$(stat -c %a%U $q)" = 755root
getent passwd simple-job-q
monitor --root $q submit -- sh -c "echo hello; exit 7"
monitor --root $q run --once
grep -rq "^error: exit 7" $q/error-q
man -w simple-job-q.toml || test $? = 127
echo "slots = 2" > /etc/simple-job-q/config.toml
chown -R simple-job-q: $q
dpkg --force-confold -i /2.deb
test "$(dpkg-query -W -f "\${Version}" simple-job-q)" = 1.1-1
test "$(stat -c %U $q)" = simple-job-q
monitor --root $q config | grep "^slots *= 2 "
dpkg -r simple-job-q
test ! -e /usr/bin/monitor
test -e /etc/simple-job-q/config.toml
grep -rq "^error: exit 7" $q/error-q
dpkg --force-confold -i /1.deb
monitor --root $q config | grep "^slots *= 2 "
dpkg -P simple-job-q
test ! -e /etc/simple-job-q
test ! -L $q/config.toml
grep -rq "^error: exit 7" $q/error-q
dpkg -i /1.deb
test -L $q/config.toml
grep -rq "^error: exit 7" $q/error-q
'`
	c := exec.Command("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-ec", script, "sh", t.TempDir(), deb, nextDeb(t, deb), packages(t, t.TempDir()))
	out, err := c.CombinedOutput()
	text := string(out)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, want := range []string{
		"start it with: systemctl enable --now simple-job-q",
		"left as it is: the spool /var/spool/simple-job-q", "left as it is: the account simple-job-q",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing tells %q:\n%s", want, text)
		}
	}
}

// box is a machine with a booted systemd of its own (test/systemd/box).
type box struct {
	*testing.T
	dir string
}

// boot starts a box on which packages can be installed: its /usr can be written.
func boot(t *testing.T) *box {
	t.Helper()
	needs(t, "unshare", "nsenter", "setpriv", "pivot_root", "systemctl", "deb-systemd-invoke")
	isRoot(t)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if _, e := os.Stat("/lib/systemd/systemd"); e != nil || err != nil || !strings.Contains(string(mounts), " - cgroup2 ") {
		t.Skip("no systemd here, or no cgroup2 is mounted")
	}
	b := &box{t, t.TempDir()}
	packages(t, filepath.Join(b.dir, "disk/var/lib/dpkg"))
	for _, dir := range []string{"var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log/apt", "etc/apt", "srv"} {
		if err := os.MkdirAll(filepath.Join(b.dir, "disk", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(b.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // the box ends with the thread that started it
	script := exec.Command("../systemd/box", "boot", b.dir)
	script.Stdout, script.Stderr = os.Stdout, os.Stderr
	script.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := script.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- script.Wait() }()
	t.Cleanup(func() {
		_, _ = b.run("systemctl poweroff")
		select {
		case err = <-ended:
		case <-time.After(20 * time.Second):
			_ = script.Process.Signal(syscall.SIGTERM)
			err = errors.Join(errors.New("it did not power off within 20 s"), <-ended)
		}
		if err != nil {
			t.Error("box:", err)
		}
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		state, _ := b.run("systemctl is-system-running")
		if state == "running" || state == "degraded" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the box is not up after 30 s, but %q", state)
		}
	}
	b.in("mkdir /tmp/up /tmp/work && mount -t overlay overlay -o lowerdir=/usr,upperdir=/tmp/up,workdir=/tmp/work /usr")
	b.in("rm -f /usr/sbin/policy-rc.d") // with which an image forbids to start anything
	return b
}

func (b *box) write(name, text string) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, "disk", name), []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
}

func (b *box) run(line string) (string, error) {
	out, err := exec.Command("../systemd/box", "in", b.dir, "sh", "-c", line).CombinedOutput()
	return strings.TrimRight(string(out), "\n"), err
}

// in runs a line in the box that has to succeed.
func (b *box) in(line string) string {
	b.Helper()
	out, err := b.run(line)
	if err != nil {
		journal, _ := b.run("journalctl -u simple-job-q -o cat --no-pager -n 20")
		b.Fatalf("%s: %v\n%s\njournal:\n%s", line, err, out, journal)
	}
	return out
}

// The package on a machine: from nothing to the first UOW, an upgrade and a removal
// while a job runs, and what a purge leaves.
func TestOnMachine(t *testing.T) {
	b := boot(t)
	deb := theDeb(t)
	for name, from := range map[string]string{"srv/1.deb": deb, "srv/2.deb": nextDeb(t, deb)} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		b.write(name, string(text))
	}
	const q = "MONITOR_ROOT=/var/spool/simple-job-q; export MONITOR_ROOT DEBIAN_FRONTEND=noninteractive; "
	install := "apt-get install -y -qq /srv/1.deb"
	if _, err := exec.LookPath("apt-get"); err != nil {
		install = "dpkg -i /srv/1.deb"
	}
	began := time.Now()
	b.in(install)
	if got, _ := b.run("systemctl is-active simple-job-q"); got != "inactive" {
		t.Errorf("right after the installation it is %q", got)
	}
	b.in("systemctl enable --now simple-job-q")
	if got := b.in(q + "monitor submit --wait --name first -- echo hello; monitor log first"); !strings.Contains(got, "\nhello\n") {
		t.Errorf("the first UOW: %s", got)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("from nothing to the first UOW in %v", d)
	} else {
		t.Logf("from nothing to the first UOW in %v", d)
	}

	job := func(name string) {
		t.Helper()
		b.in(q + "monitor submit --name " + name + ` -- sh -c 'echo $$ >> /srv/runs-` + name + `; while [ ! -e /srv/gate-` + name + ` ]; do sleep 0.1; done; exit 7'
while [ ! -s /srv/runs-` + name + ` ]; do sleep 0.05; done`)
	}
	over := func(name string) {
		t.Helper()
		if got, err := b.run(q + "touch /srv/gate-" + name + "; monitor wait --timeout 15s " + name); err == nil || err.Error() != "exit status 7" {
			t.Errorf("%s ended with %v: %s", name, err, got)
		}
		if got := b.in("wc -l < /srv/runs-" + name); got != "1" {
			t.Errorf("%s was started %s times", name, got)
		}
	}
	pid := func() string { return b.in("systemctl show -P MainPID simple-job-q") }

	job("upgraded")
	before := pid()
	b.in("dpkg -i /srv/2.deb")
	if now := pid(); now == before || now == "0" {
		t.Errorf("the monitor was %s before the upgrade and is %s now", before, now)
	}
	over("upgraded")

	// What nobody runs, an upgrade does not start.
	b.in("systemctl stop simple-job-q; dpkg -i /srv/1.deb")
	if got, _ := b.run("systemctl is-active simple-job-q"); got != "inactive" {
		t.Errorf("an upgrade made a stopped monitor %q", got)
	}

	// A removal stops the monitor, and the job goes on; it is adopted when the package is back.
	b.in("systemctl start simple-job-q")
	job("removed")
	b.in("dpkg -r simple-job-q")
	if got, _ := b.run("systemctl is-active simple-job-q"); got != "inactive" {
		t.Errorf("after the removal it is %q", got)
	}
	b.in("kill -0 $(cat /srv/runs-removed)")
	b.in("dpkg -i /srv/2.deb && systemctl start simple-job-q")
	over("removed")

	said := b.in("dpkg -P simple-job-q")
	for _, want := range []string{"the spool /var/spool/simple-job-q", "the account simple-job-q"} {
		if !strings.Contains(said, "left as it is: "+want) {
			t.Errorf("a purge does not tell of %s:\n%s", want, said)
		}
	}
	b.in("test -e /var/spool/simple-job-q/done-q/first && test ! -e /etc/simple-job-q && test ! -L /etc/systemd/system/multi-user.target.wants/simple-job-q.service")
	if got, _ := b.run("systemctl is-failed simple-job-q"); got == "failed" {
		t.Error("the unit is left failed")
	}
}
