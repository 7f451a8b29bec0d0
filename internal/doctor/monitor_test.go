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

// Trouble the monitor has is told, whatever it is.
func TestTrouble(t *testing.T) {
	root := box(t, t.TempDir())
	runs(t, root)
	must(t, os.Remove(root+"/monitor_reads"))
	must(t, os.Mkdir(root+"/monitor_reads", 0o755))
	eventually(t, func() bool {
		b, _ := os.ReadFile(root + "/monitor_says")
		return len(b) > 0 && Ill(exam(root, config.Default()).Look())
	})
	finds(t, exam(root, config.Default()).Look(), Wrong, "permissions", "monitor_reads is no regular file")
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
