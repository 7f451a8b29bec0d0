package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/afero"
)

// load reads text as the file /spool/config.toml.
func load(t testing.TB, text string) (*Config, error) {
	t.Helper()
	mem := afero.NewMemMapFs()
	if err := afero.WriteFile(mem, "/spool/config.toml", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return Load(mem, "/spool/config.toml")
}

func mustLoad(t testing.TB, text string) *Config {
	t.Helper()
	c, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// defaults as they are when loaded from /spool.
func defaults() *Config {
	c := Default()
	c.Root = "/spool"
	return c
}

func TestNothingSetIsDefault(t *testing.T) {
	for _, text := range []string{"", "\n", "# only a comment", "\ufeff", "[job]\n[dirs]\r\n[jobs]\n", "job.env = {}"} {
		if diff := cmp.Diff(defaults().shown(), mustLoad(t, text).shown()); diff != "" {
			t.Errorf("%q (-default +loaded):\n%s", text, diff)
		}
	}
}

func TestEveryKeyIsRead(t *testing.T) {
	c := mustLoad(t, `
root = "/srv/q/../r"
slots = 4
sleep_time = "1m"
settle_time = "0"
allow_command = false
tee = "stdout"
says_size = "64KiB"
says_keep = 0
dirs = { wait = "w", priority = "p", hold = "h", executing = "x", done = "d", error = "e", fail = "f", trash = "t", archive = "a", status = "s" }
files.reads = "in"
files.says = "out"
files.events = "ev"
[limits]
uow_size = "2MiB"
log_size = "1GiB"
[ready]
command = "test -e /ready"
free_space = "1GB"
[job]
type = "b"
shell = ["/bin/bash", "-euc"]
path = "/bin"
directory = "work"
umask = "077"
env = { LANG = "C" }
timeout = "1h"
silence = "5m"
kill_grace = "0s"
linger = "250ms"
leftover = "leave"
tries = 3
retry_delay = "1d"
[jobs.b]
program = ["tar", "cf", "{TO}", "-"]
items.TO = { pattern = '^\w+$', default = "x" }
items."RETRY DELAY" = {}
timeout = "30m"
silence = "0s"
slots = 2
process = "tar"
error_if = ['^a', 'b$']
fail_if = ["c"]
fail_exit = [75, 255]
env = { A = "1", _b = "" }
directory = "/tmp"
tries = 1
retry_delay = "0s"
leftover = "kill"
[status]
interval = "2s"
recent = 0
`)
	minutes30, none, tmp, one, kill, x := seconds(1800), seconds(0), "/tmp", 1, "kill", "x"
	want := &Config{
		Root: "/srv/r", Slots: 4, SleepTime: seconds(60), Tee: TeeStdout, SaysSize: 64 << 10,
		Dirs:   Dirs{Wait: "w", Priority: "p", Hold: "h", Executing: "x", Done: "d", Error: "e", Fail: "f", Trash: "t", Archive: "a", Status: "s"},
		Files:  Files{Reads: "in", Says: "out", Events: "ev"},
		Limits: Limits{UOWSize: 2 << 20, LogSize: 1 << 30},
		Ready:  Ready{Command: "test -e /ready", FreeSpace: 1e9},
		Job: Job{Type: "b", Shell: []string{"/bin/bash", "-euc"}, Path: "/bin", Directory: "work", Umask: "077",
			Env: map[string]string{"LANG": "C"}, Timeout: seconds(3600), Silence: seconds(300), Linger: milliseconds(250),
			Leftover: LeftoverLeave, Tries: 3, RetryDelay: seconds(86400)},
		Jobs: map[string]*JobType{"b": {Name: "b", Program: []string{"tar", "cf", "{TO}", "-"},
			Items:   map[string]Item{"TO": {Pattern: `^\w+$`, Default: &x}, "RETRY DELAY": {}},
			Timeout: &minutes30, Silence: &none, Slots: 2, Process: "tar",
			ErrorIf: []string{"^a", "b$"}, FailIf: []string{"c"}, FailExit: []int{75, 255},
			Env: map[string]string{"A": "1", "_b": ""}, Directory: &tmp, Tries: &one, RetryDelay: &none, Leftover: &kill}},
		Status: Status{Interval: seconds(2)},
	}
	opts := cmp.Options{
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".from" || p.Last().String() == ".re" }, cmp.Ignore()),
		// Else cmp asks Equal and shows no difference.
		cmp.Transformer("plain", func(c *Config) plainConfig { return plainConfig(*c) }),
		cmp.AllowUnexported(plainConfig{}, Item{}),
	}
	if diff := cmp.Diff(want, c, opts); diff != "" {
		t.Errorf("(-want +loaded):\n%s", diff)
	}
	if !c.Equal(want) || c.Equal(Default()) || c.Equal(nil) {
		t.Error("Equal does not see what cmp sees")
	}
	if mask, err := c.Job.Mask(); err != nil || mask != 0o77 {
		t.Errorf("mask %o, %v", mask, err)
	}
}

type plainConfig Config

func TestRootCountsFromTheFile(t *testing.T) {
	for root, want := range map[string]string{".": "/spool", "..": "/", "/srv/q": "/srv/q", "q/": "/spool/q", "a b": "/spool/a b"} {
		if got := mustLoad(t, "root = "+tomlString(root)).Root; got != want {
			t.Errorf("root %q: got %s, want %s", root, got, want)
		}
	}
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("my.toml", []byte(`root = "q"`), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Load(afero.NewOsFs(), "my.toml")
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(here, "q"); c.Root != want {
		t.Errorf("got %s, want %s", c.Root, want)
	}
}

func TestLoadOfWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Mkdir(path("directory"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path("fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("huge"), []byte(strings.Repeat("# comment\n", 1<<16)), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"missing": "no such file", "directory": "is not a regular file", "fifo": "is not a regular file", "huge": "is larger than 256KiB",
		"huge/x": "not a directory",
	} {
		c, err := Load(afero.NewOsFs(), path(name))
		if c != nil || err == nil || !strings.HasPrefix(err.Error(), "read configuration: ") || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path(name)) {
			t.Errorf("%s: %v", name, err)
		}
		if got := errors.Is(err, fs.ErrNotExist); got != (name == "missing") {
			t.Errorf("%s: ErrNotExist is %v", name, got)
		}
	}
}

func TestDurationsAndSizes(t *testing.T) {
	for text, want := range map[string]string{"0s": "0s", "0": "0s", "1d": "1d", "90s": "1m30s", "0.1ms": "1ms", "1.5s": "1s500ms", "1.0001s": "1s"} {
		if got := mustLoad(t, "job.timeout = "+tomlString(text)).Job.Timeout.String(); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{"0": "0B", "1GiB": "1GiB", "1.5MiB": "1536KiB", "10MB": "10MB"} {
		if got := mustLoad(t, "ready.free_space = "+tomlString(text)).Ready.FreeSpace.String(); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	for _, bare := range []string{"5", "0", "1.5", "-5", `"5"`, `"-5s"`, `""`, `"5 s"`, "inf", "true", "[]", "{}", "2026-01-01"} {
		for _, key := range []string{"job.timeout", "ready.free_space"} {
			_, err := load(t, key+" = "+bare)
			kind := map[string]string{"job.timeout": "is not a duration", "ready.free_space": "is not a size"}[key]
			if err == nil || !strings.Contains(err.Error(), "config.toml:1: "+key) || !strings.Contains(err.Error(), kind) {
				t.Errorf("%s = %s: %v", key, bare, err)
			}
		}
	}
}

const examplePath = "../../config.example.toml"

// uncommented is the example with its job types switched on.
func uncommented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	before, jobs, ok := strings.Cut(string(text), "\n#[jobs.")
	if !ok {
		t.Fatal("no job type in the example")
	}
	return before + "\n[jobs." + strings.ReplaceAll(jobs, "\n#", "\n")
}

func TestExampleIsTheDefault(t *testing.T) {
	c, err := Load(afero.NewOsFs(), examplePath)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Root, err = filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.shown(), c.shown()); diff != "" {
		t.Errorf("(-default +example):\n%s", diff)
	}
	// And it is there in full, not by being left out.
	var b strings.Builder
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if strings.HasSuffix(line, "# default\n") {
			t.Errorf("not in the example: %s", line)
		}
	}
}

func TestExampleJobTypes(t *testing.T) {
	text := uncommented(t)
	c := mustLoad(t, text)
	if names := []string{"ansible", "backup"}; len(c.Jobs) != len(names) || c.Jobs["ansible"] == nil || c.Jobs["backup"] == nil {
		t.Errorf("job types %v, want %v", c.Jobs, names)
	}
	lines, _ := keyLines(text)
	for _, f := range fields(reflect.TypeFor[JobType]()) {
		if lines[join([]string{"jobs", "ansible", f.key})] == 0 {
			t.Errorf("the example shows no %s of a job type", f.key)
		}
	}
	for _, f := range fields(reflect.TypeFor[Item]()) {
		if lines[join([]string{"jobs", "ansible", "items", "PLAYBOOK", f.key})] == 0 {
			t.Errorf("the example shows no %s of an item", f.key)
		}
	}
	items := map[string]string{"INVENTORY": "prod"}
	args, faults := c.Jobs["ansible"].Fill(func(name string) (string, bool) { v, ok := items[name]; return v, ok })
	want := []string{"ansible-playbook", "-i", "prod", "--limit=all", "site.yml"}
	if faults != nil || !slices.Equal(args, want) {
		t.Errorf("got %q, %v, want %q", args, faults, want)
	}
}

// Every key of the example says in its line why one would change it.
func TestExampleExplainsEveryKey(t *testing.T) {
	text, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), "\n# Job types")
	for line := range strings.Lines(before) {
		if strings.Contains(line, " = ") && !strings.HasPrefix(line, "#") && !strings.Contains(line, "   # ") {
			t.Errorf("no reason: %s", line)
		}
	}
}
