// Command runner carries out one command at a time and sees to its end: it
// starts it, copies its output into the log, enforces its limits, ends what is
// left of its tree and writes down how it ended.
//
// It promises that an end it wrote is true and whole, that nothing of a job
// outlives its run unless that was asked for, and that it goes on without the
// monitor that started it. It refuses to decide anything: order, tries and
// outcome are the monitor's.
//
//	runner --kept    one command after another, from the socket at descriptor 3,
//	                 in the run directory at descriptor 4
//	runner SPEC      the one command of the file SPEC
package main

import (
	"io"
	"os"
	"runtime"
)

const usage = `usage: runner --kept    (started by the monitor: socket at descriptor 3, run directory at 4)
       runner SPEC      (carry out the one command of the file SPEC)
`

// The job's first process dies with the thread that forked it, so that is the
// main thread, which lives as long as the process.
func init() { runtime.LockOSThread() }

func main() { os.Exit(realMain(os.Args[1:], os.Stderr)) }

func realMain(args []string, stderr io.Writer) int {
	if len(args) != 1 || args[0] == "" || args[0][0] == '-' && args[0] != "--kept" {
		io.WriteString(stderr, usage)
		return 2
	}
	var err error
	if args[0] == "--kept" {
		err = kept()
	} else {
		err = single(args[0])
	}
	if err != nil {
		if err != errTold {
			io.WriteString(stderr, "runner: "+err.Error()+"\n")
		}
		return 1
	}
	return 0
}
