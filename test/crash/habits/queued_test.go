package habits

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

// edit makes another version of a UOW that lies in wait-q: by a shell's line in the
// spool's directory ($1 the name, $2 the new version elsewhere, $3 the same on
// another file system), or by doing what a program does that is not at hand.
type edit struct {
	name string
	line string
	do   func(path string, next []byte) error
}

// The new version takes the place of the old as a whole.
var replacements = []edit{
	{"cp", `cp "$2" "wait-q/$1"`, nil},
	{"cp-p", `cp -p "$2" "wait-q/$1"`, nil},
	{"cat", `cat "$2" > "wait-q/$1"`, nil},
	{"tee", `tee "wait-q/$1" < "$2" >/dev/null`, nil},
	{"dd", `dd if="$2" of="wait-q/$1" bs=13 status=none`, nil},
	{"install", `install "$2" "wait-q/$1"`, nil},
	{"mv", `mv -f "$2" "wait-q/$1"`, nil},
	{"mv-across", `mv -f "$3" "wait-q/$1"`, nil},
	{"ln-f", `ln -f "$2" "wait-q/$1"`, nil},
	{"rsync", `rsync -a "$2" "wait-q/$1"`, nil},
	{"rsync-inplace", `rsync -a --inplace "$2" "wait-q/$1"`, nil},
	{"rsync-slow", `rsync -a --inplace --bwlimit=1 "$2" "wait-q/$1"`, nil},
	{"cat-slow", `{ head -4 "$2"; sleep 0.5; tail -n +5 "$2"; } > "wait-q/$1"`, nil},
	{"vim-bkc-yes", vim + `yes' -c %d -c "r $2" -c 'w!' -c 'sleep 200m' -c q "wait-q/$1" </dev/null`, nil},
	{"vim-bkc-no", vim + `no' -c %d -c "r $2" -c 'w!' -c 'sleep 200m' -c q "wait-q/$1" </dev/null`, nil},
	{"rm-cp", `rm "wait-q/$1"; sleep 0.2; cp "$2" "wait-q/$1"`, nil},
	{"out-and-in", `mv "wait-q/$1" ../edited; cp "$2" ../edited; mv ../edited "wait-q/$1"`, nil},
	{"nano", "", func(path string, next []byte) error { return os.WriteFile(path, next, 0o644) }},
	// An empty file for a while: a UOW of nothing is none.
	{"touch-first", "", func(path string, next []byte) error {
		if err := os.Truncate(path, 0); err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond)
		return os.WriteFile(path, next, 0o644)
	}},
	// Its lock beside the file, the backup under the old one's inode, then the new.
	{"emacs", "", func(path string, next []byte) error {
		lock := filepath.Join(filepath.Dir(path), ".#"+filepath.Base(path))
		if err := os.Symlink("user@host.1234:5678", lock); err != nil {
			return err
		}
		defer os.Remove(lock)
		if err := os.Rename(path, path+"~"); err != nil {
			return err
		}
		defer os.Remove(path + "~")
		if err := os.WriteFile(path, next[:len(next)/2], 0o644); err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond)
		return os.WriteFile(path, next, 0o644)
	}},
}

// One line of it is changed; VERSION :: 1 becomes VERSION :: 2.
var changes = []edit{
	{"sed-i", `sed -i 's/VERSION :: 1/VERSION :: 2/' "wait-q/$1"`, nil},
	{"sed-i-bak", `sed -i.part 's/VERSION :: 1/VERSION :: 2/' "wait-q/$1"`, nil},
	{"perl-i", `perl -pi -e 's/VERSION :: 1/VERSION :: 2/' "wait-q/$1"`, nil},
	{"vim-line-yes", vim + `yes' -c '%s/VERSION :: 1/VERSION :: 2/' -c wq "wait-q/$1" </dev/null`, nil},
	{"vim-line-no", vim + `no' -c '%s/VERSION :: 1/VERSION :: 2/' -c wq "wait-q/$1" </dev/null`, nil},
	{"one-byte", `printf 2 | dd of="wait-q/$1" bs=1 conv=notrunc status=none \
		seek=$(( $(grep -b 'VERSION :: 1' "wait-q/$1" | cut -d: -f1) + 11 ))`, nil},
	{"one-byte-kept-time", `touch -r "wait-q/$1" "../time-of-$1"; printf 2 | dd of="wait-q/$1" bs=1 conv=notrunc status=none \
		seek=$(( $(grep -b 'VERSION :: 1' "wait-q/$1" | cut -d: -f1) + 11 )); touch -r "../time-of-$1" "wait-q/$1"`, nil},
	{"other-name", `ln "wait-q/$1" "../other-$1"; printf 2 | dd of="../other-$1" bs=1 conv=notrunc status=none \
		seek=$(( $(grep -b 'VERSION :: 1' "../other-$1" | cut -d: -f1) + 11 ))`, nil},
}

// Nothing of it changes that is to be run; it may come to lie elsewhere.
var moves = []struct{ name, line, end string }{
	{"chmod", `chmod 400 wait-q/$1`, "done-q"},
	{"chmod-0", `chmod 0 wait-q/$1`, "done-q"},
	{"chown", `chown 65534 wait-q/$1`, "done-q"},
	{"future", `touch -d 2040-01-01 wait-q/$1`, "done-q"},
	{"far-future", `touch -d 2400-01-01 wait-q/$1`, "done-q"},
	{"past", `touch -d 1971-01-01 wait-q/$1`, "done-q"},
	{"before-1970", `touch -d 1911-01-01 wait-q/$1`, "done-q"},
	{"touch-often", `for i in 1 2 3 4 5 6 7 8 9; do touch wait-q/$1; sleep 0.05; done`, "done-q"},
	{"priority", `mv wait-q/$1 priority-q/`, "done-q"},
	{"hold-and-back", `mv wait-q/$1 hold-q/; sleep 0.2; mv hold-q/$1 wait-q/`, "done-q"},
	{"out-and-back", `mv wait-q/$1 ..; sleep 0.2; mv ../$1 wait-q/`, "done-q"},
	{"to-done-and-back", `mv wait-q/$1 done-q/; sleep 0.2; mv done-q/$1 wait-q/`, "done-q"},
	{"hold", `mv wait-q/$1 hold-q/`, "hold-q"},
	{"to-done", `mv wait-q/$1 done-q/`, "done-q"},
	{"to-archive", `mv wait-q/$1 archive/`, "archive"},
	{"removed", `rm wait-q/$1`, ""},
	{"out", `mv wait-q/$1 ../out`, ""},
}

// pause has a monitor that was just started start nothing.
func pause(x *world.World) {
	x.T.Helper()
	x.Until(patience, "monitor_reads", func() bool { return there(x.Root, "monitor_reads") })
	x.Tell("PAUSE")
	x.Until(patience, "pause", func() bool { return there(x.Root, ".monitor", "paused") })
}

// What runs is the file as it lies there when its turn comes: whole, and the last
// that was saved, by whatever program and in whatever way.
func TestWhileItWaits(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: no files can be given away")
	}
	x := spool(t, world.Memory(), "slots = 8\n")
	elsewhere := world.Scratch(t, os.TempDir())
	const versioned = world.Witness + `test "$UOW_VERSION" = 2`
	text1, text2 := world.Plain(versioned, "VERSION :: 1\n"), world.Plain(versioned, "VERSION :: 2\n")

	edits := slices.Concat(replacements, changes)
	m := start(x)
	pause(x)
	for _, e := range replacements {
		x.Drop(done(e.name, "wait-q", summed("old "+e.name, 5)))
	}
	for _, e := range changes {
		x.Drop(done(e.name, "wait-q", text1))
	}
	for _, m := range moves {
		x.Drop(done(m.name, "wait-q", good))
	}
	accepted := func(name string) bool { return strings.Contains(read(x.Root, "wait-q", name), "==== JOB LOG\n") }
	var units []world.Unit
	for _, e := range edits {
		x.Until(patience, e.name+" is accepted", func() bool { return accepted(e.name) })
	}
	for _, m := range moves {
		x.Until(patience, m.name+" is accepted", func() bool { return accepted(m.name) })
	}
	world.Each(edits, func(e edit) {
		next := []byte(summed("new "+e.name, 9))
		path := filepath.Join(x.Root, "wait-q", e.name)
		here, other := filepath.Join(x.Dir, e.name), filepath.Join(elsewhere, e.name)
		for _, p := range []string{here, other} {
			if err := os.WriteFile(p, next, 0o644); err != nil {
				t.Error(err)
			}
		}
		err := error(nil)
		if e.do != nil {
			err = e.do(path, next)
		} else {
			err = shell(x.Root, e.line, e.name, here, other)
		}
		if err != nil {
			t.Errorf("%s: %v", e.name, err)
		}
	})
	for _, e := range replacements {
		units = append(units, done(e.name, "wait-q", summed("new "+e.name, 9)))
	}
	for _, e := range changes {
		units = append(units, done(e.name, "wait-q", text2))
	}
	for _, m := range moves {
		if err := shell(x.Root, m.line, m.name); err != nil {
			t.Error(err)
		}
		u := done(m.name, "wait-q", good)
		if u.End = m.end; m.end != "done-q" || m.name == "to-done" {
			u.Status, u.Runs = "", 0
		}
		if m.end != "" {
			units = append(units, u)
		}
	}
	// Nothing of this ran while it was edited.
	if len(x.Ran()) > 0 {
		t.Errorf("ran in spite of PAUSE: %v", x.Ran())
	}
	x.Tell("RESUME")
	for _, u := range units {
		x.Until(patience, u.Name+" ends", func() bool { return x.There(u.End, u.Name) })
	}
	x.Until(patience, "sed's copy is accepted once it has a name", func() bool {
		_ = os.Rename(filepath.Join(x.Root, "wait-q", "sed-i-bak.part"), filepath.Join(x.Root, "hold-q", "sed-copy"))
		return x.There("hold-q", "sed-copy")
	})
	m.stop()
	for _, name := range []string{"removed", "out"} {
		if x.Ran()[name] > 0 {
			t.Errorf("%s ran", name)
		}
	}
	units = append(units, world.Unit{Name: "sed-copy", Text: text1, End: "hold-q"})
	x.Settled(units, "what was done while they waited")
	world.Figures(t, "%d ways to edit and %d to move or touch a UOW that waits: each ran once, as it was last", len(edits), len(moves))
}
