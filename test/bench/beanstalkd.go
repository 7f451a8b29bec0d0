package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// beanstalkd has no workers of its own: these reserve a job, run it, and delete it.

// tube is one connection to it.
type tube struct {
	conn net.Conn
	r    *bufio.Reader
}

func dial(path string) (*tube, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	return &tube{conn, bufio.NewReader(conn)}, nil
}

// ask sends a command and returns the words of the answer, whose first is want.
func (t *tube) ask(want, command string) ([]string, error) {
	if _, err := io.WriteString(t.conn, command); err != nil {
		return nil, err
	}
	line, err := t.r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	words := strings.Fields(line)
	if len(words) == 0 || words[0] != want {
		return nil, fmt.Errorf("beanstalkd: %q", line)
	}
	return words, nil
}

func (t *tube) put(body string) error {
	_, err := t.ask("INSERTED", fmt.Sprintf("put 0 0 600 %d\r\n%s\r\n", len(body), body))
	return err
}

// work runs the next job.
func (t *tube) work(attr *syscall.ProcAttr) error {
	words, err := t.ask("RESERVED", "reserve\r\n")
	if err != nil || len(words) < 3 {
		return errors.Join(err, fmt.Errorf("beanstalkd: %q", words))
	}
	n, err := strconv.Atoi(words[2])
	if err != nil {
		return err
	}
	body := make([]byte, n+2)
	if _, err := io.ReadFull(t.r, body); err != nil {
		return err
	}
	job := string(body[:n])
	if err := spawn(job, []string{job}, attr); err != nil {
		return err
	}
	_, err = t.ask("DELETED", "delete "+words[1]+"\r\n")
	return err
}

func (b *bench) measureBeanstalkd() error {
	for name, argv := range map[string][]string{
		"beanstalkd in memory":         {},
		"beanstalkd, fsync of each":    {"-b", b.dir, "-f", "0"},
		"beanstalkd, fsync each 50 ms": {"-b", filepath.Join(b.dir, "50"), "-f", "50"},
	} {
		if err := os.MkdirAll(filepath.Join(b.dir, "50"), 0o755); err != nil {
			return err
		}
		if err := b.beanstalkd(name, argv); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) beanstalkd(name string, argv []string) error {
	socket := filepath.Join(b.dir, "socket")
	_ = os.Remove(socket)
	server := exec.Command("beanstalkd", append(argv, "-l", "unix:"+socket)...)
	if err := server.Start(); err != nil {
		return err
	}
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	if err := until("beanstalkd", func() bool { t, err := dial(socket); return err == nil && t.conn.Close() == nil }); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}}
	for _, n := range slots {
		tubes := make([]*tube, n)
		for i := range tubes {
			if tubes[i], err = dial(socket); err != nil {
				return err
			}
		}
		for range jobs {
			if err := tubes[0].put(noop); err != nil {
				return err
			}
		}
		rate, err := rate(n, jobs, func(w int) error { return tubes[w].work(attr) })
		for _, t := range tubes {
			_ = t.conn.Close()
		}
		if err != nil {
			return err
		}
		b.over(name, n, rate)
	}
	return nil
}
