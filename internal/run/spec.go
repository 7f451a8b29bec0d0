package run

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Spec is one command as a runner is asked to carry it out.
type Spec struct {
	Run  string // run id, also in the job's environment as MONITOR_RUN
	Link string // the log's name in the run directory
	UOW  string // its name, for people

	Dir      string // absolute
	Argv     []string
	Env      []string
	Umask    int
	Nice     *int // nil: as the runner has it
	Terminal bool

	Timeout, Silence, Grace, Linger time.Duration // 0: none

	Leave           bool  // what the command leaves behind lives on
	LogSize         int64 // bytes of output kept in the log, 0: all
	ErrorIf, FailIf []string
	Label           string // "try 1", in the log's own lines
	Prefix          string // of each line of output, where several commands write one log
	Tee             bool   // a copy of the output to the runner's standard output
}

// The largest spec a runner reads. The kernel takes 6 MiB of arguments at most.
const maxSpec = 16 << 20

// Encode writes s as key=value entries that end in a NUL each, or tells what
// makes it no spec.
func (s *Spec) Encode() ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	var b []byte
	put := func(key, value string) {
		b = append(append(append(append(b, key...), '='), value...), 0)
	}
	number := func(key string, n int64) {
		if n != 0 {
			put(key, strconv.FormatInt(n, 10))
		}
	}
	flag := func(key string, set bool) {
		if set {
			put(key, "yes")
		}
	}
	put("run", s.Run)
	put("link", s.Link)
	put("uow", s.UOW)
	put("dir", s.Dir)
	put("label", s.Label)
	put("umask", strconv.FormatInt(int64(s.Umask), 8))
	if s.Nice != nil {
		put("nice", strconv.Itoa(*s.Nice))
	}
	if s.Prefix != "" {
		put("prefix", s.Prefix)
	}
	flag("terminal", s.Terminal)
	flag("leave", s.Leave)
	flag("tee", s.Tee)
	number("timeout", int64(s.Timeout))
	number("silence", int64(s.Silence))
	number("grace", int64(s.Grace))
	number("linger", int64(s.Linger))
	number("log_size", s.LogSize)
	for _, list := range s.lists() {
		for _, v := range *list.to {
			put(list.key, v)
		}
	}
	return b, nil
}

type list struct {
	key string
	to  *[]string
}

func (s *Spec) lists() [4]list {
	return [4]list{{"arg", &s.Argv}, {"env", &s.Env}, {"error_if", &s.ErrorIf}, {"fail_if", &s.FailIf}}
}

// DecodeSpec reads what Encode wrote and nothing else: an unknown key, a
// doubled one or a missing one is an error, and then there is no spec.
func DecodeSpec(b []byte) (*Spec, error) {
	s := new(Spec)
	seen := make(map[string]bool, 20)
	rest := string(b)
	for rest != "" {
		entry, after, whole := strings.Cut(rest, "\x00")
		if !whole {
			return nil, errors.New("spec: its last entry is cut off")
		}
		rest = after
		key, value, ok := strings.Cut(entry, "=")
		if !ok {
			return nil, fmt.Errorf("spec: %q is no key=value", entry)
		}
		if s.add(key, value) {
			continue
		}
		if seen[key] {
			return nil, fmt.Errorf("spec: %q twice", key)
		}
		seen[key] = true
		if err := s.set(key, value); err != nil {
			return nil, fmt.Errorf("spec: %s=%q: %w", key, value, err)
		}
	}
	for _, key := range []string{"run", "link", "uow", "dir", "label", "umask"} {
		if !seen[key] {
			return nil, fmt.Errorf("spec: no %q", key)
		}
	}
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("spec: %w", err)
	}
	return s, nil
}

func (s *Spec) add(key, value string) bool {
	for _, l := range s.lists() {
		if l.key == key {
			*l.to = append(*l.to, value)
			return true
		}
	}
	return false
}

func (s *Spec) set(key, value string) (err error) {
	span := func(to *time.Duration) {
		var n int64
		n, err = strconv.ParseInt(value, 10, 64)
		*to = time.Duration(n)
	}
	flag := func(to *bool) {
		if *to = value == "yes"; !*to {
			err = errors.New("only yes is known")
		}
	}
	switch key {
	case "run":
		s.Run = value
	case "link":
		s.Link = value
	case "uow":
		s.UOW = value
	case "dir":
		s.Dir = value
	case "label":
		s.Label = value
	case "prefix":
		s.Prefix = value
	case "umask":
		var n uint64
		n, err = strconv.ParseUint(value, 8, 16)
		s.Umask = int(n)
	case "nice":
		s.Nice = new(int)
		*s.Nice, err = strconv.Atoi(value)
	case "terminal":
		flag(&s.Terminal)
	case "leave":
		flag(&s.Leave)
	case "tee":
		flag(&s.Tee)
	case "timeout":
		span(&s.Timeout)
	case "silence":
		span(&s.Silence)
	case "grace":
		span(&s.Grace)
	case "linger":
		span(&s.Linger)
	case "log_size":
		s.LogSize, err = strconv.ParseInt(value, 10, 64)
	default:
		err = errors.New("unknown key")
	}
	return err
}

// size is at least what Encode makes of s.
func (s *Spec) size() int {
	const rest = 512 // the keys that are there once, and all numbers
	n := rest + len(s.Run) + len(s.Link) + len(s.UOW) + len(s.Dir) + len(s.Label) + len(s.Prefix)
	for _, list := range s.lists() {
		for _, v := range *list.to {
			n += len(list.key) + len("=\x00") + len(v)
		}
	}
	return n
}

// Check refuses what no runner could carry out, today or tomorrow, on both ends of
// the socket.
func (s *Spec) Check() error {
	for _, text := range []struct{ what, value string }{{"run", s.Run}, {"link", s.Link}, {"uow", s.UOW}, {"dir", s.Dir}, {"label", s.Label}, {"prefix", s.Prefix}} {
		if strings.IndexByte(text.value, 0) >= 0 {
			return fmt.Errorf("%s %q holds a NUL byte", text.what, text.value)
		}
	}
	switch {
	case Boot(s.Run) == "":
		return fmt.Errorf("run %q is not a run id", s.Run)
	case s.Link == "" || s.Link == "." || s.Link == ".." || strings.Contains(s.Link, "/"):
		return fmt.Errorf("link %q is not a plain file name", s.Link)
	case !strings.HasPrefix(s.Dir, "/"):
		return fmt.Errorf("directory %q is not absolute", s.Dir)
	case strings.ContainsAny(s.Label+s.Prefix, "\r\n"):
		return fmt.Errorf("label %q or prefix %q is more than one line", s.Label, s.Prefix)
	case len(s.Argv) == 0 || s.Argv[0] == "":
		return errors.New("no program is named")
	case s.Umask < 0 || s.Umask > 0o777:
		return fmt.Errorf("umask %#o is out of range", s.Umask)
	case s.Nice != nil && (*s.Nice < -20 || *s.Nice > 19):
		return fmt.Errorf("nice %d is not in -20 to 19", *s.Nice)
	case s.Timeout < 0 || s.Silence < 0 || s.Grace < 0 || s.Linger < 0 || s.LogSize < 0:
		return errors.New("a limit is below zero")
	}
	if n := s.size(); n > maxSpec {
		return fmt.Errorf("the command with its environment takes %d bytes, at most %d are possible", n, maxSpec)
	}
	for _, e := range s.Env {
		if strings.IndexByte(e, '=') < 1 {
			return fmt.Errorf("environment entry %q is no NAME=value", e)
		}
	}
	for _, list := range s.lists() {
		for _, v := range *list.to {
			if strings.IndexByte(v, 0) >= 0 {
				return fmt.Errorf("%s %q holds a NUL byte", list.key, v)
			}
		}
	}
	return nil
}

// Single is what the file of `runner SPEC` holds: a spec and the run directory
// it belongs to.
type Single struct {
	Dir  string // path of the run directory
	Spec *Spec
}

// Encode writes the file.
func (s *Single) Encode() ([]byte, error) {
	b, err := s.Spec.Encode()
	if err == nil && (!strings.HasPrefix(s.Dir, "/") || strings.IndexByte(s.Dir, 0) >= 0) {
		err = fmt.Errorf("run directory %q is not an absolute path", s.Dir)
	}
	if err != nil {
		return nil, err
	}
	return append([]byte("run_directory="+s.Dir+"\x00"), b...), nil
}

// DecodeSingle reads it.
func DecodeSingle(b []byte) (*Single, error) {
	head, rest, _ := strings.Cut(string(b), "\x00")
	dir, ok := strings.CutPrefix(head, "run_directory=")
	if !ok || !strings.HasPrefix(dir, "/") {
		return nil, errors.New("spec: it does not begin with run_directory=/PATH")
	}
	s, err := DecodeSpec([]byte(rest))
	if err != nil {
		return nil, err
	}
	return &Single{Dir: dir, Spec: s}, nil
}
