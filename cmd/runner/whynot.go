package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"simplejobq/internal/run"

	"golang.org/x/sys/unix"
)

// findProgram looks for the program in the job's own PATH, as a shell in its
// directory would.
func findProgram(s *run.Spec) (string, error) {
	name := s.Argv[0]
	if strings.Contains(name, "/") {
		return name, nil
	}
	path := ""
	for _, e := range s.Env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			path = v
		}
	}
	var denied error
	for _, dir := range strings.Split(path, ":") {
		if path == "" {
			break
		}
		if !strings.HasPrefix(dir, "/") {
			dir = filepath.Join(s.Dir, dir)
		}
		program := filepath.Join(dir, name)
		var st unix.Stat_t
		if unix.Stat(program, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		if err := unix.Faccessat(unix.AT_FDCWD, program, unix.X_OK, unix.AT_EACCESS); err == nil {
			return program, nil
		}
		denied = fmt.Errorf("program %q is not executable for this user", program)
	}
	if err := checkDir(s.Dir); err != nil {
		return "", err
	}
	if denied != nil {
		return "", denied
	}
	return "", fmt.Errorf("no program %q in PATH %q", name, path)
}

// whyNot finds out what a failed fork and exec does not tell: the error of a
// directory and that of a program are the same number.
func whyNot(s *run.Spec, program string, err error) error {
	var nice niceError
	if errors.As(err, &nice) {
		return err
	}
	switch err {
	case unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE:
		return fmt.Errorf("forking: %w", err)
	}
	if err := checkDir(s.Dir); err != nil {
		return err
	}
	at := program
	if !strings.HasPrefix(at, "/") {
		at = filepath.Join(s.Dir, at)
	}
	var st unix.Stat_t
	there := unix.Stat(at, &st)
	switch {
	case err == unix.E2BIG:
		return fmt.Errorf("program %q: the command and its environment are too long for the kernel (%d bytes, the longest word %d)", program, size(s, false), size(s, true))
	case there != nil:
		return fmt.Errorf("program %q %s", at, plainly(there))
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("program %q is not a regular file", at)
	case err == unix.EACCES && unix.Faccessat(unix.AT_FDCWD, at, unix.X_OK, unix.AT_EACCESS) != nil:
		return fmt.Errorf("program %q is not executable for this user", at)
	case err == unix.ENOENT || err == unix.EACCES:
		return fmt.Errorf("program %q: its interpreter%s: %w", at, interpreter(at), err)
	case err == unix.ENOEXEC:
		return fmt.Errorf("program %q is neither a binary of this machine nor a script that begins with #!", at)
	}
	return fmt.Errorf("program %q: %w", at, err)
}

func checkDir(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fmt.Errorf("directory %q %s", dir, plainly(err))
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("directory %q is not a directory", dir)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("directory %q may not be entered: %w", dir, err)
	}
	return nil
}

// plainly says of a missing thing what is missing about it.
func plainly(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "does not exist"
	}
	return "can't be reached: " + err.Error()
}

// interpreter is what a script's first line names.
func interpreter(script string) string {
	f, err := os.OpenFile(script, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, 256)
	n, _ := f.Read(b)
	line, ok := strings.CutPrefix(string(b[:n]), "#!")
	if !ok {
		return ""
	}
	line, _, _ = strings.Cut(line, "\n")
	if f := strings.Fields(line); len(f) > 0 {
		return fmt.Sprintf(" %q", f[0])
	}
	return ""
}

func size(s *run.Spec, longest bool) (n int) {
	for _, list := range [][]string{s.Argv, s.Env} {
		for _, word := range list {
			if longest {
				n = max(n, len(word)+1)
			} else {
				n += len(word) + 1
			}
		}
	}
	return n
}
