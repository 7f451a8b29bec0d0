package spool

import (
	"encoding/binary"
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// arrivals knows which names came into the live queues by a rename. fsnotify
// wakes us, but calls a file that was moved in and one that is being written
// alike; and a file that was written and renamed within one tick of the
// kernel's clock (4 ms here) has equal times of change. So the kernel is asked
// for renames alone, and answers when we look, not before.
type arrivals struct {
	fd     int
	queues map[int32]Queue // by watch descriptor
	names  [Queues]map[string]struct{}
}

// openArrivals never fails: without it a file is accepted by its times.
func openArrivals() *arrivals {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		fd = -1
	}
	return &arrivals{fd: fd, queues: map[int32]Queue{}}
}

func (a *arrivals) close() {
	if a.fd >= 0 {
		_ = unix.Close(a.fd)
	}
}

// follow watches the directory that is held open for a queue.
func (a *arrivals) follow(q Queue, dirfd int) {
	for wd, old := range a.queues {
		if old == q {
			_, _ = unix.InotifyRmWatch(a.fd, uint32(wd))
			delete(a.queues, wd)
		}
	}
	wd, err := unix.InotifyAddWatch(a.fd, "/proc/self/fd/"+strconv.Itoa(dirfd), unix.IN_MOVED_TO|unix.IN_ONLYDIR)
	if err == nil {
		a.queues[int32(wd)] = q
	}
}

// take reports whether a name came by a rename since it was last asked about.
func (a *arrivals) take(q Queue, name string) bool {
	_, ok := a.names[q][name]
	if ok {
		delete(a.names[q], name)
	}
	return ok
}

// How many names are remembered that nobody asked about: those of files that
// were gone before they were looked at.
const arrivalsKept = 1 << 16

// read takes in what has come since the last time.
func (a *arrivals) read() {
	for q := range a.names {
		if len(a.names[q]) > arrivalsKept {
			a.names[q] = nil
		}
	}
	if a.fd < 0 {
		return
	}
	var buf [64 << 10]byte
	for {
		n, err := unix.Read(a.fd, buf[:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		// struct inotify_event: s32 wd, u32 mask, u32 cookie, u32 len, name, NULs.
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			wd, size := int32(binary.NativeEndian.Uint32(b)), int(binary.NativeEndian.Uint32(b[12:]))
			name := b[unix.SizeofInotifyEvent : unix.SizeofInotifyEvent+size]
			b = b[unix.SizeofInotifyEvent+size:]
			q, ok := a.queues[wd]
			if !ok {
				continue // an overflow, or a watch that is gone
			}
			for i, c := range name {
				if c == 0 {
					name = name[:i]
					break
				}
			}
			if a.names[q] == nil {
				a.names[q] = map[string]struct{}{}
			}
			a.names[q][string(name)] = struct{}{}
		}
	}
}
