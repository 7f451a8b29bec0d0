package main

import "golang.org/x/sys/unix"

// tee is the droppable copy of the output to standard output: who does not read
// it in time loses it, and never holds a job up.
type tee struct {
	fd   int // 0: not looked at yet, -1: none
	how  int
	poll bool // writes could block: ask first, and in pieces a pipe takes whole
}

const (
	toFile = iota
	toSocket
)

func (t *tee) write(b []byte) {
	if t.fd == 0 {
		t.look()
	}
	for len(b) > 0 && t.fd > 0 {
		piece := b
		if t.poll {
			p := []unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLOUT}}
			if n, err := unix.Poll(p, 0); err != nil || n == 0 || p[0].Revents&unix.POLLOUT == 0 {
				return
			}
			piece = b[:min(len(b), 4096)] // PIPE_BUF
		}
		var n int
		var err error
		if t.how == toSocket {
			n, err = unix.SendmsgN(t.fd, piece, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		} else {
			n, err = unix.Write(t.fd, piece)
		}
		if err != nil || n <= 0 {
			return
		}
		b = b[n:]
	}
}

// look decides how standard output can be written to without waiting. Its own
// flags are not ours to change: others have it too.
func (t *tee) look() {
	const stdout = 1
	t.fd = -1
	var st unix.Stat_t
	if err := unix.Fstat(stdout, &st); err != nil {
		return
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		t.fd, t.how = stdout, toSocket
	case unix.S_IFREG:
		t.fd = stdout
	default:
		fd, err := unix.Open("/proc/self/fd/1", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if t.fd = fd; err != nil {
			t.fd, t.poll = stdout, true
		}
	}
}
