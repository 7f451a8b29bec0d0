// Package pattern has regular expressions compiled when they are first asked for. Compiling
// all that the program knows took a third of the time in which it starts, and it starts for
// every command that somebody types.
package pattern

import (
	"regexp"
	"sync"
)

// Lazy compiles expr once, at the first call; a mistake in it panics then.
func Lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
