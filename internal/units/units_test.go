package units

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "250ms": 250 * time.Millisecond, "90s": 90 * time.Second, "1.5s": 1500 * time.Millisecond,
		"30m": 30 * time.Minute, "2h30m": 150 * time.Minute, "1d": Day, "1d2h3m4s5ms": 26*time.Hour + 3*time.Minute + 4005*time.Millisecond,
	} {
		if got, err := ParseDuration(in); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "soon", "30", "-5s", "5", "s", "1m1h", "1s1s", "5 s", "1e3s", ".5s", "1.s", "1y", "99999999d", "NaNs", "0x10s", "1_0s"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", in, got)
		}
	}
}

func TestSizes(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "64KiB": 64 << 10, "1MiB": 1 << 20, "2GiB": 2 << 30, "10MB": 1e7, "1.5kB": 1500, "7B": 7} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "big", "64", "-1KiB", "KiB", "1XB", "1e99GiB", "NaNB", "1 0B"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %v, want an error", in, got)
		}
	}
}

func TestWhatIsPrintedIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "ms")) * time.Millisecond
		if got, err := ParseDuration(Duration(d)); err != nil || got != d {
			t.Fatalf("ParseDuration(%q) = %v, %v; want %v", Duration(d), got, err, d)
		}
		n := rapid.Int64Range(0, 1<<45).Draw(t, "bytes")
		if got, err := ParseSize(Size(n)); err != nil || got != n {
			t.Fatalf("ParseSize(%q) = %v, %v; want %v", Size(n), got, err, n)
		}
	})
}

func TestShown(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Span(4 * time.Millisecond), "4ms"}, {Span(41 * time.Second), "41.0s"}, {Span(192400 * time.Millisecond), "3m12.4s"},
		{Span(59990 * time.Millisecond), "59.9s"}, {Span(2*time.Hour + 3*time.Minute), "2h03m"}, {Span(98 * time.Hour), "4d02h"},
		{Duration(30 * time.Minute), "30m"}, {Duration(90 * time.Second), "1m30s"}, {Duration(time.Microsecond), "1ms"},
		{Bytes(712), "712 B"}, {Bytes(41000), "41.0 kB"}, {Bytes(210e6), "210 MB"}, {Bytes(999999), "1.0 MB"},
		{Size(64 << 10), "64KiB"}, {Size(1500), "1500B"}, {Size(1e7), "10MB"},
		{Count(0, "step is", "steps are"), "0 steps are"}, {Count(1, "step is", "steps are"), "1 step is"}, {Count(12, "step is", "steps are"), "12 steps are"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
