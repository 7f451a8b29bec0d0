package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"simplejobq/internal/config"
	"simplejobq/internal/monitor"
	"simplejobq/internal/spool"
)

// Exit statuses: the one table. docs/commands.md repeats it, and a test compares
// the two. Any other status of `monitor wait` and `submit --wait` is the job's.
const (
	exitOK     = 0   // done as asked
	exitNo     = 1   // the answer is no: invalid, unknown, not done
	exitUsage  = 2   // the command line can't be understood
	exitLost   = 74  // the spool went away while the monitor worked on it, or can't be read
	exitBusy   = 75  // another monitor works on the spool
	exitConfig = 78  // configuration or spool is not in order; systemd does not start again into it
	exitTime   = 124 // wait: the job timed out or was silent
	exitFail   = 125 // wait: the job did not run to its end
)

// exitError is an error with the status it ends the program with. Without text
// everything was said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// quit ends the program with a status and nothing more to say.
func quit(code int) error {
	if code == exitOK {
		return nil
	}
	return &exitError{code: code}
}

// usageError is a command line that can't be understood.
type usageError struct{ error }

// report says an error and turns it into an exit status.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	if text := err.Error(); text != "" {
		for line := range strings.SplitSeq(text, "\n") {
			fmt.Fprintln(stderr, "monitor:", line)
		}
	}
	var exit *exitError
	var usage usageError
	var faults config.Errors
	var layout *spool.LayoutError
	var lost *spool.LostError
	switch {
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &faults), errors.As(err, &layout):
		return exitConfig
	case errors.Is(err, monitor.ErrBusy):
		return exitBusy
	case errors.As(err, &lost):
		return exitLost
	}
	return exitNo
}
