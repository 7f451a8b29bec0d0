package world

import (
	"fmt"
	"strings"
	"testing"
)

// The checker itself must see what it is for.
func TestCheckerSees(t *testing.T) {
	u := Unit{"a", "wait-q", Plain(Witness), "done-q", "done: exit 0", 1}
	whole := "timestamp: x\n\n==== UNIT OF WORK\nCOMMAND :: " + Witness + "\n\n==== STATUS\n" + fmt.Sprintf("%-240s", "done: exit 0 after 1ms") +
		"\n\n==== JOB LOG\n---- T try 1: /bin/sh -c 'echo \"$MONITOR_UOW\"'\n"
	if f := Judge(u, whole, 1); len(f) > 0 {
		t.Fatalf("a good one: %v", f)
	}
	if len(Judge(u, whole, 2)) == 0 {
		t.Error("a second run is not seen")
	}
	for what, bad := range map[string]string{
		"an emptied STATUS":  strings.Replace(whole, "done:", "     ", 1),
		"a cut STATUS":       strings.Replace(whole, "   \n", "\n", 1),
		"NULs":               whole + "\x00",
		"a changed command":  strings.Replace(whole, "COMMAND :: e", "COMMAND :: f", 1),
		"a run without word": strings.Replace(whole, "---- T", "T", 1),
	} {
		if len(Judge(u, bad, 1)) == 0 {
			t.Errorf("%s is not seen", what)
		}
	}
}
