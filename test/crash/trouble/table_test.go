package trouble

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

var troubles = []trouble{
	{name: "no space, ext4", restart: true, stalls: true, quick: true, tells: "no space|disk is full", where: func(t *testing.T) *scene { return full(image(t, 32, "ext4", "-q -F -m 0")) }},
	{name: "no space, tmpfs", restart: true, stalls: true, tells: "no space|disk is full", where: func(t *testing.T) *scene { return full(memory(t, "size=24m")) }},
	{name: "no space, xfs", stalls: true, tells: "no space|disk is full", where: func(t *testing.T) *scene { return full(image(t, 300, "xfs", "-q -f")) }},
	{name: "no space, btrfs", restart: true, stalls: true, tells: "no space|disk is full", where: func(t *testing.T) *scene { return full(image(t, 128, "btrfs", "-q -f")) }},
	{name: "less space than asked for", restart: true, quick: true, tells: "free_space", free: "40MiB", where: func(t *testing.T) *scene { return scarce(image(t, 96, "ext4", "-q -F -m 0")) }},
	{name: "no inodes, ext4", restart: true, quick: true, tells: "no space|disk is full", where: func(t *testing.T) *scene { return crowded(image(t, 32, "ext4", "-q -F -m 0 -N 128")) }},
	{name: "no inodes, tmpfs", tells: "no space|disk is full", where: func(t *testing.T) *scene { return crowded(memory(t, "size=24m,nr_inodes=128")) }},
	{name: "quota, btrfs", restart: true, stalls: true, quick: true, tells: "quota", where: quota},
	{name: "read-only", unlocked: true, restart: true, stalls: true, quick: true, tells: "read-only", where: func(t *testing.T) *scene { return failing(t, unix.EROFS, 0, 0) }},
	{name: "writes fail", lines: 6, restart: true, stalls: true, quick: true, tells: "input/output error", where: func(t *testing.T) *scene { return failing(t, unix.EIO, unix.EIO, 0) }},
	{name: "syncs fail", lines: 6, restart: true, tells: "input/output error", where: func(t *testing.T) *scene { return failing(t, 0, unix.EIO, 0) }},
	{name: "everything fails", lines: 6, restart: true, stalls: true, tells: "input/output error", where: func(t *testing.T) *scene { return failing(t, unix.EIO, unix.EIO, unix.EIO) }},
	{name: "immutable directories", restart: true, lines: 24, tells: "operation not permitted", where: immutable},
	{name: "no permission", lines: 24, quick: true, user: 65534, tells: "permission denied", where: forbidden},
	{name: "no descriptors", quick: true, tells: "too many open files", where: descriptors},
}

// full is a disk that fills up.
func full(p *place) *scene {
	return &scene{p, func(*course) { p.fill() }, func(*course) { p.unfill() }}
}

// scarce is a disk with less room than must be free for a start, but enough for
// what runs.
func scarce(p *place) *scene {
	return &scene{p, func(*course) { p.take(32 << 20) }, func(*course) { p.unfill() }}
}

// crowded is a disk with room but without inodes.
func crowded(p *place) *scene {
	return &scene{p, func(*course) { p.crowd() }, func(*course) { p.disperse() }}
}

// quota is a limit that somebody set too low, and raises.
func quota(t *testing.T) *scene {
	need(t, "btrfs")
	p := image(t, 128, "btrfs", "-q -f")
	top, part := p.mount, filepath.Join(p.mount, "part")
	command(t, "btrfs", "quota", "enable", top)
	command(t, "btrfs", "subvolume", "create", part)
	limit := func(most string) func(*course) {
		return func(*course) {
			id, err := exec.Command("btrfs", "inspect-internal", "rootid", part).Output()
			if err != nil {
				t.Fatal(err)
			}
			command(t, "btrfs", "qgroup", "limit", most, "0/"+strings.TrimSpace(string(id)), top)
		}
	}
	return &scene{&place{t: t, dir: p.dir, mount: part}, limit("64k"), limit("none")}
}

// failing is a disk that answers with errors. A mounted one can't be made
// read-only while a monitor has files open on it: the kernel refuses. Servers of
// network file systems can do it, and this one does.
func failing(t *testing.T, change, sync, read syscall.Errno) *scene {
	s := newSick(t)
	return &scene{s.place, func(*course) { s.fails(change, sync, read) }, func(*course) { s.heal() }}
}

// descriptors takes from the running monitor the right to open anything.
func descriptors(t *testing.T) *scene {
	p := memory(t, "size=24m")
	var was unix.Rlimit
	return &scene{
		p,
		func(c *course) {
			few := unix.Rlimit{}
			if err := unix.Prlimit(int(c.pid.Load()), unix.RLIMIT_NOFILE, nil, &was); err != nil {
				t.Fatal(err)
			}
			few.Cur, few.Max = 5, was.Max
			if err := unix.Prlimit(int(c.pid.Load()), unix.RLIMIT_NOFILE, &few, nil); err != nil {
				t.Fatal(err)
			}
		},
		func(c *course) {
			if err := unix.Prlimit(int(c.pid.Load()), unix.RLIMIT_NOFILE, &was, nil); err != nil {
				t.Error(err)
			}
		},
	}
}

// immutable takes from the directories what even root needs.
func immutable(t *testing.T) *scene {
	need(t, "chattr")
	p := image(t, 32, "ext4", "-q -F -m 0")
	all := func(flag string) func(*course) {
		return func(c *course) { command(t, append([]string{"chattr", flag}, c.directories()...)...) }
	}
	return &scene{p, all("+i"), all("-i")}
}

// forbidden is a chmod that was not meant, for a monitor that is not root.
func forbidden(t *testing.T) *scene {
	p := memory(t, "size=24m,mode=755")
	all := func(mode os.FileMode) func(*course) {
		return func(c *course) {
			for _, dir := range c.directories() {
				if err := os.Chmod(dir, mode); err != nil {
					t.Error(err)
				}
			}
		}
	}
	return &scene{p, all(0), all(0o755)}
}

// directories are those of the spool, but for what jobs have.
func (c *course) directories() (list []string) {
	for _, pattern := range []string{"", "*", ".monitor", ".monitor/*"} {
		names, _ := filepath.Glob(filepath.Join(c.Root, pattern))
		for _, name := range names {
			if st, err := os.Stat(name); err == nil && st.IsDir() && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list
}
