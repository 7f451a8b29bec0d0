package doctor

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/unit"
)

// service is the unit that works on this spool, as systemctl shows it.
type service struct {
	name   string
	values map[string]string // nil: it was not asked
}

// Where the package's first unit works; every other spool has an instance.
const usualRoot = "/var/spool/simple-job-q"

// unitFor is the unit that would work on a spool.
func unitFor(root string) string {
	if root == usualRoot {
		return "simple-job-q.service"
	}
	return "simple-job-q@" + unit.UnitNamePathEscape(root) + ".service"
}

var shown = []string{
	"LoadState", "ActiveState", "SubState", "Result", "UnitFileState", "MainPID", "NRestarts", "NeedDaemonReload",
	"Type", "KillMode", "WatchdogUSec", "User", "AmbientCapabilities", "PrivateTmp", "TasksMax",
}

// systemd looks whether a unit keeps the monitor running.
func (e *Exam) systemd() {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		b, _ := os.ReadFile("/proc/1/comm")
		e.good("this machine's first process is %s, not systemd: whatever starts the monitor there starts it again too", strings.TrimSpace(string(b)))
		return
	}
	e.unit.name = unitFor(e.Conf.Root)
	if own := unitOf(e.pid); e.pid > 0 && own != "" {
		e.unit.name = own
	}
	if err := e.unit.ask(); err != nil {
		e.doubtful(line("systemctl", "status", e.unit.name), "systemd can't be asked about %s: %v", e.unit.name, err)
		return
	}
	e.session()
	if e.loaded() {
		e.active()
		e.shape()
	}
}

func (u *service) ask() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property="+strings.Join(shown, ","), "--", u.name).Output()
	if err != nil {
		return err
	}
	u.values = map[string]string{}
	for text := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(text, "\n"), "=")
		u.values[key] = value
	}
	return nil
}

// session tells of a monitor that ends when somebody logs out.
func (e *Exam) session() {
	if scope := filepath.Base(cgroupOf(e.pid)); e.pid > 0 && strings.HasPrefix(scope, "session-") {
		e.doubtful(line("systemctl", "enable", "--now", e.unit.name), "the monitor runs in a login session (%s): it may end at the logout, and nothing starts it again; a unit does, and needs no lingering", scope)
	}
}

func (e *Exam) loaded() bool {
	u := e.unit
	switch u.values["LoadState"] {
	case "loaded":
		return true
	case "masked":
		e.doubtful(line("systemctl", "unmask", u.name), "the unit %s is masked: it can't be started", u.name)
	case "not-found":
		e.doubtful("make install && systemctl daemon-reload", "there is no unit %s: nothing starts a monitor on %s after a reboot or a crash", u.name, e.Conf.Root)
	default:
		e.wrong(line("systemd-analyze", "verify", u.name), "the unit %s can't be loaded (%s)", u.name, u.values["LoadState"])
	}
	return false
}

// active judges the unit's state.
func (e *Exam) active() {
	u, v := e.unit, e.unit.values
	switch state := v["ActiveState"]; {
	case state == "failed":
		e.wrong(line("journalctl", "-n", "20", "-u", u.name), "the unit %s has failed (%s); the journal says why, then systemctl restart", u.name, v["Result"])
	case state == "activating" && v["SubState"] == "auto-restart":
		e.wrong(line("journalctl", "-n", "20", "-u", u.name), "the unit %s ends again and again (%s), and is being started anew; the journal says why", u.name, v["Result"])
	case state == "active" && e.pid > 0 && v["MainPID"] != strconv.Itoa(e.pid):
		e.doubtful(line("systemctl", "status", u.name), "the unit %s runs process %s, and the spool is held by process %d", u.name, v["MainPID"], e.pid)
	case state == "active":
		e.good("the unit %s is active", u.name)
	case state == "inactive" && e.pid > 0:
		e.doubtful(line("systemctl", "enable", u.name), "the monitor was not started by the unit %s, which is inactive: nothing starts it again", u.name)
	default:
		e.doubtful(line("systemctl", "start", u.name), "the unit %s is %s", u.name, state)
	}
	if s := v["UnitFileState"]; s == "disabled" {
		e.doubtful(line("systemctl", "enable", u.name), "the unit %s is not enabled: after a reboot there is no monitor", u.name)
	}
	if n, _ := strconv.Atoi(v["NRestarts"]); n > 0 {
		e.doubtful(line("journalctl", "-u", u.name), "systemd has started %s again %d times; the journal says why, and systemctl reset-failed forgets it", u.name, n)
	}
	if v["NeedDaemonReload"] == "yes" {
		e.doubtful("systemctl daemon-reload", "the file of %s was changed, and systemd has not read it", u.name)
	}
}

// shape compares what the unit says with what the monitor relies on.
func (e *Exam) shape() {
	u, before := e.unit, len(e.found)
	edit := line("systemctl", "edit", u.name)
	if v := u.values["KillMode"]; v != "process" {
		e.wrong(edit, "%s has KillMode=%s: a stop or an upgrade ends running jobs; it must be KillMode=process", u.name, v)
	}
	if v := u.values["Type"]; v != "notify" && v != "notify-reload" {
		e.doubtful(edit, "%s has Type=%s: systemd does not hear when the monitor is ready; it should be Type=notify", u.name, v)
	}
	if v := u.values["WatchdogUSec"]; v == "0" || v == "infinity" || v == "" {
		e.doubtful(edit, "%s has no watchdog: a monitor that hangs is not started again; WatchdogSec=30s has that done", u.name)
	}
	if u.values["PrivateTmp"] == "yes" {
		e.doubtful(edit, "%s has PrivateTmp=yes: a job that outlives a restart loses its /tmp; take it out", u.name)
	}
	if len(e.found) == before {
		e.good("%s has what the monitor relies on: notify, watchdog, KillMode=process", u.name)
	}
}
