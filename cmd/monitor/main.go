// Command monitor is a job queue for one Linux machine: the daemon, and the
// commands people use beside ls, cat, mv and echo.
package main

import (
	"context"
	"io"
	"os"
	"runtime"
)

func main() {
	// Samples of allocations cost who takes them: run --pprof asks for them.
	runtime.MemProfileRate = 0
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program but for the process: tests call it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(&program{stdin: stdin, stdout: stdout, stderr: stderr, version: version()})
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return report(stderr, root.ExecuteContext(ctx))
}
