package trouble

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

// place is a file system for one spool.
type place struct {
	t     *testing.T
	dir   string // outside of it
	mount string

	disk, fs string // of one that has a disk
	gone     bool   // it is not mounted

	enough  chan struct{} // closed when all inodes are given back
	crowded chan error    // why there are no more
}

// newPlace is a directory to mount something in.
func newPlace(t *testing.T) *place {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := world.Scratch(t, world.Memory())
	p := &place{t: t, dir: dir, mount: filepath.Join(dir, "mount")}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(p.mount, 0o755)); err != nil {
		t.Fatal(err)
	}
	return p
}

// image is a disk of so many MiB with a file system made by mkfs, mounted.
func image(t *testing.T, mib int64, fs, mkfs string) *place {
	t.Helper()
	p := newPlace(t)
	p.format(filepath.Join(p.dir, "disk"), mib, fs, mkfs)
	return p
}

// format makes the disk and mounts it.
func (p *place) format(disk string, mib int64, fs, mkfs string) {
	p.t.Helper()
	need(p.t, "mkfs."+fs, "mount", "losetup")
	err := os.WriteFile(disk, nil, 0o600)
	if err == nil {
		err = os.Truncate(disk, mib<<20)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	command(p.t, append(strings.Fields("mkfs."+fs+" "+mkfs), disk)...)
	p.disk, p.fs = disk, fs
	p.mountAgain()
	p.t.Cleanup(p.unmount)
}

// remount unmounts and mounts it again, so that nothing is left but what is on the
// disk.
func (p *place) remount() {
	p.t.Helper()
	p.unmount()
	p.mountAgain()
}

// mountAgain mounts the disk. Not with -o loop: that looks at the files of all loop
// devices of the machine, and waits if one of them lies on a disk that hangs.
func (p *place) mountAgain() {
	p.t.Helper()
	out, err := exec.Command("losetup", "--find", "--show", p.disk).Output()
	if err != nil {
		p.t.Fatalf("losetup: %v", err)
	}
	device := strings.TrimSpace(string(out))
	out, err = exec.Command("mount", "-t", p.fs, device, p.mount).CombinedOutput()
	// In use, it is given back with the last who uses it.
	if detach := exec.Command("losetup", "--detach", device).Run(); err != nil || detach != nil {
		p.t.Fatalf("mount: %v\n%s%v", err, out, detach)
	}
	p.gone = false
}

// memory is a tmpfs.
func memory(t *testing.T, options string) *place {
	t.Helper()
	p := newPlace(t)
	if err := unix.Mount("none", p.mount, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.unmount)
	return p
}

// unmount waits for those who are still at it, and then ends them.
func (p *place) unmount() {
	if p.gone {
		return
	}
	p.gone = true
	var err error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = unix.Unmount(p.mount, 0); err == nil {
			return
		}
		if time.Until(deadline) < 7*time.Second {
			for _, pid := range users(p.mount) {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
	}
	p.t.Errorf("unmount: %v", errors.Join(err, unix.Unmount(p.mount, unix.MNT_DETACH)))
}

// users are the processes that have something open below a directory.
func users(dir string) (pids []int) {
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		to, err := os.Readlink(fd)
		var pid int
		if err == nil && strings.HasPrefix(to, dir) {
			_, _ = fmt.Sscanf(fd, "/proc/%d/", &pid)
		}
		if pid > 0 && pid != os.Getpid() && !slices.Contains(pids, pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// fill leaves no byte. Small writes follow the large ones, as file systems
// still have room for a little when a lot is refused.
func (p *place) fill() {
	p.t.Helper()
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(i * i >> 8) // nothing that compresses
	}
	f, err := os.Create(filepath.Join(p.mount, "fill"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	for size := len(b); size > 0; size /= 4 {
		for err = nil; err == nil; {
			if _, err = f.Write(b[:size]); err == nil && size < len(b) {
				err = f.Sync() // what the file system only promised may not fit
			}
		}
		if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
			p.t.Fatal(err)
		}
		_ = f.Sync()
	}
}

// take leaves so much room.
func (p *place) take(room int64) {
	p.t.Helper()
	f, err := os.Create(filepath.Join(p.mount, "fill"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		p.t.Fatal(err)
	}
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Bsize-room); err != nil {
		p.t.Fatal(err)
	}
}

// unfill gives the room back. Some file systems have it only after a sync.
func (p *place) unfill() {
	if err := os.Remove(filepath.Join(p.mount, "fill")); err != nil && !os.IsNotExist(err) {
		p.t.Error(err)
	}
	if err := exec.Command("sync", "-f", p.mount).Run(); err != nil {
		p.t.Error(err)
	}
}

// crowd leaves no inode, and takes every one that becomes free.
func (p *place) crowd() {
	p.t.Helper()
	dir := filepath.Join(p.mount, "crowd")
	if err := os.Mkdir(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	full := make(chan struct{})
	p.crowded, p.enough = make(chan error), make(chan struct{})
	go func() {
		tell := sync.OnceFunc(func() { close(full) })
		for i := 0; ; {
			err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644)
			if i++; err == nil {
				continue
			}
			tell()
			select {
			case <-p.enough:
				p.crowded <- err
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	<-full
}

func (p *place) disperse() {
	if p.enough == nil {
		return
	}
	close(p.enough)
	if err := <-p.crowded; !errors.Is(err, unix.ENOSPC) {
		p.t.Errorf("the last inode was refused with %v", err)
	}
	p.enough = nil
	if err := os.RemoveAll(filepath.Join(p.mount, "crowd")); err != nil {
		p.t.Error(err)
	}
}

// need skips the test if a program is missing.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
}

// command runs a program that must succeed.
func command(t testing.TB, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}
