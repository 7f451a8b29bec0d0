package habits

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

// What lies under the name that a UOW is to get is nothing that may be lost,
// whatever it is.
func TestNamesTaken(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: devices can't be made")
	}
	x := spool(t, world.Memory(), "slots = 4\n")
	taken := map[string]func(string) error{
		"fifo":      func(p string) error { return unix.Mkfifo(p, 0o666) },
		"device":    node(unix.S_IFCHR, unix.Mkdev(1, 3)),
		"directory": func(p string) error { return os.MkdirAll(filepath.Join(p, "below"), 0o755) },
		"dangling":  link("nowhere"),
		"passwd":    link("/etc/passwd"),
		"file":      text("somebody's file\n"),
	}
	inodes := map[string]uint64{}
	var units []world.Unit
	for _, name := range slices.Sorted(maps.Keys(taken)) {
		bad := "bad-" + name
		for _, place := range []string{"done-q/" + name, "currently-executing/" + name, "trash/" + bad, "trash/" + bad + ".why"} {
			path := filepath.Join(x.Root, place)
			if err := taken[name](path); err != nil {
				t.Fatal(err)
			}
			inodes[place] = inode(t, path)
		}
		u := done(name, "wait-q", good)
		x.Drop(u)
		x.Drop(world.Unit{Name: bad, Drop: "wait-q", Text: "no unit of work\n"})
		units = append(units, u, world.Unit{Name: bad})
	}
	m := start(x)
	for _, u := range units {
		queue := map[bool]string{true: "trash", false: "done-q"}[strings.HasPrefix(u.Name, "bad-")]
		x.Until(patience, u.Name+" takes its name", func() bool {
			st, err := os.Lstat(filepath.Join(x.Root, queue, u.Name))
			return err == nil && st.Mode().IsRegular() && uint64(st.Sys().(*syscall.Stat_t).Ino) != inodes[queue+"/"+u.Name]
		})
	}
	m.stop()
	for place, ino := range inodes {
		at := place
		switch dir, name, _ := strings.Cut(place, "/"); {
		case dir == "done-q", strings.HasPrefix(name, "bad-") && !strings.HasSuffix(name, ".why"):
			at += "~1"
		case dir == "trash":
			at = "trash/" + strings.TrimSuffix(name, ".why") + "~1.why"
		}
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(x.Root, at), &st); err != nil || st.Ino != ino {
			t.Errorf("what was %s is not at %s: inode %d, want %d, %v", place, at, st.Ino, ino, err)
		}
	}
	for name, n := range x.Ran() {
		if n != 1 {
			t.Errorf("%s ran %d times", name, n)
		}
	}
	if len(x.Ran()) != len(taken) {
		t.Errorf("%d of %d ran", len(x.Ran()), len(taken))
	}
}

// One file under many names is as many UOWs, each of which gets a file of its own;
// names of it elsewhere are never written to.
func TestManyHardLinks(t *testing.T) {
	t.Parallel()
	x := spool(t, world.Memory(), "slots = 4\n")
	n := world.Pick(20, 200, 2000)
	template := filepath.Join(x.Dir, "template")
	if err := text(summed("template", 3))(template); err != nil {
		t.Fatal(err)
	}
	m := start(x)
	var units []world.Unit
	for i := range n {
		u := done(fmt.Sprint("link-", i), []string{"wait-q", "priority-q"}[i%2], summed("template", 3))
		if err := os.Link(template, filepath.Join(x.Root, u.Drop, u.Name)); err != nil {
			t.Fatal(err)
		}
		units = append(units, u)
	}
	ended(x, units)
	m.stop()
	if read(template) != summed("template", 3) {
		t.Errorf("the template was written to: %q", read(template))
	}
	x.Settled(units, "hard links")
}

// A file that the monitor may not read, or may not move, waits until it may; it is
// said, and holds up nobody.
func TestNotAllowed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: no files of other users can be made")
	}
	x := spool(t, os.TempDir(), "slots = 4\n")
	// Another user's monitor: his are the spool and what it says, not the files.
	const nobody = 65534
	if err := os.Chmod(world.Bin, 0o755); err != nil {
		t.Fatal(err)
	}
	sh(t, x.Dir, fmt.Sprintf("chown -R %d .", nobody))
	drop := func(name string, mode os.FileMode) world.Unit {
		u := done(name, "wait-q", good)
		x.Drop(u)
		if err := os.Chmod(filepath.Join(x.Root, "wait-q", name), mode); err != nil {
			t.Fatal(err)
		}
		return u
	}
	units := []world.Unit{drop("secret", 0), drop("private", 0o600), drop("readable", 0o644)}
	immovable := drop("immutable", 0o644)
	path := filepath.Join(x.Root, "wait-q", immovable.Name)
	if err := os.Chown(path, nobody, nobody); err != nil { // what is not its own takes 5 s
		t.Fatal(err)
	}
	if err := exec.Command("chattr", "+i", path).Run(); err == nil {
		t.Cleanup(func() { _ = exec.Command("chattr", "-i", path).Run() })
	} else {
		t.Log("chattr +i:", err)
	}
	m := start(x, func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	})
	later := done("later", "wait-q", good)
	x.Drop(later)
	sh(t, x.Root, fmt.Sprintf("chown %d wait-q/later", nobody))
	ended(x, []world.Unit{later})
	for _, name := range []string{"secret", "private", "immutable"} {
		x.Until(patience, name+" is explained", func() bool {
			out, err := x.Ask("explain", name)
			return err == nil && (strings.Contains(out, "not permitted") || strings.Contains(out, "permission denied"))
		})
		if !x.There("wait-q", name) {
			t.Errorf("%s is not in wait-q any more", name)
		}
	}
	if !x.Says("permission denied; the monitor must be allowed to read it") || !x.Says("operation not permitted") {
		t.Errorf("what it may not do is not said:\n%s", read(x.Root, "monitor_says"))
	}
	sh(t, filepath.Join(x.Root, "wait-q"), fmt.Sprintf("chmod 644 secret; chown %d private; chattr -i immutable || true", nobody))
	units = append(units, immovable, later)
	ended(x, units)
	m.stop()
	x.Settled(units, "not allowed")
}
