package main

import (
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"simplejobq/internal/status"
)

// However the output comes in pieces, the screen shows what it would have shown
// at once.
func TestScreenShowsTheSameInPieces(t *testing.T) {
	part := rapid.SampledFrom([]string{"a", "bc", "\n", "\r", "\r\n", "\x1b[31m", "\x1b[0m", "\x1b", "[2J", "]0;title\x07", "☃", "\xe2", "\xff", "\t"})
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(part, 0, 20).Draw(t, "parts")
		var b strings.Builder
		s := &screen{w: &b, color: rapid.Bool().Draw(t, "color")}
		for _, p := range parts {
			if _, err := io.WriteString(s, p); err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "idle") {
				if err := s.idle(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.end(); err != nil {
			t.Fatal(err)
		}
		if want := status.Strip(strings.Join(parts, ""), s.color); b.String() != want {
			t.Errorf("shown %q, want %q", b.String(), want)
		}
	})
}

func TestEndsInLog(t *testing.T) {
	for head, want := range map[string]bool{
		"==== UNIT OF WORK\nCOMMAND :: x\n==== JOB LOG\n": true, "==== JOB LOG  \r\n": true, "==== JOB LOG": true,
		"": false, "x ==== JOB LOG\n": false, "==== JOB LOG\nx\n": false,
	} {
		if got := endsInLog([]byte(head)); got != want {
			t.Errorf("endsInLog(%q) = %v", head, got)
		}
	}
}
