package messages

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"simplejobq/internal/clock"
	"simplejobq/internal/durable"
)

// Event is one line of monitor_events. Fields are only ever added.
//
// A UOW's name is bytes, JSON is not. So a name that is not UTF-8, or that
// begins with a double quote, stands there as a Go string literal with its
// quotes ("a\xffb"); every other name stands as it is. What begins with a
// double quote is therefore always to be unquoted. Here in memory UOW is the
// name itself; the other texts have their invalid bytes shown as \xNN.
type Event struct {
	Time        time.Time
	Event       string
	UOW         string
	From, To    string // queues, or a step's states where Step is set
	Step        string
	Try         int
	Outcome     string
	Exit        *int
	Signal      string
	Reason      string
	CPUSeconds  float64
	WallSeconds float64
	PeakBytes   int64
	Context     map[string]string
}

// wire is the schema.
type wire struct {
	Time        string            `json:"time"`
	Event       string            `json:"event"`
	UOW         string            `json:"uow,omitempty"`
	From        string            `json:"from,omitempty"`
	To          string            `json:"to,omitempty"`
	Step        string            `json:"step,omitempty"`
	Try         int               `json:"try,omitempty"`
	Outcome     string            `json:"outcome,omitempty"`
	Exit        *int              `json:"exit,omitempty"`
	Signal      string            `json:"signal,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	CPUSeconds  float64           `json:"cpu_seconds,omitempty"`
	WallSeconds float64           `json:"wall_seconds,omitempty"`
	PeakBytes   int64             `json:"peak_bytes,omitempty"`
	Context     map[string]string `json:"context,omitempty"`
}

// MarshalJSON writes the schema.
func (e Event) MarshalJSON() ([]byte, error) {
	w := wire{
		e.Time.UTC().Format(Stamp), e.Event, e.UOW, e.From, e.To, e.Step, e.Try, e.Outcome,
		e.Exit, e.Signal, e.Reason, e.CPUSeconds, e.WallSeconds, e.PeakBytes, nil,
	}
	if w.UOW != "" && (w.UOW[0] == '"' || !utf8.ValidString(w.UOW)) {
		w.UOW = strconv.Quote(w.UOW)
	}
	for _, s := range []*string{&w.Event, &w.From, &w.To, &w.Step, &w.Outcome, &w.Signal, &w.Reason} {
		*s = validShown(*s)
	}
	if len(e.Context) > 0 {
		w.Context = make(map[string]string, len(e.Context))
		for k, v := range e.Context {
			w.Context[validShown(k)] = validShown(v)
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // a command line stays readable
	if err := enc.Encode(w); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

// UnmarshalJSON reads the schema; unknown fields are a later version's.
func (e *Event) UnmarshalJSON(b []byte) error {
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339, w.Time)
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	if strings.HasPrefix(w.UOW, `"`) {
		if w.UOW, err = strconv.Unquote(w.UOW); err != nil {
			return fmt.Errorf("event: uow %q: %w", w.UOW, err)
		}
	}
	*e = Event{
		t, w.Event, w.UOW, w.From, w.To, w.Step, w.Try, w.Outcome,
		w.Exit, w.Signal, w.Reason, w.CPUSeconds, w.WallSeconds, w.PeakBytes, w.Context,
	}
	return nil
}

// Events is what the monitor tells programs, one JSON object a line.
type Events struct{ lines lines }

// OpenEvents is [OpenSays] for programs.
func OpenEvents(dir *durable.Dir, name string, size int64, keep int) (*Events, error) {
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return nil, fmt.Errorf("%q is no file name for the events", name)
	}
	return &Events{lines{dir: dir, name: name, limit: size, keep: int64(keep), lost: func(n int) []byte {
		return eventLine(Event{Time: clock.Wall(), Event: "trouble", Reason: fmt.Sprintf("%d events could not be written here in time and are lost", n)})
	}}}, nil
}

// Tell notes one event.
func (e *Events) Tell(ev Event) { e.lines.add(eventLine(ev)) }

func eventLine(ev Event) []byte {
	b, err := ev.MarshalJSON()
	if err != nil {
		// Numbers that JSON does not have (NaN): the event is worth more.
		ev.CPUSeconds, ev.WallSeconds = 0, 0
		b, _ = ev.MarshalJSON()
	}
	return append(b, '\n')
}

// Written reports whether all that was told is in the file.
func (e *Events) Written() bool { return len(e.lines.queue) == 0 }

// Full is [Says.Full].
func (e *Events) Full() bool { return e.lines.full() }

// Flush is [Says.Flush].
func (e *Events) Flush() error { return e.lines.flush() }

// Close flushes and gives the file back.
func (e *Events) Close() error { return e.lines.close() }

// Tail reads the last events that fit into n bytes, oldest first, from the file
// and the one rotated away before it. A line that is no event is passed over: a
// crash or a person left it.
func Tail(dir *durable.Dir, name string, n int64) ([]Event, error) {
	var events []Event
	for _, part := range []string{name, name + ".1"} {
		text, size, err := tailOf(dir, part, n)
		if err != nil {
			return nil, err
		}
		n -= size
		var got []Event
		for line := range bytes.Lines(text) {
			var ev Event
			if ev.UnmarshalJSON(line) == nil {
				got = append(got, ev)
			}
		}
		events = append(got, events...)
	}
	return events, nil
}

// tailOf is the whole lines within the last n bytes of a file, and its size.
func tailOf(dir *durable.Dir, name string, n int64) (text []byte, size int64, err error) {
	f, err := dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	s, err := f.Stat()
	if err != nil || !s.Regular() || n <= 0 {
		return nil, 0, err
	}
	from := max(0, s.Size-n)
	// One byte more tells whether the first line is a whole one.
	lead := min(from, 1)
	buf := make([]byte, s.Size-from+lead)
	got, err := f.ReadAt(buf, from-lead)
	if err := ignoreEOF(err); err != nil {
		return nil, 0, err
	}
	buf = buf[:got]
	if lead > 0 {
		_, buf, _ = bytes.Cut(buf, []byte{'\n'})
	}
	return buf[:bytes.LastIndexByte(buf, '\n')+1], s.Size, nil
}
