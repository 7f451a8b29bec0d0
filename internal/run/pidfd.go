package run

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// awaitReadable waits until f, a descriptor in the poller's care, is readable;
// for a pidfd that is the end of its process. It takes no thread meanwhile.
func awaitReadable(ctx context.Context, f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	return conn.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}
