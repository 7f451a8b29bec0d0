// Package trouble takes away what a monitor needs while jobs run (room, inodes,
// quota, descriptors, permission, a disk that takes writes, one that answers at
// all), on real file systems and under the real daemon, and gives it back. Then
// everything must go on by itself: nothing lost, nothing run twice, no UOW in
// another state because of it, no byte of a log missing.
package trouble

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

// TestMain has the tests run in a mount namespace of their own: whatever happens
// to them, no mount of theirs is left behind.
func TestMain(m *testing.M) {
	if where := os.Getenv(sickMark); where != "" {
		if err := serve(where); err != nil {
			fmt.Fprintln(os.Stderr, "the sick file system:", err)
			os.Exit(1)
		}
		return
	}
	const inside = "TROUBLE_INSIDE"
	if os.Getuid() == 0 && os.Getenv(inside) == "" {
		if err := enter(inside + "=1"); err != nil {
			fmt.Fprintln(os.Stderr, "a mount namespace:", err)
			os.Exit(1)
		}
	}
	// They mostly wait, so many may do so at once.
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	world.Main(m)
}

// enter goes on with the same program from its beginning, in a new namespace.
func enter(mark string) error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), mark))
}
