// Package units owns how durations and sizes are read from people and shown to
// them. It promises that whatever it prints it also reads, and it refuses a
// number without a unit: "30" has meant seconds to one reader and minutes to
// the next too often.
package units

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Day is the largest unit of a duration; it is always 24 hours.
const Day = 24 * time.Hour

// The sentences a person gets; the value itself is quoted by the caller.
var (
	ErrDuration = errors.New("is not a duration (write 250ms, 90s, 30m, 2h30m or 1d)")
	ErrSize     = errors.New("is not a size (write 64KiB, 1MiB, 2GiB or 10MB)")
)

// Largest first: "2h30m" is written so, never "30m2h".
var spans = []struct {
	name string
	unit time.Duration
}{{"d", Day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

// ParseDuration reads 250ms, 90s, 1.5s, 30m, 2h30m, 1d or 0. Units go from
// large to small, each at most once; a bare number other than 0 is refused.
func ParseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	rest, next, total := s, 0, float64(0)
	for rest != "" {
		n := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		value, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil || rest[0] == '.' || rest[n-1] == '.' {
			return 0, ErrDuration
		}
		rest = rest[n:]
		n = len(rest) - len(strings.TrimLeft(rest, "dhms"))
		i := next
		for i < len(spans) && spans[i].name != rest[:n] {
			i++
		}
		if i == len(spans) {
			return 0, ErrDuration
		}
		total += value * float64(spans[i].unit)
		rest, next = rest[n:], i+1
	}
	// 100 years: beyond it a time computed from it would overflow.
	if s == "" || total > float64(100*365*Day) {
		return 0, ErrDuration
	}
	return time.Duration(math.Round(total)), nil
}

// Duration writes a limit as a person would: 30m, 2h30m, 1d, 250ms, 0s.
func Duration(d time.Duration) string {
	if d <= 0 {
		return "0s"
	}
	var b strings.Builder
	for _, s := range spans {
		if n := d / s.unit; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, s.name)
			d -= n * s.unit
		}
	}
	if b.Len() == 0 {
		return "1ms"
	}
	return b.String()
}

// Span writes a measured time with the precision that matters: 4ms, 41.0s,
// 3m12.4s, 2h03m, 4d02h.
func Span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%04.1fs", int(d.Minutes()), (d % time.Minute).Truncate(100*time.Millisecond).Seconds())
	case d < Day:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int((d % time.Hour).Minutes()))
	}
	return fmt.Sprintf("%dd%02dh", d/Day, int((d % Day).Hours()))
}

// Longest names first, so that "KiB" is not read as "B".
var sizes = []struct {
	name string
	unit int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// ParseSize reads 64KiB, 1MiB, 2GiB, 10MB or 0 as bytes. A bare number other
// than 0 is refused.
func ParseSize(s string) (int64, error) {
	if s == "0" {
		return 0, nil
	}
	for _, u := range sizes {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || digits == "" || digits[0] < '0' || digits[0] > '9' || n*float64(u.unit) > 1<<62 {
			return 0, ErrSize
		}
		return int64(n * float64(u.unit)), nil
	}
	return 0, ErrSize
}

// Size writes a limit exactly, in the largest unit that divides it.
func Size(n int64) string {
	for _, u := range sizes {
		if n >= u.unit && n%u.unit == 0 {
			return strconv.FormatInt(n/u.unit, 10) + u.name
		}
	}
	return "0B"
}

// Count writes a number of things, with the word for one of them or for many.
func Count(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return strconv.Itoa(n) + " " + many
}

// Bytes writes a measured amount to three figures: 712 B, 41.0 kB, 210 MB.
func Bytes(n int64) string {
	value, unit := float64(max(n, 0)), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if value < 999.5 {
			break
		}
		value, unit = value/1000, next
	}
	if unit == "B" || value >= 99.95 {
		return fmt.Sprintf("%.0f %s", value, unit)
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
