package monitor

import (
	"strings"
	"testing"

	"simplejobq/internal/config"
)

// Every mistake of a file is told at once, by line, and none that only follows from
// another.
func TestCheckTellsAll(t *testing.T) {
	greet := &config.JobType{Name: "greet", Program: []string{"/bin/echo", "{WHOM}"}, Items: map[string]config.Item{"WHOM": {}}}
	for what, c := range map[string]struct {
		file string
		want []string // the beginnings of the errors
	}{
		"graph and items": {
			"==== UNIT OF WORK\nTIMEOUT :: 5\nGOAL :: nobody\n==== STEP a\nAFTER :: b\nNICE :: 99\n==== STEP b\nAFTER :: a, nobody\n==== STEP c\nJOB :: none\n==== STEP a\nAFTER ::\n",
			[]string{
				`f:2: item "TIMEOUT": "5" is not a duration`,
				`f:3: item "GOAL": there is no step "nobody"`,
				`f:5: item "AFTER": these steps wait for one another: a → b → a `,
				`f:6: item "NICE": "99" is not`,
				`f:8: item "AFTER": there is no step "nobody"`,
				`f:9: step "c": it has no AFTER, while step "a" in line 4 has one`,
				`f:10: item "JOB": no job type of this name is configured`,
				`f:11: a second step "a" (the first is in line 4; give it another name)`,
			}},
		"a list that is half good": {
			"==== UNIT OF WORK\n==== STEP a\nAFTER :: b,, b\nCOMMAND :: true\n==== STEP b\nAFTER :: a\n",
			[]string{
				`f:3: item "AFTER": a name is missing beside a comma`,
				`f:3: item "AFTER": these steps wait for one another: a → b → a `,
			}},
		"AFTER that can't be read": {
			"==== UNIT OF WORK\n==== STEP a\nAFTER ::\n==== STEP b\nAFTER: a\n==== STEP c\n==== STEP d\nAFTER :: nobody\n",
			[]string{
				`f:5: "AFTER: a" is not an item`,
				`f:6: step "c": it has no AFTER`,
				`f:8: item "AFTER": there is no step "nobody"`,
			}},
		"a title that can't be read": {
			"==== UNIT OF WORK\nGOAL :: b\n==== STEP a\nAFTER :: b\n==== TASK b\nAFTER ::\n==== STEP c\nAFTER :: a, d\nTRIES :: 0\n==== STEP d\nAFTER :: c\n",
			[]string{
				`f:5: "==== TASK b" is not a title`,
				`f:8: item "AFTER": these steps wait for one another: c → d → c `,
				`f:9: item "TRIES": "0" is not`,
			}},
		"a step without a name": {
			"==== UNIT OF WORK\n==== STEP\nAFTER ::\n==== STEP b\nAFTER :: a\n",
			[]string{`f:2: step name is empty`}},
		"a title that is only misspelt": {
			"==== UNIT OF WORK\n=== STEP a\nAFTER ::\n==== STEP b\nAFTER :: a, x\n",
			[]string{`f:2: "=== STEP a" is not a title`, `f:5: item "AFTER": there is no step "x"`}},
		"bytes that are no text": {
			"==== UNIT OF WORK\n==== STEP a\nAFTER ::\n==== STEP b\nAFTER :: a\xff\xffb\n",
			[]string{`f:5:11: byte "\xff" is not UTF-8`}},
		"nothing to run":                   {"==== UNIT OF WORK\nTIMEOUT :: 5\n", []string{`f: nothing to run`, `f:2: item "TIMEOUT"`}},
		"a command that can't be read":     {"==== UNIT OF WORK\nCOMMAND: true\n", []string{`f:2: "COMMAND: true" is not an item`}},
		"a command that is empty":          {"==== UNIT OF WORK\nCOMMAND ::\n", []string{`f:2: item "COMMAND": is empty`}},
		"an empty file":                    {"\n", []string{`f: the file is empty`}},
		"another encoding":                 {"\xff\xfe=\x00", []string{`f:1: the file is UTF-16`}},
		"an argument, and another mistake": {"==== UNIT OF WORK\nJOB :: greet\nTRIES :: 0\n", []string{`f: item "WHOM": is missing`, `f:3: item "TRIES": `}},
		"an argument that can't be read":   {"==== UNIT OF WORK\nJOB :: greet\nWHOM: you\n", []string{`f:3: "WHOM: you" is not an item`}},
		"a queue, and another mistake":     {"==== UNIT OF WORK\nAFTER :: nowhere/x\nTRIES :: 0\nCOMMAND :: true\n", []string{`f:2: item "AFTER": "nowhere" is no queue`, `f:3: item "TRIES": `}},
	} {
		t.Run(what, func(t *testing.T) {
			conf := config.Default()
			if strings.Contains(c.file, "greet") {
				conf.Jobs = map[string]*config.JobType{"greet": greet}
			}
			u, err := Check(conf, "f", []byte(c.file))
			if err == nil || u != nil {
				t.Fatalf("it is %v, %v", u, err)
			}
			got := strings.Split(err.Error(), "\n")
			for i := range max(len(got), len(c.want)) {
				if i >= len(got) || i >= len(c.want) || !strings.HasPrefix(got[i], c.want[i]) {
					t.Fatalf("got\n%s\nwant\n%s", err, strings.Join(c.want, "\n"))
				}
			}
		})
	}
}
