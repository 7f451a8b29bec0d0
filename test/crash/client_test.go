package crash

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

// client is a command of the monitor's that changes something itself, and what has to
// be true of the spool, whether it ended with 0 or not.
type client struct {
	name string
	args func(x *world.World) []string
	// judge looks at the spool after another monitor has worked on it.
	judge func(x *world.World, acknowledged bool) []string
}

var clients = []client{
	{
		"submit",
		func(*world.World) []string {
			return []string{"submit", "--name", "sent", "--", "/bin/sh", "-c", world.Witness}
		},
		submitted,
	},
	{
		"submit a file with a log",
		func(x *world.World) []string {
			file := filepath.Join(x.W, "sent")
			text := world.Complete(world.Witness, "") + strings.Repeat("what an earlier run wrote\n", 100)
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				x.T.Fatal(err)
			}
			return []string{"submit", "--priority", file}
		},
		submitted,
	},
	{
		"send",
		func(x *world.World) []string {
			if err := os.Remove(filepath.Join(x.Root, "monitor_reads")); err != nil && !errors.Is(err, os.ErrNotExist) {
				x.T.Fatal(err)
			}
			return []string{"send", "--queue", "PAUSE"}
		},
		func(x *world.World, acknowledged bool) (faults []string) {
			paused := strings.Count(x.Said(), "nothing new starts until RESUME")
			if paused > 1 || acknowledged && paused == 0 {
				faults = append(faults, fmt.Sprintf("acknowledged: %v; done %d times", acknowledged, paused))
			}
			return faults
		},
	},
	{
		"init",
		func(x *world.World) []string {
			entries, err := os.ReadDir(x.Root)
			if err != nil {
				x.T.Fatal(err)
			}
			for _, e := range entries {
				if e.Name() == "config.toml" {
					continue
				}
				if err := os.RemoveAll(filepath.Join(x.Root, e.Name())); err != nil {
					x.T.Fatal(err)
				}
			}
			return []string{"init", x.Root}
		},
		func(x *world.World, acknowledged bool) (faults []string) {
			if out, _, err := x.Client("", "init", x.Root); err != nil {
				faults = append(faults, fmt.Sprintf("again: %v: %s", err, out))
			}
			x.Drop(world.Unit{Name: "after", Drop: "wait-q", Text: world.Plain(world.Witness)})
			x.Pass("")
			if x.Ran()["after"] != 1 {
				faults = append(faults, "the spool that init made does not work")
			}
			return faults
		},
	},
}

// submitted: what was acknowledged runs once, what was not once or not at all.
func submitted(x *world.World, acknowledged bool) (faults []string) {
	ran, done := x.Ran()["sent"], x.There("done-q", "sent")
	if ran > 1 || acknowledged && ran != 1 || done != (ran == 1) {
		faults = append(faults, fmt.Sprintf("acknowledged: %v; ran %d times; in done-q: %v", acknowledged, ran, done))
	}
	if done {
		text, err := os.ReadFile(filepath.Join(x.Root, "done-q", "sent"))
		if err != nil || !strings.Contains(string(text), "\ndone: exit 0") || strings.Contains(string(text), "earlier run") && strings.Count(string(text), "earlier run") != 100 {
			faults = append(faults, fmt.Sprintf("%v: %q", err, text))
		}
	}
	return faults
}

// run runs the command with a plan, then a monitor, and judges. It reports false if
// the plan was never reached.
func (c client) run(t *world.Trial, plan string) (reached bool) {
	x := world.Fresh(t, world.Transition{})
	out, struck, err := x.Client(plan, c.args(x)...)
	if len(struck) == 0 {
		return false
	}
	var faults []string
	var exit *exec.ExitError
	switch {
	case strings.HasPrefix(plan, "kill:"):
	case err == nil, !errors.As(err, &exit) || exit.ExitCode() < 1:
	case strings.Contains(plan, "EINTR") || strings.Contains(plan, "SHORT"):
		faults = append(faults, fmt.Sprintf("what is no error ended it: %v: %s", err, out))
	case out == "":
		faults = append(faults, fmt.Sprintf("it ended with %v and said nothing", err))
	}
	if c.name != "init" {
		x.Pass("")
	}
	faults = append(faults, c.judge(x, err == nil)...)
	x.Calm(faults, false, fmt.Sprintf("%v, it said %q", struck, out))
	return true
}

// The commands that change something themselves: killed at each call, and failing at
// each with each error. What they acknowledge by ending with 0 is there for good.
func TestClients(t *testing.T) {
	began := time.Now()
	c := &campaign{t: t, width: 8}
	for _, client := range clients {
		plans := []func(n int) string{func(n int) string { return fmt.Sprint("kill:", n) }}
		for _, k := range kinds() {
			plans = append(plans, k.at)
		}
		for _, plan := range plans {
			c.todo = append(c.todo, func() {
				for n, missed := 1, 0; missed < 10; n++ { // not every call writes
					if !chosen(world.Pick[uint32](20, 1, 1), client.name, plan(n)) {
						if n > 60 {
							return
						}
						continue
					}
					reached := false
					world.Try(t, client.name+" "+plan(n), func(t *world.Trial) { reached = client.run(t, plan(n)) })
					if !reached {
						missed++
						continue
					}
					c.done.Add(1)
				}
			})
		}
	}
	c.run()
	world.Figures(t, "%d times a command was killed or a call of it failed in %v", c.done.Load(), time.Since(began).Round(time.Second))
}

// `wait` says that a UOW has ended only when that is on disk.
func TestWaitSyncs(t *testing.T) {
	tr := transitions[0]
	world.Try(t, "wait", func(t *world.Trial) {
		x := world.Fresh(t, tr)
		x.Pass("")
		if out, _, err := x.Client("", "wait", tr.Units[0].Name); err != nil {
			t.Fatalf("wait: %v: %s", err, out)
		}
		out, struck, err := x.Client("err:EIO:1", "wait", tr.Units[0].Name)
		if err == nil || len(struck) != 1 || !strings.Contains(out, unix.EIO.Error()) {
			t.Errorf("with a disk that fails at %v: %v: %q", struck, err, out)
		}
	})
}

// Exit 0 of `submit` says that file and name are on disk: each of the two syncs is
// there, in its place, and one that fails is no exit 0.
func TestSubmitSyncs(t *testing.T) {
	var order []string
	world.Try(t, "submit", func(t *world.Trial) {
		for n := 1; ; n++ {
			x := world.Fresh(t, world.Transition{})
			out, struck, err := x.Client(fmt.Sprint("err:EIO:", n), clients[0].args(x)...)
			if len(struck) == 0 {
				break
			}
			if strings.HasSuffix(struck[0].Site, ":sync") && err == nil {
				t.Errorf("%v failed, and it ended with 0: %q", struck, out)
			}
			order = append(order, struck[0].Site)
		}
	})
	text := strings.Join(order, " ")
	before, after, renamed := strings.Cut(text, "submit:rename")
	if !renamed || !strings.Contains(before, "submit:sync") || !strings.Contains(after, "submit:sync") {
		t.Errorf("submit does %q: a sync is missing before or after its rename", order)
	}
}
