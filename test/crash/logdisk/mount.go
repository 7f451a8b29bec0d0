package logdisk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Mount mounts an image by a loop device that goes with the mount. It does not use
// mount(8), which asks all loop devices there are what they belong to, and so hangs
// if any of them does.
func Mount(kind, options, image, dir string) error {
	dev, err := attach(image)
	if err != nil {
		return fmt.Errorf("loop device for %s: %w", filepath.Base(image), err)
	}
	defer dev.Close() // the mount keeps it
	if err := unix.Mount(dev.Name(), dir, kind, 0, options); err != nil {
		return fmt.Errorf("mount %s: %w", kind, err)
	}
	return nil
}

// attach makes a loop device of a file, for as long as anybody has it open.
func attach(image string) (*os.File, error) {
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, err
		}
		dev, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		config := unix.LoopConfig{Fd: uint32(file.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
		if err = unix.IoctlLoopConfigure(int(dev.Fd()), &config); err == nil {
			return dev, nil
		}
		if dev.Close(); !errors.Is(err, unix.EBUSY) {
			return nil, err
		}
		// Somebody else was faster.
	}
}

// Unmount syncs, for another namespace may have a copy of the mount, which then
// goes on, and waits until nobody works there any more, for a while. What is busy
// even then is taken out of sight, and that is an error.
func Unmount(dir string) error {
	f, err := os.Open(dir)
	if err == nil {
		err = errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
	}
	if err == nil {
		err = unix.Unmount(dir, 0)
	}
	for deadline := time.Now().Add(10 * time.Second); errors.Is(err, unix.EBUSY) && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
		err = unix.Unmount(dir, 0)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", filepath.Base(dir), errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH)))
	}
	return nil
}

// Scratch makes a directory in for images and mounts. Its name tells the process
// it belongs to.
func Scratch(in string) (string, error) {
	return os.MkdirTemp(in, fmt.Sprintf("%s%d-", prefix, os.Getpid()))
}

const prefix = "logdisk-"

// Remove unmounts what is left mounted below a directory of [Scratch] and removes
// it.
func Remove(dir string) error {
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	lines := strings.Split(string(table), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			if err := unix.Unmount(f[1], unix.MNT_DETACH); err != nil {
				return fmt.Errorf("unmount %s: %w", f[1], err)
			}
		}
	}
	return os.RemoveAll(dir)
}

// Sweep removes what processes left that were killed.
func Sweep(in string) error {
	dirs, err := filepath.Glob(filepath.Join(in, prefix+"*"))
	for _, dir := range dirs {
		word, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), prefix), "-")
		pid, bad := strconv.Atoi(word)
		if bad == nil && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			err = errors.Join(err, Remove(dir))
		}
	}
	return err
}
