package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"simplejobq/internal/status"
	"simplejobq/internal/units"
)

// Output is how findings are shown.
type Output struct {
	All   bool // what is good as well
	JSON  bool
	Color bool
}

var colors = map[Level]string{Good: "\x1b[32m", Doubtful: "\x1b[33m", Wrong: "\x1b[31m"}

// Write shows findings, one line each, and for people a last one that counts them.
func (o Output) Write(w io.Writer, found []Finding) error {
	count := map[Level]int{}
	for _, f := range found {
		count[f.Level]++
		if f.Level == Good && !o.All {
			continue
		}
		if err := o.write(w, f); err != nil {
			return err
		}
	}
	if o.JSON {
		return nil
	}
	_, err := fmt.Fprintf(w, "%d wrong, %d doubtful, %s good\n", count[Wrong], count[Doubtful], units.Count(count[Good], "thing", "things"))
	return err
}

func (o Output) write(w io.Writer, f Finding) error {
	// Names and what programs say come from elsewhere.
	f.Text, f.Do = oneLine(f.Text), oneLine(f.Do)
	if o.JSON {
		j := json.NewEncoder(w)
		j.SetEscapeHTML(false)
		return j.Encode(f)
	}
	before, after := "", ""
	if o.Color {
		before, after = colors[f.Level], "\x1b[0m"
	}
	text := fmt.Sprintf("%-13s  %s", f.About, f.Text)
	if f.Do != "" {
		text += "; do: " + f.Do
	}
	_, err := fmt.Fprintf(w, "%s%-8s%s  %s\n", before, f.Level, after, text)
	return err
}

// oneLine keeps a finding one line that does nothing to a terminal, whatever is
// quoted in it.
func oneLine(text string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(status.Strip(text, false))
}
