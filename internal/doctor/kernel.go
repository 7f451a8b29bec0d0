package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"simplejobq/internal/units"
)

// kernel looks for what only newer ones can do.
func (e *Exam) kernel() {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		e.doubtful("uname -r", "the kernel does not tell its version: %v", err)
		return
	}
	release := unix.ByteSliceToString(u.Release[:])
	var major, minor int
	_, _ = fmt.Sscanf(release, "%d.%d", &major, &minor)
	switch at := major*1000 + minor; {
	case at < 4016:
		e.wrong("uname -r", "the kernel is %s; at least 4.16 is needed (appending at an end that moves, pwritev2)", release)
	case at < 5008:
		e.doubtful("uname -r", "the kernel is %s; only from 5.8 on does syncfs tell of a write that was lost, and one mount from another", release)
	default:
		e.good("the kernel is %s, and nothing is missing in it", release)
	}
	if fd, err := unix.PidfdOpen(os.Getpid(), 0); err != nil {
		e.doubtful("uname -r", "processes can't be held by pidfd (%v): a signal goes to a number, which may be another process's by then; a kernel from 5.3 on, and a container that allows pidfd_open, can do it", err)
	} else {
		unix.Close(fd)
		e.good("processes can be held by pidfd")
	}
}

// What one monitor asks of inotify: for the three queues where files are dropped, once
// for changes and once for arrivals, and for monitor_reads.
const (
	ownInstances = 2
	ownWatches   = 7
)

// inotify compares the limits of the monitor's user with what is used. All of it is
// only about being told at once: what is not told is found at the pace of sleep_time.
func (e *Exam) inotify() {
	const dir = "/proc/sys/fs/inotify"
	instances, watches, exact := usedInotify(e.as.uid)
	needs := [2]int{ownInstances, ownWatches}
	if e.pid > 0 {
		needs = [2]int{} // it has them, or it is too late
	}
	cost := fmt.Sprintf("what is dropped is then found only every %s", e.Conf.SleepTime)
	for i, limit := range []struct {
		name string
		used int
	}{{"max_user_instances", instances}, {"max_user_watches", watches}} {
		n := numbers(filepath.Join(dir, limit.name))
		key := "fs.inotify." + limit.name
		switch {
		case len(n) == 0:
			e.doubtful("sysctl "+key, "%s can't be read", key)
		case limit.used+needs[i] > n[0] || e.pid > 0 && limit.used >= n[0]:
			e.doubtful(line("sysctl", "-w", fmt.Sprintf("%s=%d", key, 2*max(n[0], 64))), "%s has %d of %s = %d in use: %s; raise it, and keep that in /etc/sysctl.d", e.as.name, limit.used, key, n[0], cost)
		case exact:
			e.good("%s has %d of %s = %d in use", e.as.name, limit.used, key, n[0])
		default:
			e.good("%s has at least %d of %s = %d in use; the processes of others can't be looked at", e.as.name, limit.used, key, n[0])
		}
	}
	const least = 1024
	if n := numbers(filepath.Join(dir, "max_queued_events")); len(n) > 0 && n[0] < least {
		e.doubtful(fmt.Sprintf("sysctl -w fs.inotify.max_queued_events=%d", 16*least), "fs.inotify.max_queued_events = %d is little: many files dropped at once overflow it, and then every directory is read", n[0])
	}
}

// usedInotify counts what the processes of a user have of it. exact is false if some
// of them can't be looked at.
func usedInotify(uid int) (instances, watches int, exact bool) {
	exact = true
	for _, pid := range numbersIn("/proc") {
		if words := procStatus(pid, "Uid"); words == nil || number(words, 0) != uid || pid == os.Getpid() {
			continue
		}
		open := descriptorsOf(pid)
		if open == nil {
			exact = false
		}
		for fd, target := range open {
			if target != "anon_inode:inotify" {
				continue
			}
			instances++
			b, _ := os.ReadFile(filepath.Join(proc(pid, "fdinfo"), fd))
			watches += strings.Count(string(b), "inotify wd:")
		}
	}
	return instances, watches, exact
}

// What descriptors a monitor needs: 32 for itself (measured), and for each runner a
// socket, a pidfd, its record and its UOW's file. There may be two runners for a slot.
const (
	baseFiles = 64
	slotFiles = 8
)

// descriptors looks whether there are enough of them.
func (e *Exam) descriptors() {
	pid := e.pid
	if pid == 0 {
		pid = os.Getpid()
	}
	need := baseFiles + slotFiles*e.Conf.Slots
	if limit := openFiles(pid); limit > 0 && limit < need {
		do := "ulimit -Hn " + fmt.Sprint(need)
		if e.unit.name != "" {
			do = line("systemctl", "edit", e.unit.name)
		}
		e.doubtful(do, "at most %d files may be open in the monitor, and slots = %d may need %d: raise it (LimitNOFILE= in the unit), or have fewer slots", limit, e.Conf.Slots, need)
	} else if limit > 0 {
		e.good("%s may be open in the monitor, enough for slots = %d", units.Count(limit, "file", "files"), e.Conf.Slots)
	}
	n := numbers("/proc/sys/fs/file-nr") // allocated, 0, most
	switch {
	case len(n) < 3:
	case n[0] >= n[2]-n[2]/10:
		e.doubtful(fmt.Sprintf("sysctl -w fs.file-max=%d", 2*n[2]), "%d of %d files that this machine can have open are; without any the monitor waits", n[0], n[2])
	default:
		e.good("%d files are open on this machine", n[0])
	}
}

// openFiles is how many a process may open, 0 if that can't be asked. The hard limit:
// Go raises the soft one to it.
func openFiles(pid int) int {
	b, _ := os.ReadFile(proc(pid, "limits"))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			return number(strings.Fields(rest), 1)
		}
	}
	return 0
}
