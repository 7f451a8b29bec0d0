package habits

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"simplejobq/test/crash/world"
)

// act is what a person does to the file of a UOW that runs.
type act struct {
	name string // and of the UOW, $1
	line string // of a shell in the spool's directory; $2 is a file with another UOW
	said string // is part of what the monitor says of it, "" if there is nothing to say
	less bool   // of the file so little is left that its outcome stands at the end of its log
	next bool   // a second file of its name has come to be, which runs next
}

const (
	gone   = "its file was removed or replaced while it ran; its second link is published under its name"
	back   = " while it runs; it is back (KILL JOB ends a run)"
	edited = "was edited while it ran and is no complete unit of work any more; its outcome stands at the end of its log"
	second = "was replaced by another file while it runs, by an editor perhaps; that file counts as newly dropped"
	vim    = `vim -es -u NONE -c 'set nomodeline backupcopy=`
)

var acts = []act{
	{"rm", `rm currently-executing/$1`, gone, false, false},
	{"mv", `mv currently-executing/$1 currently-executing/other`, "", false, false},
	{"mv-wait", `mv currently-executing/$1 wait-q/`, "was moved to wait-q" + back, false, false},
	{"mv-priority", `mv currently-executing/$1 priority-q/`, "was moved to priority-q" + back, false, false},
	{"mv-hold", `mv currently-executing/$1 hold-q/`, "was moved to hold-q" + back, false, false},
	{"mv-name", `mv currently-executing/$1 wait-q/another`, "was moved to wait-q" + back, false, false},
	{"mv-twice", `mv currently-executing/$1 wait-q/
		i=0; until [ -e currently-executing/$1 ] || [ $((i += 1)) -gt 3000 ]; do sleep 0.02; done
		mv currently-executing/$1 hold-q/`, "was moved to hold-q" + back, false, false},
	{"mv-done", `mv currently-executing/$1 done-q/`, "had been moved to done-q already", false, false},
	{"mv-error", `mv currently-executing/$1 error-q/`, "had been moved to error-q/mv-error while it ran", false, false},
	{"mv-fail", `mv currently-executing/$1 fail-q/`, "had been moved to fail-q/mv-fail while it ran", false, false},
	{"mv-archive", `mv currently-executing/$1 archive/`, "had been moved to archive/mv-archive while it ran", false, false},
	{"mv-trash", `mv currently-executing/$1 trash/`, "had been moved to trash/mv-trash while it ran", false, false},
	{"mv-root", `mv currently-executing/$1 .`, gone, false, false},
	{"mv-out", `mv currently-executing/$1 ../outside`, gone, false, false},
	{"ln-archive", `ln currently-executing/$1 archive/kept`, "", false, false},
	{"ln-wait", `ln currently-executing/$1 wait-q/linked`, "", false, false},
	{"mkdir", `rm currently-executing/$1; mkdir currently-executing/$1`, gone, false, false},
	{"mkfifo", `rm currently-executing/$1; mkfifo currently-executing/$1`, gone, false, false},
	{"ln-s", `mv currently-executing/$1 ../moved; ln -s ../../moved currently-executing/$1`, gone, false, false},

	{"truncate", `: > currently-executing/$1`, edited, true, false},
	{"echo", `echo nonsense > currently-executing/$1`, edited, true, false},
	{"cp", `cp "$2" currently-executing/$1`, edited, true, false},
	{"append", `echo hello >> currently-executing/$1`, "", false, false},
	{"vim-yes", vim + `yes' -c '%s/PAD/PUD/' -c wq currently-executing/$1 </dev/null`, "", false, false},
	{"chmod", `chmod 0 currently-executing/$1`, "", false, false},
	{"chown", `chown 65534 currently-executing/$1`, "", false, false},
	{"future", `touch -d 2040-01-01 currently-executing/$1`, "", false, false},
	{"past", `touch -d 1971-01-01 currently-executing/$1`, "", false, false},

	{"vim-no", vim + `no' -c '%s/PAD/PUD/' -c wq currently-executing/$1 </dev/null`, second, false, true},
	{"sed-i", `sed -i s/PAD/PUD/ currently-executing/$1`, second, false, true},
	{"mv-over", `cp "$2" ../over; mv ../over currently-executing/$1`, second, false, true},
	{"rsync", `rsync "$2" currently-executing/$1`, second, false, true},
	{"again", `cp "$2" wait-q/$1`, "", false, true},
}

// Whatever is done to the file of a UOW while it runs: the run is not disturbed, the
// file that ran ends in done-q with its outcome, and what came to be beside it is
// either run by itself, and said to be, or left alone.
func TestWhileItRuns(t *testing.T) {
	t.Parallel()
	t.Run("watched", func(t *testing.T) { t.Parallel(); whileItRuns(t, false) })
	// The same behind the monitor's back: it was killed, and the next one finds it.
	t.Run("unwatched", func(t *testing.T) { t.Parallel(); whileItRuns(t, true) })
}

func whileItRuns(t *testing.T, unwatched bool) {
	if os.Geteuid() != 0 {
		t.Skip("not root: no files can be given away")
	}
	x := spool(t, world.Memory(), "slots = 100\n")
	next := filepath.Join(x.Dir, "next")
	if err := text(good)(next); err != nil {
		t.Fatal(err)
	}
	for _, a := range acts {
		x.Drop(done(a.name, "wait-q", world.Plain(waitsForGo)+lines(a.name, 2)))
	}
	m := start(x)
	x.Until(patience, "all run", func() bool { return len(x.Ran()) == len(acts) })
	if unwatched {
		m.kill()
	}
	ran := map[string]uint64{}
	for _, a := range acts {
		ran[a.name] = inode(t, filepath.Join(x.Root, "currently-executing", a.name))
		if unwatched && a.name == "mv-twice" {
			a.line = `mv currently-executing/$1 wait-q/; mv wait-q/$1 hold-q/`
		}
		if err := shell(x.Root, a.line, a.name, next); err != nil {
			t.Fatal(err)
		}
	}
	if unwatched {
		m = start(x)
	}
	for _, a := range acts {
		if strings.Contains(a.said, back) {
			x.Until(patience, a.name+" is back", func() bool { return x.There("currently-executing", a.name) })
		}
	}
	looked(x, "stranger before")
	if err := text("")(filepath.Join(x.W, "go")); err != nil {
		t.Fatal(err)
	}
	units := []world.Unit{}
	for _, a := range acts {
		u := done(a.name, "wait-q", world.Plain(waitsForGo))
		if a.next {
			u.Runs = 2
			x.Until(patience, a.name+" ends twice", func() bool { return x.There("done-q", a.name+"~1") })
		}
		ended(x, []world.Unit{u})
		units = append(units, u)
	}
	looked(x, "stranger after")
	x.Until(patience, "the second name is dealt with", func() bool {
		return !x.There("wait-q", "linked") && !x.There("currently-executing", "linked")
	})
	m.stop()
	count := x.Ran()
	for i, a := range acts {
		name := a.name
		if a.next {
			name += "~1"
		}
		path := filepath.Join(x.Root, "done-q", name)
		switch {
		case inode(t, path) != ran[a.name]:
			t.Errorf("%s: what ran is not done-q/%s", a.name, name)
		case !strings.Contains(read(path), "exit 0"):
			t.Errorf("%s: its outcome is not in it:\n%s", a.name, read(path))
		case count[a.name] != units[i].Runs:
			t.Errorf("%s ran %d times, want %d", a.name, count[a.name], units[i].Runs)
		case !unwatched && !spokenOf(x, a.name, a.said):
			t.Errorf("%s: it is not said that it %s", a.name, a.said)
		}
	}
	// What people left lying about is theirs, and a name of their own too.
	for _, left := range []string{"archive/kept", "mv-root", "currently-executing/mkdir", "currently-executing/mkfifo", "currently-executing/ln-s"} {
		if err := os.Remove(filepath.Join(x.Root, left)); err != nil {
			t.Error(err)
		}
	}
	forget(x, "linked")
	whole := []world.Unit{done("stranger before", "", world.Plain(world.Witness)), done("stranger after", "", world.Plain(world.Witness))}
	for i, a := range acts {
		if a.less || a.next { // judged above
			forget(x, a.name)
			continue
		}
		whole = append(whole, units[i])
	}
	x.Settled(whole, "what was done while they ran")
	world.Figures(t, "%d things done to the file of a running UOW: each ran once, its outcome kept; of %d that was rewritten, or another file took its place and ran after it",
		len(acts), len(acts)+2-len(whole))
}

// The same when the run ends before the monitor has looked: the file that an editor put
// there holds the first line of the run's log, and is no interrupted run for that.
func TestReplacedUnlooked(t *testing.T) {
	t.Parallel()
	x := spool(t, world.Memory(), "slots = 2\nsleep_time = \"1h\"\n")
	u := done("edited", "wait-q", world.Plain(waitsForGo)+lines("edited", 2))
	x.Drop(u)
	m := start(x)
	x.Until(patience, "it runs", func() bool {
		return len(x.Ran()) == 1 && strings.Contains(read(filepath.Join(x.Root, "currently-executing/edited")), " try 1: ")
	})
	if err := shell(x.Root, `sed -i s/PAD/PUD/ currently-executing/edited; touch "$1"/go`, x.W); err != nil {
		t.Fatal(err)
	}
	x.Until(patience, "both have ended", func() bool { return x.There("done-q", "edited") && x.There("done-q", "edited~1") })
	m.stop()
	if n := x.Ran()["edited"]; n != 2 || !spokenOf(x, "edited", second) {
		t.Errorf("it ran %d times; its second file is not called newly dropped", n)
	}
}

// looked returns when the monitor has looked into currently-executing of its own
// accord: a UOW that a person puts there is found then, and run.
func looked(x *world.World, name string) {
	x.T.Helper()
	u := done(name, "currently-executing", world.Complete(world.Witness, ""))
	x.Drop(u)
	ended(x, []world.Unit{u})
}

// spokenOf reports whether a line names a UOW and says something of it.
func spokenOf(x *world.World, name, said string) bool {
	for line := range strings.Lines(read(x.Root, "monitor_says")) {
		if strings.Contains(line, name) && strings.Contains(line, said) {
			return true
		}
	}
	return false
}
