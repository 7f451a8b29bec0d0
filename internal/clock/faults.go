//go:build faults

package clock

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A binary built with the tag faults obeys the variable MONITOR_CLOCK (the runner:
// RUNNER_CLOCK): the name of a file that says by how much the wall clock is wrong
// at this moment, "+1h" or "-87600h". No file, or nothing in it: it is right.
var offsetFile = os.Getenv(strings.ToUpper(filepath.Base(os.Args[0])) + "_CLOCK")

// Wall is the time of day.
func Wall() time.Time {
	now := time.Now().Round(0)
	if offsetFile == "" {
		return now
	}
	b, _ := os.ReadFile(offsetFile)
	d, _ := time.ParseDuration(strings.TrimPrefix(strings.TrimSpace(string(b)), "+"))
	return now.Add(d)
}
