package habits

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

// version is the n-th text of a UOW. Its run tells the number in its COMMAND, the one
// in an item, what the other items add up to, and what they ought to: a mix of two
// versions gives itself away. Versions differ in length.
func version(name string, n int) string {
	pads := 1 + n*7%23
	var b strings.Builder
	var env []string
	for i := range pads {
		sum := sha256.Sum256(fmt.Append(nil, name, n, i))
		fmt.Fprintf(&b, "PAD %d :: %x\n", i, sum)
		env = append(env, fmt.Sprintf("UOW_PAD_%d=%x\n", i, sum))
	}
	slices.Sort(env)
	sum := sha256.Sum256([]byte(strings.Join(env, "")))
	command := fmt.Sprintf(`echo %d "$UOW_VERSION" "$(env | grep ^UOW_PAD | LC_ALL=C sort | sha256sum | cut -c1-64)" "$UOW_SUM" >> "$W/versions-%s"`, n, name)
	return world.Plain(command, fmt.Sprintf("VERSION :: %d\n", n), b.String(), fmt.Sprintf("SUM :: %x\n", sum))
}

// versions counts the runs of each version; a mix fails the test.
func versions(x *world.World, name string) map[int]int {
	x.T.Helper()
	ran := map[int]int{}
	for line := range strings.Lines(read(x.W, "versions-"+name)) {
		var command, item int
		var got, want string
		if n, err := fmt.Sscan(line, &command, &item, &got, &want); n != 4 || err != nil || command != item || got != want {
			x.T.Errorf("%s: a mix of versions ran: %q", name, line)
		}
		ran[command]++
	}
	return ran
}

// replace puts a version under a name. One that puts a file of its own there is not
// lost, whatever the monitor does to the one before; one that writes into what lies
// there may hit a file that is just being claimed.
var replace = []struct {
	name  string
	whole bool
	as    func(path, tmp string, text []byte) error
}{
	{"rename", true, func(path, tmp string, text []byte) error {
		return errors.Join(os.WriteFile(tmp, text, 0o644), os.Rename(tmp, path))
	}},
	{"link", true, func(path, tmp string, text []byte) error {
		other := tmp + "-2"
		return errors.Join(os.WriteFile(tmp, text, 0o644), os.Link(tmp, other), os.Rename(tmp, path), os.Remove(other))
	}},
	{"symlink", true, func(path, tmp string, text []byte) error { // a link to it first, then the file itself
		next := tmp + "-next"
		return errors.Join(os.WriteFile(next, text, 0o644), os.Symlink(next, tmp), os.Rename(tmp, path), os.Rename(next, path))
	}},
	{"remove", true, func(path, tmp string, text []byte) error {
		_ = os.Remove(path)
		return errors.Join(os.WriteFile(tmp, text, 0o644), os.Rename(tmp, path))
	}},
	{"truncate", false, func(path, _ string, text []byte) error { return os.WriteFile(path, text, 0o644) }},
	{"in place", false, func(path, _ string, text []byte) error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		defer f.Close()
		for at := 0; at < len(text) && err == nil; at += 100 {
			_, err = f.WriteAt(text[at:min(at+100, len(text))], int64(at))
		}
		return errors.Join(err, f.Truncate(int64(len(text))))
	}},
}

// A file that is replaced in a loop while the monitor looks at it, accepts it,
// claims and runs it: each version that runs is one that was written, as a whole,
// and runs once; and the last one of each burst runs. On a disk, where accepting
// takes as long as a sync.
func TestReplacedInALoop(t *testing.T) {
	t.Parallel()
	x := spool(t, os.TempDir(), "slots = 4\nsettle_time = \"2ms\"\n")
	m := start(x)
	var all sync.WaitGroup
	written := make([]int, len(replace))
	for i, r := range replace {
		all.Go(func() {
			path, tmp := filepath.Join(x.Root, "wait-q", r.name), filepath.Join(x.Dir, r.name)
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			put := func(as func(path, tmp string, text []byte) error) {
				if err := as(path, tmp, []byte(version(r.name, written[i]))); err != nil {
					t.Errorf("%s: %v", r.name, err)
				}
				written[i]++
			}
			last := func() bool {
				for end := time.Now().Add(patience); versions(x, r.name)[written[i]-1] == 0; time.Sleep(time.Millisecond) {
					if st, err := os.Lstat(filepath.Join(x.Root, "trash", r.name)); err == nil && st.Mode().IsRegular() {
						t.Errorf("%s: version %d was refused for what lay there before it: %s", r.name, written[i]-1, read(x.Root, "trash", r.name+".why"))
						return false
					}
					if time.Now().After(end) {
						t.Errorf("%s: version %d was the last of its burst and does not run\n%s", r.name, written[i]-1, x.Story())
						return false
					}
				}
				return true
			}
			for end := time.Now().Add(world.Pick(time.Second, 10*time.Second, 10*time.Minute)); time.Now().Before(end); {
				for range 1 + rng.IntN(8) {
					put(r.as)
					time.Sleep(time.Duration(rng.Int64N(int64(4 * time.Millisecond))))
				}
				if r.whole && !last() {
					return
				}
			}
			// One that was written into a file that ran just then has not run.
			for end := time.Now().Add(patience); x.There("wait-q", r.name) && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			put(replace[0].as)
			last()
		})
	}
	all.Wait()
	for _, r := range replace {
		x.Until(patience, "nothing is left of "+r.name, func() bool {
			return !x.There("wait-q", r.name) && !x.There("currently-executing", r.name)
		})
	}
	m.stop()
	ran, wrote := 0, 0
	says := read(x.Root, "monitor_says")
	for i, r := range replace {
		of := versions(x, r.name)
		for n, times := range of {
			if times > 1 {
				t.Errorf("%s: version %d ran %d times", r.name, n, times)
			}
		}
		// Each run left a file; what was refused of it was no text.
		files, _ := filepath.Glob(filepath.Join(x.Root, "done-q", r.name+"*"))
		if len(files) != len(of) {
			t.Errorf("%s: %d versions ran, and %d files lie in done-q", r.name, len(of), len(files))
		}
		bad, _ := filepath.Glob(filepath.Join(x.Root, "trash", r.name+"*"))
		refused := slices.DeleteFunc(slices.Clone(bad), func(path string) bool {
			// One that took the place of another just then, and was itself taken away.
			return strings.Contains(says, "replaced while it was accepted; what somebody wrote is in trash/"+filepath.Base(path)+"\n")
		})
		if len(refused) > 0 && r.name != "symlink" {
			t.Errorf("%s: refused: %q: %s", r.name, refused, read(x.Root, "trash", r.name+".why"))
		}
		for _, f := range append(files, bad...) {
			if err := os.Remove(f); err != nil {
				t.Error(err)
			}
		}
		ran += len(of)
		wrote += written[i]
	}
	x.Settled(nil, "replaced in a loop")
	world.Figures(t, "%d versions written in %d ways of replacing a file, %d of them run, each once: 0 mixes", wrote, len(replace), ran)
}
