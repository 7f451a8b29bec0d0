package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"simplejobq/internal/durable"
	"simplejobq/internal/run"

	"golang.org/x/sys/unix"
)

// findProgram looks for the program in the job's own PATH, as a shell in its
// directory would. A place that can't be looked at for now is not passed over: the
// program of that name further on may be another one.
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
		st, err := durable.StatPath(program)
		if durable.Passing(err) {
			return "", unreachable("program", program, err)
		}
		if err != nil || !st.Regular() {
			continue
		}
		if err = mayExec(program); err == nil {
			return program, nil
		}
		if durable.Passing(err) {
			return "", unreachable("program", program, err)
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
	st, there := durable.StatPath(at)
	switch {
	case err == unix.E2BIG:
		return fmt.Errorf("program %q: the command and its environment are too long for the kernel (%d bytes, the longest word %d)", program, size(s, false), size(s, true))
	case there != nil:
		return unreachable("program", at, there)
	case !st.Regular():
		return fmt.Errorf("program %q is not a regular file", at)
	case err == unix.EACCES && mayExec(at) != nil:
		return fmt.Errorf("program %q is not executable for this user", at)
	case err == unix.ENOENT || err == unix.EACCES:
		return fmt.Errorf("program %q: its interpreter%s: %w", at, interpreter(at), err)
	case err == unix.ENOEXEC:
		return fmt.Errorf("program %q is neither a binary of this machine nor a script that begins with #!", at)
	}
	return fmt.Errorf("program %q: %w", at, err)
}

func checkDir(dir string) error {
	st, err := durable.StatPath(dir)
	if err != nil {
		return unreachable("directory", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("directory %q is not a directory", dir)
	}
	if err := mayExec(dir); err != nil {
		return fmt.Errorf("directory %q may not be entered: %w", dir, err)
	}
	return nil
}

// mayExec says why this user may not execute a file, or enter a directory.
func mayExec(path string) error {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS)
}

// unreachable says of a missing thing that it is missing. Of what can't be looked
// at it keeps the error: trouble of its disk may pass.
func unreachable(what, path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s %q does not exist", what, path)
	}
	var stat *fs.PathError
	if errors.As(err, &stat) {
		err = stat.Err // it names the path once more
	}
	return fmt.Errorf("%s %q can't be reached: %w", what, path, err)
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
