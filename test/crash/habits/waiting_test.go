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

// An editor that has the file open is known by the file it keeps beside it, and by
// nothing else: the UOW waits until that is gone, and explain says so.
func TestEditorStaysOpen(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("vim"); err != nil {
		t.Skip("missing: ", err)
	}
	x := spool(t, world.Memory(), "")
	m := start(x)
	// It writes a valid half, thinks, writes the rest, and stays; the halves come in
	// either way of saving.
	var units []world.Unit
	editors := make(chan error)
	for _, way := range []string{"yes", "no"} {
		u := done("vim-"+way, "wait-q", summed("vim"+way, 9))
		units = append(units, u)
		whole := filepath.Join(x.Dir, u.Name)
		if err := text(u.Text)(whole); err != nil {
			t.Fatal(err)
		}
		go func() {
			editors <- shell(x.Root, `vim -es -u NONE -c "set nomodeline backupcopy=$3" -c "r $1" -c '1,3w!' -c 'sleep 600m' -c 'w!' -c 'sleep 600m' -c q! "$2" </dev/null`,
				whole, "wait-q/"+u.Name, way)
		}()
	}
	for _, u := range units {
		x.Until(patience, u.Name+" is being edited", func() bool {
			out, err := x.Ask("explain", u.Name)
			return err == nil && strings.Contains(out, "an editor has it open")
		})
	}
	for range units {
		if err := <-editors; err != nil {
			t.Error(err)
		}
	}
	ended(x, units)
	m.stop()
	x.Settled(units, "an editor stayed open")
}

// The order is that of the timestamps, given once: not of times that people or
// programs set, be they in the past or the future.
func TestOrderStays(t *testing.T) {
	t.Parallel()
	x := spool(t, world.Memory(), "slots = 1\n")
	times := []string{"", "2040-01-01", "1971-01-01", "2400-01-01", "1911-01-01", "2030-06-01", "yesterday", "tomorrow"}
	m := start(x)
	pause(x)
	var units []world.Unit
	for i := range times {
		u := done(fmt.Sprint("in-order-", len(times)-i), "wait-q", good) // names against the order
		x.Drop(u)
		x.Until(patience, u.Name+" is accepted", func() bool { return strings.Contains(read(x.Root, "wait-q", u.Name), "timestamp:") })
		units = append(units, u)
	}
	for i, at := range times {
		if at != "" {
			sh(t, filepath.Join(x.Root, "wait-q"), "touch -d "+at+" "+units[i].Name)
		}
	}
	// One whose turn it is while it counts as edited lets the others pass: so they
	// are looked at before.
	x.Tell("RELOAD")
	for i := range times {
		x.Until(patience, units[i].Name+" has its own time again", func() bool {
			st, err := os.Stat(filepath.Join(x.Root, "wait-q", units[i].Name))
			return err == nil && time.Since(st.ModTime()).Abs() < time.Hour
		})
	}
	// Files of the future and the past that nobody has accepted yet come last, for
	// it is now that they get their timestamps.
	for i, at := range times[1:] {
		u := done(fmt.Sprint("late-", i), "wait-q", good)
		file := filepath.Join(x.Dir, u.Name)
		if err := text(u.Text)(file); err != nil {
			t.Fatal(err)
		}
		sh(t, x.Root, "touch -d "+at+" "+file+"; mv "+file+" wait-q/")
		x.Until(patience, u.Name+" is accepted", func() bool { return strings.Contains(read(x.Root, "wait-q", u.Name), "timestamp:") })
		units = append(units, u)
	}
	x.Tell("RESUME")
	ended(x, units)
	m.stop()
	var want string
	for _, u := range units {
		want += u.Name + "\n"
	}
	if got := read(x.W, "ran"); got != want {
		t.Errorf("ran in the order\n%swant\n%s", got, want)
	}
	x.Settled(units, "times that were set")
}

// Put back again and again, by mv, into either queue, while a namesake lies or runs
// elsewhere: each time is a run of its own, which the log announces.
func TestPutBack(t *testing.T) {
	t.Parallel()
	x := spool(t, world.Memory(), "slots = 2\n")
	m := start(x)
	var units []world.Unit
	for i, again := range []string{
		`mv done-q/$1 wait-q/`,
		`mv done-q/$1 priority-q/`,
		`mv done-q/$1 hold-q/; sleep 0.2; mv hold-q/$1 wait-q/`,
		`mv done-q/$1 archive/; sleep 0.2; mv archive/$1 wait-q/`,
		`mv done-q/$1 ..; mv ../$1 wait-q/`,
		`mv done-q/$1 ..; cp ../$1 wait-q/; rm ../$1`,
		`sed -i 's/^PAD 0.*/PAD 0 :: edited/' done-q/$1; mv done-q/$1 wait-q/`,
	} {
		u := done(fmt.Sprint("again-", i), "wait-q", world.Plain(world.Witness)+lines("x", 1))
		x.Drop(u)
		for n := range 3 {
			x.Until(patience, fmt.Sprintf("%s ran %d times", u.Name, n+1), func() bool {
				return x.Ran()[u.Name] == n+1 && x.There("done-q", u.Name)
			})
			if n < 2 {
				if err := shell(x.Root, again, u.Name); err != nil {
					t.Fatal(err)
				}
			}
		}
		log := read(x.Root, "done-q", u.Name)
		if n := strings.Count(log, " put back into "); n != 2 {
			t.Errorf("%s: put back twice, and its log says it %d times:\n%s", again, n, log)
		}
		u.Runs, u.Text = 3, world.Plain(world.Witness)
		units = append(units, u)
	}
	m.stop()
	x.Settled(units, "put back twice each")
}
