//go:build !faults

package clock

import "time"

// Wall is the time of day.
func Wall() time.Time { return time.Now().Round(0) }
