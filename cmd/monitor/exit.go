package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"simplejobq/internal/config"
	"simplejobq/internal/monitor"
	"simplejobq/internal/spool"
)

// Exit statuses: the one table. docs/operating.md and the help repeat it, and a
// test compares them. Any other status of `monitor wait` and `submit --wait` is
// the job's.
const (
	exitOK     = 0   // done as asked
	exitNo     = 1   // the answer is no: invalid, unknown, not done
	exitUsage  = 2   // the command line can't be understood
	exitLost   = 74  // the spool, or a part only the monitor needs, went away while the monitor worked on it, or can't be read
	exitBusy   = 75  // another monitor works on the spool
	exitConfig = 78  // configuration or spool is not in order; systemd does not start again into it
	exitTime   = 124 // wait: the job timed out or was silent, or --timeout passed
	exitFail   = 125 // wait: the job did not run to its end
)

func exitStatusHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-status",
		Short: "what the exit statuses mean",
		Long: `Exit statuses of every command:
    0  done as asked
    1  the answer is no: a file is invalid, a name unknown, a message not done
    2  the command line can't be understood
   74  the spool went away while the monitor worked on it, or can't be read
   75  another monitor works on the spool
   78  the configuration or the spool is not in order

"monitor wait" and "monitor submit --wait" end as the job did:
    0  the UOW went to done-q
    N  the exit status of the job; 1 if that was 0 and a rule of its job type
       made it an error, or if the UOW was put into trash or removed, or if
       nobody knows it
  124  the job ran into its TIMEOUT or SILENCE, or --timeout passed
  125  the job did not run to its end: killed, not started, interrupted, expired

Several names: the first that is not 0, in the order given.`,
	}
}

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

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// report says an error and turns it into an exit status.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	if hungUp(err) {
		return exitNo
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
