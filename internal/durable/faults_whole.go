//go:build faults

package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// With MONITOR_FAULT_SYNCFS set, a FUSE file system counts as one that one syncfs
// covers, though the kernel does not pass that on: the test's own file system
// learns of the commit from the trace.
func init() {
	const name = "MONITOR_FAULT_SYNCFS"
	if os.Getenv(name) != "" {
		wholeSync[unix.FUSE_SUPER_MAGIC] = true
	}
	_ = os.Unsetenv(name)
}
