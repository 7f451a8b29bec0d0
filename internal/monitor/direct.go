package monitor

import (
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"simplejobq/internal/run"
)

// A command that needs nothing of a shell is executed without one, as make does: that
// saves a process for each job. It means the same, for whatever the shell would see in
// it, or say about it, is left to the shell. Of shells that is the standard one; another
// one was configured for what it does besides.
var standardShell = []string{"/bin/sh", "-c"}

// command has the shell run a line, or sets what it would execute.
func (s *session) command(sp *run.Spec, line string) {
	shell := s.conf.Job.Shell
	sp.Argv = append(slices.Clone(shell), line)
	if !slices.Equal(shell, standardShell) {
		return
	}
	words := plainWords(line)
	if words == nil {
		return
	}
	pwd, err := filepath.EvalSymlinks(sp.Dir)
	if err != nil || !foundProgram(words[0], sp.Dir, environment(sp.Env, "PATH")) {
		return
	}
	sp.Argv = words // its runner finds it in the same way
	if environment(sp.Env, "PWD") == "" {
		sp.Env = append(sp.Env, "PWD="+pwd)
	}
}

// What a shell does itself: the reserved words and the built-in utilities of POSIX, and
// those that shells add.
var ofShell = func() map[string]bool {
	words := strings.Fields(`! { } case do done elif else esac fi for if in then until while [[ ]] function select time coproc
		. : break continue eval exec exit export readonly return set shift times trap unset
		[ alias bg bind builtin caller cd chdir command compgen complete declare dirs disown echo enable false fc fg getopts
		hash help history jobs kill let local logout mapfile newgrp popd printf pushd pwd read readarray shopt source suspend
		test true type typeset ulimit umask unalias wait`)
	set := make(map[string]bool, len(words))
	for _, w := range words {
		set[w] = true
	}
	return set
}()

// plainWords are the words of a line in which nothing means anything to a shell, nil if
// something may.
func plainWords(line string) []string {
	for i := range len(line) {
		c := line[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(" \t-_./,:+@%=^", c) >= 0
		if !plain {
			return nil
		}
	}
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) == 0 || ofShell[words[0]] || strings.Contains(words[0], "=") {
		return nil
	}
	return words
}

// foundProgram looks for a program as the shell does. It reports false as well if it may
// not be executed, or is a script whose interpreter only the shell knows: what becomes of
// that is the shell's to say.
func foundProgram(name, dir, path string) bool {
	if strings.Contains(name, "/") {
		return executable(dir, name)
	}
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) { // relative to where the job runs
			return false
		}
		if executable(d, name) {
			return true
		}
	}
	return false
}

func executable(dir, name string) bool {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, name)
	}
	if unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS) != nil {
		return false
	}
	// Plain calls: Go's own files would be offered to the poller first.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return false
	}
	var magic [4]byte
	n, _ := unix.Pread(fd, magic[:], 0)
	n = max(n, 0)
	return string(magic[:n]) == "\x7fELF" || string(magic[:min(n, 2)]) == "#!"
}

// environment is the last value of a variable, which is the one that counts.
func environment(env []string, name string) string {
	for _, v := range slices.Backward(env) {
		if value, is := strings.CutPrefix(v, name+"="); is {
			return value
		}
	}
	return ""
}
