package run

import (
	"strconv"
	"time"
)

// Start is what the monitor writes before a command may run.
type Start struct {
	Run, UOW    string
	Dev, Ino    uint64 // of the unit of work
	Claim       string // which of the claims of that inode
	Queue       string // it came from
	Try, Tries  int
	Step, Phase string
	Seq         int64     // which command of its flow, in the order of their starts
	At          time.Time // when
	Work        string    // the directory its $MONITOR_SHARED is in
	Command     string    // for people, cut to what fits
}

// Live is what the runner tells while it runs something.
type Live struct {
	Forked  string // run id, set just before the fork: from here on the command may have run
	PID     int    // of the job's first process, and its session; 0: not known
	Started time.Time
	Born    int64 // nanoseconds since boot just after the fork

	Runner      int    // its process number
	RunnerStart uint64 // field 22 of its /proc/PID/stat
	Space       string // whose process numbers these are; see numberSpace

	// Damaged: the area could not be read. Take it as forked.
	Damaged bool
}

// MayHaveRun reports whether the command of that run may have been started.
func (l Live) MayHaveRun(run string) bool { return l.Damaged || l.Forked == run }

// Why a run ended.
const (
	Exit       = "exit"        // by itself
	Signalled  = "signal"      // by a signal nobody here sent
	Timeout    = "timeout"     // TIMEOUT
	Silence    = "silence"     // SILENCE
	Killed     = "killed"      // on request
	NotStarted = "not-started" // no program, no directory, no permission
	Terminated = "terminated"  // the runner was told to end by somebody else
)

// End is how a run ended. Text is the sentence its log ends with: "exit 0 after
// 3m12.4s", "timed out after 30m", "not started: …".
type End struct {
	Run     string
	Reason  string
	Exit    int // of the first process, also after Timeout, Silence, Killed, Terminated
	Signal  int // that ended the first process, 0: none
	Text    string
	ErrorIf int // index of the pattern that matched first, -1: none
	FailIf  int

	Wall, CPU time.Duration
	Peak      int64 // bytes of the largest process
	Output    int64 // bytes the command wrote
	Dropped   int64 // of these not in the log
	Finished  time.Time
	Unlogged  bool // the log could not be written whole

	// What this run appended to the log, unless that was on disk before the end was
	// written: a power cut may keep an end without its log. LogTo 0: nothing to ask.
	LogFrom, LogTo int64
	LogSum         uint32 // CRC-32C

	// What stood in a step's output file, for the same reason. OutputSize 0: nothing.
	OutputSize int64
	OutputSum  uint32
}

func (s *Start) put(a *area) {
	a.text("run", s.Run)
	a.text("uow", s.UOW)
	a.number("dev", int64(s.Dev))
	a.number("ino", int64(s.Ino))
	a.text("claim", s.Claim)
	a.text("queue", s.Queue)
	a.number("try", int64(s.Try))
	a.number("tries", int64(s.Tries))
	a.text("step", s.Step)
	a.text("phase", s.Phase)
	a.number("seq", s.Seq)
	a.number("at", nanos(s.At))
	a.text("work", s.Work)
	a.text("command", cut(s.Command, a.room()-len("command=\n")))
}

func (s *Start) field(key, value string) (err error) {
	switch key {
	case "run":
		s.Run = value
	case "uow":
		s.UOW = value
	case "dev":
		s.Dev, err = readUnsigned(value)
	case "ino":
		s.Ino, err = readUnsigned(value)
	case "claim":
		s.Claim = value
	case "queue":
		s.Queue = value
	case "try":
		s.Try, err = strconv.Atoi(value)
	case "tries":
		s.Tries, err = strconv.Atoi(value)
	case "step":
		s.Step = value
	case "phase":
		s.Phase = value
	case "seq":
		s.Seq, err = strconv.ParseInt(value, 10, 64)
	case "at":
		s.At, err = readTime(value)
	case "work":
		s.Work = value
	case "command":
		s.Command = value
	}
	return err
}

func (l *Live) put(a *area) {
	a.text("forked", l.Forked)
	a.number("pid", int64(l.PID))
	a.number("started", nanos(l.Started))
	a.number("born", l.Born)
	a.number("runner", int64(l.Runner))
	a.number("runner_start", int64(l.RunnerStart))
	a.text("space", l.Space)
}

func (l *Live) field(key, value string) (err error) {
	switch key {
	case "forked":
		l.Forked = value
	case "pid":
		l.PID, err = strconv.Atoi(value)
	case "started":
		l.Started, err = readTime(value)
	case "born":
		l.Born, err = strconv.ParseInt(value, 10, 64)
	case "runner":
		l.Runner, err = strconv.Atoi(value)
	case "runner_start":
		l.RunnerStart, err = readUnsigned(value)
	case "space":
		l.Space = value
	}
	return err
}

func (e *End) put(a *area) {
	a.text("run", e.Run)
	a.text("reason", e.Reason)
	a.number("exit", int64(e.Exit))
	a.number("signal", int64(e.Signal))
	a.number("error_if", int64(e.ErrorIf)+1) // written from 1, so that none is no line
	a.number("fail_if", int64(e.FailIf)+1)
	a.number("wall", int64(e.Wall))
	a.number("cpu", int64(e.CPU))
	a.number("peak", e.Peak)
	a.number("output", e.Output)
	a.number("dropped", e.Dropped)
	a.number("finished", nanos(e.Finished))
	if e.Unlogged {
		a.text("unlogged", "yes")
	}
	if e.LogTo > 0 {
		a.number("log_from", e.LogFrom)
		a.number("log_to", e.LogTo)
		a.number("log_sum", int64(e.LogSum))
	}
	a.number("output_size", e.OutputSize)
	a.number("output_sum", int64(e.OutputSum))
	a.text("text", cut(e.Text, min(a.room()-len("text=\n"), 2048)))
}

func (e *End) field(key, value string) (err error) {
	switch key {
	case "run":
		e.Run = value
	case "reason":
		e.Reason = value
	case "exit":
		e.Exit, err = strconv.Atoi(value)
	case "signal":
		e.Signal, err = strconv.Atoi(value)
	case "error_if":
		e.ErrorIf, err = readIndex(value)
	case "fail_if":
		e.FailIf, err = readIndex(value)
	case "wall":
		e.Wall, err = readSpan(value)
	case "cpu":
		e.CPU, err = readSpan(value)
	case "peak":
		e.Peak, err = strconv.ParseInt(value, 10, 64)
	case "output":
		e.Output, err = strconv.ParseInt(value, 10, 64)
	case "dropped":
		e.Dropped, err = strconv.ParseInt(value, 10, 64)
	case "finished":
		e.Finished, err = readTime(value)
	case "unlogged":
		e.Unlogged = value == "yes"
	case "log_from":
		e.LogFrom, err = strconv.ParseInt(value, 10, 64)
	case "log_to":
		e.LogTo, err = strconv.ParseInt(value, 10, 64)
	case "log_sum":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 32)
		e.LogSum = uint32(n)
	case "output_size":
		e.OutputSize, err = strconv.ParseInt(value, 10, 64)
	case "output_sum":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 32)
		e.OutputSum = uint32(n)
	case "text":
		e.Text = value
	}
	return err
}

// end writes e as its area of the record: what is said over the socket is what
// stands on disk.
func (a *area) end(e *End) ([]byte, error) {
	a.reset()
	e.put(a)
	return a.seal()
}

// decodeEnd reads an end area; nil where none stands.
func decodeEnd(b []byte) *End {
	e := &End{ErrorIf: -1, FailIf: -1}
	blank, err := readArea(b, e.field)
	if blank || err != nil || e.Run == "" || e.Reason == "" {
		return nil
	}
	return e
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func readTime(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(0, n), err
}

func readSpan(s string) (time.Duration, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	return time.Duration(n), err
}

func readIndex(s string) (int, error) {
	n, err := strconv.Atoi(s)
	return n - 1, err
}

// Inode and device numbers may use the sign bit; they are written as int64.
func readUnsigned(s string) (uint64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	return uint64(n), err
}
