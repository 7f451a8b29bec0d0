package monitor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"simplejobq/internal/durable"
)

// Of lines that tell of steps a power cut may have kept later sectors without earlier
// ones; zeros that a run wrote stay.
func TestMendTorn(t *testing.T) {
	const told = "---- 2026-11-28T08:13:06Z [a] waiting → ready\n"
	text := strings.Repeat(told, 2000)
	torn := func(text string, sectors ...int) string {
		b := []byte(text)
		for _, n := range sectors {
			copy(b[n*sector:(n+1)*sector], make([]byte, sector))
		}
		return string(b)
	}
	run := strings.Repeat("\x00", sector)
	last := len(text)/sector - 1
	for what, c := range map[string]struct {
		log  string
		want int // zeros that stay
	}{
		"nothing torn":            {text, 0},
		"empty":                   {"", 0},
		"one sector":              {torn(text, last-3), 0},
		"the last whole one":      {torn(text, last), 0},
		"two beside each other":   {torn(text, last-4, last-3), 0},
		"two":                     {torn(text, last-9, last-3), 0},
		"the end is told":         {torn(text, last-3) + "---- 2026-11-28T08:13:06Z error: step \"a\": exit 3\n", 0},
		"the second line of all":  {torn(text, 0), sector}, // long committed
		"a run's, then its end":   {run + "\n---- 2026-11-28T08:13:06Z [a] try 1: exit 0 after 1s\n" + told, sector},
		"a run's, not yet over":   {run + "x\nand", sector},
		"a run's, no sector's":    {"x" + run + told, sector},
		"a step's line and ended": {run + told + "[a] output\n", sector},
	} {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(c.log), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := durable.OpenPath("test:open", path)
		if err != nil {
			t.Fatal(err)
		}
		if err := mendTorn(f, int64(len(c.log))); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		_ = f.Close()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got := string(b)
		if zeros := strings.Count(got, "\x00"); zeros != c.want {
			t.Errorf("%s: %d zeros are left, want %d", what, zeros, c.want)
		}
		seen := strings.NewReplacer("\x00", "", " ", "", "\n", "")
		if same := got == c.log; c.want > 0 && !same || seen.Replace(got) != seen.Replace(c.log) || len(got) != len(c.log) {
			t.Errorf("%s: what was there is another: %d bytes of %d", what, len(got), len(c.log))
		}
	}
}
