package messages

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

const nobody = 65534

// asNobody makes this thread, and so this test, somebody without rights until
// the test ends. The raw calls change one thread; Go's would change them all.
func asNobody(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), nobody, 0); e != 0 {
		t.Fatal(e)
	}
	t.Cleanup(func() {
		if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 0, 0); e != 0 {
			t.Error(e)
		}
		runtime.UnlockOSThread()
	})
}

// rootAppend appends with root's rights.
func rootAppend(t *testing.T, x *box, text string) {
	t.Helper()
	done := make(chan error)
	go func() { // another thread: still root
		f, err := os.OpenFile(x.path, os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			_, err = f.WriteString(text)
			f.Close()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
