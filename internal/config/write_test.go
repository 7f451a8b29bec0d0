package config

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func written(t testing.TB, c *Config) string {
	t.Helper()
	var b strings.Builder
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWriteSaysWhereValuesComeFrom(t *testing.T) {
	c := mustLoad(t, "slots = 4\n[job]\n\nenv.A = 'b'\n[jobs.'a.b']\nprogram = ['x', '\\d']\nitems.X = {}\nitems.'Y z' = {default = \"a\\\"\\n\"}\ntimeout = '90s'\n")
	text := written(t, c)
	for _, want := range []string{
		"\nslots         = 4 ", "  # /spool/config.toml:1\n", "root          = \"/spool\"  # default\n",
		"\nenv         = { A = \"b\" } ", "  # /spool/config.toml:4\n", "\n[jobs.\"a.b\"]\n",
		`= ["x", '\d'] `, "  # /spool/config.toml:6\n", "\nitems.X     = {} ", "\nitems.\"Y z\" = { default = \"a\\\"\\n\" } ",
		"\ntimeout     = \"1m30s\" ", "  # /spool/config.toml:9\n", "\nerror_if    = [] ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "# /spool/config.toml:"); n != 6 {
		t.Errorf("%d values from the file, want 6:\n%s", n, text)
	}
	if strings.Count(text, "silence") != 1 {
		t.Errorf("a job type's silence is shown though it follows [job]:\n%s", text)
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, " = ") && !strings.Contains(line, "  # ") {
			t.Errorf("no origin: %s", line)
		}
	}
	if back := mustLoad(t, text); !back.Equal(c) {
		t.Errorf("(-written +read):\n%s", cmp.Diff(c.shown(), back.shown()))
	}
}

func TestWriteOfOddFileNames(t *testing.T) {
	c, err := parse([]byte("slots = 2"), "/a\nslots = 3\n/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	c.Root = "/a"
	if back := mustLoad(t, written(t, c)); back.Slots != 2 {
		t.Errorf("slots %d, want 2", back.Slots)
	}
}

type fullDisk struct{}

var errFull = errors.New("no space left on device")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestWriteReturnsTheError(t *testing.T) {
	if err := Default().Write(fullDisk{}); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

// Durations and sizes that were read are shown as what is read again.
func TestScalarsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]string{"ms", "s", "m", "h", "d"}).Draw(t, "unit")
		text := rapid.StringMatching(`[0-9]{1,3}(\.[0-9]{1,6})?`).Draw(t, "number") + unit
		var d, again Duration
		if err := d.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Fatalf("%s became %s, then %s, %v", text, d, again, err)
		}
		size := Size(rapid.Int64Range(0, 1<<53).Draw(t, "size"))
		var back Size
		if err := back.UnmarshalText([]byte(size.String())); err != nil || back != size {
			t.Fatalf("%d became %s, then %d, %v", size, size, back, err)
		}
	})
}

// Whatever is read: no panic; a fault means no configuration; and what is
// accepted is written so that it is read as the same.
func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile(examplePath)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(strings.ReplaceAll(string(example), "\n#", "\n"))
	f.Add(string(example))
	for _, s := range []string{
		"slots = 2\n", "job.env = { A = \"\\u0001\\u0085\" }", "[jobs.a]\nprogram = ['x', \"'\\\\\"]\nitems.'A b' = {pattern='^x$', default=\"x\"}\nfail_exit=[1]\nerror_if=['\\d']",
		"root = \"../x\"", "[job]\ntimeout = '1.5d'\nkill_grace='0.0001s'", "ready.free_space='1.5GB'", "[jobs.\"a.b\"]\nprogram=['x']\ndirectory=''\ntries=2",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			return
		}
		c, err := load(t, text)
		if err != nil {
			var faults Errors
			if c != nil || !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("%v, %v", c, err)
			}
			for _, fault := range faults {
				if fault.File != "/spool/config.toml" || fault.Text == "" || fault.Line < 0 || fault.Line > 1+strings.Count(text, "\n") {
					t.Fatalf("%q: %+v", text, fault)
				}
			}
			return
		}
		again := written(t, c)
		back, err := load(t, again)
		if err != nil {
			t.Fatalf("%v\n%s", err, again)
		}
		if !back.Equal(c) || !strings.HasPrefix(c.Root, "/") {
			t.Fatalf("(-read +again):\n%s", cmp.Diff(c.shown(), back.shown()))
		}
		if shown := written(t, back); !strings.Contains(shown, "config.toml:1\n") || strings.Contains(shown, "# default") {
			t.Fatalf("not every key of the written one came from it:\n%s", shown)
		}
	})
}
