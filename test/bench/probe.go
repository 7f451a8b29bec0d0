package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The probe tells when its first instruction ran: it reads the clock and writes what
// it read into the FIFO that its argument names. It is an ELF file of one segment, for
// a program of any compiler would measure its own start-up as well.
//
//	mov    0x10(%rsp),%rbx      argv[1]
//	mov    $228,%eax            clock_gettime(CLOCK_MONOTONIC, rsp-64)
//	mov    $1,%edi
//	lea    -0x40(%rsp),%rsi
//	syscall
//	mov    $2,%eax              open(argv[1], O_WRONLY)
//	mov    %rbx,%rdi
//	mov    $1,%esi
//	xor    %edx,%edx
//	syscall
//	mov    %eax,%edi            write(it, rsp-64, 16)
//	mov    $1,%eax
//	lea    -0x40(%rsp),%rsi
//	mov    $16,%edx
//	syscall
//	mov    $60,%eax             exit(0)
//	xor    %edi,%edi
//	syscall
var probeText = []byte{
	0x48, 0x8b, 0x5c, 0x24, 0x10, 0xb8, 0xe4, 0, 0, 0, 0xbf, 1, 0, 0, 0, 0x48, 0x8d, 0x74, 0x24, 0xc0, 0x0f, 0x05,
	0xb8, 2, 0, 0, 0, 0x48, 0x89, 0xdf, 0xbe, 1, 0, 0, 0, 0x31, 0xd2, 0x0f, 0x05,
	0x89, 0xc7, 0xb8, 1, 0, 0, 0, 0x48, 0x8d, 0x74, 0x24, 0xc0, 0xba, 0x10, 0, 0, 0, 0x0f, 0x05,
	0xb8, 0x3c, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05,
}

func writeProbe(path string) error {
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("the latency is measured with a program for amd64, and this is %s", runtime.GOARCH)
	}
	const base, head = 0x400000, 64 + 56
	var b bytes.Buffer
	b.WriteString("\x7fELF\x02\x01\x01")
	b.Write(make([]byte, 9))
	size := uint64(head + len(probeText))
	for _, v := range []any{
		uint16(2), uint16(62), uint32(1), uint64(base + head), uint64(64), uint64(0), uint32(0),
		uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), size, size, uint64(4096),
	} {
		_ = binary.Write(&b, binary.LittleEndian, v) // into memory
	}
	b.Write(probeText)
	return os.WriteFile(path, b.Bytes(), 0o755)
}

// The same as an ordinary program that needs no library at run time: what starts before
// its main, which asks the processor what it can, is some of its time, as of any job's.
const probeSource = `#include <fcntl.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	int f = open(argv[1], O_WRONLY);
	return write(f, &t, sizeof t) != sizeof t;
}
`

// ordinary is that program, made when it is first needed.
func (b *bench) ordinary() (path string, err error) {
	path = filepath.Join(b.parent, "ordinary")
	if exists(path) {
		return path, nil
	}
	c := exec.Command("cc", "-O2", "-static", "-x", "c", "-o", path, "-")
	c.Stdin = strings.NewReader(probeSource)
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile the probe: %w\n%s", err, out)
	}
	return path, nil
}

// clock is where probes tell when they started.
type clock struct {
	path string
	fifo *os.File
}

func (b *bench) newClock() (*clock, error) {
	c := &clock{path: filepath.Join(b.dir, "clock")}
	err := unix.Mkfifo(c.path, 0o600)
	if err == nil || errors.Is(err, fs.ErrExist) {
		c.fifo, err = os.OpenFile(c.path, os.O_RDWR, 0)
	}
	return c, err
}

func monotonic() (time.Duration, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return time.Duration(ts.Nano()), err
}

// wait is when the next probe started, by the clock of the machine.
func (c *clock) wait() (time.Duration, error) {
	var b [16]byte
	if err := c.fifo.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(c.fifo, b[:]); err != nil {
		return 0, err
	}
	return time.Duration(binary.LittleEndian.Uint64(b[:]))*time.Second + time.Duration(binary.LittleEndian.Uint64(b[8:])), nil
}

// latencies are the times from a submission to the first instruction of its job, in ms.
func (c *clock) latencies(n int, submit func(i int) error, over func(i int) error) (sorted []float64, err error) {
	for i := range n {
		began, err := monotonic()
		if err == nil {
			err = submit(i)
		}
		if err != nil {
			return nil, err
		}
		at, err := c.wait()
		if err = errors.Join(err, over(i)); err != nil {
			return nil, err
		}
		sorted = append(sorted, (at-began).Seconds()*1000)
	}
	slices.Sort(sorted)
	return sorted, nil
}

func quantile(sorted []float64, q float64) float64 {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
