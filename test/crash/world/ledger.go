package world

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"simplejobq/internal/messages"
)

// Ledger is what was acknowledged before a crash: monitor_events, kept outside the
// file system that crashed, and the runs the witness saw.
type Ledger struct {
	Accepted map[string]bool
	Ended    map[string]string // the queue, of those whose last word is that they ended
	Reason   map[string]string // and the STATUS that was told
	Ran      map[string]int
}

// ReadLedger reads what programs were told, and what the witness saw, by then.
func ReadLedger(events, ran []byte) (Ledger, error) {
	l := Ledger{map[string]bool{}, map[string]string{}, map[string]string{}, map[string]int{}}
	for line := range strings.Lines(string(events)) {
		if !strings.HasSuffix(line, "\n") {
			break // cut off while it was told
		}
		var e messages.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return l, fmt.Errorf("monitor_events: %q: %w", line, err)
		}
		switch e.Event {
		case "accepted":
			l.Accepted[e.UOW] = true
		case "ended":
			l.Ended[e.UOW], l.Reason[e.UOW] = e.Outcome+"-q", e.Reason
		case "moved":
			// Put back: the end that was told is not the last word any more.
			if l.Ended[e.UOW] != e.To {
				delete(l.Ended, e.UOW)
			}
		}
	}
	for line := range strings.Lines(string(ran)) {
		l.Ran[strings.TrimSpace(line)]++
	}
	return l, nil
}

// CheckAfterCut is the checker after a power cut: the monitor has recovered and is
// idle. What was acknowledged must be there as it was said; what was not may be
// anything but run twice in silence or run by half. before is the ledger at the
// cut; x.Ran counts the runs after it.
func (x *World) CheckAfterCut(units []Unit, before Ledger) (faults []string) {
	after := x.Ran()
	for _, u := range units {
		name := u.Name[:min(len(u.Name), 20)]
		fault := func(format string, args ...any) { faults = append(faults, name+": "+fmt.Sprintf(format, args...)) }
		places := x.Places(u.Name)
		ran := before.Ran[u.Name] + after[u.Name]
		switch {
		case len(places) == 0 && !before.Accepted[u.Name]:
			if ran > 0 {
				fault("ran %d times without being acknowledged, and is gone", ran)
			}
			continue
		case len(places) != 1:
			fault("is in %q, want one place", places)
			continue
		}
		at := places[0]
		b, err := os.ReadFile(filepath.Join(x.Root, at, u.Name))
		if err != nil {
			fault("%v", err)
			continue
		}
		if end := before.Ended[u.Name]; end != "" && end != at {
			fault("was told to be in %s and is in %s", end, at)
		}
		if reason := before.Reason[u.Name]; before.Ended[u.Name] != "" && !strings.Contains(string(b), shown(reason)) {
			fault("was told to have ended %q, and its STATUS is another:\n%s", reason, b)
		}
		if !before.Accepted[u.Name] && (at == "trash" || at == "wait-q" || at == "priority-q" || at == "hold-q") && ran == 0 {
			continue // its writer did not sync it, and nobody was told that it was accepted
		}
		if at == "trash" {
			if u.End != "trash" {
				fault("an accepted UOW is in trash: %q", b)
			}
			continue
		}
		want := u
		want.Runs = ran
		interrupted := at == "fail-q" && strings.Contains(string(b), "fail: interrupted")
		switch {
		case interrupted:
			want.Status = "fail: interrupted"
		case at != u.End:
			fault("is in %s, want %s", at, u.End)
		}
		if ran > u.Runs || ran == 0 && u.Runs > 0 && !interrupted {
			fault("COMMAND ran %d times, want %d", ran, u.Runs)
		}
		faults = append(faults, Judge(want, string(b), ran)...)
	}
	return append(faults, x.leftovers()...)
}

// shown is the part of a told reason that a STATUS certainly has: it has no room
// for all of a long one.
func shown(reason string) string { return reason[:min(len(reason), 100)] }
