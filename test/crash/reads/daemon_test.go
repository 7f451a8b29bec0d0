// Package reads hammers monitor_reads of the real monitor: shells append while it
// is killed again and again, while people edit, replace and empty the file, and
// where it may not ask who has the file open. No message may be lost, and none
// acted upon twice without a word.
//
// What was acted upon is read outside the monitor, in monitor_says and
// monitor_events. The message is RESUME, which a monitor that is not paused
// answers and does nothing else about; its tag tells which line was answered.
package reads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

func TestMain(m *testing.M) { world.Main(m) }

// daemon is the monitor on one spool, however often it is killed.
type daemon struct {
	*world.World
	reads string              // the file that messages are appended to, links followed
	as    *syscall.Credential // nil: who runs the test
	cmd   *exec.Cmd
	begin string // of monitor_reads: its how-to
}

// newDaemon makes a spool below dir. What is said there is not rotated away.
func newDaemon(t testing.TB, dir string) *daemon {
	t.Helper()
	dir = world.Scratch(t, dir)
	d := &daemon{World: &world.World{T: t, Dir: dir, Root: filepath.Join(dir, "spool"), W: filepath.Join(dir, "w"), Out: dir}}
	d.Init()
	d.Write("config.toml", `says_size = "100GiB"`+"\n"+fmt.Sprintf(world.Settings, d.W))
	d.reads = filepath.Join(d.Root, "monitor_reads")
	t.Cleanup(d.kill)
	d.start()
	d.until("monitor_reads is made", func() bool { _, err := os.Stat(d.reads); return err == nil })
	d.kill()
	d.begin = d.text()
	if !strings.HasPrefix(d.begin, "# ") || !strings.HasSuffix(d.begin, "\n") {
		t.Fatalf("monitor_reads does not begin with its how-to: %q", d.begin)
	}
	return d
}

// nobody has the monitor run as a user who owns the spool, but not monitor_reads,
// and has no capability: it gets no lease there.
func (d *daemon) nobody() {
	d.T.Helper()
	if os.Getuid() != 0 {
		d.T.Skip("needs root, to become somebody else")
	}
	const id = 65534
	d.as = &syscall.Credential{Uid: id, Gid: id}
	err := errors.Join(os.Chmod(world.Bin, 0o755), filepath.WalkDir(d.Dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, id, id))
	}))
	if err != nil {
		d.T.Fatal(err)
	}
}

func (d *daemon) start() {
	d.T.Helper()
	d.cmd = d.Command(context.Background(), "")
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: d.as}
	if err := d.cmd.Start(); err != nil {
		d.T.Fatal(err)
	}
}

func (d *daemon) kill() {
	if d.cmd != nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
		d.cmd = nil
	}
}

// stop ends it in order.
func (d *daemon) stop() {
	d.T.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.T.Error(err)
	}
	if err := d.cmd.Wait(); err != nil {
		d.T.Errorf("the monitor did not stop in order: %v", err)
	}
	d.cmd = nil
}

// text is what is in monitor_reads.
func (d *daemon) text() string {
	d.T.Helper()
	b, err := os.ReadFile(d.reads)
	if err != nil {
		d.T.Fatal(err)
	}
	return string(b)
}

// add appends text with one write, as printf >> does.
func (d *daemon) add(text string) {
	d.T.Helper()
	f := d.open()
	defer f.Close()
	d.put(f, text)
}

func (d *daemon) put(f *os.File, text string) {
	d.T.Helper()
	if _, err := f.WriteString(text); err != nil {
		d.T.Fatal(err)
	}
}

func (d *daemon) open() *os.File {
	d.T.Helper()
	f, err := os.OpenFile(d.reads, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		d.T.Fatal(err)
	}
	return f
}

// Longer than anything here lasts, on a machine with much else to do.
const patience = 2 * time.Minute

// until polls until true.
func (d *daemon) until(what string, true func() bool) {
	d.T.Helper()
	for deadline := time.Now().Add(patience); !true(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			said := d.saidSince(0)
			d.T.Fatalf("not within %v: %s\n… %s", patience, what, said[max(0, len(said)-2000):])
		}
	}
}

// answered waits until a tagged message was answered, as said since some size of
// monitor_says.
func (d *daemon) answered(tag string, since int64) {
	d.T.Helper()
	d.until("#"+tag+" is answered", func() bool { return strings.Contains(d.saidSince(since), "  #"+tag+" not paused\n") })
}

// all sends one more message, and waits until that is answered: then all that
// were appended before are.
func (d *daemon) all(tag string) {
	d.T.Helper()
	since := d.size()
	d.add("RESUME #" + tag + "\n")
	d.answered(tag, since)
}

func (d *daemon) size() int64 {
	st, err := os.Stat(filepath.Join(d.Root, "monitor_says"))
	if err != nil {
		return 0
	}
	return st.Size()
}

// emptied waits until nothing but the leading comments is left in the file.
func (d *daemon) emptied() {
	d.T.Helper()
	d.until("monitor_reads is emptied", func() bool { return d.text() == d.begin })
}

// saidSince is what was said since monitor_says had that size.
func (d *daemon) saidSince(size int64) string {
	d.T.Helper()
	f, err := os.Open(filepath.Join(d.Root, "monitor_says"))
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		d.T.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, size, 1<<40))
	if err != nil {
		d.T.Fatal(err)
	}
	return string(b)
}
