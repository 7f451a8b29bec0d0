package systemd

import (
	"os"
	"strings"
	"testing"
)

// What `monitor doctor` finds out from systemd, from a unit that is as it was shipped
// to one that somebody has worked on.
func TestDoctor(t *testing.T) {
	s := madeSpool(t)
	doctor := func() string {
		t.Helper()
		out, err := machine.run("monitor", "--root", s.inside, "doctor", "-v")
		if err != nil && out == "" {
			t.Fatal(err)
		}
		return out
	}
	contains(t, "before the start", doctor(), "doubtful  systemd        the unit "+s.unit+" is inactive; do: systemctl start "+s.unit)
	s.systemctl("start", s.unit)
	out := doctor()
	contains(t, "as shipped", out, "good      systemd        the unit "+s.unit+" is active", "good      systemd        "+s.unit+" has what the monitor relies on",
		"good      monitor        it runs this very binary", "is not enabled: after a reboot there is no monitor; do: systemctl enable "+s.unit, "0 wrong, ")

	s.dropIn("KillMode=control-group", "WatchdogSec=0", "PrivateTmp=yes")
	s.systemctl("restart", s.unit) // a watchdog stays as it was at the start
	contains(t, "changed", doctor(), "wrong     systemd        "+s.unit+" has KillMode=control-group: a stop or an upgrade ends running jobs",
		"has no watchdog", "has PrivateTmp=yes", "; do: systemctl edit "+s.unit)
	s.dropIn()
	s.systemctl("restart", s.unit)

	s.in("systemctl", "kill", "--signal=KILL", "--kill-whom=main", s.unit)
	s.until("the doctor tells that it was started again", func() bool {
		return strings.Contains(doctor(), "systemd has started "+s.unit+" again 1 times; the journal says why")
	})
	s.systemctl("stop", s.unit)

	write(t, s.dir+"/config.toml", "slotz = 1\n")
	_, _ = machine.run("systemctl", "start", s.unit)
	if err := os.Remove(s.dir + "/config.toml"); err != nil {
		t.Fatal(err)
	}
	contains(t, "after a bad configuration", doctor(), "wrong     systemd        the unit "+s.unit+" has failed (exit-code)", "do: journalctl -n 20 -u "+s.unit)
	s.systemctl("reset-failed", s.unit)
}
