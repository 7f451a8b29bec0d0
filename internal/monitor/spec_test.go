package monitor

import (
	"strings"
	"testing"

	"simplejobq/internal/flow"
	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

// What no runner can be told is known before a slot is kept for it.
func TestSpecNoRunnerCanCarryOut(t *testing.T) {
	b := newBench(t, nil)
	for what, c := range map[string]struct{ content, want string }{
		"fits":       {strings.Repeat("x", 1<<20), ""},
		"is too big": {strings.Repeat("x", 17<<20), "at most 16777216 are possible"},
		"holds NUL":  {"a\x00b", "holds a NUL byte"},
	} {
		j := b.newJob(spool.Claimed{UOW: "a", Name: "a", At: spool.Executing, Token: "t"}, &uow.Unit{
			Options: uow.Options{Command: "true"}, Own: []uow.Item{{Name: "TEXT", Content: c.content}},
		})
		b.begin(j)
		sp, err := b.spec(&command{job: j, runID: b.ids.Next(), Start: flow.Start{Phase: flow.Command, Try: 1}}, &work{})
		if c.want == "" && err == nil {
			_, err = sp.Encode()
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("what %s: %v", what, err)
		}
	}
}
