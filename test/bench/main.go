// Command bench measures this project, its peers and the machine itself in turn, in
// one run, and prints what they are to one another: `make bench`.
//
// Absolute figures of a shared machine are worth little. So each repeat measures the
// bare rate at which the machine starts and collects processes first, and everybody
// is told as a part of that; of the repeats the median counts. Each repeat has a
// fresh directory below one with the attribute T (chattr +T: the file system
// places each child apart), because ext4 slows down where many files were removed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of it.
type bench struct {
	table
	bin    string // where monitor and runner are
	probe  string
	parent string // of the directories of the repeats
	repeat int
	dir    string // of this repeat
	bare   map[int]float64
}

func run() error {
	repeats := flag.Int("repeats", 5, "how often each is measured")
	only := flag.String("only", "", "measure only groups whose name has this in it")
	scale := flag.Int("scale", 1_000_000, "the most UOWs that are queued")
	doc := flag.String("doc", "", "file whose table between the marks is written anew")
	at := flag.String("dir", ".", "directory on the disk that is to be measured")
	flag.Parse()

	parent, err := os.MkdirTemp(*at, "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(parent) }()
	if parent, err = filepath.Abs(parent); err != nil {
		return err
	}
	_ = exec.Command("chattr", "+T", parent).Run() // ext4 only
	b := &bench{bin: filepath.Join(parent, "bin"), probe: filepath.Join(parent, "probe"), parent: parent}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.bin+"/", "simplejobq/cmd/monitor", "simplejobq/cmd/runner")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	if err := writeProbe(b.probe); err != nil {
		return err
	}
	for b.repeat = range *repeats {
		for _, g := range b.groups(*scale) {
			if g.times <= b.repeat || !strings.Contains(g.name, *only) && g.name != "bare" {
				continue
			}
			b.dir = filepath.Join(parent, fmt.Sprintf("%d-%s", b.repeat, g.name))
			if err := os.Mkdir(b.dir, 0o755); err != nil {
				return err
			}
			if err := g.measure(); err != nil {
				var missing *exec.Error
				if !errors.As(err, &missing) {
					return fmt.Errorf("%s: %w", g.name, err)
				}
				fmt.Fprintf(os.Stderr, "%s is not measured: %v\n", g.name, err)
			}
		}
		fmt.Fprintf(os.Stderr, "repeat %d of %d\n", b.repeat+1, *repeats)
	}
	text := b.markdown()
	fmt.Print(text)
	if *doc != "" {
		return rewrite(*doc, text)
	}
	return nil
}

type group struct {
	name    string
	times   int // at most
	measure func() error
}

func (b *bench) groups(scale int) []group {
	const always = 1 << 30
	return []group{
		{"bare", always, b.measureBare},
		{"spool", always, b.measureDrain},
		{"latency", always, b.measureLatency},
		{"tsp", always, b.measureTsp},
		{"nq", always, b.measureNq},
		{"beanstalkd", always, b.measureBeanstalkd},
		{"parallel", always, b.measureParallel},
		{"at", always, b.measureAt},
		{"flow", always, b.measureFlow},
		{"log", 3, b.measureLog},
		{"depth", 3, func() error { return b.measureDepth(min(scale, 100_000)) }},
		{"queued", 1, func() error { return b.measureQueued(min(scale, 100_000)) }},
		{"queued-most", 1, func() error { return b.measureQueued(scale) }},
	}
}
