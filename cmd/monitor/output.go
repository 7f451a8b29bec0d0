package main

import (
	"bufio"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// terminal reports whether people read the standard output as it comes.
func (p *program) terminal() bool {
	f, ok := p.stdout.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// color reports whether colours are welcome there (https://no-color.org).
func (p *program) color() bool {
	return p.terminal() && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// print has write fill a buffer over the standard output, and flushes it.
func (p *program) print(write func(io.Writer) error) error {
	b := bufio.NewWriterSize(p.stdout, 64<<10)
	return errors.Join(write(b), b.Flush())
}

// hungUp reports that nobody reads the standard output any more: no reason to
// complain, the reader has seen what it wanted.
func hungUp(err error) bool { return errors.Is(err, unix.EPIPE) }
