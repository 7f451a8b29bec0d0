package messages

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		line string
		want Message // without Raw
	}{
		{"HELP", Message{Keyword: "HELP"}},
		{"  STATUS\t", Message{Keyword: "STATUS"}},
		{"KILL JOB", Message{Keyword: "KILL JOB"}},
		{"KILL JOB deploy-7", Message{Keyword: "KILL JOB", Args: "deploy-7"}},
		{"KILL \t JOB   my own job ", Message{Keyword: "KILL JOB", Args: "my own job"}},
		{"HOLD wait-q/*.uow", Message{Keyword: "HOLD", Args: "wait-q/*.uow"}},
		{"HOLD\tx", Message{Keyword: "HOLD", Args: "x"}},
		{"HOLD größe", Message{Keyword: "HOLD", Args: "größe"}},
		{"STATUS #a-B_9", Message{Keyword: "STATUS", ID: "a-B_9"}},
		{"KILL JOB x y #7", Message{Keyword: "KILL JOB", Args: "x y", ID: "7"}},
		{"HOLD a #3 #id", Message{Keyword: "HOLD", Args: "a #3", ID: "id"}},
		{"HOLD a#b", Message{Keyword: "HOLD", Args: "a#b"}},
		{"HOLD a #b.c", Message{Keyword: "HOLD", Args: "a #b.c"}},
		{"HOLD a #" + strings.Repeat("x", 64), Message{Keyword: "HOLD", Args: "a", ID: strings.Repeat("x", 64)}},
		{"HOLD a #" + strings.Repeat("x", 65), Message{Keyword: "HOLD", Args: "a #" + strings.Repeat("x", 65)}},
		{"REQUEUE a FROM b", Message{Keyword: "REQUEUE", Args: "a FROM b"}},
		{"EXPLAIN KILL JOB", Message{Keyword: "EXPLAIN", Args: "KILL JOB"}},
	} {
		c.want.Raw = c.line
		got, err := Parse(c.line)
		if err != nil {
			t.Errorf("Parse(%q): %v", c.line, err)
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("Parse(%q): %s", c.line, d)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"kill job x", `not understood: "kill job x"; did you mean KILL JOB?`},
		{"Status", `not understood: "Status"; did you mean STATUS?`},
		{"SHUTDWON", `not understood: "SHUTDWON"; did you mean SHUTDOWN?`},
		{"KILL x", `not understood: "KILL x"; did you mean KILL JOB?`},
		{"KILLJOB x", `not understood: "KILLJOB x"; did you mean KILL JOB?`},
		{"requeue a", `not understood: "requeue a"; did you mean REQUEUE?`},
		{"STATUSX", `not understood: "STATUSX"; did you mean STATUS?`},
		{"make me a sandwich", `not understood: "make me a sandwich"; HELP lists the messages`},
		{"", `not understood: "" is no message; HELP lists them`},
		{"#x", `not understood: "#x"; HELP lists the messages`},
		{"HOLD", `not understood: "HOLD": write HOLD name`},
		{"HOLD #x", `not understood: "HOLD #x": write HOLD name`},
		{"STATUS now", `not understood: "STATUS now": STATUS stands alone`},
		{"PAUSE PAUSE", `not understood: "PAUSE PAUSE": PAUSE stands alone`},
		{"REQUEUE a FROM ", `not understood: "REQUEUE a FROM ": write REQUEUE name FROM step`},
		{"HOLD a\x00b", `not understood: "HOLD a\x00b" holds a control character`},
		{"\x1b[31mHOLD x", `not understood: "\x1b[31mHOLD x" holds a control character`},
		{"HALLO \xff", `not understood: "HALLO \xff"; HELP lists the messages`},
		{strings.Repeat("ab", 50), `not understood: "` + strings.Repeat("ab", 40) + `…"; HELP lists the messages`},
		{"x" + strings.Repeat("\xff", 30), `not understood: "x` + strings.Repeat(`\xff`, 19) + `…"; HELP lists the messages`},
	} {
		m, err := Parse(c.line)
		if err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", c.line, m)
		} else if err.Error() != c.want {
			t.Errorf("Parse(%q):\n got %s\nwant %s", c.line, err, c.want)
		}
	}
	if m, err := Parse("nonsense #q1"); err == nil || m.ID != "q1" || m.Raw != "nonsense #q1" {
		t.Errorf("an answer to nonsense must still carry its id: %+v, %v", m, err)
	}
}

func TestTarget(t *testing.T) {
	for _, c := range []struct{ line, name, step string }{
		{"REQUEUE deploy", "deploy", ""},
		{"REQUEUE deploy FROM build", "deploy", "build"},
		{"REQUEUE a FROM b FROM c", "a FROM b", "c"},
		{"HOLD a FROM b", "a FROM b", ""},
	} {
		m, err := Parse(c.line)
		if name, step := m.Target(); err != nil || name != c.name || step != c.step {
			t.Errorf("%q is about %q, step %q (%v); want %q, %q", c.line, name, step, err, c.name, c.step)
		}
	}
}

func TestHowTo(t *testing.T) {
	text := HowTo("/srv/spool/monitor_reads")
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") || !strings.HasSuffix(line, "\n") {
			t.Errorf("not a comment line: %q", line)
		}
		if n := utf8.RuneCountInString(line) - 1; n > 79 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	for _, k := range keywords {
		if !strings.Contains(text, "#   "+k.word+k.show+" ") {
			t.Errorf("%s is not in the how-to:\n%s", k.word, text)
		}
	}
	if bad := HowTo("a\nSHUTDOWN\n"); strings.Contains(bad, "\nSHUTDOWN") {
		t.Errorf("the name of the file became a message:\n%s", bad)
	}
}

func TestNearest(t *testing.T) {
	of := []string{"timeout", "tries", "silence", "slots"}
	for _, c := range []struct{ word, want string }{
		{"timeout", "timeout"}, {"TIMEOUT", "timeout"}, {"tiemout", "timeout"}, {"timeuot", "timeout"},
		{"slot", "slots"}, {"slotss", "slots"}, {"xlots", "slots"}, {"", ""}, {"x", ""}, {"banana", ""},
		{strings.Repeat("timeout", 1000), ""},
	} {
		if got := Nearest(c.word, of); got != c.want {
			t.Errorf("Nearest(%.20q) = %q, want %q", c.word, got, c.want)
		}
	}
	if got := Nearest("x", nil); got != "" {
		t.Errorf("Nearest in nothing = %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"KILL JOB x #id", "REQUEUE a FROM b", "status", "HOLD \x00", "\xff\xfe", " # ", "REQUEUE FROM FROM"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		m, err := Parse(line)
		if m.Raw != line {
			t.Fatalf("%q came back as %q", line, m.Raw)
		}
		if err != nil {
			text := err.Error()
			if !utf8.ValidString(text) || strings.ContainsAny(text, "\n\r\x00\x1b") || len(text) > 250 {
				t.Fatalf("the answer to %q cannot be shown: %q", line, text)
			}
			return
		}
		if m.Keyword == "" || strings.TrimSpace(m.Args) != m.Args {
			t.Fatalf("%q gave %+v", line, m)
		}
		// What was understood can be written again and means the same.
		again := m.Keyword + " " + m.Args
		if m.ID != "" {
			again += " #" + m.ID
		} else if _, id := cutID(again); id != "" {
			return
		}
		n, err := Parse(again)
		if n.Raw = line; err != nil || n != m {
			t.Fatalf("%q gave %+v, written again %q gave %+v, %v", line, m, again, n, err)
		}
	})
}
