package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"simplejobq/internal/durable"
	"simplejobq/internal/spool"
	"simplejobq/internal/status"
	"simplejobq/internal/units"
)

// monitor looks whether one works on the spool, and how it does.
func (e *Exam) monitor() {
	holder, err := e.holder()
	if err != nil {
		e.doubtful("sudo "+e.monitorLine("doctor"), "whether a monitor is running can't be asked: %v", err)
		return
	}
	if holder == "" {
		e.doubtful(e.monitorLine("run"), "no monitor is running on this spool: nothing is accepted, nothing starts")
		return
	}
	var pid int
	_, _ = fmt.Sscanf(holder, "pid %d", &pid)
	if !e.holds(pid) {
		e.doubtful(line("cat", filepath.Join(e.Conf.Root, ".monitor/lock")), "the spool is held by a monitor (%s) that can't be seen from here; it may be in a container, and is not looked at", holder)
	} else {
		e.pid = pid
		e.good("a monitor is running: %s", holder)
		e.process()
		e.binary()
	}
	e.digest(pid)
}

// holder is who has the spool's lock, as it wrote; asked without a spool, which may
// be in disorder.
func (e *Exam) holder() (string, error) {
	d, err := durable.OpenDir(filepath.Join(e.Conf.Root, ".monitor"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer d.Close()
	return spool.WatchedIn(d)
}

// holds reports whether that process is the one with the spool's lock. Where its
// descriptors may not be seen it is believed.
func (e *Exam) holds(pid int) bool {
	if _, err := os.Stat(proc(pid, "")); pid <= 0 || err != nil {
		return false
	}
	open := descriptorsOf(pid)
	if open == nil {
		return true
	}
	lock, err := durable.StatPath(filepath.Join(e.Conf.Root, ".monitor/lock"))
	for fd, target := range open {
		if err != nil || !strings.HasSuffix(target, "/lock") {
			continue
		}
		if st, err := durable.StatPath(filepath.Join(proc(pid, "fd"), fd)); err == nil && st.Dev == lock.Dev && st.Ino == lock.Ino {
			return true
		}
	}
	return false
}

// process asks the kernel how the monitor fares.
func (e *Exam) process() {
	state := strings.Join(procStatus(e.pid, "State"), " ")
	switch {
	case strings.HasPrefix(state, "T"), strings.HasPrefix(state, "t"):
		e.wrong(fmt.Sprintf("kill -CONT %d", e.pid), "the monitor (pid %d) is stopped by a signal or a debugger; it must go on", e.pid)
	case strings.HasPrefix(state, "D"):
		e.doubtful(e.monitorLine("status"), "the monitor (pid %d) waits for a disk at this moment; if it does so again and again, the disk is in trouble", e.pid)
	}
}

// binary compares the monitor that runs with this one.
func (e *Exam) binary() {
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		return
	}
	path, err := os.Readlink(proc(e.pid, "exe"))
	if errors.Is(err, fs.ErrPermission) {
		e.good("which binary the monitor runs can't be asked as this user")
		return
	}
	other, err := os.Stat(proc(e.pid, "exe"))
	switch {
	case err != nil: // it ended just now
	case os.SameFile(self, other):
		e.good("it runs this very binary")
	case strings.HasSuffix(path, " (deleted)"):
		e.doubtful(e.restart(), "the binary of the running monitor was replaced since it started (%s); a restart takes the new one, and running jobs go on", path)
	default:
		e.doubtful(line(path, "--root", e.Conf.Root, "doctor"), "the monitor runs another binary (%s) than the one that asks; ask with that one", path)
	}
}

// restart is how the monitor is started anew.
func (e *Exam) restart() string {
	if unit := unitOf(e.pid); unit != "" {
		return line("systemctl", "restart", unit)
	}
	return fmt.Sprintf("kill %d && %s", e.pid, e.monitorLine("run"))
}

// digest looks whether what the monitor writes about itself is of today, and what
// it complains of.
func (e *Exam) digest(pid int) {
	path := filepath.Join(e.Conf.Root, e.Conf.Dirs.Status, "status.json")
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		e.doubtful(e.monitorLine("status"), "the monitor has not written %s; it does so soon after its start", path)
		return
	}
	if err != nil {
		e.doubtful(line("ls", "-l", path), "the digest can't be read: %v", err)
		return
	}
	own, err := status.ReadJSON(f)
	f.Close()
	if err != nil {
		e.doubtful(line("rm", path), "%s is no digest: %v; the monitor writes it anew", path, err)
		return
	}
	if own.Monitor.PID != pid {
		e.doubtful(e.monitorLine("status"), "%s is of another monitor (pid %d) than the one that holds the spool (pid %d); a new one writes it soon after its start", path, own.Monitor.PID, pid)
		return
	}
	if own.Monitor.Version != e.Version {
		e.doubtful(e.restart(), "the monitor is version %s, and the program that asks is %s; a restart brings them together, and running jobs go on", own.Monitor.Version, e.Version)
	} else {
		e.good("it is version %s, as this program is", e.Version)
	}
	if e.view == nil {
		return
	}
	e.fresh(path, own)
	shown, err := e.view.Digest(e.Now)
	if err != nil {
		e.doubtful(e.monitorLine("status"), "the spool can't be read: %v", err)
		return
	}
	for _, trouble := range shown.Trouble {
		e.wrong(line("tail", "-n", "20", filepath.Join(e.Conf.Root, e.Conf.Files.Says)), "the monitor is in trouble: %s; it goes on by itself when the cause is gone", trouble)
	}
	switch {
	case shown.Monitor.Paused:
		e.doubtful(e.monitorLine("send", "RESUME"), "the monitor is paused: nothing new starts")
	case shown.NotReady != "":
		e.doubtful(e.monitorLine("status"), "nothing new starts: %s", shown.NotReady)
	case len(shown.Trouble) == 0:
		e.good("it has no trouble, and may start jobs")
	}
}

// fresh judges the time of the digest. While something runs it is written every ten
// seconds or status.interval; else when something changed, so that an old one is
// stale only if something has.
func (e *Exam) fresh(path string, d *status.Digest) {
	patience := time.Duration(e.Conf.SleepTime) + 10*time.Duration(e.Conf.Status.Interval) + 15*time.Second
	age := e.Now.Sub(d.Time.Time)
	if age > patience && len(d.Running) > 0 {
		e.wrong(e.restart(), "the digest %s is %s old while something runs: the monitor does not turn", path, units.Span(age))
		return
	}
	sp := e.view.Spool()
	if _, err := sp.Look(true, e.Now); err != nil {
		return // told of elsewhere
	}
	for _, q := range spool.Live {
		st, err := sp.Dir(q).Now()
		files, _ := sp.Count(q)
		if told := d.Queues.Of(sp.Name(q)); err == nil && files != told && e.Now.Sub(time.Unix(0, st.Mtime)) > patience {
			e.doubtful(e.monitorLine("send", "STATUS"), "the digest %s counts %d in %s, and there are %d: the monitor has not looked there since %s", path, told, sp.Name(q), files, d.Time)
			return
		}
	}
	e.good("its digest is of %s, and nothing has happened since that it should tell", d.Time)
}
