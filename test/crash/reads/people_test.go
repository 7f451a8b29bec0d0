package reads

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

// person runs a program on the file as somebody would.
func (d *daemon) person(name string, args ...string) {
	d.T.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = d.Dir
	cmd.Env = append(os.Environ(), "HOME="+d.Dir, "TERM=dumb")
	if out, err := cmd.CombinedOutput(); err != nil {
		d.T.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// The file is replaced by sed -i, removed, and put in place by mv, while shells
// append to it: what was written to any of these files is acted upon. What sed
// wrote a second time is to be acted upon a second time.
func TestReplacedWhileWritten(t *testing.T) {
	t.Parallel()
	number, lines := world.Pick(8, 20, 50), world.Pick(40, 500, 2000)
	d := newDaemon(t, os.TempDir())
	d.start()
	d.all("end2-0") // it has the first file open
	// Slow ones have the old file open for a while after its name is gone.
	h := hire(t, d.reads, "r", slow, number, lines, 5)
	copies := filepath.Join(d.Dir, "copies")
	acts := 0
	for all := false; !all; acts++ {
		h.release()
		switch rand.IntN(3) {
		case 0:
			d.person("sed", "-i", "-e", "w "+copies+fmt.Sprint(acts), d.reads)
		case 1:
			if err := os.Remove(d.reads); err != nil {
				t.Fatal(err)
			}
		case 2:
			aside := filepath.Join(d.Dir, fmt.Sprint("aside", acts))
			if err := os.Rename(d.reads, aside); err != nil {
				t.Fatal(err)
			}
		}
		// A file that is replaced before the monitor knew of it is lost by whoever
		// did that.
		d.all(fmt.Sprint("end0-", acts))
		all = h.wait(0)
	}
	d.all("end1-0")
	a := d.settle("r", number, lines)
	// What sed wrote a second time was asked for a second time.
	asked := map[string]int{}
	files, _ := filepath.Glob(copies + "*")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, "RESUME #r") {
				asked[line]++
			}
		}
	}
	if a.silent > len(asked) {
		t.Errorf("%d repeats, but only %d lines were written twice", a.silent, len(asked))
	}
	a.silent, a.disorder = 0, 0
	d.judge(a)
	if acts < 4 {
		t.Errorf("only %d acts: that proves little", acts)
	}
	world.Figures(t, "monitor_reads replaced %d times while written: %d lines, %d lost", acts, number*lines, a.lost)
}

// The monitor can't ask who has the file open that had the name before: somebody
// who does, and writes a moment later, is heard nevertheless.
func TestReplacedWithoutLease(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, os.TempDir())
	d.nobody()
	if err := errors.Join(os.Chown(d.reads, 0, 0), os.Chmod(d.reads, 0o666)); err != nil {
		t.Fatal(err)
	}
	d.start()
	d.all("end0-0")
	f := d.open()
	defer f.Close()
	if err := os.Rename(d.reads, d.reads+".aside"); err != nil {
		t.Fatal(err)
	}
	d.add("RESUME #new0-0\n")
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline) && !strings.Contains(d.saidSince(0), "#new0-0"); {
		time.Sleep(5 * time.Millisecond)
	}
	d.put(f, "RESUME #old0-0\n")
	f.Close()
	d.answered("new0-0", 0)
	d.all("end0-1")
	d.judge(d.settle("old", 1, 1))
	d.judge(d.account("new", 1, 1))
}

// The file is written over from its beginning with something longer, so that its
// size tells nothing: all of that is new.
func TestWrittenOver(t *testing.T) {
	t.Parallel()
	const lines = 500
	for _, up := range []bool{true, false} {
		d := newDaemon(t, os.TempDir())
		d.start()
		holder, err := os.Open(d.reads) // so that what was acted upon stays
		if err != nil {
			t.Fatal(err)
		}
		defer holder.Close()
		d.all("end0-0")
		if !up {
			d.kill()
		}
		var text strings.Builder
		for i := range lines {
			fmt.Fprintf(&text, "RESUME #o0-%d\n", i)
		}
		f, err := os.OpenFile(d.reads, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		d.put(f, text.String())
		f.Close()
		if !up {
			d.start()
		}
		d.all("end0-1")
		d.judge(d.settle("o", 1, lines))
		d.kill()
	}
}

// Somebody empties the file again and again while shells append: that loses what
// he threw away, tears nothing, repeats nothing, and what comes later is read.
func TestEmptiedWhileWritten(t *testing.T) {
	t.Parallel()
	number, lines := world.Pick(6, 20, 50), world.Pick(200, 5000, 20_000)
	d := newDaemon(t, os.TempDir())
	d.start()
	h := hire(t, d.reads, "e", plain, number, lines, world.Pick(20, 200, 200))
	acts := 0
	for ; !h.wait(time.Duration(rand.IntN(20)) * time.Millisecond); acts++ {
		h.release()
		if err := os.Truncate(d.reads, 0); err != nil {
			t.Fatal(err)
		}
	}
	d.all("end0-0")
	a := d.account("e", number, lines)
	thrown := a.lost
	a.lost = 0
	d.judge(a)
	h = hire(t, d.reads, "later", plain, number, 20, 20)
	h.release()
	h.wait(patience)
	d.all("end0-1")
	d.judge(d.settle("later", number, 20))
	world.Figures(t, "monitor_reads emptied %d times while written: %d lines, %d of them thrown away, 0 torn", acts, number*lines, thrown)
}

// Editors save in their ways while nobody else writes, but somebody holds the file
// open, so that what was acted upon still stands in it: only what is new is acted
// upon, unless it is said that the file is read from its beginning.
func TestEdited(t *testing.T) {
	for name, edit := range map[string][]string{
		"sed -i":                {"sed", "-i", "-e", "$a RESUME #n0-0"},
		"vim, a new file":       {"vim", "-Nu", "NONE", "-es", "-c", "set backupcopy=no", "-c", "$put ='RESUME #n0-0'", "-c", "wq!"},
		"vim, in place":         {"vim", "-Nu", "NONE", "-es", "-c", "set backupcopy=yes", "-c", "$put ='RESUME #n0-0'", "-c", "wq!"},
		"cp":                    {"sh", "-c", `cp "$1" copy && echo "RESUME #n0-0" >> copy && cp copy "$1"`, "sh"},
		"mv":                    {"sh", "-c", `cp "$1" copy && echo "RESUME #n0-0" >> copy && mv copy "$1"`, "sh"},
		"written bit by bit":    {"sh", "-c", `cp "$1" copy; : > "$1"; sleep 0.3; while read -r l; do echo "$l"; sleep 0.01; done < copy >> "$1"; echo "RESUME #n0-0" >> "$1"`, "sh"},
		"comments edited first": {"sed", "-i", "-e", "1s/.*/# another first line/", "-e", "$a RESUME #n0-0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(edit[0]); err != nil {
				t.Skip(err)
			}
			const old = 3
			d := newDaemon(t, os.TempDir())
			d.start()
			holder, err := os.Open(d.reads)
			if err != nil {
				t.Fatal(err)
			}
			defer holder.Close()
			for i := range old {
				d.add(fmt.Sprintf("RESUME #o0-%d\n", i))
			}
			d.all("end0-0")
			d.person(edit[0], append(edit[1:], d.reads)...)
			d.answered("n0-0", 0)
			holder.Close()
			d.all("end0-1")
			a := d.settle("o", 1, old)
			if d.Says("it is read from its beginning") {
				a.silent, a.disorder = 0, 0
			}
			d.judge(a)
			d.judge(d.account("n", 1, 1))
		})
	}
}
