package run

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestHowACommandEnds(t *testing.T) {
	k := newKept(t)
	noexec := filepath.Join(t.TempDir(), "noexec")
	script := filepath.Join(t.TempDir(), "script")
	garbage := filepath.Join(t.TempDir(), "garbage")
	for name, content := range map[string]string{noexec: "#!/bin/sh\n", script: "#!/no/such/interpreter -x\n", garbage: "neither\n"} {
		mode := os.FileMode(0o755)
		if name == noexec {
			mode = 0o644
		}
		if err := os.WriteFile(name, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	in := func(dir string) func(*Spec) { return func(s *Spec) { s.Dir = dir } }
	for _, c := range []struct {
		name         string
		argv         []string
		change       func(*Spec)
		reason       string
		exit, signal int
		text         string // regular expression
	}{
		{"exit 0", sh("echo hi"), nil, Exit, 0, 0, `^exit 0 after \d+ms$`},
		{"exit 3", sh("exit 3"), nil, Exit, 3, 0, `^exit 3 after `},
		{"signal", sh("kill -SEGV $$"), nil, Signalled, 0, 11, `^killed by SIGSEGV after `},
		{"exit 143 of its own", sh("exit 143"), nil, Exit, 143, 0, `^exit 143 after `},
		{"program in PATH", []string{"true"}, nil, Exit, 0, 0, `^exit 0`},
		{"PATH of the job, not ours", []string{"true"}, func(s *Spec) { s.Env = []string{"PATH=/nowhere"} }, NotStarted, 0, 0, `^not started: no program "true" in PATH "/nowhere"$`},
		{"no PATH", []string{"true"}, func(s *Spec) { s.Env = nil }, NotStarted, 0, 0, `no program "true" in PATH ""`},
		{"relative program", []string{"./bin/true"}, in("/usr"), Exit, 0, 0, `^exit 0`},
		{"no program", []string{"/no/such"}, nil, NotStarted, 0, 0, `^not started: program "/no/such" does not exist$`},
		{"no directory", sh("true"), in("/no/such/dir"), NotStarted, 0, 0, `^not started: directory "/no/such/dir" does not exist$`},
		{"directory is a file", sh("true"), in("/etc/passwd"), NotStarted, 0, 0, `^not started: directory "/etc/passwd" is not a directory$`},
		{"not executable", []string{noexec}, nil, NotStarted, 0, 0, `is not executable for this user$`},
		{"not executable in PATH", []string{"noexec"}, func(s *Spec) { s.Env = []string{"PATH=" + filepath.Dir(noexec)} }, NotStarted, 0, 0, `noexec" is not executable for this user$`},
		{"no interpreter", []string{script}, nil, NotStarted, 0, 0, `its interpreter "/no/such/interpreter": no such file`},
		{"neither binary nor script", []string{garbage}, nil, NotStarted, 0, 0, `neither a binary .* nor a script`},
		{"a directory as program", []string{"/usr"}, nil, NotStarted, 0, 0, `"/usr" is not a regular file`},
		{"too long", []string{"/bin/true", strings.Repeat("x", 1<<20)}, nil, NotStarted, 0, 0, `too long for the kernel`},
		{"bad pattern", sh("true"), func(s *Spec) { s.ErrorIf = []string{"("} }, NotStarted, 0, 0, `the pattern "\("`},
		{"timeout", sh("sleep 100"), func(s *Spec) { s.Timeout = 150 * time.Millisecond }, Timeout, 0, 15, `^timed out after 150ms$`},
		{"timeout, TERM caught", sh("trap 'exit 9' TERM; sleep 100 & wait"), func(s *Spec) { s.Timeout = 150 * time.Millisecond }, Timeout, 9, 0, `^timed out after 150ms$`},
		{"timeout, TERM ignored", sh("trap '' TERM; sleep 100; sleep 100"), func(s *Spec) { s.Timeout = 150 * time.Millisecond }, Timeout, 0, 9, `^timed out after 150ms$`},
		{"silence", sh("echo a; sleep 100"), func(s *Spec) { s.Silence = 150 * time.Millisecond }, Silence, 0, 15, `^silent for 150ms$`},
		{"not silent", sh("for i in 1 2 3 4; do echo $i; sleep 0.1; done"), func(s *Spec) { s.Silence = 2 * time.Second }, Exit, 0, 0, `^exit 0`},
		{"stopped processes are ended too", sh("kill -STOP $$"), func(s *Spec) { s.Timeout = 150 * time.Millisecond }, Timeout, 0, 15, `^timed out`},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer k.as(t)()
			s := k.spec(c.argv...)
			if c.change != nil {
				c.change(s)
			}
			e := k.run(s)
			if e.Reason != c.reason || e.Exit != c.exit || e.Signal != c.signal || !regexp.MustCompile(c.text).MatchString(e.Text) {
				t.Errorf("ended %+v, want %s, exit %d, signal %d, text %s", e, c.reason, c.exit, c.signal, c.text)
			}
			if e.ErrorIf != -1 || e.FailIf != -1 || e.Dropped != 0 || e.Unlogged {
				t.Errorf("ended %+v with things nobody asked for", e)
			}
			log := k.log(s)
			first := "---- \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z try 1: "
			if len(s.Argv[0]) < 100 && len(s.Argv) < 3 && len(s.Argv[len(s.Argv)-1]) < 100 || c.name == "exit 0" {
				if !regexp.MustCompile("^==== JOB LOG\n" + first + regexp.QuoteMeta(CommandLine(s.Argv)) + "\n").MatchString(log) {
					t.Errorf("the log does not begin as it should:\n%s", log)
				}
			}
			// RE2 reads text as one line here: it holds no line break.
			if last := regexp.MustCompile(first + ".*\n$"); !last.MatchString(log) || !strings.HasSuffix(log, ": "+e.Text+"\n") {
				t.Errorf("the log does not end with the text %q:\n%.2000s", e.Text, log)
			}
			nobodyLeft(t, s.Run)
		})
	}
}

func TestUsageIsMeasured(t *testing.T) {
	k := newKept(t)
	s := k.spec("/usr/bin/perl", "-e", `$x = "x" x 50_000_000; for (1..3_000_000) { $y += $_ } print "done"`)
	e := k.run(s)
	if e.Peak < 50e6 || e.CPU < 20*time.Millisecond || e.Wall < e.CPU/2 || e.Output != 4 || time.Since(e.Finished) > time.Minute {
		t.Errorf("usage %+v, want 50 MB, some cpu, 4 bytes", e)
	}
	if !strings.Contains(k.log(s), "\ndone\n---- ") {
		t.Errorf("no line break after the output:\n%s", k.log(s))
	}
}

func TestPatterns(t *testing.T) {
	k := newKept(t)
	for _, c := range []struct {
		output     string // for printf
		error, bad int
	}{
		{`ok\n`, -1, -1},
		{`x fatal: no\n`, -1, -1},
		{`fatal: yes\n`, 0, -1},
		{`\033[0;31mfatal: yes\033[0m\n`, 0, -1},
		{`\033]0;title\007fatal: yes\r\n`, 0, -1},
		{`fatal: unfinished`, 0, -1},
		{`a\nhost UNREACHABLE! b\nERR\n`, 1, 0},
	} {
		s := k.spec("/usr/bin/printf", c.output)
		s.ErrorIf, s.FailIf = []string{`^fatal: `, `^ERR$`}, []string{`UNREACHABLE!`}
		if e := k.run(s); e.ErrorIf != c.error || e.FailIf != c.bad || e.Reason != Exit {
			t.Errorf("%q: ended %+v, want error_if %d, fail_if %d", c.output, e, c.error, c.bad)
		}
	}
	// What the last command was looked through for means nothing to the next.
	if e := k.run(k.spec("/usr/bin/printf", `fatal: yes\n`)); e.ErrorIf != -1 {
		t.Errorf("a rule of another command matched: %+v", e)
	}
}
