package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Wide enough that tables of common tools are not folded.
const rows, columns = 48, 160

// openTerminal makes a pseudo-terminal: master for us, slave for the job. It
// changes nothing of what is written to it and does not echo, and nobody here
// makes it a controlling terminal.
func openTerminal() (master, slave int, err error) {
	master, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("opening /dev/ptmx: %w", err)
	}
	fail := func(what string, err error) (int, int, error) {
		unix.Close(master)
		return -1, -1, fmt.Errorf("making a pseudo-terminal: %s: %w", what, err)
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return fail("unlock", err)
	}
	// By the master, not by a name: /dev/pts may be another mount's.
	const flags = unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC
	peer, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, flags)
	if errno != 0 {
		return fail("open", errno)
	}
	slave = int(peer)
	t, err := unix.IoctlGetTermios(slave, unix.TCGETS)
	if err == nil {
		t.Oflag &^= unix.OPOST
		t.Lflag &^= unix.ECHO
		err = unix.IoctlSetTermios(slave, unix.TCSETS, t)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(slave, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	}
	if err != nil {
		unix.Close(slave)
		return fail("settings", err)
	}
	return master, slave, nil
}
