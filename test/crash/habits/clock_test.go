package habits

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

// clocked has a monitor and its runners read the wall clock with an offset, which
// set sets (internal/clock/faults.go).
func clocked(x *world.World) (with func(*exec.Cmd), set func(offset string)) {
	file := filepath.Join(x.Dir, "clock")
	set = func(offset string) {
		x.T.Helper()
		if err := os.WriteFile(file+".new", []byte(offset+"\n"), 0o644); err != nil {
			x.T.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			x.T.Fatal(err)
		}
	}
	set("+0s")
	return func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "MONITOR_CLOCK="+file, "RUNNER_CLOCK="+file)
	}, set
}

const tenYears = "87600h"

func stamp(in time.Duration) string { return time.Now().Add(in).UTC().Format(time.RFC3339) }

// The clock is set forth and back, by an hour and by ten years, while UOWs wait for
// a time, for another try, for nothing, and run with limits: limits count what has
// passed, times mean what the clock says, and nobody is lost, run twice or held up
// by more than that.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	x := spool(t, world.Memory(), "slots = 12\nsettle_time = \"100ms\"\n")
	with, set := clocked(x)
	const stubborn = world.Witness + `trap "" TERM; : > "$W/stubborn"; while [ -e "$W" ]; do sleep 0.05; done`
	runs := done("runs", "wait-q", world.Plain(waitsForGo, "TIMEOUT :: 1h\nSILENCE :: 30m\n"))
	slow := world.Unit{Name: "slow", Drop: "wait-q", Text: world.Plain(world.Witness+"sleep 60", "TIMEOUT :: 2s\n"), End: "fail-q", Status: "fail: timed out after 2s", Runs: 1}
	silent := world.Unit{Name: "silent", Drop: "wait-q", Text: world.Plain(world.Witness+"sleep 60", "SILENCE :: 2s\n"), End: "fail-q", Status: "fail: silent for 2s", Runs: 1}
	killed := world.Unit{Name: "killed", Drop: "wait-q", Text: world.Plain(stubborn), End: "fail-q", Status: "fail: killed by request", Runs: 1}
	soon := done("soon", "wait-q", world.Plain(world.Witness, "NOT BEFORE :: "+stamp(20*time.Minute)+"\n"))
	later := done("later", "wait-q", world.Plain(world.Witness, "NOT BEFORE :: "+stamp(2*time.Hour)+"\n"))
	expires := world.Unit{Name: "expires", Drop: "wait-q", Text: world.Plain(world.Witness, "AFTER :: nobody\nEXPIRES :: "+stamp(2*time.Hour)+"\n"), End: "fail-q", Status: "fail: not started: expired", Runs: 0}
	aged := world.Unit{Name: "aged", Drop: "wait-q", Text: world.Plain(world.Witness, "AFTER :: nobody\nEXPIRES :: 2h\n"), End: "fail-q", Status: "fail: not started: expired", Runs: 0}
	patient := world.Unit{Name: "patient", Drop: "wait-q", Text: world.Plain(world.Witness, "AFTER :: nobody\n"), End: "wait-q"}
	units := []world.Unit{runs, slow, silent, killed, soon, later, expires, aged, patient}
	for _, u := range units {
		x.Drop(u)
	}
	m := start(x, with)
	x.Until(patience, "they run", func() bool { return len(x.Ran()) == 4 && there(x.W, "stubborn") })
	firstLine := func(queue, name string) string {
		line, _, _ := strings.Cut(read(x.Root, queue, name), "\n")
		return line
	}
	stamps := map[string]string{}
	for _, u := range []world.Unit{runs, slow, later, expires, aged, patient} {
		for _, q := range queues {
			if x.There(q, u.Name) {
				stamps[u.Name] = firstLine(q, u.Name)
			}
		}
	}
	// After each jump a file that is copied there and one that is moved there, from
	// all times, come to their end.
	jump := func(offset string) {
		set(offset)
		moved := done("moved at "+offset, "wait-q", good)
		x.Drop(moved)
		units = append(units, moved)
		for _, mtime := range []string{"1971-01-01", "2040-01-01"} {
			u := done("copied at "+offset+" from "+mtime, "wait-q", good)
			if err := text(u.Text)(filepath.Join(x.Dir, "copied")); err != nil {
				t.Fatal(err)
			}
			sh(t, x.Dir, "touch -d "+mtime+" copied; cp -p copied 'spool/wait-q/"+u.Name+"'")
			units = append(units, u)
		}
		ended(x, units[len(units)-3:])
	}
	stays := func(queue string, all ...world.Unit) {
		t.Helper()
		looked(x, fmt.Sprint("stranger ", len(units)))
		units = append(units, done(fmt.Sprint("stranger ", len(units)), "", world.Plain(world.Witness)))
		for _, u := range all {
			if !x.There(queue, u.Name) {
				t.Errorf("%s is not in %s but in %q", u.Name, queue, x.Places(u.Name))
			}
		}
	}
	jump("-30m")
	stays("wait-q", soon, later, expires, aged, patient)
	stays("currently-executing", runs)
	jump("+1h")
	ended(x, []world.Unit{soon})
	stays("wait-q", later, expires, aged, patient)
	stays("currently-executing", runs)
	jump("-" + tenYears)
	x.Tell("KILL JOB killed")
	ended(x, []world.Unit{killed})
	// The time between two monitors is no other.
	m.kill()
	m = start(x, with)
	jump("-1h")
	stays("wait-q", later, expires, aged, patient)
	stays("currently-executing", runs)
	jump("+" + tenYears)
	ended(x, []world.Unit{later, expires, aged})
	stays("currently-executing", runs)
	ended(x, []world.Unit{slow, silent})
	jump("+0s")
	sh(t, x.W, "touch go")
	ended(x, []world.Unit{runs})
	m.stop()
	for _, u := range units {
		if was, ok := stamps[u.Name]; ok && firstLine(u.End, u.Name) != was {
			t.Errorf("%s was %q and is %q", u.Name, was, firstLine(u.End, u.Name))
		}
	}
	x.Settled(units, "the clock was set")
	world.Figures(t, "%d UOWs while the clock was set 6 times, by up to 20 years: no limit fired early or late, no time missed, each ran once", len(units))
}

// RETRY DELAY is a span: a clock that is set back by an hour keeps nobody waiting
// for an hour, and one that is set forth costs no try.
func TestRetryAcrossJumps(t *testing.T) {
	t.Parallel()
	x := spool(t, world.Memory(), "slots = 4\n")
	with, set := clocked(x)
	m := start(x, with)
	var units []world.Unit
	for i, jumps := range [][2]string{{"+1h", "+0s"}, {"+0s", "+1h"}, {"+" + tenYears, "+0s"}, {"-" + tenYears, "+0s"}} {
		set(jumps[0])
		u := done(fmt.Sprint("retried-", i), "wait-q", world.Plain(world.Witness+`test "$MONITOR_TRY" = 2`, "TRIES :: 2\nRETRY DELAY :: 1s\n"))
		u.Runs = 2
		x.Drop(u)
		x.Until(patience, u.Name+" waits for its second try", func() bool { return strings.Contains(read(x.Root, "wait-q", u.Name), "again: try 2 of 2") })
		set(jumps[1])
		x.Until(10*time.Second, fmt.Sprintf("the second try, %s set to %s", jumps[0], jumps[1]), func() bool { return x.There("done-q", u.Name) })
		units = append(units, u)
	}
	m.stop()
	x.Settled(units, "another try, and the clock was set")
}

// What was dropped first runs first, whatever the clock said then.
func TestOrderAcrossJumps(t *testing.T) {
	t.Parallel()
	x := spool(t, world.Memory(), "slots = 1\n")
	with, set := clocked(x)
	m := start(x, with)
	pause(x)
	var units []world.Unit
	want := ""
	for i, offset := range []string{"+0s", "+1h", "-1h", "+" + tenYears, "+0s", "-" + tenYears, "+1h"} {
		set(offset)
		u := done(fmt.Sprint("in-order-", 9-i), "wait-q", good) // names against the order
		x.Drop(u)
		x.Until(patience, u.Name+" is accepted", func() bool { return spokenOf(x, u.Name, "accepted") })
		units = append(units, u)
		want += u.Name + "\n"
	}
	// What lies there with a timestamp of the future is as good as any.
	set("-" + tenYears)
	m.kill()
	m = start(x, with)
	x.Tell("RESUME")
	ended(x, units)
	m.stop()
	if got := read(x.W, "ran"); got != want {
		t.Errorf("ran in the order\n%swant\n%s", got, want)
	}
	x.Settled(units, "order, and the clock was set")
}

// How long a file has been left alone is no matter of the wall clock: a jump makes
// no half look settled, and no whole one look new for ever.
func TestSettlingAcrossJumps(t *testing.T) {
	t.Parallel()
	const long = 2 * time.Second
	x := spool(t, world.Memory(), fmt.Sprintf("slots = 4\nsettle_time = %q\nsleep_time = %q\n", long, 2*long))
	with, set := clocked(x)
	m := start(x, with)
	var units []world.Unit
	late := 0
	for i, offset := range []string{"+1h", "-1h", "+" + tenYears, "-" + tenYears, "+0s"} {
		u := done(fmt.Sprint("settles-", i), "wait-q", summed(offset, 9))
		half := strings.Index(u.Text, "PAD 4") + 2*(i%2) // one that is valid, one that is not
		path := filepath.Join(x.Root, "wait-q", u.Name)
		before := time.Now()
		if err := os.WriteFile(path, []byte(u.Text[:half]), 0o644); err != nil {
			t.Fatal(err)
		}
		time.Sleep(long / 8) // for the monitor to look at it
		set(offset)
		time.Sleep(long / 8)
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			_, err = f.WriteString(u.Text[half:])
			f.Close()
		}
		if time.Since(before) >= long {
			late++
			forget(x, u.Name)
			continue
		}
		if err != nil {
			t.Errorf("it was taken away while it was written: %v\n%s", err, x.Story())
		}
		units = append(units, u)
	}
	ended(x, units)
	m.stop()
	x.Settled(units, "settling, and the clock was set")
	world.Figures(t, "%d files of two halves across jumps of the clock, %d more were written too slowly to count: 0 halves run or refused", len(units), late)
}
