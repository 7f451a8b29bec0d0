// Command summary runs go test and tells what came of it: each package, the
// output of what failed, the reason of what was skipped, and the counts.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	began := time.Now()
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(stderr, "summary:", err)
		return 1
	}
	counts := map[string]int{}
	said := map[string][]string{} // output by package and test
	var skipped []string
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var ev event
		if json.Unmarshal(lines.Bytes(), &ev) != nil {
			fmt.Fprintln(stdout, lines.Text())
			continue
		}
		key := ev.Package + " " + ev.Test
		switch ev.Action {
		case "build-output":
			fmt.Fprintf(stdout, "%s", ev.Output)
			continue
		case "output":
			said[key] = append(said[key], ev.Output)
			// test/crash/world: one line for each test that was told to try more.
			if _, figures, ok := strings.Cut(ev.Output, "figures: "); ok && os.Getenv("CRASH") != "" {
				fmt.Fprintf(stdout, "     %s: %s", ev.Test, figures)
			}
			continue
		case "pass", "fail", "skip":
		default:
			continue
		}
		if ev.Test == "" {
			if ev.Action != "skip" {
				fmt.Fprintf(stdout, "%-4s %s %.1fs\n", ev.Action, ev.Package, ev.Elapsed)
			}
			if ev.Action == "fail" {
				fmt.Fprintf(stdout, "%s", strings.Join(said[key], ""))
				// What its process died of it said in a test that has no end.
				for unended, output := range said {
					if strings.HasPrefix(unended, ev.Package+" ") && unended != key {
						fmt.Fprintf(stdout, "%s", strings.Join(output, ""))
					}
				}
			}
			continue
		}
		counts[ev.Action]++
		switch ev.Action {
		case "fail":
			fmt.Fprintf(stdout, "%s", strings.Join(said[key], ""))
		case "skip":
			skipped = append(skipped, strings.TrimPrefix(ev.Package, "simplejobq/")+" "+ev.Test+": "+reason(said[key]))
		}
		delete(said, key)
	}
	err = cmd.Wait()
	slices.Sort(skipped)
	for _, s := range skipped {
		fmt.Fprintln(stdout, "skipped:", s)
	}
	fmt.Fprintf(stdout, "in %v\n", time.Since(began).Round(time.Second))
	fmt.Fprintf(stdout, "%d passed, %d failed, %d skipped\n", counts["pass"], counts["fail"], counts["skip"])
	if err != nil || lines.Err() != nil {
		return 1
	}
	return 0
}

// reason is the line a skipped test printed.
func reason(output []string) string {
	for _, line := range output {
		if !strings.HasPrefix(strings.TrimSpace(line), "===") && !strings.HasPrefix(strings.TrimSpace(line), "---") {
			return strings.TrimSpace(line)
		}
	}
	return "no reason given"
}
