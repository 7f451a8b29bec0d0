// Package config owns what a person may set: the keys of config.toml, their
// defaults, what values they may have, and how a job type makes an argument
// vector of a UOW's items.
//
// It promises that a file with a fault is refused whole, with every fault that
// can be told at once, each with its line and what would be right; that no key
// is ignored; and that what [Config.Write] shows is read back as the same
// configuration.
//
// It has no side effects: it reads one file through an afero.Fs and looks at
// nothing else. Whether a directory exists or a program can be run is for those
// who use them.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/afero"
)

// Config is one configuration in force. A field's toml tag is its key; the
// defaults are in [Default] and nowhere else.
type Config struct {
	Root         string              `toml:"root"` // absolute after Load
	Slots        int                 `toml:"slots"`
	SleepTime    Duration            `toml:"sleep_time"`
	SettleTime   Duration            `toml:"settle_time"`
	AllowCommand bool                `toml:"allow_command"`
	Tee          string              `toml:"tee"`
	SaysSize     Size                `toml:"says_size"`
	SaysKeep     int                 `toml:"says_keep"`
	Dirs         Dirs                `toml:"dirs"`
	Files        Files               `toml:"files"`
	Limits       Limits              `toml:"limits"`
	Ready        Ready               `toml:"ready"`
	Job          Job                 `toml:"job"`
	Jobs         map[string]*JobType `toml:"jobs"`
	Status       Status              `toml:"status"`

	from source // where each value came from, for Write
}

// Dirs are the directories' names under the root.
type Dirs struct {
	Wait      string `toml:"wait"`
	Priority  string `toml:"priority"`
	Hold      string `toml:"hold"`
	Executing string `toml:"executing"`
	Done      string `toml:"done"`
	Error     string `toml:"error"`
	Fail      string `toml:"fail"`
	Trash     string `toml:"trash"`
	Archive   string `toml:"archive"`
	Status    string `toml:"status"`
}

// Files are the names, under the root, of the files people and programs talk
// through.
type Files struct {
	Reads  string `toml:"reads"`
	Says   string `toml:"says"`
	Events string `toml:"events"`
}

// Limits bound what one UOW may put on the disk.
type Limits struct {
	UOWSize Size `toml:"uow_size"`
	LogSize Size `toml:"log_size"`
}

// Ready is what must hold before anything starts.
type Ready struct {
	Command   string `toml:"command"`
	FreeSpace Size   `toml:"free_space"`
}

// Job holds the defaults of every job.
type Job struct {
	Type       string            `toml:"type"`
	Shell      []string          `toml:"shell"`
	Path       string            `toml:"path"`
	Directory  string            `toml:"directory"`
	Umask      string            `toml:"umask"`
	Env        map[string]string `toml:"env"`
	Timeout    Duration          `toml:"timeout"`
	Silence    Duration          `toml:"silence"`
	KillGrace  Duration          `toml:"kill_grace"`
	Linger     Duration          `toml:"linger"`
	Leftover   string            `toml:"leftover"`
	Tries      int               `toml:"tries"`
	RetryDelay Duration          `toml:"retry_delay"`
}

// Status sets how the digest is written.
type Status struct {
	Interval Duration `toml:"interval"`
	Recent   int      `toml:"recent"`
}

// The values of tee and leftover.
const (
	TeeNone       = "none"
	TeeStdout     = "stdout"
	LeftoverKill  = "kill"
	LeftoverLeave = "leave"
)

// Default is the configuration of a spool without a config.toml. Its root is
// the current directory, which the caller replaces.
func Default() *Config {
	return &Config{
		Root:         ".",
		Slots:        1,
		SleepTime:    seconds(15),
		SettleTime:   milliseconds(500),
		AllowCommand: true,
		Tee:          TeeNone,
		SaysSize:     10 << 20,
		SaysKeep:     5,
		Dirs: Dirs{
			Wait: "wait-q", Priority: "priority-q", Hold: "hold-q", Executing: "currently-executing",
			Done: "done-q", Error: "error-q", Fail: "fail-q",
			Trash: "trash", Archive: "archive", Status: "status",
		},
		Files:  Files{Reads: "monitor_reads", Says: "monitor_says", Events: "monitor_events"},
		Limits: Limits{UOWSize: 1 << 20, LogSize: 256 << 20},
		Ready:  Ready{FreeSpace: 64 << 20},
		Job: Job{
			Shell:      []string{"/bin/sh", "-c"},
			Path:       "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			Umask:      "0022",
			KillGrace:  seconds(10),
			Linger:     seconds(2),
			Leftover:   LeftoverKill,
			Tries:      1,
			RetryDelay: seconds(10),
		},
		Status: Status{Interval: seconds(1), Recent: 20},
	}
}

// Mask is the file mode creation mask that Umask spells in octal.
func (j Job) Mask() (int, error) {
	n, err := strconv.ParseUint(j.Umask, 8, 16)
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("%q is not an octal number from 0 to 0777", j.Umask)
	}
	return int(n), nil
}

// Equal tells whether two configurations set the same, wherever it was set.
// After a reload it tells whether anything changed.
func (c *Config) Equal(other *Config) bool {
	if c == nil || other == nil {
		return c == other
	}
	return c.shown() == other.shown()
}

// shown is what Write writes but for the places.
func (c *Config) shown() string {
	bare := *c
	bare.from = source{}
	var b strings.Builder
	_ = bare.Write(&b) // a Builder takes everything
	return b.String()
}

// maxFile is far above any real configuration and low enough that the deepest
// nesting it can hold is parsed in little memory.
const maxFile = 256 << 10

// Load reads the file at path over the defaults. The faults of the file come
// as [Errors]; a file that is missing or cannot be read is another error, to
// which errors.Is(err, fs.ErrNotExist) and its like give the kind.
func Load(fs afero.Fs, path string) (*Config, error) {
	data, err := read(fs, path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return parse(data, path)
}

func read(fs afero.Fs, path string) ([]byte, error) {
	// Asked before the open, which would wait for a writer if this is a FIFO.
	info, err := fs.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %s", path, Size(maxFile))
	}
	return data, nil
}

func parse(data []byte, path string) (*Config, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	lines, tooDeep := keyLines(string(data))
	if tooDeep > 0 {
		return nil, Errors{{File: path, Line: tooDeep, Text: fmt.Sprintf("nested deeper than %d, which no key is", maxDepth)}}
	}
	var tree map[string]any
	if _, err := toml.Decode(string(data), &tree); err != nil {
		return nil, Errors{syntaxError(path, err)}
	}
	c := Default()
	c.from = source{file: path, lines: lines}
	d := decoder{from: c.from, bad: map[string]bool{}}
	d.table(nil, tree, reflect.ValueOf(c).Elem())
	for name, job := range c.Jobs {
		job.Name = name
	}
	validate(c, &d)
	if len(d.errs) > 0 {
		return nil, d.sorted()
	}
	if !filepath.IsAbs(c.Root) {
		dir, err := filepath.Abs(filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("find the root of %s: %w", path, err)
		}
		c.Root = filepath.Join(dir, c.Root)
	}
	c.Root = filepath.Clean(c.Root)
	return c, nil
}

// syntaxError takes the library's own way of naming the place off its message.
func syntaxError(path string, err error) *Error {
	var p toml.ParseError
	if !errors.As(err, &p) {
		return &Error{File: path, Text: strings.TrimPrefix(err.Error(), "toml: ")}
	}
	text := p.Message
	if key, rest, ok := strings.Cut(text, "' has already been defined"); ok {
		text = fmt.Sprintf("key %q is here a second time%s", strings.TrimPrefix(key, "Key '"), strings.TrimSuffix(rest, "."))
	}
	return &Error{File: path, Line: p.Position.Line, Text: text}
}
