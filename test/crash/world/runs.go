package world

import (
	"fmt"
	"regexp"
	"strings"
)

// queuedAgain stands in the log of a UOW that somebody had moved back into a queue when
// the power went, and of which nobody knows whether it had begun to run.
const queuedAgain = " the machine went down when this was about to start, or while it ran"

var labelled = regexp.MustCompile(`^---- \S+ ((?:\[\S+\] )?try \d+)[^:]*: .*echo "\$MONITOR_UOW"`)

// runs: COMMAND ran no more often than its log announces, and no try is announced
// twice without a line between that says why. Of a run that a power cut ended, the
// announcement may be lost; that it was interrupted stands there.
func runs(log string, ran int) (faults []string) {
	said := 0
	seen := map[string]bool{}
	for line := range strings.Lines(log) {
		if m := labelled.FindStringSubmatch(line); m != nil {
			if said++; seen[m[1]] {
				faults = append(faults, m[1]+" is announced twice, and nothing says why")
			}
			seen[m[1]] = true
		} else if strings.Contains(line, " put back into ") || strings.Contains(line, " was not started: ") {
			clear(seen)
		} else if strings.Contains(line, " interrupted: ") || strings.Contains(line, queuedAgain) {
			said++
			clear(seen)
		}
	}
	if ran > said {
		faults = append(faults, fmt.Sprintf("%d runs are announced, %d happened", said, ran))
	}
	return faults
}
