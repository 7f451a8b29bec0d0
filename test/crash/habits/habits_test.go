// Package habits lets people, their programs and their clocks loose on a spool
// with the real monitor at work: hostile files and names, copiers and editors,
// files that are edited, moved and removed at every stage of a UOW's life,
// directories that go away, clocks that jump, and second monitors.
//
// What a user does must never hang the monitor, never make it run a half or a mix
// of two versions, and never lose or repeat a UOW without a word. The last word
// has the checker of test/crash/world, once all is quiet.
package habits

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

func TestMain(m *testing.M) {
	// A monitor spends most of its time waiting, and so do these tests.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	world.Main(m)
}

// How long anything may take that takes a moment on a calm machine.
const patience = 2 * time.Minute

// spool is an empty spool below a directory of a file system of one's choice, with
// settings put before the usual ones. Slots and times are the usual ones' if it
// does not say otherwise.
func spool(t testing.TB, on, settings string) *world.World {
	t.Helper()
	dir := world.Scratch(t, on)
	x := &world.World{T: t, Dir: dir, Root: filepath.Join(dir, "spool"), W: filepath.Join(dir, "w"), Out: dir}
	x.Init()
	if settings != "" {
		x.Write("config.toml", configured(x, settings))
	}
	return x
}

// configured is the usual configuration with some of its lines replaced.
func configured(x *world.World, settings string) string {
	usual := fmt.Sprintf(world.Settings, x.W)
	for line := range strings.Lines(settings) {
		key, _, _ := strings.Cut(line, " = ")
		if i := strings.Index(usual, key+" = "); i >= 0 {
			_, rest, _ := strings.Cut(usual[i:], "\n")
			usual = usual[:i] + strings.TrimRight(line, "\n") + "\n" + rest
		} else {
			usual = line + usual
		}
	}
	return usual
}

// daemon is a monitor at work.
type daemon struct {
	x    *world.World
	cmd  *exec.Cmd
	over sync.Once
}

// start starts a monitor. It is stopped when the test ends at the latest.
func start(x *world.World, change ...func(*exec.Cmd)) *daemon {
	x.T.Helper()
	m := &daemon{x: x, cmd: x.Command(context.Background(), "")}
	for _, f := range change {
		f(m.cmd)
	}
	if err := m.cmd.Start(); err != nil {
		x.T.Fatal(err)
	}
	x.T.Cleanup(m.stop)
	return m
}

// stop ends it as systemd would, and waits until it has: with status 0.
func (m *daemon) stop() {
	m.over.Do(func() {
		_ = m.cmd.Process.Signal(syscall.SIGTERM)
		_ = m.cmd.Process.Signal(syscall.SIGCONT)
		hung := time.AfterFunc(patience, func() { _ = m.cmd.Process.Kill() })
		defer hung.Stop()
		if err := m.cmd.Wait(); err != nil {
			m.x.T.Errorf("the monitor ended with %v\n%s", err, m.x.Story())
		}
	})
}

// kill ends it without a warning.
func (m *daemon) kill() {
	m.over.Do(func() {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait()
	})
}

// lines are made so that no two UOWs, and no two versions of one, have one in
// common.
func lines(of string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "PAD %d :: %x\n", i, sha256.Sum256(fmt.Append(nil, of, i)))
	}
	return b.String()
}

// A command that notes its run and fails unless the file is whole, from its title
// to the sum at its end, and the sum is the one that was accepted.
const verify = world.Witness +
	`test "$UOW_SUM  -" = "$(sed -n '/^==== UNIT OF WORK/,/^SUM ::/p' "$MONITOR_FILE" | sed '$d' | sha256sum)"`

// summed is a UOW which ends in the sum of all before. Its lines make it as long as
// one likes; every beginning that holds the first of them is a valid UOW too.
func summed(of string, n int) string {
	text := world.Plain(verify) + lines(of, n)
	return text + fmt.Sprintf("SUM :: %x\n", sha256.Sum256([]byte(text)))
}

// Commands that wait for a file of the test's; if that fails, its directory goes, and
// they go too.
const (
	untilGo    = `until [ -e "$W/go" ] || ! [ -e "$W" ]; do sleep 0.05; done`
	waitsForGo = world.Witness + untilGo
)

// done is a UOW that has to end well, having run once.
func done(name, queue, text string) world.Unit {
	return world.Unit{Name: name, Drop: queue, Text: text, End: "done-q", Status: "done: exit 0", Runs: 1}
}

// ended waits until each of the units is in a queue of those that ended.
func ended(x *world.World, units []world.Unit) {
	x.T.Helper()
	for _, u := range units {
		x.Until(patience, u.Name+" ends", func() bool {
			for _, q := range []string{"done-q", "error-q", "fail-q", "trash"} {
				if x.There(q, u.Name) {
					return true
				}
			}
			return false
		})
	}
}

// each is [world.Each] for what may give up: a test that fails for good ends its own
// goroutine, not those of the others.
func each[T any](cases []T, try func(T)) {
	world.Each(cases, func(c T) {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			try(c)
		}()
		<-ended
	})
}

// sh runs a shell's line in a directory.
func sh(t testing.TB, dir, line string) {
	t.Helper()
	if err := shell(dir, line); err != nil {
		t.Fatal(err)
	}
}

func shell(dir, line string, args ...string) error {
	cmd := exec.Command("sh", append([]string{"-euc", line, "sh"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %q: %w\n%s", line, args, err, out)
	}
	return nil
}

// there reports whether a path leads anywhere, links not followed.
func there(path ...string) bool {
	_, err := os.Lstat(filepath.Join(path...))
	return err == nil
}

// read is a file's text, "" if it can't be read.
func read(path ...string) string {
	b, _ := os.ReadFile(filepath.Join(path...))
	return string(b)
}
