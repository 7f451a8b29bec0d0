package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"simplejobq/internal/config"
	"simplejobq/internal/durable"
	"simplejobq/internal/messages"
)

// Every line written after the reader came is read once, in order, through
// rotations that the reader sees and those it does not.
func TestSaysReaderFollowsRotation(t *testing.T) {
	c := config.Default()
	c.Root, c.SaysKeep = t.TempDir(), 4
	dir, err := durable.OpenDir(c.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	says, err := messages.OpenSays(dir, c.Files.Says, 200, c.SaysKeep)
	if err != nil {
		t.Fatal(err)
	}
	defer says.Close()
	say := func(text string) {
		says.Say(time.Unix(0, 0), "answer", "", text)
		if err := says.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	say("before")
	r, err := followSays(c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	var want, got []string
	for i := range 200 {
		text := fmt.Sprintf("#t line %d", i)
		say(text)
		want = append(want, fmt.Sprintf("line %d", i))
		// Three lines of this length fill a file; at most three files are missed.
		if rand.IntN(8) > 0 && len(want)-len(got) < 9 {
			continue
		}
		lines, err := r.read()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			answer, ok := answerOf(line, "t")
			if !ok {
				t.Fatalf("%q is no answer", line)
			}
			got = append(got, answer)
		}
	}
	lines, err := r.read()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		answer, _ := answerOf(line, "t")
		got = append(got, answer)
	}
	if !slices.Equal(got, want) {
		t.Errorf("read %d lines, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
}

func TestAnswers(t *testing.T) {
	const stamp = "2026-11-21T21:50:00.001Z"
	for _, test := range []struct {
		line, sent, want string
		refused          bool
	}{
		{stamp + "  answer    #tag UOWs start again", "RESUME", "UOWs start again", false},
		{stamp + "  answer    deploy-7  #tag from wait-q to hold-q", "HOLD deploy-7", "deploy-7  from wait-q to hold-q", false},
		{stamp + `  answer    "a b"  #tag not done: it is not held (it is in wait-q)`, "RELEASE a b", `"a b"  not done: it is not held (it is in wait-q)`, true},
		{stamp + "  answer    #tag HOLD x: not done: no UOW of this name", "HOLD x", "HOLD x: not done: no UOW of this name", true},
		{stamp + `  answer    #tag not understood: "STAUS #tag"; did you mean STATUS?`, "STAUS", `not understood: "STAUS"; did you mean STATUS?`, true},
		{stamp + "  answer    #tag", "STATUS", "", false},
		{stamp + "  answer    #tag   x  wait-q: it is not done: yet", "STATUS", "  x  wait-q: it is not done: yet", false},
	} {
		got, ok := answerOf(test.line, "tag")
		if !ok || got != test.want {
			t.Errorf("answerOf(%q) = %q, %v, want %q", test.line, got, ok, test.want)
		}
		if refusal(got, test.sent) != test.refused {
			t.Errorf("refusal(%q) is not %v", got, test.refused)
		}
	}
	for _, line := range []string{
		stamp + "  answer    #other UOWs start again",
		stamp + `  message  "HOLD x #tag" was too long`,
		"", "#tag",
	} {
		if got, ok := answerOf(line, "tag"); ok {
			t.Errorf("%q is taken for the answer %q", line, got)
		}
	}
}
