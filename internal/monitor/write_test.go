package monitor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"simplejobq/internal/durable"
)

// The lines of the monitor take nothing of what a step writes at the same time.
func TestAppendTextBeside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	step, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer step.Close()
	f, err := durable.OpenPath("test:open", path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const lines = 3000
	wrote := make(chan error, 1)
	go func() {
		for range 3 * lines {
			if _, err := step.WriteString("[step] output\n"); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- nil
	}()
	for range lines {
		if err := appendText(f, "---- said\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for line := range strings.Lines(string(b)) {
		count[line]++
	}
	delete(count, "\n") // it saw the half of a line that was just being written
	if count["[step] output\n"] != 3*lines || count["---- said\n"] != lines || len(count) != 2 {
		t.Errorf("%v", count)
	}
}
