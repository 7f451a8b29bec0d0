package uow

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// HeadIn finds in a beginning what Head finds in the file, or says that it can't.
func TestHeadIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"==== JOB LOG", "==== JOB", "x", "\n", "\r\n", " ", "\t", "==== STATUS\n"})).Draw(t, "parts")
		text := []byte(strings.Join(parts, ""))
		limit := rapid.Int64Range(0, int64(len(text))+Growth).Draw(t, "limit") - Growth/2
		want, wantErr := Head(bytes.NewReader(text), limit)
		begin := rapid.IntRange(0, len(text)).Draw(t, "begin")
		got, ok, err := HeadIn(text[:begin], begin == len(text), limit)
		if !ok {
			if begin == len(text) {
				t.Fatal("the whole is not enough")
			}
			return
		}
		if !errors.Is(err, wantErr) || wantErr == nil && !bytes.Equal(got, want) {
			t.Fatalf("%q of %q, limit %d: %q, %v; want %q, %v", text[:begin], text, limit, got, err, want, wantErr)
		}
	})
}

// The short way of reading a time agrees with the long one.
func TestParseStamp(t *testing.T) {
	digit := rapid.SampledFrom([]rune("0123456789"))
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(stampLayout)
		if rapid.Bool().Draw(t, "valid") {
			b = []byte(Stamp(time.UnixMilli(rapid.Int64Range(-1<<40, 1<<48).Draw(t, "at"))))
		}
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "where")] = byte(digit.Draw(t, "digit"))
		}
		at, ok := parseStamp(string(b))
		want, err := time.Parse(time.RFC3339Nano, string(b))
		if wantOK := err == nil && rfc3339().MatchString(string(b)) && sane(want); ok != wantOK && len(b) == len(stampLayout) && b[len(b)-1] == 'Z' || ok && !at.Equal(want) {
			t.Fatalf("%s: %v %v, want %v %v", b, at, ok, want, wantOK)
		}
	})
}
