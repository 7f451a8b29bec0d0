package world

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The checker after a power cut must see what it is for, and nothing else.
func TestAfterCutSees(t *testing.T) {
	u := Unit{"a", "wait-q", Plain(Witness), "done-q", "done: exit 0", 1}
	const end = "done: exit 0 after 1ms"
	text := func(status string, log ...string) string {
		return "timestamp: x\n\n==== UNIT OF WORK\nCOMMAND :: " + Witness + "\n\n==== STATUS\n" + fmt.Sprintf("%-240s", status) +
			"\n\n==== JOB LOG\n" + strings.Join(log, "\n") + "\n"
	}
	const began, ended = `---- T try 1: /bin/sh -c 'echo "$MONITOR_UOW"'`, "---- T try 1: exit 0 after 1ms"
	const lost = "---- T fail: interrupted: the machine went down"
	done := text(end, began, ended)
	acked := `{"time":"2026-01-01T00:00:00Z","event":"accepted","uow":"a"}` + "\n"
	over := acked + `{"time":"2026-01-01T00:00:00Z","event":"ended","uow":"a","outcome":"done","reason":"` + end + `"}` + "\n"
	for what, c := range map[string]struct {
		fine      bool
		before    string // events before the cut
		ranBefore int
		files     map[string]string
		ranAfter  int
	}{
		"all well":                             {true, over, 1, map[string]string{"done-q/a": done}, 0},
		"run after the cut":                    {true, acked, 0, map[string]string{"done-q/a": done}, 1},
		"interrupted":                          {true, acked, 1, map[string]string{"fail-q/a": text("fail: interrupted: the machine went down", lost)}, 0},
		"dropped and gone":                     {true, "", 0, nil, 0},
		"dropped and damaged":                  {true, "", 0, map[string]string{"trash/a": "\x00\x00", "trash/a.why": "NULs"}, 0},
		"dropped and empty":                    {true, "", 0, map[string]string{"wait-q/a": ""}, 0},
		"an accepted one is gone":              {false, acked, 0, nil, 0},
		"one that ran is gone":                 {false, "", 1, nil, 0},
		"two places":                           {false, over, 1, map[string]string{"done-q/a": done, "wait-q/a": done}, 0},
		"a whole one refused":                  {false, "", 0, map[string]string{"trash/a": u.Text, "trash/a.why": "?"}, 0},
		"refused without a reason":             {false, "", 0, map[string]string{"trash/a": "\x00"}, 0},
		"an end taken back":                    {false, over, 1, map[string]string{"done-q/a": text("", began, ended)}, 0},
		"an end become another":                {false, over, 1, map[string]string{"fail-q/a": text("fail: interrupted: x", began, lost)}, 0},
		"a log lost":                           {false, acked, 1, map[string]string{"done-q/a": text(end)}, 0},
		"a log of NULs":                        {false, over, 1, map[string]string{"done-q/a": text(end, began, ended, "\x00")}, 0},
		"a second run in silence":              {false, acked, 1, map[string]string{"done-q/a": text(end, began, ended, began, ended)}, 1},
		"a second run nobody announced":        {false, acked, 1, map[string]string{"done-q/a": done}, 1},
		"never run":                            {false, acked, 0, map[string]string{"done-q/a": done}, 0},
		"what was asked is another":            {false, over, 1, map[string]string{"done-q/a": strings.ReplaceAll(done, "COMMAND :: e", "COMMAND :: f")}, 0},
		"left in the queue":                    {false, acked, 0, map[string]string{"wait-q/a": text("")}, 0},
		"left over":                            {false, over, 1, map[string]string{"done-q/a": done, "done-q/other": "?"}, 0},
		"nobody told that it ended":            {false, acked, 1, map[string]string{"done-q/a": done, "monitor_events": ""}, 0},
		"an end told after the cut is as good": {true, acked, 1, map[string]string{"done-q/a": done, "monitor_events": "\x00\x00\n" + over}, 0},
	} {
		dir := t.TempDir()
		x := &World{T: t, Dir: dir, Root: dir, W: dir, Out: dir}
		for _, q := range append([]string{".monitor/tmp", ".monitor/run"}, queues...) {
			if err := os.MkdirAll(filepath.Join(dir, q), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		x.Write("monitor_events", over)
		for name, content := range c.files {
			x.Write(name, content)
		}
		x.Write("ran", strings.Repeat("a\n", c.ranAfter))
		before, err := ReadLedger([]byte(c.before), []byte(strings.Repeat("a\n", c.ranBefore)))
		if err != nil {
			t.Fatal(err)
		}
		if faults := x.CheckAfterCut([]Unit{u}, before); c.fine != (len(faults) == 0) {
			t.Errorf("%s: %q", what, faults)
		}
	}
}
