package monitor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/config"
	"simplejobq/internal/durable"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
)

// bench is a session on a spool of the test's that starts nothing: it is paused.
type bench struct {
	*session
	t    *testing.T
	root string
}

func newBench(t *testing.T, adjust func(*config.Config)) *bench {
	t.Helper()
	conf := config.Default()
	conf.Root, conf.Ready.FreeSpace = t.TempDir(), 0
	if adjust != nil {
		adjust(conf)
	}
	if err := spool.Make(Layout(conf)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(conf.Root, "status"), 0o755), os.WriteFile(filepath.Join(conf.Root, "monitor_reads"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	sp, err := spool.Open(Layout(conf))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sp.Close)
	s, err := newSession(Config{Conf: conf, Stderr: io.Discard}, sp, time.Now(), newMemory())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	s.paused = true
	return &bench{s, t, conf.Root}
}

func (b *bench) drop(queue, name, text string) {
	b.t.Helper()
	tmp := filepath.Join(b.root, "elsewhere")
	if err := errors.Join(os.WriteFile(tmp, []byte(text), 0o644), os.Rename(tmp, filepath.Join(b.root, queue, name))); err != nil {
		b.t.Fatal(err)
	}
}

// rounds turns until all that was dropped is accepted.
func (b *bench) rounds(want ...string) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		b.timer = true
		if err := b.round(); err != nil {
			b.t.Fatal(err)
		}
		missing := ""
		for _, name := range want {
			dir, plain, _ := strings.Cut(name, "/")
			q, _ := b.sp.ByName(dir)
			if e := b.sp.Entry(q, plain); e == nil || e.State != spool.Accepted {
				missing = name
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s is not accepted", missing)
		}
	}
}

func uowText(items ...string) string {
	return "==== UNIT OF WORK\n" + strings.Join(items, "\n") + "\n"
}

func endedText(status string) string {
	return fmt.Sprintf("timestamp: 2026-11-21T21:49:08.123Z enqueued\n\n==== UNIT OF WORK\nCOMMAND :: true\n\n==== STATUS\n%-240s\n\n==== JOB LOG\n", status)
}

// Why a UOW does not start, or never will.
func TestGates(t *testing.T) {
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	b := newBench(t, nil)
	b.drop("done-q", "good", endedText("done: exit 0 after 1ms"))
	b.drop("error-q", "bad", endedText("error: exit 1 after 1ms"))
	b.drop("archive", "old", endedText("done: exit 0 after 1ms"))
	b.drop("archive", "old-bad", endedText("fail: timed out after 1s"))
	b.drop("trash", "refused", "x\n")
	for name, c := range map[string]struct{ item, why, fail string }{
		"free":        {},
		"later":       {item: "NOT BEFORE :: " + future, why: "not before "},
		"not-yet":     {item: "EXPIRES :: " + future},
		"after-good":  {item: "AFTER :: good"},
		"after-old":   {item: "AFTER :: old, good"},
		"after-bad":   {item: "AFTER :: good, bad", fail: "not started: it comes after bad, which is in error-q"},
		"after-worse": {item: "AFTER :: old-bad", fail: "not started: it comes after old-bad, which is in archive"},
		"any-bad":     {item: "AFTER ANY :: bad, old-bad"},
		"after-none":  {item: "AFTER :: nobody", why: "waits for nobody (nobody has seen it yet)"},
		"after-trash": {item: "AFTER :: refused", why: "waits for refused (nobody has seen it yet)"},
		"after-free":  {item: "AFTER :: free", why: "waits for free (in wait-q)"},
		"exactly":     {item: "AFTER :: error-q/bad", fail: "not started: it comes after error-q/bad, which is in error-q"},
	} {
		t.Run(name, func(t *testing.T) {
			b.t = t
			b.drop("wait-q", name, uowText("COMMAND :: true", c.item))
			if name == "after-free" {
				b.drop("wait-q", "free", uowText("COMMAND :: true"))
			}
			b.rounds("wait-q/" + name)
			g := b.gate(b.sp.Entry(spool.Wait, name))
			if c.why == "" && c.fail == "" && !g.open() || !strings.Contains(g.why, c.why) || g.fail != c.fail || (g.why == "") != (c.why == "") {
				t.Errorf("%+v, want %q %q", g, c.why, c.fail)
			}
		})
	}
}

// What has expired ends, though nothing may start.
func TestExpiresWhilePaused(t *testing.T) {
	b := newBench(t, nil)
	b.drop("wait-q", "a", uowText("COMMAND :: true", "EXPIRES :: 2020-01-01T00:00:00Z"))
	var text []byte
	for deadline := time.Now().Add(10 * time.Second); len(text) == 0 && time.Now().Before(deadline); {
		b.rounds()
		text, _ = os.ReadFile(filepath.Join(b.root, "fail-q/a"))
	}
	if !strings.Contains(string(text), "\nfail: not started: expired at 2020-01-01T00:00:00.000Z ") {
		t.Errorf("fail-q/a holds %q", text)
	}
}

// What a name means, of all the places it may be in.
func TestResolve(t *testing.T) {
	b := newBench(t, nil)
	b.drop("done-q", "a", endedText("done: exit 0 after 1ms"))
	b.drop("fail-q", "a", strings.Replace(endedText("fail: timed out after 1s"), "21:49:08.123", "21:49:09.123", 1))
	b.drop("trash", "a", strings.Replace(endedText(""), "21:49:08.123", "21:49:10.123", 1))
	b.drop("trash", "t", "x\n")
	b.rounds()
	is := func(name, want string) {
		t.Helper()
		got, err := b.resolve(name, true)
		place := ""
		if err == nil {
			place = b.sp.Name(got.queue) + "/" + got.name
		} else if !errors.Is(err, errNobody) {
			t.Errorf("%s: %v", name, err)
		}
		if place != want {
			t.Errorf("%s means %q, want %q", name, place, want)
		}
	}
	is("a", "fail-q/a") // of the ended the one enqueued last, trash aside
	is("done-q/a", "done-q/a")
	is("hold-q/a", "")
	is("nowhere/a", "")
	is("t", "trash/t")
	is("nobody", "")
	is(".hidden", "")
	is("", "")
	is(strings.Repeat("x", 300), "")
	is("done-q/../a", "")
	b.drop("hold-q", "a", uowText("COMMAND :: true"))
	b.rounds("hold-q/a")
	is("a", "hold-q/a")
	b.drop("wait-q", "a", uowText("COMMAND :: true"))
	b.rounds("wait-q/a")
	is("a", "wait-q/a")
	b.drop("priority-q", "a", uowText("COMMAND :: true"))
	b.rounds("priority-q/a")
	is("a", "priority-q/a")
	is("wait-q/a", "wait-q/a")
}

// A cycle ends all of it, each naming the whole, and nobody else.
func TestCycle(t *testing.T) {
	b := newBench(t, nil)
	b.drop("wait-q", "a", uowText("COMMAND :: true", "AFTER :: b"))
	b.drop("wait-q", "b", uowText("COMMAND :: true", "AFTER ANY :: c"))
	b.drop("wait-q", "c", uowText("COMMAND :: true", "AFTER :: a"))
	b.drop("wait-q", "beside", uowText("COMMAND :: true", "AFTER ANY :: a"))
	b.drop("wait-q", "self", uowText("COMMAND :: true", "AFTER :: self"))
	b.rounds("wait-q/a", "wait-q/b", "wait-q/c", "wait-q/beside", "wait-q/self")
	b.rounds() // that they were accepted is told first
	if e := b.next(); e != nil {
		t.Errorf("%s may start", e.Name)
	}
	for name, want := range map[string]bool{"a": true, "b": true, "c": true, "self": true, "beside": false} {
		var text string
		for _, j := range b.jobs {
			if j.UOW == name {
				text = j.text
			}
		}
		if (text != "") != want {
			t.Errorf("%s: %q", name, text)
		}
		if want && name != "self" && !(strings.Contains(text, "a") && strings.Contains(text, "b") && strings.Contains(text, "c") && strings.HasPrefix(text, "fail: not started: these wait for one another")) {
			t.Errorf("%s does not name the cycle: %q", name, text)
		}
	}
}

// A message may name what was dropped a moment before it.
func TestMessageAfterDrop(t *testing.T) {
	b := newBench(t, nil)
	b.drop("wait-q", "a", uowText("COMMAND :: true"))
	if err := os.WriteFile(filepath.Join(b.root, "monitor_reads"), []byte("HOLD a\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.rounds("hold-q/a")
}

// Each queue's trouble is said once and goes away by itself.
func TestTroubleIsSaidOnce(t *testing.T) {
	b := newBench(t, nil)
	b.rounds()
	for range 3 {
		b.fault(fmt.Errorf("claim: x: %w", unix.ENOSPC))
	}
	if len(b.trouble) != 1 || b.stats.errors != 3 || b.retry.IsZero() {
		t.Errorf("%v, %d errors, retry %v", b.trouble, b.stats.errors, b.retry)
	}
	b.rounds()
	b.rounds()
	if len(b.trouble) != 1 {
		t.Error("trouble that comes up every few seconds would be said each time")
	}
	for _, w := range b.trouble {
		w.last = time.Now().Add(-woeLasts - time.Second)
	}
	if len(b.woes()) != 1 {
		t.Errorf("it lasts, and is not shown: %q", b.woes())
	}
	b.rounds()
	if len(b.trouble) != 1 || len(b.woes()) != 0 {
		t.Errorf("it is over: %v is remembered, %q shown", b.trouble, b.woes())
	}
	for _, w := range b.trouble {
		w.last = time.Now().Add(-b.forgets() - time.Second)
	}
	b.rounds()
	if len(b.trouble) != 0 {
		t.Errorf("is still told: %v", b.trouble)
	}
}

// A session that can't even begin says so and does not fall over its own feet.
// A file that can't be compared for want of descriptors is given back as if it had
// changed; that alone would tell nobody anything.
func TestTroubleNamesItsCause(t *testing.T) {
	looks := 0
	for after := 0; after <= looks; after++ {
		b := newBench(t, func(c *config.Config) { c.SettleTime, c.SleepTime = 0, 0 })
		b.drop("wait-q", "accepted", uowText("COMMAND :: true"))
		b.drop("wait-q", "refused", "no unit of work\n")
		looks = 0
		durable.Looking = func() error {
			if looks++; looks > after {
				return unix.EMFILE
			}
			return nil
		}
		b.timer = true
		err := b.round()
		durable.Looking = nil
		for _, w := range b.trouble {
			if !strings.Contains(w.text, unix.EMFILE.Error()) || w.text == unix.EMFILE.Error() {
				t.Errorf("after %d looks: %q", after, w.text)
			}
		}
		if err == nil && looks > after && len(b.trouble) == 0 {
			t.Errorf("after %d looks: nothing is said", after)
		}
	}
	if looks < 20 {
		t.Errorf("only %d looks: that proves little", looks)
	}
}

func TestSessionWithoutDisk(t *testing.T) {
	for _, site := range []durable.Site{"start:mkdir"} {
		conf := config.Default()
		conf.Root = t.TempDir()
		if err := spool.Make(Layout(conf)); err != nil {
			t.Fatal(err)
		}
		sp, err := spool.Open(Layout(conf))
		if err != nil {
			t.Fatal(err)
		}
		defer sp.Close()
		durable.Fault = func(s durable.Site) error {
			if s == site {
				return unix.EROFS
			}
			return nil
		}
		defer func() { durable.Fault = nil }()
		if _, err := newSession(Config{Conf: conf, Stderr: io.Discard}, sp, time.Now(), newMemory()); !errors.Is(err, unix.EROFS) {
			t.Errorf("%s: %v", site, err)
		}
	}
}

// A record that could not be removed was locked for that: with the session that goes, or
// the next one in this process would take it for that of a runner at work.
func TestRecordIsLetGo(t *testing.T) {
	var f *durable.File
	locked := func() bool {
		t.Helper()
		is, err := f.Locked()
		if err != nil {
			t.Error(err)
		}
		return is
	}
	t.Cleanup(func() { // the last: the session is closed by then
		if locked() {
			t.Error("the session has ended, and its lock is there")
		}
		_ = f.Close()
	})
	b := newBench(t, nil)
	path := filepath.Join(b.root, ".monitor", "run", "1")
	err := os.WriteFile(path, nil, 0o600)
	if err == nil {
		f, err = durable.OpenPathRead(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := run.OpenRecord(b.sp.Run, "1")
	if err != nil {
		t.Fatal(err)
	}
	durable.Fault = func(s durable.Site) error {
		if s == "record:remove" {
			return unix.EROFS
		}
		return nil
	}
	defer func() { durable.Fault = nil }()
	b.retire(r)
	if err := b.sp.ClearUp(); err != nil && !errors.Is(err, unix.EROFS) {
		t.Fatal(err)
	}
	if !locked() {
		t.Fatal("it is not locked: that proves nothing")
	}
}

func TestCheck(t *testing.T) {
	conf := config.Default()
	word := "x"
	conf.Jobs = map[string]*config.JobType{"plain": {Program: []string{"true"}}, "full": {Program: []string{"echo", "{WORD}", "{OTHER}"}, Items: map[string]config.Item{"WORD": {}, "OTHER": {Default: &word}}}}
	strict := config.Default()
	strict.AllowCommand, strict.Jobs = false, conf.Jobs
	lazy := config.Default()
	lazy.Job.Type, lazy.Jobs = "plain", conf.Jobs
	for what, c := range map[string]struct {
		conf *config.Config
		text string
		want []string // none: valid
	}{
		"a command":             {conf, uowText("COMMAND :: true"), nil},
		"a job":                 {conf, uowText("JOB :: plain"), nil},
		"a job with its items":  {conf, uowText("JOB :: full", "WORD :: y"), nil},
		"an item missing":       {conf, uowText("JOB :: full"), []string{`"WORD"`}},
		"no such job":           {conf, uowText("JOB :: other"), []string{"no job type of this name", "configured: full, plain"}},
		"nothing to do":         {conf, uowText("TITLE :: x"), []string{"nothing to run"}},
		"nothing, by default":   {lazy, uowText("TITLE :: x"), nil},
		"a command, forbidden":  {strict, uowText("COMMAND :: true"), []string{"allow_command"}},
		"a cleanup, forbidden":  {strict, uowText("JOB :: plain", "CLEANUP :: rm -rf /", "CHECK :: true"), []string{`"CLEANUP"`, `"CHECK"`}},
		"limits":                {conf, uowText("COMMAND :: true", "MEMORY :: 1GiB", "CPUS :: 2"), []string{`"MEMORY"`, `"CPUS"`}},
		"what the format finds": {conf, uowText("COMMAND :: true", "TIMEOUT :: soon"), []string{`u:3: item "TIMEOUT"`}},
	} {
		t.Run(what, func(t *testing.T) {
			u, err := Check(c.conf, "u", []byte(c.text))
			if len(c.want) == 0 {
				if err != nil || u == nil {
					t.Errorf("%v", err)
				}
				return
			}
			if err == nil || u != nil {
				t.Fatalf("accepted: %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}
