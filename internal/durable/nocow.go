package durable

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Overwrite asks a file system that copies on write not to do so for an empty file:
// then it can be written again where there is no room for a copy. Others refuse,
// and do not need it.
func (f *File) Overwrite() {
	const noCopy = 0x00800000 // FS_NOCOW_FL
	var flags uint32
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(f.fd), unix.FS_IOC_GETFLAGS, uintptr(unsafe.Pointer(&flags))); e != 0 {
		return
	}
	flags |= noCopy
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(f.fd), unix.FS_IOC_SETFLAGS, uintptr(unsafe.Pointer(&flags)))
}
