package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Each text has one fault; the answer names its line and what would be right.
func TestFaults(t *testing.T) {
	job := func(line string) string { return "[jobs.a]\nprogram = [\"x\"]\n" + line }
	for _, test := range []struct{ text, want string }{
		// keys
		{"slot = 3", `1: unknown key "slot"; did you mean "slots"?`},
		{"\n\nSlots = 3", `3: unknown key "Slots"; did you mean "slots"?`},
		{"sleep-time = \"1s\"", `1: unknown key "sleep-time"; did you mean "sleep_time"?`},
		{"[dir]\nwait = 'x'", `1: unknown key "dir"; did you mean "dirs"?`},
		{"[job]\ntiemout = '1s'", `2: unknown key "job.tiemout"; did you mean "job.timeout"?`},
		{"job . Timeout = '1s'", `1: unknown key "job.Timeout"; did you mean "job.timeout"?`},
		{"job = { tries = 2,\n\"outfit\" = 1 }", `2: unknown key "job.outfit"; known here: type, shell, path,`},
		{"timeout = '1s'", `1: unknown key "timeout"; did you mean "job.timeout"?`},
		{"[status]\nslots = 2", `2: unknown key "status.slots"; "slots" stands before the first [table]`},
		{"[limits]\nuow_size = '1MiB'\n'log size' = '1MiB'", `3: unknown key limits."log size"; did you mean "limits.log_size"?`},
		{job("items.X = { patern = 'x' }"), `3: unknown key "jobs.a.items.X.patern"; did you mean "jobs.a.items.X.pattern"?`},
		{job("[[steps]]\n[[steps]]"), `3: unknown key "steps"`},
		{job("name = 'b'"), `3: unknown key "jobs.a.name"`},
		{job("kill_grace = '1s'"), `3: unknown key "jobs.a.kill_grace"; did you mean "job.kill_grace"?`},
		{"\"" + strings.Repeat("x", 5000) + "\" = 1", `…; known here: root`},
		{`"" = 1`, `1: unknown key ""; known here`},
		// syntax
		{"slots = 1\nslots = 2", `2: key "slots" is here a second time`},
		{"[job]\n[job]", `2: key "job" is here a second time`},
		{"slots 3", `1: `},
		{"slots = 1\nx = \"abc\n", `2: `},
		{"slots = 1 slots = 2", `1: `},
		{"x = \xff", `1: `},
		{"a\x00b = 1", "1: "},
		{"slots = 99999999999999999999", `1: `},
		// types
		{"slots = 'x'", `1: slots: "x" is not a whole number (such as 4, without quotes)`},
		{"slots = 1.0", `1: slots: 1 is not a whole number`},
		{"[slots]", `1: slots: a table is not a whole number`},
		{"tee = 5", `1: tee: 5 is not a text (write it in quotes)`},
		{"allow_command = 'yes'", `1: allow_command: "yes" is not a switch (write true or false)`},
		{"dirs = 'x'", `1: dirs: "x" is not a table`},
		{"job.shell = '/bin/sh'", `1: job.shell: "/bin/sh" is not a list of texts (write ["one", "two"])`},
		{"job.shell = ['/bin/sh', 3]", `1: job.shell: 3 is not a text`},
		{"job.shell = [[]]", `1: job.shell: a list is not a text`},
		{"job.env = ['A=b']", `1: job.env: a list is not a table of texts (write { NAME = "value" })`},
		{"job.env.A = 1", `1: job.env.A: 1 is not a text`},
		{"root = 2026-01-01", `1: root: a date or time is not a text`},
		{"jobs = 3", `1: jobs: 3 is not a table`},
		{"jobs.a = 3", `1: jobs.a: 3 is not a table`},
		{"[[jobs]]", `1: jobs: a list is not a table`},
		{job("items = 3"), `3: jobs.a.items: 3 is not a table`},
		{job("items.X = 3"), `3: jobs.a.items.X: 3 is not a table`},
		{job("items.X.default = 3"), `3: jobs.a.items.X.default: 3 is not a text`},
		{job("timeout = 30"), `3: jobs.a.timeout: 30 is not a duration (write`},
		{job("tries = '3'"), `3: jobs.a.tries: "3" is not a whole number`},
		{job("fail_exit = ['75']"), `3: jobs.a.fail_exit: "75" is not a whole number`},
		{job("fail_exit = 75"), `3: jobs.a.fail_exit: 75 is not a list of whole numbers (write [75, 76])`},
		{`ready.command = "a\u0000b"`, `1: ready.command: "a\x00b" holds a NUL`},
		{"says_size = 5", `1: says_size: 5 is not a size (write`},
		// values
		{"root = ''", `1: root: is empty (write "." for the directory of this file)`},
		{`root = "a\nb"`, `1: root: "a\nb" holds a control character`},
		{"slots = 0", `1: slots: 0 is not a number from 1 to 100000`},
		{"slots = -1", `1: slots: -1 is not`},
		{"slots = 9223372036854775807", `1: slots: 9223372036854775807 is not a number from 1 to`},
		{"sleep_time = '99ms'", `1: sleep_time: 99ms is too short (at least 100ms)`},
		{"tee = 'Stdout'", `1: tee: "Stdout" is not one of "none", "stdout"`},
		{"says_size = '4095B'", `1: says_size: 4095B is not a size from 4KiB to 1TiB`},
		{"says_keep = -1", `1: says_keep: -1 is not a number from 0`},
		{"limits.uow_size = '1023B'", `1: limits.uow_size: 1023B is not a size from 1KiB to 64MiB`},
		{"limits.uow_size = '65MiB'", `1: limits.uow_size: 65MiB is not a size from 1KiB to 64MiB`},
		{"limits.log_size = '1KiB'", `1: limits.log_size: 1KiB is not a size from 64KiB`},
		{"status.recent = -1", `1: status.recent: -1 is not a number from 0`},
		{"job.type = 'x'", `1: job.type: no job type "x" here (there is no [jobs.NAME] table at all)`},
		{job("[job]\ntype = 'x'"), `4: job.type: no job type "x" here (there are: a)`},
		{"job.shell = []", `1: job.shell: is empty (write ["/bin/sh", "-c"])`},
		{"job.shell = ['sh', '-c']", `1: job.shell: "sh" is not an absolute path`},
		{"job.path = ''", `1: job.path: is empty`},
		{"job.umask = '8'", `1: job.umask: "8" is not an octal number from 0 to 0777`},
		{"job.umask = '1000'", `1: job.umask: "1000" is not an octal number`},
		{"job.umask = '-1'", `1: job.umask: "-1" is not an octal number`},
		{"job.umask = ''", `1: job.umask: "" is not an octal number`},
		{"job.umask = 22", `1: job.umask: 22 is not a text`},
		{"job.env.A-B = 'x'", `1: job.env: "A-B" is not the name of a variable`},
		{"job.env.'' = 'x'", `1: job.env: "" is not the name of a variable`},
		{"job.env.1A = 'x'", `1: job.env: "1A" is not the name`},
		{"job.env.MONITOR_TRY = 'x'", `1: job.env: "MONITOR_TRY" is set by the monitor itself`},
		{"job.env.UOW_X = 'x'", `1: job.env: "UOW_X" is set by the monitor itself`},
		{"job.leftover = 'keep'", `1: job.leftover: "keep" is not one of "kill", "leave"`},
		{"job.tries = 0", `1: job.tries: 0 is not a number from 1 to 1000000`},
		// names
		{"dirs.wait = ''", `1: dirs.wait: is empty`},
		{"dirs.wait = 'a/b'", `1: dirs.wait: "a/b" is not a name (one word of`},
		{"dirs.wait = '/a'", `1: dirs.wait: "/a" is not a name`},
		{"dirs.wait = '..'", `1: dirs.wait: ".." is not a name`},
		{"dirs.wait = '.monitor'", `1: dirs.wait: ".monitor" is not a name`},
		{"dirs.wait = 'a b'", `1: dirs.wait: "a b" is not a name`},
		{"dirs.wait = 'a*'", `1: dirs.wait: "a*" is not a name`},
		{"dirs.wait = '-q'", `1: dirs.wait: "-q" is not a name`},
		{"dirs.wait = '" + strings.Repeat("x", 201) + "'", `is not a name`},
		{"dirs.wait = 'README.d'", `1: dirs.wait: "README.d" is taken by`},
		{"files.says = 'readme'", `1: files.says: "readme" is taken by`},
		{"dirs.wait = 'config.toml'", `1: dirs.wait: "config.toml" is the configuration's own name already`},
		{"dirs.wait = 'done-q'", `1: dirs.wait: "done-q" is dirs.done already`},
		{"dirs.done = 'wait-q'", `1: dirs.done: "wait-q" is dirs.wait already`},
		{"files.says = 'trash'", `1: files.says: "trash" is dirs.trash already`},
		{"files.says = 'm'\nfiles.events = 'm'", `2: files.events: "m" is files.says already`},
		{"dirs.wait = 'monitor_says.1'", `1: dirs.wait: "monitor_says.1" is what a rotated file will be called`},
		// job types
		{"[jobs.\"a b\"]\nprogram = ['x']", `1: "a b" is not the name of a job type`},
		{"[jobs.'']\nprogram = ['x']", `1: "" is not the name of a job type`},
		{"\n[jobs.a]\nslots = 1", `2: jobs.a.program: is missing (write`},
		{"[jobs.a]\nprogram = []", `2: jobs.a.program: is missing`},
		{"[jobs.a]\nprogram = ['']", `2: jobs.a.program: its first word is empty`},
		{"[jobs.a]\nprogram = ['/opt/{X}']", `2: jobs.a.program: its first word "/opt/{X}" has a placeholder`},
		{job("slots = -1"), `3: jobs.a.slots: -1 is not a number from 0`},
		{job("error_if = ['ok', '(']"), "3: jobs.a.error_if: \"(\" is not a regular expression: missing closing ): `(`"},
		{job("fail_if = ['a{2000}']"), `3: jobs.a.fail_if: "a{2000}" is not a regular expression: invalid repeat count`},
		{job("fail_exit = [0]"), `3: jobs.a.fail_exit: 0 is not an exit status that means trouble (1 to 255)`},
		{job("fail_exit = [256]"), `3: jobs.a.fail_exit: 256 is not`},
		{job("env.UOW_A = ''"), `3: jobs.a.env: "UOW_A" is set by the monitor itself`},
		{job("tries = 0"), `3: jobs.a.tries: 0 is not a number from 1`},
		{job("leftover = ''"), `3: jobs.a.leftover: "" is not one of`},
		{job(`process = "a\nb"`), `3: jobs.a.process: "a\nb" holds a control character`},
		{job("items._x = {}"), `3: jobs.a.items: "_x" is not the name of an item`},
		{job("items.'a ' = {}"), `3: jobs.a.items: "a " is not the name of an item`},
		{job("items.ä = {}"), `: `},
		{job("items." + strings.Repeat("x", 65) + " = {}"), `is not the name of an item`},
		{job("items.'A b' = {}\nitems.a_B = {}"), `4: jobs.a.items: items "A b" and "a_B" would be the same variable UOW_A_B`},
		{job("items.X.pattern = '('"), `3: jobs.a.items.X.pattern: "(" is not a regular expression`},
		{job("items.X = { pattern = '^a$',\n default = 'b' }"), `4: jobs.a.items.X.default: "b" does not match the item's own pattern "^a$"`},
		{job("items.X.pattern = '(?=a)'"), `3: jobs.a.items.X.pattern: "(?=a)" is not a regular expression: invalid or unsupported Perl syntax`},
	} {
		_, err := load(t, test.text)
		var faults Errors
		if !errors.As(err, &faults) {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if len(faults) != 1 || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "/spool/config.toml:") {
			t.Errorf("%q:\ngot  %v\nwant %s", test.text, err, test.want)
		}
		if len(err.Error()) > 400 {
			t.Errorf("%.50q: an error of %d bytes", test.text, len(err.Error()))
		}
		var one *Error
		if !errors.As(err, &one) || one.Line == 0 {
			t.Errorf("%q: no single error with a line: %v", test.text, err)
		}
	}
}

func TestAllFaultsAtOnceInOrder(t *testing.T) {
	_, err := load(t, `
slot = 3
sleep_time = 5
tee = "x"
[job]
umask = "999"
shel = ["x"]
[jobs.a]
error_if = ["("]
fail_if = [")"]
`)
	want := []string{
		`/spool/config.toml:2: unknown key "slot"; did you mean "slots"?`,
		`/spool/config.toml:3: sleep_time: 5 is not a duration (write 250ms, 90s, 30m, 2h30m or 1d)`,
		`/spool/config.toml:4: tee: "x" is not one of "none", "stdout"`,
		`/spool/config.toml:6: job.umask: "999" is not an octal number from 0 to 0777`,
		`/spool/config.toml:7: unknown key "job.shel"; did you mean "job.shell"?`,
		`/spool/config.toml:8: jobs.a.program: is missing (write ["program", "argument", "{ITEM}"])`,
		"/spool/config.toml:9: jobs.a.error_if: \"(\" is not a regular expression: missing closing ): `(`",
		"/spool/config.toml:10: jobs.a.fail_if: \")\" is not a regular expression: unexpected ): `)`",
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), fmt.Sprint(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestManyFaultsAreCounted(t *testing.T) {
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, "key%d = 1\n", i)
	}
	_, err := load(t, b.String())
	var faults Errors
	if !errors.As(err, &faults) || len(faults) != 51 || !strings.HasSuffix(err.Error(), "config.toml: and 150 more") {
		t.Errorf("%d faults: %v", len(faults), err)
	}
}

// The largest file of the worst shapes is judged in bearable time: a monitor
// reads its configuration again while jobs run.
func TestHostileShapes(t *testing.T) {
	for _, unit := range []string{
		"[", "x=[", "x={a=", "[{a=", "a.", "[a.", "[[a]]\n", "[a]\n", "a.a\n", "x = [\n", "\"", "'", "\"\"\"", "#", "\n", "a=1,", "x={", ",",
		"x = \"\\", "a", "\r", "x=1\n", "x = '''", "x=\"\"\"\n",
	} {
		text := strings.Repeat(unit, maxFile/len(unit))
		start := time.Now()
		_, err := load(t, text)
		if err == nil && unit != "#" && unit != "\n" {
			t.Errorf("%q many times is accepted", unit)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%q many times takes %s", unit, took)
		}
	}
	var many strings.Builder
	many.WriteString("jobs.a.env = {")
	for i := 0; many.Len() < maxFile-100; i++ {
		fmt.Fprintf(&many, "A%d='',", i)
	}
	many.WriteString("}\njobs.a.program = ['x']\n")
	if c := mustLoad(t, many.String()); len(c.Jobs["a"].Env) < 1000 {
		t.Errorf("%d variables", len(c.Jobs["a"].Env))
	}
}
