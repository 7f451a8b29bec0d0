package world

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	announced = regexp.MustCompile(`^---- \S+ try (\d+)( of \d+)?: .*echo "\$MONITOR_UOW"`)
	why       = regexp.MustCompile(`^---- .*(put back into|interrupted|was not started: its runner|started again)`)
)

// reasons looks for runs that nobody gave a reason for: after the first, each is
// another try, or there is a line that says why. A runner that is killed before it
// forks leaves an announcement of a run that was none.
func reasons(log string, ran int) (faults []string) {
	try, said, starts := "", true, 0
	var silent []string
	for line := range strings.Lines(log) {
		m := announced.FindStringSubmatch(line)
		if m == nil {
			said = said || why.MatchString(line)
			continue
		}
		if starts++; !said && m[1] <= try {
			silent = append(silent, line)
		}
		try, said = m[1], false
	}
	if ran > starts-len(silent) {
		faults = append(faults, fmt.Sprintf("ran %d times, and was started again without a word: %q", ran, silent))
	}
	return faults
}
