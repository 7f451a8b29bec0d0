package uow

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"simplejobq/internal/units"
)

// place tells in which sections an item has its meaning; elsewhere it is the
// user's own.
type place int

const (
	inUnit place = 1 << iota
	inStep
	inBoth = inUnit | inStep
)

// meaning is one row of the table of items.
type meaning struct {
	in place
	// set stores a content, or tells in a sentence what is wrong with it and what
	// would be right.
	set func(u *Unit, content string) (fault string)
	// step does so for what stands in a STEP, where that is another thing or none
	// of UNIT OF WORK's.
	step func(st *Step, content string) (fault string)
}

const (
	laterClasses = `resource classes come with a later version; use "slots" of a job type`

	maxCount = 1_000_000
	writeDur = "write 90s, 30m or 2h"
)

// meanings is the one table of items.
var meanings = map[string]meaning{
	"COMMAND":   {in: inBoth, set: words("the command to run", func(u *Unit) *string { return &u.Command })},
	"CHECK":     {in: inBoth, set: words("the command that checks", func(u *Unit) *string { return &u.Check })},
	"CLEANUP":   {in: inBoth, set: words("the command that cleans up", func(u *Unit) *string { return &u.Cleanup })},
	"JOB":       {in: inBoth, set: words("the name of a job type", func(u *Unit) *string { return &u.Job })},
	"DIRECTORY": {in: inBoth, set: words("the working directory", func(u *Unit) *string { return &u.Directory })},

	"TIMEOUT":     {in: inBoth, set: duration(func(u *Unit) **time.Duration { return &u.Timeout })},
	"SILENCE":     {in: inBoth, set: duration(func(u *Unit) **time.Duration { return &u.Silence })},
	"RETRY DELAY": {in: inBoth, set: duration(func(u *Unit) **time.Duration { return &u.RetryDelay })},

	"TRIES": {in: inBoth, set: whole(1, maxCount, func(u *Unit, n int) { u.Tries = n })},
	"NICE":  {in: inBoth, set: whole(-20, 19, func(u *Unit, n int) { u.Nice = &n })},

	"RETRY INTERRUPTED": {in: inBoth, set: yesNo(func(u *Unit, yes bool) { u.RetryInterrupted = &yes })},
	"TERMINAL":          {in: inBoth, set: yesNo(func(u *Unit, yes bool) { u.Terminal = &yes })},

	"MEMORY": {in: inBoth, set: memory},
	"CPUS":   {in: inBoth, set: cpus},
	"CLASS":  {in: inBoth, set: class},

	"TITLE":      {in: inUnit, set: func(u *Unit, s string) string { u.Title = s; return "" }},
	"AFTER":      {in: inBoth, set: names(func(u *Unit, list []string) { u.After = list }), step: after},
	"AFTER ANY":  {in: inUnit, set: names(func(u *Unit, list []string) { u.AfterAny = list })},
	"NOT BEFORE": {in: inUnit, set: notBefore},
	"EXPIRES":    {in: inUnit, set: expires},
	"NO ACT":     {in: inUnit, set: yesNo(func(u *Unit, yes bool) { u.NoAct = yes })},
	"PARALLEL":   {in: inUnit, set: whole(1, maxCount, func(u *Unit, n int) { u.Parallel = n })},
	"ON FAILURE": {in: inUnit, set: onFailure},

	"GOAL":          {in: inUnit, set: goal},
	"DEFER CLEANUP": {in: inUnit, set: yesNo(func(u *Unit, yes bool) { u.DeferCleanup = yes })},

	"CONTINUE ON FAILURE": {in: inStep, step: yesNo(func(st *Step, yes bool) { st.ContinueOnFailure = yes })},
	"SKIP":                {in: inStep, step: yesNo(func(st *Step, yes bool) { st.Skip = yes })},
}

// meaningOf finds the meaning of a name in a section.
func meaningOf(name string, in place) (meaning, bool) {
	m, ok := meanings[strings.ToUpper(name)]
	return m, ok && m.in&in != 0
}

// not is the sentence about a content that is no what.
func not(content, what, write string) string {
	if content == "" {
		return "is empty (" + write + ")"
	}
	if write == "write "+what {
		return quote(content) + " is not " + what
	}
	return quote(content) + " is not " + what + " (" + write + ")"
}

func words(what string, field func(*Unit) *string) func(*Unit, string) string {
	return func(u *Unit, s string) string {
		if s == "" {
			return not(s, "", "write "+what)
		}
		*field(u) = s
		return ""
	}
}

func duration(field func(*Unit) **time.Duration) func(*Unit, string) string {
	return func(u *Unit, s string) string {
		d, err := units.ParseDuration(s)
		if err != nil {
			return not(s, "a duration", writeDur)
		}
		*field(u) = &d
		return ""
	}
}

func whole(low, high int, set func(*Unit, int)) func(*Unit, string) string {
	return func(u *Unit, s string) string {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			right := fmt.Sprintf("a whole number from %d to %d", low, high)
			return not(s, right, "write "+right)
		}
		set(u, n)
		return ""
	}
}

func yesNo[T any](set func(*T, bool)) func(*T, string) string {
	return func(u *T, s string) string {
		yes := strings.EqualFold(s, "yes")
		if s == "" {
			return not(s, "", "write yes or no")
		}
		if !yes && !strings.EqualFold(s, "no") {
			return quote(s) + " is neither yes nor no (write one of them)"
		}
		set(u, yes)
		return ""
	}
}

func class(u *Unit, s string) string {
	u.Class = s
	return laterClasses
}

func memory(u *Unit, s string) string {
	n, err := units.ParseSize(s)
	if err != nil || n <= 0 {
		return not(s, "a size above 0", "write 64KiB, 512MiB or 2GiB")
	}
	u.Memory = &n
	return ""
}

func cpus(u *Unit, s string) string {
	// Only digits and a point: ParseFloat also knows infinities, NaN and hexadecimals.
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.Trim(s, "0123456789.") != "" || n <= 0 || n > maxCount {
		return not(s, "a number above 0", "write 0.5, 1 or 2")
	}
	u.CPUs = &n
	return ""
}

func notBefore(u *Unit, s string) string {
	t, ok := parseTime(s)
	if !ok {
		return not(s, "a time", "write "+timeExample)
	}
	u.NotBefore = t
	return ""
}

func expires(u *Unit, s string) string {
	if t, ok := parseTime(s); ok {
		u.Expires = t
		return ""
	}
	d, err := units.ParseDuration(s)
	if err != nil || d <= 0 {
		return not(s, "a time or a duration above 0", "write "+timeExample+" or 12h")
	}
	u.ExpiresIn = d
	return ""
}

func onFailure(u *Unit, s string) string {
	for _, known := range []string{FailFinish, FailGoOn, FailKill} {
		if strings.EqualFold(s, known) {
			u.OnFailure = known
			return ""
		}
	}
	return not(s, "known here", "write finish, go on or kill")
}

func names(set func(*Unit, []string)) func(*Unit, string) string {
	return func(u *Unit, s string) string {
		list, fault := splitNames(s)
		if fault != "" {
			return fault
		}
		set(u, list)
		return ""
	}
}

// splitNames reads names of UOWs, each NAME or queue/NAME.
func splitNames(s string) (list []string, fault string) {
	const write = "write names of UOWs, with commas between them"
	if s == "" {
		return nil, not(s, "", write+", or leave the item out")
	}
	seen := map[string]bool{}
	for _, name := range strings.Split(s, ",") {
		name = strings.Trim(name, blanks)
		last := name
		if queue, rest, found := strings.Cut(name, "/"); found {
			last = rest
			if queue == "" || queue == "." || queue == ".." || rest == "" || strings.Contains(rest, "/") {
				return nil, not(name, "the name of a UOW", "write NAME or queue/NAME")
			}
		}
		switch {
		case name == "":
			return nil, "a name is missing beside a comma (" + write + ")"
		case last == "." || last == ".." || len(last) > 255:
			return nil, not(name, "the name of a UOW", "write NAME or queue/NAME")
		case seen[name]:
			return nil, quote(name) + " stands there twice (write it once)"
		}
		seen[name] = true
		list = append(list, name)
	}
	return list, ""
}
