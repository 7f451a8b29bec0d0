package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// docs/flows.md shows what testdata/flows holds, where the tests run it.
func TestFlowsDoc(t *testing.T) {
	flows := filepath.Join("..", "..", "testdata", "flows")
	read := func(path ...string) string {
		b, err := os.ReadFile(filepath.Join(path...))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	doc := read("..", "..", "docs", "flows.md")
	for _, name := range []string{"smoothie", "release", "release.toml"} {
		if !strings.Contains(doc, "\n"+read(flows, name)+"```\n") {
			t.Errorf("docs/flows.md does not show testdata/flows/%s as it is", name)
		}
	}
	movie := read(flows, "movie-night")
	_, shown, _ := strings.Cut(doc, "TITLE :: Movie night\n")
	shown, _, _ = strings.Cut(shown, "```\n")
	sections := 0
	for section := range strings.SplitSeq(shown, "\n\n") {
		if sections++; !strings.Contains(movie, strings.TrimSpace(section)) {
			t.Errorf("docs/flows.md shows what testdata/flows/movie-night does not hold:\n%s", section)
		}
	}
	if sections < 5 {
		t.Errorf("docs/flows.md shows %d sections of movie-night", sections)
	}
	t.Chdir(flows)
	t.Setenv("MONITOR_ROOT", "")
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"graph", "--svg", "movie-night"}, nil, &out, &errs); code != 0 {
		t.Fatal(code, errs.String())
	}
	if read("..", "..", "docs", "movie-night.svg") != out.String() {
		t.Error("docs/movie-night.svg is not how monitor graph --svg draws testdata/flows/movie-night")
	}
}
