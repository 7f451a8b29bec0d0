package doctor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// proc is a file about a process.
func proc(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }

// procStatus is a line of /proc/PID/status in words, nil if it can't be read.
func procStatus(pid int, key string) []string {
	b, _ := os.ReadFile(proc(pid, "status"))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.Fields(rest)
		}
	}
	return nil
}

// number is the n-th word as a number, 0 if it is none.
func number(words []string, n int) int {
	if n >= len(words) {
		return 0
	}
	v, _ := strconv.Atoi(words[n])
	return v
}

// numbers are the numbers of a file that holds nothing else, as those below
// /proc/sys do.
func numbers(path string) (list []int) {
	b, _ := os.ReadFile(path)
	for _, word := range strings.Fields(string(b)) {
		if n, err := strconv.Atoi(word); err == nil {
			list = append(list, n)
		}
	}
	return list
}

// descriptorsOf are what a process has open, nil if that may not be seen.
func descriptorsOf(pid int) (targets map[string]string) {
	list, err := os.ReadDir(proc(pid, "fd"))
	if err != nil {
		return nil
	}
	targets = map[string]string{}
	for _, fd := range list {
		targets[fd.Name()], _ = os.Readlink(filepath.Join(proc(pid, "fd"), fd.Name()))
	}
	return targets
}

// numbersIn are the names in a directory that are numbers.
func numbersIn(dir string) (list []int) {
	names, _ := os.ReadDir(dir)
	for _, n := range names {
		if pid, err := strconv.Atoi(n.Name()); err == nil {
			list = append(list, pid)
		}
	}
	return list
}
