package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"simplejobq/internal/config"

	"golang.org/x/sys/unix"
)

func TestMemoryDisk(t *testing.T) {
	root := box(t, mounted(t, "none", "tmpfs", 0, "size=4m"))
	found := exam(root, config.Default()).Look()
	none(t, found)
	finds(t, found, Doubtful, "file system", "it is memory: a reboot or a power cut empties it")
	finds(t, found, Good, "file system", "two names can be exchanged")

	c := config.Default()
	e := exam(root, c)
	c.Ready.FreeSpace = 3 << 20
	must(t, os.WriteFile(root+"/big", make([]byte, 2<<20), 0o644))
	finds(t, e.Look(), Wrong, "room", "and [ready] free_space asks for 3MiB: nothing starts until there is room")
	e = exam(root, c)
	c.Ready.FreeSpace = 1 << 30
	finds(t, e.Look(), Wrong, "room", "nothing will ever start")
}

// A disk that is full to the last byte.
func TestFullDisk(t *testing.T) {
	root := box(t, mounted(t, "none", "tmpfs", 0, "size=1m"))
	if err := os.WriteFile(root+"/big", make([]byte, 2<<20), 0o644); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	found := exam(root, config.Default()).Look()
	finds(t, found, Wrong, "file system", "nothing can be written")
	finds(t, found, Doubtful, "room", "0 B are free")
	if left, _ := os.ReadDir(root + "/.monitor/tmp"); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

func TestNoInodes(t *testing.T) {
	root := box(t, mounted(t, "none", "tmpfs", 0, "size=4m,nr_inodes=40"))
	for i := range 40 {
		if err := os.WriteFile(filepath.Join(root, "archive", string(rune('A'+i))), nil, 0o644); err != nil {
			break
		}
	}
	found := exam(root, config.Default()).Look()
	finds(t, found, Wrong, "room", "no inode is free")
	finds(t, found, Wrong, "file system", "nothing can be written")
}

func TestReadOnly(t *testing.T) {
	root := box(t, t.TempDir())
	mountAt(t, root, root, "", unix.MS_BIND, "")
	must(t, unix.Mount("", root, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	found := exam(root, config.Default()).Look()
	finds(t, found, Wrong, "file system", "mounted read-only: the monitor waits until it can write")
	finds(t, found, Wrong, "file system", "nothing can be written")
}

// What mount options take away.
func TestOptions(t *testing.T) {
	root := box(t, disk(t, "ext4", "barrier=0,data=writeback,sync"))
	found := exam(root, config.Default()).Look()
	finds(t, found, Good, "file system", "ext4 on ")
	finds(t, found, Wrong, "file system", "a power cut takes it; mount it without; do: mount -o remount,barrier=1 ")
	finds(t, found, Doubtful, "file system", "data=writeback")
	finds(t, found, Doubtful, "file system", "each write waits for the disk")
	root = box(t, disk(t, "ext4", "noatime"))
	none(t, exam(root, config.Default()).Look())
}

func TestOldKindOfDisk(t *testing.T) {
	root := box(t, disk(t, "ext4", "noatime", "-O", "^has_journal"))
	found := exam(root, config.Default()).Look()
	finds(t, found, Doubtful, "file system", "no journal")
}

func TestOverlay(t *testing.T) {
	base := mounted(t, "none", "tmpfs", 0, "")
	for _, name := range []string{"lower", "upper", "work"} {
		must(t, os.Mkdir(filepath.Join(base, name), 0o755))
	}
	point := mounted(t, "overlay", "overlay", 0, strings.ReplaceAll("lowerdir=B/lower,upperdir=B/upper,workdir=B/work", "B", base))
	found := exam(box(t, point), config.Default()).Look()
	none(t, found)
	finds(t, found, Doubtful, "file system", "it is a container's layer")
	finds(t, found, Good, "file system", "an fsync of each file and directory")
}

// A disk that does not answer is told, not waited for.
func TestFrozen(t *testing.T) {
	point := disk(t, "ext4", "noatime")
	root := box(t, point)
	defer func(was time.Duration) { diskPatience = was }(diskPatience)
	diskPatience = 200 * time.Millisecond
	command(t, "fsfreeze", "-f", point)
	found := exam(root, config.Default()).Look()
	command(t, "fsfreeze", "-u", point)
	finds(t, found, Wrong, "file system", "the disk has not answered a write within 200ms: it is frozen or failing (dmesg tells); the monitor waits for it, and so does the end of this command; do: fsfreeze -u "+point)
	eventually(t, func() bool { // the attempt comes to its end now, and clears up
		left, err := os.ReadDir(root + "/.monitor/tmp")
		return err == nil && len(left) == 0
	})
	diskPatience = time.Minute
	none(t, exam(root, config.Default()).Look())
}

func TestFUSE(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	below, err := fs.NewLoopbackRoot(t.TempDir())
	must(t, err)
	point := t.TempDir()
	server, err := fs.Mount(point, below, &fs.Options{MountOptions: fuse.MountOptions{DirectMount: true, FsName: "below", Name: "loop"}})
	if err != nil {
		t.Skip("no FUSE here: ", err)
	}
	defer func() { must(t, server.Unmount()) }()
	found := exam(box(t, point), config.Default()).Look()
	finds(t, found, Doubtful, "file system", "fuse.loop on "+point+": a program keeps it")
	finds(t, found, Good, "file system", "an fsync of each file and directory")
}

func TestUnescape(t *testing.T) {
	if got := unescape(`/a\040b\011c\134d`); got != "/a b\tc\\d" {
		t.Errorf("%q", got)
	}
	point := filepath.Join(t.TempDir(), `two words\040`)
	must(t, os.Mkdir(point, 0o755))
	mountAt(t, "none", point, "tmpfs", 0, "")
	if m, err := mountOf(point); err != nil || m.point != point || m.kind != "tmpfs" {
		t.Errorf("%+v %v", m, err)
	}
}
