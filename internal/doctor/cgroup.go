package doctor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroup tells what kind there is, and what the monitor's own limits all its jobs to.
// The monitor itself needs none.
func (e *Exam) cgroup() {
	root := cgroupRoot()
	if root == "" {
		e.good("there is no cgroup v2 here; the monitor needs none")
		return
	}
	path := cgroupOf(e.pid)
	dir := filepath.Join(root, path)
	if _, err := os.Stat(dir); err != nil {
		e.good("cgroup v2 is at %s; where the monitor is in it can't be seen from here", root)
		return
	}
	delegated := "not delegated"
	if yes(dir, "user.delegate") || yes(dir, "trusted.delegate") {
		delegated = "delegated"
	}
	writable := "not writable for this user"
	if unix.Faccessat(unix.AT_FDCWD, filepath.Join(dir, "cgroup.procs"), unix.W_OK, unix.AT_EACCESS) == nil {
		writable = "writable for this user"
	}
	whose := "this shell's"
	if e.pid > 0 {
		whose = "the monitor's"
	}
	e.good("cgroup v2 is at %s; %s cgroup %s is %s and %s, of which the monitor needs neither", root, whose, path, delegated, writable)
	if e.pid == 0 {
		return
	}
	const little = 1000
	edit := "systemctl edit simple-job-q"
	if e.unit.name != "" {
		edit = line("systemctl", "edit", e.unit.name)
	}
	if n := limitIn(dir, "pids.max"); n > 0 && n < little {
		e.doubtful(edit, "the monitor and all its jobs may have %d processes and threads together: a fork of an innocent job may fail; set TasksMax=infinity in the unit", n)
	}
	if n := limitIn(dir, "memory.max"); n > 0 {
		e.doubtful(edit, "the monitor and all its jobs may have %d MiB of memory together, and one job can have the others killed; take MemoryMax= out of the unit", n>>20)
	}
}

// cgroupRoot is where cgroup v2 is mounted, "" if it is not.
func cgroupRoot() string {
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && int64(st.Type) == unix.CGROUP2_SUPER_MAGIC {
			return dir
		}
	}
	return ""
}

// cgroupOf is the v2 cgroup of a process, of this one for 0.
func cgroupOf(pid int) string {
	if pid == 0 {
		pid = os.Getpid()
	}
	b, _ := os.ReadFile(proc(pid, "cgroup"))
	systemd := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if path, ok := strings.CutPrefix(line, "0::"); ok && (path != "/" || systemd == "") {
			return path
		}
		if _, path, ok := strings.Cut(line, ":name=systemd:"); ok {
			systemd = path
		}
	}
	return systemd
}

// unitOf is the service a process belongs to, "" if it is in none.
func unitOf(pid int) string {
	if unit := filepath.Base(cgroupOf(pid)); strings.HasSuffix(unit, ".service") && !strings.HasPrefix(unit, "user@") {
		return unit
	}
	return ""
}

func yes(dir, attribute string) bool {
	b := make([]byte, 8)
	n, err := unix.Getxattr(dir, attribute, b)
	return err == nil && string(b[:n]) == "1"
}

// limitIn is a limit of a cgroup, 0 for none.
func limitIn(dir, file string) int64 {
	b, _ := os.ReadFile(filepath.Join(dir, file))
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n
}
