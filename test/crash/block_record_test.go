package crash

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/logdisk"
	"simplejobq/test/crash/world"
)

// bench is where disks are made, worked on and judged.
type bench struct {
	testing.TB
	drive
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) also(err error) {
	b.Helper()
	if err != nil {
		b.Error(err)
	}
}

// world is a place for a spool on a disk mounted on mnt.
func (b *bench) world() (x *world.World, mnt string) {
	b.Helper()
	dir, err := logdisk.Scratch(world.Memory())
	b.must(err)
	b.Cleanup(func() { b.also(logdisk.Remove(dir)) })
	mnt = filepath.Join(dir, "mnt")
	x = &world.World{T: b.TB, Dir: dir, Root: filepath.Join(mnt, "spool"), W: filepath.Join(dir, "w"), Out: dir}
	b.must(os.Mkdir(mnt, 0o755))
	b.must(os.Mkdir(x.W, 0o755))
	return x, mnt
}

func (b *bench) store(s *logdisk.State, path string) {
	b.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	b.must(err)
	b.also(s.Image().Store(f))
	b.also(f.Close())
}

// ledger is what witnesses had seen. texts are what UOWs held in the end: one that
// had ended for the last time by then held that already.
func (b *bench) ledger(told logdisk.Told, texts map[string]string) world.Ledger {
	l, err := world.ReadLedger([]byte(told["events"]), []byte(told["ran"]))
	b.must(err)
	l.Text = map[string]string{}
	for name, queue := range l.Ended {
		text := texts[queue+"/"+name]
		// Two of its ends may read the same.
		ends := strings.Count(told["events"], fmt.Sprintf(`"event":"ended","uow":%q`, name))
		if head, log, whole := strings.Cut(text, "==== JOB LOG\n"); whole && strings.Contains(head, l.Reason[name]) && ends > strings.Count(log, " put back into ") {
			l.Text[name] = text
		}
	}
	return l
}

// texts are what all UOWs hold, by queue/name.
func (b *bench) texts(x *world.World) map[string]string {
	texts := map[string]string{}
	files, err := filepath.Glob(filepath.Join(x.Root, "*-q", "*"))
	b.must(err)
	for _, path := range files {
		text, err := os.ReadFile(path)
		b.must(err)
		texts[filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path)] = string(text)
	}
	return texts
}

// tape is a recording, and what all UOWs held at its end.
type tape struct {
	*logdisk.Recording
	texts map[string]string
}

// outside makes what jobs had made outside of the spool: it is still there.
func (b *bench) outside(x *world.World, l world.Ledger) {
	if l.Ran["checked"] > 0 {
		b.must(os.WriteFile(filepath.Join(x.W, "made"), nil, 0o644))
	}
}

// record has a monitor do all the work on a new disk and returns what was written.
func (b *bench) record(busy bool) tape {
	b.Helper()
	x, mnt := b.world()
	disk := b.serve(x, b.blank(x, mnt), logdisk.Told{"events": "", "ran": ""})
	// What users put there they do not sync.
	disk.Record()
	units := blockUnits()
	for _, u := range units {
		x.Drop(u)
	}
	calm := func() {}
	if busy {
		calm = b.stranger(mnt)
	}
	b.work(x, 1)
	calm()
	t := tape{disk.Stop(), b.texts(x)}
	x.Settled(units, "without a power cut")
	b.release(x, mnt, disk)
	return t
}

// resume has a monitor recover from a power cut.
func (b *bench) resume(s *logdisk.State) tape {
	b.Helper()
	x, mnt := b.world()
	told := s.Told[len(s.Told)-1]
	b.outside(x, b.ledger(told, nil))
	disk := b.serve(x, s.Image(), told)
	disk.Record()
	b.work(x, 2)
	t := tape{disk.Stop(), b.texts(x)}
	b.release(x, mnt, disk)
	return t
}

// blank is a disk with a file system and an empty spool.
func (b *bench) blank(x *world.World, mnt string) *logdisk.Image {
	b.Helper()
	image := filepath.Join(x.Dir, "base.img")
	b.must(os.WriteFile(image, nil, 0o600))
	b.must(os.Truncate(image, b.size))
	if out, err := exec.Command("mkfs."+b.kind, append(slices.Clone(b.mkfs), image)...).CombinedOutput(); err != nil {
		b.Fatalf("mkfs.%s: %v\n%s", b.kind, err, out)
	}
	b.must(logdisk.Mount(b.kind, b.options, image, mnt))
	x.Init()
	// Wherever the image is mounted, the witness is beside it: jobs run in the root.
	x.Write("config.toml", fmt.Sprintf(world.Settings, "../../w"))
	x.Write("done-q/namesake", "somebody's file\n")
	x.Write("monitor_events", "")
	b.must(logdisk.Unmount(mnt))
	base, err := logdisk.Load(image)
	b.must(err)
	b.must(os.Remove(image))
	return base
}

// serve mounts a disk whose writes are logged, with the witnesses beside it: what
// they see is in the log where they saw it.
func (b *bench) serve(x *world.World, image *logdisk.Image, told logdisk.Told) *logdisk.Disk {
	b.Helper()
	dir := filepath.Join(x.Dir, "disk")
	b.must(os.Mkdir(dir, 0o755))
	disk, err := logdisk.Serve(dir, image, maps.Clone(told))
	b.must(err)
	b.must(logdisk.Mount(b.kind, b.options, disk.Path(logdisk.Name), filepath.Dir(x.Root)))
	b.must(os.Symlink(disk.Path("ran"), filepath.Join(x.W, "ran")))
	b.must(unix.Mount(disk.Path("events"), filepath.Join(x.Root, "monitor_events"), "", unix.MS_BIND, ""))
	return disk
}

func (b *bench) release(x *world.World, mnt string, disk *logdisk.Disk) {
	b.Helper()
	b.must(logdisk.Unmount(filepath.Join(x.Root, "monitor_events")))
	b.must(logdisk.Unmount(mnt))
	b.must(disk.Close())
}

// work runs the monitor until it is idle, in a boot of its own.
func (b *bench) work(x *world.World, boot int) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	id := filepath.Join(x.Dir, "boot")
	b.must(os.WriteFile(id, fmt.Appendf(nil, "%08d-89ab-cdef-0123-456789abcdef\n", boot), 0o644))
	cmd := x.Command(ctx, "", "--once")
	cmd.Args = append([]string{
		"unshare", "--mount", "--propagation", "slave", "sh", "-c",
		`mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`, id,
	}, cmd.Args...)
	var err error
	cmd.Path, err = exec.LookPath("unshare")
	b.must(err)
	// Its disk dies with this process, and it would wait for that to pass.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		b.Fatalf("%v\n%s", err, x.Story())
	}
}

// stranger syncs the file system again and again until told to stop.
func (b *bench) stranger(mnt string) (stop func()) {
	b.Helper()
	f, err := os.Open(mnt)
	b.must(err)
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		defer f.Close()
		for {
			select {
			case <-quit:
				return
			case <-time.After(time.Duration(rand.IntN(8000)) * time.Microsecond):
				b.also(unix.Syncfs(int(f.Fd())))
			}
		}
	}()
	return func() { close(quit); <-gone }
}
