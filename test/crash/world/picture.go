package world

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"
)

// Picture is all of the spool that a monitor with nothing to do must leave alone.
func (x *World) Picture() string {
	var lines []string
	err := filepath.WalkDir(x.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(x.Root, path)
		switch {
		case name == "status", name == ".monitor/work", name == "lost+found":
			return fs.SkipDir
		case d.IsDir(), strings.HasPrefix(name, "monitor_"), strings.HasPrefix(name, ".monitor/"):
			lines = append(lines, name)
			return nil
		}
		st, err := os.Lstat(path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		// A nanosecond more or less is the monitor's own note that something is
		// still to be told.
		lines = append(lines, fmt.Sprintf("%s inode %d time %v %q", name, st.Sys().(*syscall.Stat_t).Ino, st.ModTime().Truncate(time.Microsecond), b))
		return err
	})
	if err != nil {
		x.T.Fatal(err)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func difference(a, b string) string {
	in := func(list string) map[string]bool {
		m := map[string]bool{}
		for _, l := range strings.Split(list, "\n") {
			m[l] = true
		}
		return m
	}
	var out []string
	for l := range in(a) {
		if !in(b)[l] {
			out = append(out, "- "+l)
		}
	}
	for l := range in(b) {
		if !in(a)[l] {
			out = append(out, "+ "+l)
		}
	}
	return strings.Join(out, "\n")
}
