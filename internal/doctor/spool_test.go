package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"simplejobq/internal/config"

	"golang.org/x/sys/unix"
)

// tree is every name in a spool with its mode, size and times.
func tree(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		b.WriteString(path + " " + info.Mode().String())
		if !strings.HasSuffix(path, "/.monitor/tmp") { // where it tries things
			b.WriteString(" " + info.ModTime().String())
		}
		b.WriteString("\n")
		return nil
	}))
	return b.String()
}

// A spool in order has nothing wrong, and is left as it was.
func TestGoodSpool(t *testing.T) {
	root := box(t, t.TempDir())
	before := tree(t, root)
	found := exam(root, config.Default()).Look()
	none(t, found)
	finds(t, found, Doubtful, "monitor", "no monitor is running on this spool: nothing is accepted, nothing starts; do: monitor --root "+root+" run")
	for about, words := range map[string]string{
		"configuration": "can be read", "spool": "every directory is there", "account": "the monitor works as", "permissions": "may drop into " + root + "/wait-q",
		"file system": "locks hold", "room": "are free", "kernel": "pidfd", "clock": "no file that waits", "programs": "speaks the monitor's protocol",
	} {
		finds(t, found, Good, about, words)
	}
	if after := tree(t, root); after != before {
		t.Errorf("it changed something:\n%s\n%s", before, after)
	}
}

// Each damage is told, with what to type.
func TestDamage(t *testing.T) {
	for _, c := range []struct {
		name, about, words string
		level              Level
		damage             func(root string) error
	}{
		{"missing", "spool", "hold-q is missing; it must be a directory of the spool; do: monitor init /", Wrong, func(root string) error { return os.Remove(root + "/hold-q") }},
		{"file", "spool", "done-q is a file or a link", Wrong, func(root string) error {
			if err := os.Remove(root + "/done-q"); err != nil {
				return err
			}
			return os.WriteFile(root+"/done-q", nil, 0o644)
		}},
		{"link", "spool", "trash is a file or a link", Wrong, func(root string) error {
			if err := os.Remove(root + "/trash"); err != nil {
				return err
			}
			return os.Symlink("archive", root+"/trash")
		}},
		{"no status", "spool", "every directory is there", Good, func(root string) error { return os.Remove(root + "/status") }},
		{"status file", "spool", "status must be a directory", Wrong, func(root string) error {
			if err := os.Remove(root + "/status"); err != nil {
				return err
			}
			return os.WriteFile(root+"/status", nil, 0o644)
		}},
		{"version", "spool", `found "something else"`, Wrong, func(root string) error {
			return os.WriteFile(root+"/.monitor/version", []byte("something else"), 0o644)
		}},
		{"no version", "spool", "not a spool made by monitor init", Wrong, func(root string) error { return os.Remove(root + "/.monitor/version") }},
		{"no root", "spool", "the spool can't be opened", Wrong, os.RemoveAll},
		{"open root", "permissions", "do: chmod o-w /", Wrong, func(root string) error { return os.Chmod(root, 0o777) }},
		{"open wait-q", "permissions", "remove what others put there", Wrong, func(root string) error { return os.Chmod(root+"/wait-q", 0o777) }},
		{"sticky wait-q", "permissions", "run commands as", Doubtful, func(root string) error { return os.Chmod(root+"/wait-q", 0o777|os.ModeSticky) }},
		{"sticky done-q", "permissions", "everybody may take files out of", Good, func(root string) error { return os.Chmod(root+"/done-q", 0o777|os.ModeSticky) }},
		{"open executing", "permissions", "currently-executing (mode 0777)", Wrong, func(root string) error { return os.Chmod(root+"/currently-executing", 0o777) }},
		{"open reads", "permissions", "may end jobs and stop the monitor", Wrong, func(root string) error {
			if err := os.WriteFile(root+"/monitor_reads", nil, 0o644); err != nil {
				return err
			}
			return os.Chmod(root+"/monitor_reads", 0o666)
		}},
		{"FIFO", "permissions", "monitor_reads is no regular file", Wrong, func(root string) error { return unix.Mkfifo(root+"/monitor_reads", 0o644) }},
		{"open config", "permissions", "config.toml (mode 0666)", Wrong, func(root string) error {
			if err := os.WriteFile(root+"/config.toml", nil, 0o644); err != nil {
				return err
			}
			return os.Chmod(root+"/config.toml", 0o666)
		}},
		{"future", "clock", `1 file of times in the future in`, Doubtful, func(root string) error { return stamped(root+"/wait-q/later", time.Now().AddDate(9, 0, 0)) }},
		{"past", "clock", `"once" for one: they go before all others`, Doubtful, func(root string) error { return stamped(root+"/priority-q/once", time.Unix(86400, 0)) }},
		{"overlooked", "clock", "no file that waits is of the future", Good, func(root string) error { return stamped(root+"/wait-q/.later", time.Now().AddDate(9, 0, 0)) }},
		{"clock", "clock", "the clock says", Wrong, func(root string) error {
			return os.Chtimes(root+"/.monitor/version", time.Time{}, time.Now().AddDate(1, 0, 0))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := box(t, t.TempDir())
			must(t, c.damage(root))
			found := exam(root, config.Default()).Look()
			finds(t, found, c.level, c.about, c.words)
			if c.level != Wrong {
				none(t, found)
			}
		})
	}
}

func stamped(path string, at time.Time) error {
	if err := os.WriteFile(path, []byte("x\n"), 0o644); err != nil {
		return err
	}
	return os.Chtimes(path, at, at)
}

// A queue on another file system, and one under a mount of its own.
func TestMountsInside(t *testing.T) {
	root := box(t, t.TempDir())
	mountAt(t, "none", root+"/wait-q", "tmpfs", 0, "")
	mountAt(t, root+"/archive", root+"/trash", "", unix.MS_BIND, "")
	found := exam(root, config.Default()).Look()
	finds(t, found, Wrong, "spool", "/wait-q lies on another file system than")
	finds(t, found, Wrong, "spool", "/trash is a mount of its own (a bind mount)")
}

// Another user than the spool's: what he may not do, and that he sees less.
func TestAnotherUser(t *testing.T) {
	root := box(t, outside(t))
	found := asUser(t, 65534, root)
	finds(t, found, Wrong, "permissions", "nobody, as whom the monitor works, may not write in .")
	finds(t, found, Wrong, "file system", "leases, locks and renames can't be tried")
	finds(t, found, Good, "programs", "speaks the monitor's protocol")

	command(t, "chown", "-R", "65534:65534", root)
	found = asUser(t, 65534, root)
	none(t, found)
	finds(t, found, Doubtful, "file system", "nobody has no CAP_LEASE")
	finds(t, found, Good, "file system", "locks hold")

	found = asUser(t, 54321, root)
	finds(t, found, Wrong, "account", "uid 54321 has no entry in passwd")
}

// A user whose other programs took all of inotify.
func TestNoInotify(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("being somebody else needs root")
	}
	const uid = 54322
	root := box(t, outside(t))
	command(t, "chown", "-R", "54322", root)
	hog := selfAs(t, uid, "DOCTOR_TEST_HOG=yes")
	in, err := hog.StdinPipe()
	must(t, err)
	out, err := hog.StdoutPipe()
	must(t, err)
	must(t, hog.Start())
	defer func() { _, _ = in.Close(), hog.Wait() }()
	_, err = out.Read(make([]byte, 1))
	must(t, err)
	finds(t, asUser(t, uid, root), Doubtful, "kernel", "of fs.inotify.max_user_instances = ")
}

// outside is a directory that every user can reach.
func outside(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "doctor-")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
