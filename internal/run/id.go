package run

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// BootID names this boot of the machine.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("asking which boot this is: %w", err)
	}
	id := strings.TrimSpace(string(b))
	if id == "" {
		return "", errors.New("asking which boot this is: /proc/sys/kernel/random/boot_id is empty; without it no run could be told from those before a reboot")
	}
	return id, nil
}

// IDs hands out run ids: the boot id, a hyphen and the nanoseconds since that
// boot. They grow in one process by force and over restarts by the clock, so
// none comes twice and nothing has to be kept on disk. It is for one goroutine.
type IDs struct {
	boot string
	last int64
}

// NewIDs starts the ids of a boot.
func NewIDs(boot string) *IDs { return &IDs{boot: boot} }

// Next is a run id nobody had before.
func (i *IDs) Next() string {
	i.last = max(i.last+1, sinceBoot())
	return i.boot + "-" + strconv.FormatInt(i.last, 10)
}

// Boot is the boot a run id belongs to, "" if it is no run id.
func Boot(id string) string {
	n := strings.LastIndexByte(id, '-')
	if n < 0 || bootTime(id) < 0 {
		return ""
	}
	return id[:n]
}

// bootTime is when the id was given, in nanoseconds since its boot, or -1.
func bootTime(id string) int64 {
	n := strings.LastIndexByte(id, '-')
	t, err := strconv.ParseInt(id[n+1:], 10, 64)
	if n < 1 || err != nil || t < 0 {
		return -1
	}
	return t
}

// sinceBoot runs on through a suspend, as the birth times in /proc do.
func sinceBoot() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}
