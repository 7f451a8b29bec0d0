package habits

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

// The spool of the copiers. A reader's look comes more often than they write, and a
// file that does not parse is refused sooner than the longest of their pauses.
const (
	settle  = 300 * time.Millisecond
	refusal = 500 * time.Millisecond
)

var copiersSpool = fmt.Sprintf("slots = 4\nsettle_time = \"%v\"\nsleep_time = \"%v\"\n", settle, refusal)

// copying is one file on its way into a queue.
type copying struct {
	src, dst  string
	elsewhere string // a directory of another file system
	text      []byte
	rng       *rand.Rand
	gap       time.Duration // the longest time the file can have been closed and not whole
}

// pieces cuts the text at random, within lines too.
func (c *copying) pieces() (out [][]byte) {
	cuts := []int{0, len(c.text)}
	for range 1 + c.rng.IntN(4) {
		cuts = append(cuts, c.rng.IntN(len(c.text)))
	}
	slices.Sort(cuts)
	for i := 1; i < len(cuts); i++ {
		out = append(out, c.text[cuts[i-1]:cuts[i]])
	}
	return out
}

// think is the pause of a writer that keeps its file open: it may be longer than
// everything the monitor waits for.
func (c *copying) think() { time.Sleep(time.Duration(c.rng.Int64N(int64(refusal * 6 / 5)))) }

// piped feeds a program with pauses; it keeps its target open.
func (c *copying) piped(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	for i, p := range c.pieces() {
		if i > 0 {
			c.think()
		}
		if _, err := in.Write(p); err != nil {
			return err
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, said.Bytes())
	}
	return nil
}

// program runs one on $1, the source, $2, the target, and $3, a directory elsewhere.
func (c *copying) program(line string) error {
	return shell("/", line, c.src, c.dst, c.elsewhere)
}

// again opens the file anew for each piece, with pauses below settle_time. What
// counts is how long it can have been left alone: from before the close to after
// the next write.
func (c *copying) again(write func(piece []byte) error) error {
	var since time.Time
	for i, p := range c.pieces() {
		if i > 0 {
			time.Sleep(time.Duration(c.rng.Int64N(int64(settle / 3))))
		}
		before := time.Now()
		if err := write(p); err != nil {
			return err
		}
		if i > 0 {
			c.gap = max(c.gap, time.Since(since))
		}
		since = before
	}
	return nil
}

// held writes through one descriptor, in whatever order.
func (c *copying) held(write func(*os.File) error) error {
	f, err := os.OpenFile(c.dst, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	return write(f)
}

// scattered gives each block of the text to write in random order, with pauses.
func (c *copying) scattered(write func(at int, block []byte) error) error {
	const block = 256
	order := c.rng.Perm((len(c.text) + block - 1) / block)
	pause := c.rng.IntN(len(order))
	for i, n := range order {
		if i == pause {
			c.think()
		}
		at := n * block
		if err := write(at, c.text[at:min(at+block, len(c.text))]); err != nil {
			return err
		}
	}
	return nil
}

// copiers are the ways in which files come into a queue. The second half of each
// name says what is special about it.
var copiers = []struct {
	name string
	copy func(*copying) error
}{
	{"cp", func(c *copying) error { return c.program(`cp -- "$1" "$2"`) }},
	{"cp -p", func(c *copying) error { return c.program(`touch -d 2019-03-04 "$1"; cp -p "$1" "$2"`) }},
	{"cp of the future", func(c *copying) error { return c.program(`touch -d 2040-01-01 "$1"; cp -a "$1" "$2"`) }},
	{"install", func(c *copying) error { return c.program(`install -m 640 "$1" "$2"`) }},
	{"mv", func(c *copying) error { return c.program(`mv "$1" "$2"`) }},
	{"mv across", func(c *copying) error { return c.program(`cp "$1" "$3/${2##*/}"; mv "$3/${2##*/}" "$2"`) }},
	{"ln", func(c *copying) error { return c.program(`ln "$1" "$2"`) }},
	{"rsync", func(c *copying) error { return c.program(`rsync -a "$1" "$2"`) }},
	{"rsync --inplace", func(c *copying) error { return c.program(`rsync -a --inplace "$1" "$2"`) }},
	{"rsync slow", func(c *copying) error { return c.program(`rsync --inplace --bwlimit=20 "$1" "$2"`) }},
	{"tar", func(c *copying) error {
		return c.program(`tar -C "${1%/*}" --transform="s,.*,${2##*/}," -cf - "${1##*/}" | tar -C "${2%/*}" -xf -`)
	}},
	{"vim", func(c *copying) error {
		return c.program(`vim -es -u NONE -c 'set nomodeline' -c "r $1" -c w -c q "$2" </dev/null`)
	}},
	{"vim twice", func(c *copying) error { // a half that is saved while the editor stays open
		return c.program(`vim -es -u NONE -c 'set nomodeline' -c "r $1" -c '1,3w!' -c 'sleep 400m' -c w! -c q "$2" </dev/null`)
	}},
	{"sed", func(c *copying) error { return c.program(`sed -n "w $2" "$1"`) }},
	{"part", func(c *copying) error {
		return c.program(`head -3 "$1" > "$2.part"; sleep 0.4; cp "$1" "$2.part"; mv "$2.part" "$2"`)
	}},
	{"hidden", func(c *copying) error {
		return c.program(`h=${2%/*}/.${2##*/}; head -3 "$1" > "$h"; sleep 0.4; cp "$1" "$h"; mv "$h" "$2"`)
	}},
	{"cat", func(c *copying) error { return c.piped("sh", "-c", `cat > "$0"`, c.dst) }},
	{"tee", func(c *copying) error { return c.piped("sh", "-c", `tee "$0" >/dev/null`, c.dst) }},
	{"dd", func(c *copying) error { return c.piped("dd", "of="+c.dst, "status=none") }},
	{"dd by bytes", func(c *copying) error { return c.piped("dd", "of="+c.dst, "bs=7", "status=none") }},
	{"heredoc", func(c *copying) error { // the shell itself has it open
		return c.piped("sh", "-c", `{ while IFS= read -r l; do printf '%s\n' "$l"; done; } > "$0"`, c.dst)
	}},
	{"blocks", func(c *copying) error {
		return c.held(func(f *os.File) error {
			return c.scattered(func(at int, b []byte) error { _, err := f.WriteAt(b, int64(at)); return err })
		})
	}},
	{"mmap", func(c *copying) error { return c.mapped() }},
	{"reopened", func(c *copying) error {
		return c.again(func(p []byte) error {
			f, err := os.OpenFile(c.dst, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
			if err != nil {
				return err
			}
			_, err = f.Write(p)
			f.Close()
			return err
		})
	}},
	{"dd reopened", func(c *copying) error {
		return c.again(func(p []byte) error {
			dd := exec.Command("dd", "of="+c.dst, "oflag=append", "conv=notrunc", "status=none")
			dd.Stdin = bytes.NewReader(p)
			return dd.Run()
		})
	}},
	{">>", func(c *copying) error {
		return c.again(func(p []byte) error {
			sh := exec.Command("sh", "-c", `cat >> "$0"`, c.dst)
			sh.Stdin = bytes.NewReader(p)
			return sh.Run()
		})
	}},
}

// mapped writes through memory, its descriptor closed.
func (c *copying) mapped() error {
	var mem []byte
	err := c.held(func(f *os.File) (err error) {
		if err = f.Truncate(int64(len(c.text))); err == nil {
			mem, err = unix.Mmap(int(f.Fd()), 0, len(c.text), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		}
		return err
	})
	if err != nil {
		return err
	}
	err = c.scattered(func(at int, b []byte) error { copy(mem[at:], b); return nil })
	if err == nil {
		err = unix.Msync(mem, unix.MS_SYNC)
	}
	if e := unix.Munmap(mem); err == nil {
		err = e
	}
	return err
}

// No half of a copy in progress is run or refused, whatever copies it. A file that
// its writer keeps open is never taken for whole however long he pauses; for one
// who closes it between two halves the promise is settle_time, so a copy that this
// machine was too slow for does not count.
func TestCopiesInProgress(t *testing.T) {
	began := time.Now()
	t.Parallel()
	for _, tool := range []string{"rsync", "vim", "tar", "dd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("missing: ", err)
		}
	}
	n := world.Pick(60, 1000, 20000)
	var worlds []*world.World
	var monitors []*daemon
	for _, on := range []string{world.Memory(), os.TempDir()} {
		x := spool(t, on, copiersSpool)
		worlds, monitors = append(worlds, x), append(monitors, start(x))
	}
	var mu sync.Mutex
	units := make([][]world.Unit, len(worlds))
	late, kinds := map[string]bool{}, map[string]int{}
	world.Each(slices.Collect(numbers(n)), func(i int) {
		// Both file systems, and each of them from the other.
		x, other := worlds[i%2], worlds[1-i%2]
		kind := copiers[i/2%len(copiers)]
		name := fmt.Sprintf("%d %s", i, kind.name)
		rng := rand.New(rand.NewPCG(uint64(i), uint64(world.At())))
		size := 1 + rng.IntN(40)
		if rng.IntN(20) == 0 {
			size = 10_000 // most of the 1 MiB a UOW may have
		}
		u := done(name, []string{"wait-q", "priority-q"}[rng.IntN(2)], summed(name, size))
		c := &copying{
			src: filepath.Join(x.W, name), dst: filepath.Join(x.Root, u.Drop, name),
			elsewhere: other.W, text: []byte(u.Text), rng: rng,
		}
		if err := os.WriteFile(c.src, c.text, 0o644); err != nil {
			t.Error(err)
			return
		}
		if err := kind.copy(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		mu.Lock()
		defer mu.Unlock()
		late[name] = c.gap >= settle
		kinds[kind.name]++
		units[i%2] = append(units[i%2], u)
	})
	judged, beyond := 0, 0
	for i, x := range worlds {
		ended(x, units[i])
		monitors[i].stop()
		units[i] = slices.DeleteFunc(units[i], func(u world.Unit) bool {
			if !late[u.Name] {
				return false
			}
			beyond++
			forget(x, u.Name)
			return true
		})
		judged += len(units[i])
		x.Settled(units[i], "copies in progress")
	}
	world.Figures(t, "%d copies by %d kinds of copier on 2 file systems, %d slower than settle_time and not judged: 0 halves run or refused of %d, %v",
		n, len(kinds), beyond, judged, time.Since(began).Round(time.Second))
}

// forget removes all traces of a UOW that is not judged.
func forget(x *world.World, name string) {
	for _, q := range []string{"wait-q", "priority-q", "done-q", "error-q", "fail-q", "trash"} {
		for _, end := range []string{"", "~1", "~2", ".why", "~1.why"} {
			_ = os.Remove(filepath.Join(x.Root, q, name+end))
		}
	}
}

func numbers(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := 0; i < n && yield(i); i++ {
		}
	}
}
