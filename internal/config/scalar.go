package config

import (
	"time"

	"simplejobq/internal/units"
)

// Duration is a span of time with a unit: "90s", "2h30m". It is kept in whole
// milliseconds, so that what is shown is what is in force; a shorter one counts
// as one millisecond, because none at all often means "no limit".
type Duration time.Duration

// UnmarshalText reads what units does; the library hands a bare TOML number
// over as text, and that is refused like any number without a unit.
func (d *Duration) UnmarshalText(text []byte) error {
	span, err := units.ParseDuration(string(text))
	if err != nil {
		return err
	}
	if span > 0 {
		span = max(span.Round(time.Millisecond), time.Millisecond)
	}
	*d = Duration(span)
	return nil
}

func (d Duration) String() string { return units.Duration(time.Duration(d)) }

// Size is an amount of bytes with a unit: "64KiB", "10MB".
type Size int64

// UnmarshalText reads what units does and refuses a number without a unit.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := units.ParseSize(string(text))
	if err != nil {
		return err
	}
	*s = Size(n)
	return nil
}

func (s Size) String() string { return units.Size(int64(s)) }

func seconds(n int) Duration      { return Duration(time.Duration(n) * time.Second) }
func milliseconds(n int) Duration { return Duration(time.Duration(n) * time.Millisecond) }
