package world

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	announced = regexp.MustCompile(`^---- \S+ (\[\S+\] )?try (\d+)( of \d+)?: .*echo "\$MONITOR_UOW"`)
	why       = regexp.MustCompile(`^---- .*(put back into|interrupted|was not started: its runner|started again|begins again from step)`)
	ofStep    = regexp.MustCompile(`^---- \S+ (\[\S+\] )`)
)

// reasons looks for runs that nobody gave a reason for: after the first, each is
// another try, or there is a line that says why. A runner that is killed before it
// forks leaves an announcement of a run that was none. Each step of a flow counts by
// itself.
func reasons(log string, ran int) (faults []string) {
	type last struct {
		try  string
		said bool
	}
	steps := map[string]*last{}
	starts := 0
	var silent []string
	for line := range strings.Lines(log) {
		m := announced.FindStringSubmatch(line)
		if m == nil {
			if of := ofStep.FindStringSubmatch(line); why.MatchString(line) {
				for step, l := range steps {
					l.said = l.said || of == nil || of[1] == step
				}
			}
			continue
		}
		starts++
		before := steps[m[1]]
		if before != nil && !before.said && m[2] <= before.try {
			silent = append(silent, line)
		}
		steps[m[1]] = &last{try: m[2]}
	}
	if ran > starts-len(silent) {
		faults = append(faults, fmt.Sprintf("ran %d times, and was started again without a word: %q", ran, silent))
	}
	return faults
}
