package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"simplejobq/internal/config"
)

// A monitor at work, from its good days to its bad ones.
func TestMonitor(t *testing.T) {
	root := box(t, t.TempDir())
	cmd := runs(t, root)
	pid := cmd.Process.Pid
	found := exam(root, config.Default()).Look()
	none(t, found)
	finds(t, found, Good, "monitor", fmt.Sprintf("a monitor is running: pid %d since", pid))
	finds(t, found, Good, "monitor", "it has no trouble, and may start jobs")
	finds(t, found, Doubtful, "monitor", "the monitor runs another binary ("+filepath.Join(bin, "monitor")+")")

	e := exam(root, config.Default())
	e.Version = "v9"
	finds(t, e.Look(), Doubtful, "monitor", fmt.Sprintf("and the program that asks is v9; a restart brings them together, and running jobs go on; do: kill %d && monitor", pid))

	// A queue that is gone does not hide the monitor.
	must(t, os.Rename(root+"/archive", root+"/away"))
	found = exam(root, config.Default()).Look()
	finds(t, found, Wrong, "spool", "archive is missing")
	finds(t, found, Good, "monitor", "a monitor is running")
	must(t, os.Rename(root+"/away", root+"/archive"))

	must(t, os.WriteFile(root+"/monitor_reads", []byte("PAUSE\n"), 0o644))
	eventually(t, func() bool {
		return strings.Contains(text(exam(root, config.Default()).Look()), "the monitor is paused: nothing new starts; do: monitor --root "+root+" send RESUME")
	})

	must(t, cmd.Process.Signal(syscall.SIGSTOP))
	eventually(t, func() bool { return procStatus(pid, "State")[0] == "T" })
	finds(t, exam(root, config.Default()).Look(), Wrong, "monitor", fmt.Sprintf("is stopped by a signal or a debugger; it must go on; do: kill -CONT %d", pid))

	// What is dropped then is in no digest.
	must(t, os.WriteFile(root+"/wait-q/a", []byte("==== UNIT OF WORK\nCOMMAND :: true\n"), 0o644))
	e = exam(root, config.Default())
	e.Now = time.Now().Add(time.Hour)
	finds(t, e.Look(), Doubtful, "monitor", "counts 0 in wait-q, and there are 1: the monitor has not looked there since")

	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	finds(t, exam(root, config.Default()).Look(), Doubtful, "monitor", "no monitor is running")
}

// A monitor of another user is looked at as that user's, by root and by that user.
func TestMonitorOfAnother(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("being somebody else needs root")
	}
	root := box(t, outside(t))
	command(t, "chown", "-R", "65534:65534", root)
	runsAs(t, root, &syscall.Credential{Uid: 65534, Gid: 65534})
	for _, found := range [][]Finding{exam(root, config.Default()).Look(), asUser(t, 65534, root)} {
		none(t, found)
		finds(t, found, Doubtful, "account", `the monitor works as nobody, and HOME of its jobs, "/nonexistent", is no directory`)
		finds(t, found, Doubtful, "file system", "nobody has no CAP_LEASE")
	}
	must(t, os.Chown(root+"/done-q", 0, 0))
	finds(t, exam(root, config.Default()).Look(), Wrong, "permissions", "nobody, as whom the monitor works, may not write in done-q; give the spool to that user, or run the monitor as its owner; do: chown -R nobody "+root)

	// Who may not see the private part is told so.
	must(t, os.Chmod(root+"/.monitor", 0o700))
	finds(t, asUser(t, 54321, root), Doubtful, "monitor", "whether a monitor is running can't be asked")
}

// The trouble that a monitor has is told while it lasts.
func TestTrouble(t *testing.T) {
	root := box(t, mounted(t, "none", "tmpfs", 0, "size=2m"))
	must(t, os.WriteFile(root+"/config.toml", []byte("[ready]\nfree_space = \"0B\"\n"), 0o644))
	runs(t, root)
	must(t, os.WriteFile(root+"/.new", []byte("==== UNIT OF WORK\nCOMMAND :: true\n"), 0o644))
	if err := os.WriteFile(root+"/big", make([]byte, 4<<20), 0o644); err == nil {
		t.Fatal("the disk is not full")
	}
	must(t, os.Rename(root+"/.new", root+"/wait-q/a"))
	says := "the monitor is in trouble: "
	eventually(t, func() bool { return strings.Contains(text(exam(root, config.Default()).Look()), says) })
	finds(t, exam(root, config.Default()).Look(), Wrong, "monitor", "no space left on device")
	must(t, os.Remove(root+"/big"))
	eventually(t, func() bool { return !strings.Contains(text(exam(root, config.Default()).Look()), says) })
}

// What is left of another monitor's digest, and a lock whose holder is not here.
func TestHolderElsewhere(t *testing.T) {
	root := box(t, t.TempDir())
	runs(t, root)
	lock := filepath.Join(root, ".monitor/lock")
	for _, text := range []string{"pid 1 since then\n", "pid 999999999 since then\n", ""} {
		must(t, os.WriteFile(lock, []byte(text), 0o644))
		found := exam(root, config.Default()).Look()
		finds(t, found, Doubtful, "monitor", "that can't be seen from here; it may be in a container")
		none(t, found)
	}
	must(t, os.WriteFile(filepath.Join(root, "status/status.json"), []byte("{"), 0o644))
	finds(t, exam(root, config.Default()).Look(), Doubtful, "monitor", "is no digest")
}
