package monitor

import "golang.org/x/sys/unix"

// oldWait tells the calls that wait for time to pass which only some machines have.
func oldWait(call int) bool { return call == unix.SYS_POLL || call == unix.SYS_EPOLL_WAIT }
