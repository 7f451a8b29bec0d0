package flow

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what a record tells of.
type Kind string

// The kinds of records.
const (
	FlowBegun     Kind = "begun"   // when; Run is the caller's name of this run of the flow
	CommandEnded  Kind = "ended"   // a command of a try
	FlowCancelled Kind = "cancel"  // from outside, as a whole
	CleanAsked    Kind = "clean"   // deferred clean-ups are to run
	CleanupEnded  Kind = "cleaned" // a CLEANUP, for good
	StepKept      Kind = "kept"    // from an earlier run: its success, if Outcome is done; its CLEANUP is due, if Seq is set
)

// Record is one line of a flow's past. Steps are told by name.
type Record struct {
	Kind    Kind
	Step    string
	Try     int
	Phase   Phase
	Outcome Outcome
	Cause   Cause
	To      State // the step's, from then on
	Seq     int64 // of the command's start
	At      time.Time
	Run     string // the caller's name of the run
	Text    string
	Said    string
	Values  []Value // what the step added, if it succeeded
}

// Repeats reports whether the command that ended, or what decides in its place, comes
// once more because it was interrupted.
func (r Record) Repeats() bool { return r.Cause == Interrupted && r.To.InTry() }

// DamageError is a past that can't be read although more stands behind the place.
type DamageError struct {
	Line int
	Text string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("the record of the flow is damaged in line %d: %s", e.Line, e.Text)
}

var causeNames = []string{"ended", "limited", "not-started", "killed", "interrupted", "invalid"}

// Append writes a record as one line behind b. Whatever bytes its texts hold, the
// line has no line break but its own; a checksum in front tells a torn one.
func (r Record) Append(b []byte) []byte {
	const room = len("00000000 ")
	at := len(b)
	b = append(b, "00000000 "...)
	for _, word := range []string{string(r.Kind), cmp.Or(string(r.Phase), "-"), cmp.Or(string(r.Outcome), "-"), r.Cause.String(), r.To.String()} {
		b = append(append(b, word...), ' ')
	}
	b = strconv.AppendInt(b, int64(r.Try), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, r.Seq, 10)
	b = append(b, ' ')
	if r.At.IsZero() {
		b = append(b, '-')
	} else {
		b = r.At.UTC().AppendFormat(b, time.RFC3339Nano)
	}
	for _, s := range []string{r.Step, r.Run, r.Text, r.Said} {
		b = strconv.AppendQuote(append(b, ' '), s)
	}
	for _, v := range r.Values {
		b = strconv.AppendQuote(append(b, ' '), v.Name)
		b = strconv.AppendQuote(append(b, ' '), v.Content)
	}
	copy(b[at:], fmt.Sprintf("%08x", crc32.ChecksumIEEE(b[at+room:])))
	return append(b, '\n')
}

func (c Cause) String() string {
	if c < 0 || int(c) >= len(causeNames) {
		return fmt.Sprintf("cause %d", int(c))
	}
	return causeNames[c]
}

// DecodePast reads a past. What stands at its end and is no whole line was being
// written when the machine went down: nobody acted on it. It is no error, and good
// is the length of what stands before it, to which the file is to be cut before
// more is appended. A bad line with others behind it is a DamageError.
func DecodePast(b []byte) (records []Record, good int, err error) {
	for n, at := 1, 0; at < len(b); n++ {
		line, rest, whole := bytes.Cut(b[at:], []byte("\n"))
		r, fault := Record{}, "it has no end"
		if whole {
			r, fault = decode(string(line))
		}
		if fault != "" {
			if len(bytes.Trim(rest, "\x00")) > 0 {
				return nil, 0, &DamageError{n, fault}
			}
			return records, at, nil
		}
		records = append(records, r)
		at += len(line) + 1
	}
	return records, len(b), nil
}

// decode reads a line as Append writes it, to the byte.
func decode(line string) (Record, string) {
	sum, body, _ := strings.Cut(line, " ")
	if sum != fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(body))) {
		return Record{}, "its checksum is wrong"
	}
	w := words{rest: body}
	r := Record{Kind: Kind(w.word()), Phase: Phase(w.orNone()), Outcome: Outcome(w.orNone())}
	r.Cause = Cause(slices.Index(causeNames, w.word()))
	to := slices.Index(stateNames[:], w.word())
	r.Try, r.Seq = int(w.number()), w.number()
	if at := w.orNone(); at != "" {
		t, err := time.Parse(time.RFC3339Nano, at)
		w.check(err)
		r.At = t.UTC()
	}
	r.Step, r.Run, r.Text, r.Said = w.quoted(), w.quoted(), w.quoted(), w.quoted()
	for w.err == nil && w.rest != "" {
		r.Values = append(r.Values, Value{w.quoted(), w.quoted()})
	}
	if w.err == nil && (to < 0 || r.Cause < 0) {
		w.err = errors.New("it holds an unknown word")
	}
	if w.err != nil {
		return Record{}, w.err.Error()
	}
	r.To = State(to)
	if !slices.Contains([]Kind{FlowBegun, CommandEnded, FlowCancelled, CleanAsked, CleanupEnded, StepKept}, r.Kind) ||
		!slices.Contains([]Phase{"", Check, Command, Recheck, Cleanup}, r.Phase) ||
		!slices.Contains([]Outcome{"", Done, Error, Fail}, r.Outcome) || r.Try < 0 || r.Seq < 0 {
		return Record{}, "it holds an unknown word"
	}
	if again := r.Append(nil); string(again[:len(again)-1]) != line {
		return Record{}, "it is not written as a record is"
	}
	return r, ""
}

// words takes a line apart; after an error all is empty.
type words struct {
	rest string
	err  error
}

func (w *words) check(err error) {
	if w.err == nil && err != nil {
		w.err = err
		w.rest = ""
	}
}

func (w *words) word() (s string) {
	s, w.rest, _ = strings.Cut(w.rest, " ")
	return s
}

func (w *words) orNone() string {
	if s := w.word(); s != "-" {
		return s
	}
	return ""
}

func (w *words) number() int64 {
	n, err := strconv.ParseInt(w.word(), 10, 64)
	w.check(err)
	return n
}

func (w *words) quoted() string {
	q, err := strconv.QuotedPrefix(w.rest)
	w.check(err)
	s, err := strconv.Unquote(q)
	w.check(err)
	if w.err != nil {
		return ""
	}
	w.rest = strings.TrimPrefix(w.rest[len(q):], " ")
	return s
}
