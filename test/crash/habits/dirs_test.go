package habits

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"simplejobq/test/crash/world"
)

var queues = []string{"wait-q", "priority-q", "hold-q", "currently-executing", "done-q", "error-q", "fail-q", "archive", "trash"}

const (
	away     = "the directory was moved away or removed"
	again    = "is there again"
	replaced = "was replaced by another directory; that one is followed from now on"
)

// ways in which a directory ($1) goes away, and comes again.
type way struct {
	name, goes, said string
	comes, saidThen  string
	same             bool // it is the same directory then, and what lay in it is there
}

var ways = []way{
	{"away", `mv $1 ../away`, away, `mv ../away $1`, again, true},
	{"renamed", `mv $1 renamed`, away, `mv renamed $1`, again, true},
	{"file", `mv $1 ../away; echo > $1`, away, `rm $1; mv ../away $1`, again, true},
	{"link", `mv $1 ../away; mkdir ../other; ln -s ../other $1`, away, `rm $1; mv ../away $1`, again, true},
	{"away for good", `mv $1 ../away`, away, `mkdir $1`, replaced, false},
	{"removed", `rm -r $1`, away, `mkdir $1`, replaced, false},
	{"replaced", `mv $1 ../away; mkdir $1`, replaced, ``, "", false},
	{"exchanged", `mv $1 ../away; mkdir $1; touch $1/here`, replaced, `mv $1 ../not; mv ../away $1`, replaced, true},
}

// A queue's directory is taken away or replaced, with a UOW running and others
// coming: the monitor says so, what lies in the others goes on, and when it is back
// everything is as if nothing had been.
func TestDirectoryGoesAway(t *testing.T) {
	t.Parallel()
	var all []absence
	for _, w := range ways {
		for _, q := range queues {
			if q == "done-q" && w.name == "exchanged" {
				continue // what ended meanwhile goes with the directory in which it lies
			}
			all = append(all, absence{w, q, false}, absence{w, q, true})
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:world.Pick(16, len(all), len(all))]
	each(all, func(a absence) { a.play(t) })
	world.Figures(t, "%d directories taken away or replaced under the monitor, with a UOW running: said, nothing lost or run twice", len(all))
}

// absence is a directory that goes away; the UOW that runs ends before it comes
// back, or after.
type absence struct {
	way
	queue string
	ends  bool
}

func (a absence) play(t *testing.T) {
	what := fmt.Sprintf("%s %s, ends %v", a.way.name, a.queue, a.ends)
	x := spool(t, world.Memory(), "slots = 2\n")
	other := map[bool]string{true: "priority-q", false: "wait-q"}[a.queue == "wait-q"]
	runs := done("runs", other, world.Plain(waitsForGo))
	during, after := done("during", other, good), done("after", other, good)
	x.Drop(runs)
	// Something lies in it, which waits there or has ended.
	inside := map[bool]string{true: world.Plain(world.Witness, "AFTER :: nobody\n"), false: world.Complete(world.Witness, "")}[slices.Contains(queues[:3], a.queue)]
	if a.queue != "currently-executing" {
		x.Write(a.queue+"/inside", inside)
	}
	m := start(x)
	x.Until(patience, what+": it runs", func() bool { return x.Ran()["runs"] == 1 })
	file, err := os.Open(filepath.Join(x.Root, "currently-executing", "runs"))
	if err != nil {
		t.Error(err)
		return
	}
	defer file.Close()
	if slices.Contains(queues[:3], a.queue) {
		x.Until(patience, what+": it waits", func() bool { return spokenOf(x, "inside", "accepted") })
	}
	// It goes, or comes, and the monitor says so.
	change := func(line, said string) {
		count := func() (n int) {
			for line := range strings.Lines(read(x.Root, "monitor_says")) {
				if strings.Contains(line, x.Root+"/"+a.queue) && strings.Contains(line, said) {
					n++
				}
			}
			return n
		}
		before := count()
		sh(t, x.Root, "set -- "+a.queue+"; "+line)
		x.Until(patience, what+": it is said that it "+said, func() bool { return count() > before })
	}
	change(a.goes, a.said)
	x.Drop(during)
	if a.queue != "currently-executing" && a.queue != "done-q" {
		ended(x, []world.Unit{during})
	}
	if a.ends {
		sh(t, x.W, "touch go")
		x.Until(patience, what+": it has ended", func() bool {
			b, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<20))
			return err == nil && strings.Contains(string(b), "\ndone: exit 0")
		})
	}
	if a.comes != "" {
		change(a.comes, a.saidThen)
	}
	sh(t, x.W, "touch go")
	x.Drop(after)
	units := []world.Unit{runs, during, after}
	ended(x, units)
	looked(x, "stranger")
	m.stop()
	switch {
	case a.queue == "currently-executing":
	case !a.same:
		if x.There(a.queue, "inside") {
			t.Errorf("%s: what lay inside is in the new directory", what)
		}
	case !x.There(a.queue, "inside"):
		t.Errorf("%s: what lay inside is not there any more", what)
	}
	for _, name := range []string{"inside", "here"} {
		_ = os.Remove(filepath.Join(x.Root, a.queue, name))
	}
	x.Settled(append(units, done("stranger", "", world.Plain(world.Witness))), what)
}

// The spool itself is moved, or its private part: the monitor ends with the status
// for that, and the job goes on. Where it is now the next monitor finds it all.
func TestSpoolGoesAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ goes, comes string }{
		{`mv spool moved`, `mv moved spool`},
		{`mv spool/.monitor .`, `mv .monitor spool/`},
		{`mv spool moved; mkdir spool`, `rm -r spool; mv moved spool`},
	} {
		t.Run(c.goes, func(t *testing.T) {
			t.Parallel()
			x := spool(t, world.Memory(), "slots = 2\n")
			u := done("runs", "wait-q", world.Plain(waitsForGo))
			x.Drop(u)
			cmd := x.Command(t.Context(), "")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			x.Until(patience, "it runs", func() bool { return x.Ran()["runs"] == 1 })
			sh(t, x.Dir, c.goes)
			_ = cmd.Wait()
			if status := cmd.ProcessState.ExitCode(); status != 74 {
				t.Errorf("%s: the monitor ended with %d\n%s", c.goes, status, x.Story())
			}
			if text := read(x.Out, "stderr"); !strings.Contains(text, "was moved away or removed while the monitor worked on it") {
				t.Errorf("%s: it says %q", c.goes, text)
			}
			if made, err := os.ReadDir(x.Root); err == nil && strings.Contains(c.goes, "mkdir") && len(made) > 0 {
				t.Errorf("%s: %s was made in a directory that is not the spool", c.goes, made[0].Name())
			}
			sh(t, x.Dir, c.comes)
			m := start(x)
			x.Until(patience, "it is adopted", func() bool { return x.Says("adopted") })
			sh(t, x.W, "touch go")
			ended(x, []world.Unit{u})
			m.stop()
			x.Settled([]world.Unit{u}, c.goes)
		})
	}
}
