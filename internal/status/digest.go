// Package status owns the digest: what a spool holds and what its monitor does,
// as a value, as text for people and as JSON for programs.
//
// It promises that a digest read back from its JSON writes the same JSON, that
// a count of nothing is shown as 0, and that no text of a job reaches a
// terminal with an escape sequence in it.
//
// It is pure: it writes to an io.Writer, reads no clock and no file, and finds
// nothing out by itself.
package status

import (
	"encoding/json"
	"fmt"
	"time"
)

// Time is shown everywhere as RFC 3339 in UTC with milliseconds.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// At makes a Time of t with the precision that is shown.
func At(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{t.UTC().Truncate(time.Millisecond)}
}

func (t Time) String() string { return t.UTC().Format(timeLayout) }

// MarshalJSON writes no more than String does.
func (t Time) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// UnmarshalJSON reads any RFC 3339 time that can be written again.
func (t *Time) UnmarshalJSON(data []byte) error {
	var read time.Time
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	if year := read.UTC().Year(); year < 0 || year > 9999 {
		return fmt.Errorf("time %s: the year in UTC has not four digits", data)
	}
	*t = At(read)
	return nil
}

// State is what a UOW's place and run come to.
type State string

// The states of a UOW in lists and digests.
const (
	Waiting  State = "waiting"  // in wait-q or priority-q
	Held     State = "held"     // in hold-q
	Running  State = "running"  // in currently-executing, its command alive
	Ending   State = "ending"   // its end is known and not yet on disk
	Done     State = "done"     // in done-q
	Error    State = "error"    // in error-q
	Fail     State = "fail"     // in fail-q
	Archived State = "archived" // in archive
	Trashed  State = "trashed"  // in trash
)

// States lists them in the order of a UOW's life.
func States() []State {
	return []State{Waiting, Held, Running, Ending, Done, Error, Fail, Archived, Trashed}
}

// Job is one UOW in a list. What does not apply is left out of its JSON.
type Job struct {
	Name     string `json:"name"`
	Queue    string `json:"queue"` // the directory's configured name
	Title    string `json:"title,omitempty"`
	Enqueued Time   `json:"enqueued,omitzero"`
	State    State  `json:"state"`
	Why      string `json:"why,omitempty"`    // why what waits does not run
	Status   string `json:"status,omitempty"` // the STATUS line
	Try      int    `json:"try,omitempty"`
	*Steps          // nil for what is not a flow
	Started  Time   `json:"started,omitzero"`
	PID      int    `json:"pid,omitempty"` // the job's
	Size     int64  `json:"size"`
	Last     string `json:"last_line,omitempty"` // of what runs: the last line of its output
}

// Steps tells how far a flow has come; none done is worth telling.
type Steps struct {
	Done int `json:"steps_done"`
	All  int `json:"steps"`
}

// Digest is the summary of a spool at one time.
type Digest struct {
	Time                 Time            `json:"time"` // of writing: a stale digest shows
	Monitor              Monitor         `json:"monitor"`
	Slots                int             `json:"slots"`
	Queues               Counts          `json:"queues"`
	Jobs                 map[string]Type `json:"jobs"` // by job type
	Running              []Job           `json:"running"`
	Next                 []Job           `json:"next"`
	Recent               []Job           `json:"recent"` // the last that ended comes first
	OldestWaitingSeconds float64         `json:"oldest_waiting_seconds"`
	NotLookedAt          int             `json:"not_looked_at"`
	NotReady             string          `json:"not_ready,omitempty"` // why nothing starts at all
	Trouble              []string        `json:"trouble,omitempty"`   // what keeps the monitor from its work at this moment
}

// Monitor is the health of the monitor that wrote the digest.
type Monitor struct {
	Version              string  `json:"version"`
	PID                  int     `json:"pid"`
	Started              Time    `json:"started,omitzero"`
	Gone                 bool    `json:"gone,omitempty"`      // it has ended, or was never there
	Finishing            bool    `json:"finishing,omitempty"` // it ends when what runs has ended
	Paused               bool    `json:"paused"`
	Rounds               int64   `json:"rounds"`
	SlowestRoundSeconds  float64 `json:"slowest_round_seconds"`
	SlowestCommitSeconds float64 `json:"slowest_commit_seconds"`
	Errors               int64   `json:"errors"`
	FreeBytes            int64   `json:"free_bytes"`
}

// Type counts the UOWs of one job type; Slots 0 means no limit of its own.
type Type struct {
	Running int `json:"running"`
	Slots   int `json:"slots"`
}

// Count is the number of UOWs in one queue.
type Count struct {
	Queue string
	N     int
}
