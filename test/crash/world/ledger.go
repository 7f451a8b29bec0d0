package world

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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
	Refused  map[string]bool
	Moved    map[string]string // where a message had brought them, by the last word
	Ran      map[string]int
	Sent     map[string]bool // those whom a message is about that its sender had synced

	// Text, if known, is what those that were told to have ended held then.
	Text map[string]string
}

// ReadLedger reads what programs were told, and what the witness saw, by then, after
// what older ledgers hold.
func ReadLedger(events, ran []byte, older ...Ledger) (Ledger, error) {
	l := Ledger{map[string]bool{}, map[string]string{}, map[string]string{}, map[string]bool{}, map[string]string{}, map[string]int{}, map[string]bool{}, nil}
	for _, o := range older {
		maps.Copy(l.Accepted, o.Accepted)
		maps.Copy(l.Ended, o.Ended)
		maps.Copy(l.Reason, o.Reason)
		maps.Copy(l.Refused, o.Refused)
		maps.Copy(l.Moved, o.Moved)
		maps.Copy(l.Ran, o.Ran)
		maps.Copy(l.Sent, o.Sent)
	}
	for line := range strings.Lines(string(events)) {
		if !strings.HasSuffix(line, "\n") {
			break // cut off while it was told
		}
		var e messages.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return l, fmt.Errorf("monitor_events: %q: %w", line, err)
		}
		l.note(e)
	}
	for line := range strings.Lines(string(ran)) {
		l.Ran[strings.TrimSpace(line)]++
	}
	return l, nil
}

func (l *Ledger) note(e messages.Event) {
	switch e.Event {
	case "accepted":
		l.Accepted[e.UOW] = true
	case "refused":
		l.Refused[e.UOW] = true
	case "ended":
		l.Ended[e.UOW], l.Reason[e.UOW] = e.Outcome+"-q", e.Reason
	case "moved":
		// Put back: the end that was told is not the last word any more.
		if l.Ended[e.UOW] != e.To {
			delete(l.Ended, e.UOW)
		}
		if l.Moved[e.UOW] = e.To; e.To == "currently-executing" {
			delete(l.Moved, e.UOW)
		}
	}
}

// readTorn is ReadLedger for a file that went through a power cut: what is no event
// is passed over.
func (x *World) readTorn() Ledger {
	b, err := os.ReadFile(filepath.Join(x.Root, "monitor_events"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		x.T.Fatal(err)
	}
	l, _ := ReadLedger(nil, nil)
	for line := range strings.Lines(string(b)) {
		var e messages.Event
		if json.Unmarshal([]byte(strings.TrimLeft(line, "\x00")), &e) == nil {
			l.note(e)
		}
	}
	return l
}
