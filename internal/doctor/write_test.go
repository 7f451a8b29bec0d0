package doctor

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOutput(t *testing.T) {
	found := []Finding{
		{Good, "room", "enough", ""},
		{Doubtful, "clock", "a\nb\x1b[31m", "touch 'a\tb'"},
		{Wrong, "spool", "gone", "monitor init /q"},
	}
	for _, c := range []struct {
		o    Output
		want string
	}{
		{Output{}, "doubtful  clock          a b; do: touch 'a b'\nwrong     spool          gone; do: monitor init /q\n1 wrong, 1 doubtful, 1 thing good\n"},
		{Output{All: true}, "good      room           enough\ndoubtful  clock          a b; do: touch 'a b'\nwrong     spool          gone; do: monitor init /q\n1 wrong, 1 doubtful, 1 thing good\n"},
		{Output{JSON: true}, `{"level":"doubtful","about":"clock","text":"a b","do":"touch 'a b'"}` + "\n" + `{"level":"wrong","about":"spool","text":"gone","do":"monitor init /q"}` + "\n"},
	} {
		var b strings.Builder
		if err := c.o.Write(&b, found); err != nil || b.String() != c.want {
			t.Errorf("%+v: %v\n%s\nwant\n%s", c.o, err, b.String(), c.want)
		}
	}
	var b strings.Builder
	must(t, Output{All: true, JSON: true}.Write(&b, found))
	for line := range strings.Lines(b.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%q", line)
		}
	}
	b.Reset()
	must(t, Output{Color: true}.Write(&b, found))
	if !strings.Contains(b.String(), "\x1b[31mwrong   \x1b[0m  spool") {
		t.Errorf("%q", b.String())
	}
}

// The manual has a row for everything that is looked at.
func TestManual(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "doctor.md"))
	must(t, err)
	for _, c := range checks {
		if !strings.Contains(string(b), "\n| `"+c.about+"` | ") {
			t.Errorf("docs/doctor.md has no row for %q", c.about)
		}
	}
}
