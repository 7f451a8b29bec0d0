package trouble

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

// settings are the defaults where they matter: a monitor that wakes up every 15
// seconds must notice much earlier that the trouble is over.
const settings = `slots = %d
sleep_time = "15s"
[job]
kill_grace = "1s"
linger = "50ms"
env = { W = %q }
[ready]
free_space = %q
`

// A line of the writer's log is its number, a sum and some padding: enough to fill
// the pipe to its runner within a second or two.
const (
	sum     = 7919
	modulus = 65521
)

var padding = strings.Repeat(".", 1000)

// course is what goes on in one spool while trouble comes and goes.
type course struct {
	*world.World
	place *place
	user  int      // who has the monitor run
	env   []string // what the monitor has besides

	early   []world.Unit // end before the trouble
	long    []world.Unit // run when it comes
	waiting []world.Unit // wait for a slot, for another one, or to be released
	late    world.Unit   // is dropped while it lasts

	pace     time.Duration // from the drop of a UOW to its end, when all is well
	pid      atomic.Int64
	ended    chan error   // of the monitor, for good
	restarts atomic.Int32 // because it could not begin
}

// until is a shell command that waits for what the test does outside of the spool.
func until(event string) string { return `while test ! -e "$W/` + event + `"; do sleep 0.05; done; ` }

func unit(name, drop, end, status, command string, more ...string) world.Unit {
	return world.Unit{Name: name, Drop: drop, Text: world.Plain(world.Witness+command, more...), End: end, Status: status, Runs: 1}
}

// writes is a command that writes all the time, and tells outside how far it got.
func writes(name, stop string) string {
	return fmt.Sprintf(`i=0; while test ! -e "$W/%s" && test -e "$W"; do k=0; while test $k -lt 50; do k=$((k+1)) i=$((i+1)); `+
		`echo "$i $((i*%d%%%d)) %s"; done; echo $i > "$W/%s.at"; sleep 0.05; done; echo $i > "$W/%[5]s.lines"`, stop, sum, modulus, padding, name)
}

// newCourse plans what is going to happen.
func newCourse(t *testing.T, p *place) *course {
	return &course{
		World: &world.World{T: t, Dir: p.dir, Root: filepath.Join(p.mount, "spool"), W: filepath.Join(p.dir, "w"), Out: p.dir},
		place: p,
		early: []world.Unit{
			unit("early", "wait-q", "done-q", "done: exit 0", "echo early"),
			unit("wrong", "wait-q", "error-q", "error: exit 1", "false"),
		},
		long: []world.Unit{
			// Trouble must not look like silence.
			unit("writer", "wait-q", "done-q", "done: exit 0", writes("writer", "stop"), "SILENCE :: 2s\n"),
			unit("ender", "wait-q", "done-q", "done: exit 0", until("end")+"echo last"),
			unit("bad", "wait-q", "error-q", "error: exit 3", until("end")+"exit 3"),
			unit("victim", "wait-q", "fail-q", "fail: killed by request", `echo $$ > "$W/victim.pid"; exec sleep 100`),
		},
		waiting: []world.Unit{
			unit("next-1", "wait-q", "done-q", "done: exit 0", ""),
			unit("next-2", "wait-q", "error-q", "error: exit 1", "false"),
			unit("next-3", "priority-q", "done-q", "done: exit 0", ""),
			unit("after", "wait-q", "done-q", "done: exit 0", "", "AFTER :: ender\n"),
			unit("held", "hold-q", "done-q", "done: exit 0", ""),
		},
		late: unit("late", "wait-q", "done-q", "done: exit 0", ""),
	}
}

func (c *course) units() []world.Unit {
	return append(slices.Concat(c.early, c.long, c.waiting), c.late)
}

// prepare makes the spool.
func (c *course) prepare(free string) {
	c.T.Helper()
	c.Init()
	c.Write("config.toml", fmt.Sprintf(settings, len(c.long), c.W, free))
	if c.user > 0 {
		if err := os.Chmod(world.Bin, 0o755); err != nil {
			c.T.Fatal(err)
		}
		command(c.T, "chown", "-R", strconv.Itoa(c.user), c.Root, c.W)
	}
}

// person does something with the rights of the user alone.
func (c *course) person(do func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_, err := unix.SetfsuidRetUid(c.user)
	err = errors.Join(err, do())
	_, back := unix.SetfsuidRetUid(0)
	return errors.Join(err, back)
}

// start starts the monitor and has everything run that is to be running when the
// trouble comes.
func (c *course) start() {
	c.T.Helper()
	c.run(false)
	drop := func(units []world.Unit) {
		for _, u := range units {
			if err := c.person(func() error { c.Drop(u); return nil }); err != nil {
				c.T.Fatal(err)
			}
		}
	}
	c.Until(20*time.Second, "it is up", func() bool { return c.told("up") > 0 })
	began := time.Now()
	drop(c.early)
	c.Until(20*time.Second, "those before have ended", func() bool { return len(c.missing(c.early)) == 0 })
	c.pace = time.Since(began)
	drop(c.long)
	c.Until(20*time.Second, "the long ones run", func() bool { return len(c.Ran()) == len(c.early)+len(c.long) })
	drop(c.waiting)
	c.Until(20*time.Second, "all are accepted", func() bool { return c.told("accepted") == len(c.units())-1 })
	c.Until(20*time.Second, "the writer writes", func() bool { return c.at() > 100 })
	// What a person has written elsewhere on the disk and will move in.
	if err := c.person(func() error { c.Write(".late", c.late.Text); return nil }); err != nil {
		c.T.Fatal(err)
	}
}

// signal does something outside of the spool that jobs wait for.
func (c *course) signal(event string) {
	c.T.Helper()
	if err := os.WriteFile(filepath.Join(c.W, event), nil, 0o644); err != nil {
		c.T.Fatal(err)
	}
}

// at is how far the writer got, by its own count.
func (c *course) at() int {
	b, _ := os.ReadFile(filepath.Join(c.W, "writer.at"))
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

// told counts the events of a kind.
func (c *course) told(kind string) int {
	b, err := os.ReadFile(filepath.Join(c.Root, "monitor_events"))
	if err != nil {
		return 0
	}
	return strings.Count(string(b), `"event":"`+kind+`"`)
}

// act is what people and jobs do in the middle of the trouble. What the disk
// refuses a person is done afterwards.
func (c *course) act() (refused []string) {
	c.T.Helper()
	c.signal("end")
	for name, do := range map[string]func() error{"message": c.message, "drop": c.drop} {
		if err := c.person(do); err != nil {
			refused = append(refused, fmt.Sprintf("%s: %v", name, err))
		}
	}
	return refused
}

const wishes = "KILL JOB victim\nRELEASE held\n"

func (c *course) message() error {
	f, err := os.OpenFile(filepath.Join(c.Root, "monitor_reads"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(wishes)
	return errors.Join(err, f.Close())
}

func (c *course) drop() error {
	return os.Rename(filepath.Join(c.Root, ".late"), filepath.Join(c.Root, "wait-q", "late"))
}

// again is the second try of a person who was refused, by the disk or by the
// monitor's answer.
func (c *course) again(refused []string) {
	c.T.Helper()
	for _, r := range refused {
		do := c.drop
		if strings.HasPrefix(r, "message") {
			do = c.message
		}
		if err := c.person(do); err != nil {
			c.T.Fatal(err)
		}
	}
	if c.Says("held  not done: ") {
		c.Tell("RELEASE held")
	}
}
