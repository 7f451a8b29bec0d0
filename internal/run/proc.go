package run

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Proc is what is asked about a process.
type Proc struct {
	PID, Parent, Group, Session int
	State                       byte   // R, S, D, T, Z …
	Start                       uint64 // clock ticks since boot: with PID, who it is
	Name                        string
}

// Dead reports whether it has ended and only waits to be collected.
func (p Proc) Dead() bool { return p.State == 'Z' || p.State == 'X' }

// Processes lists those of this machine at about this moment. One that ends
// meanwhile is left out, one that begins may be missed: who must not miss any
// asks again until nothing new shows.
func Processes() ([]Proc, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return nil, err
	}
	var all []Proc
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, err := Process(pid); err == nil {
			all = append(all, p)
		}
	}
	return all, nil
}

var errStat = errors.New("/proc/PID/stat does not read as expected")

// Process reads /proc/PID/stat. The name in it may hold anything, brackets and
// blanks too: it ends at the last bracket.
func Process(pid int) (Proc, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Proc{}, err
	}
	open, closed := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || closed < open {
		return Proc{}, errStat
	}
	p := Proc{PID: pid, Name: string(b[open+1 : closed])}
	f := strings.Fields(string(b[closed+1:])) // f[0] is field 3
	if len(f) < 20 || len(f[0]) != 1 {
		return Proc{}, errStat
	}
	p.State = f[0][0]
	numbers := [3]int{}
	for i := range numbers {
		if numbers[i], err = strconv.Atoi(f[1+i]); err != nil {
			return Proc{}, errStat
		}
	}
	p.Parent, p.Group, p.Session = numbers[0], numbers[1], numbers[2]
	if p.Start, err = strconv.ParseUint(f[19], 10, 64); err != nil {
		return Proc{}, errStat
	}
	return p, nil
}

// runOf is the run a process says it belongs to; known is false where its
// environment can't be read.
func runOf(pid int) (run string, known bool) {
	env, known := environ(pid)
	return env["MONITOR_RUN"], known
}

// environ is what of a process's environment is the monitor's.
func environ(pid int) (env map[string]string, known bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil, false
	}
	for entry := range bytes.SplitSeq(b, []byte{0}) {
		if !bytes.HasPrefix(entry, []byte("MONITOR_")) {
			continue
		}
		name, value, is := strings.Cut(string(entry), "=")
		if _, twice := env[name]; !is || twice {
			continue
		}
		if env == nil {
			env = map[string]string{}
		}
		env[name] = value
	}
	return env, true
}

// RunsOf are the runs of a UOW that processes say they belong to: for one whose records
// are gone.
func RunsOf(root, uow string) (runs []string, err error) {
	all, err := Processes()
	for _, p := range all {
		env, _ := environ(p.PID)
		if id := env["MONITOR_RUN"]; id != "" && env["MONITOR_ROOT"] == root && env["MONITOR_UOW"] == uow && !slices.Contains(runs, id) {
			runs = append(runs, id)
		}
	}
	return runs, err
}

// numberSpace tells what gave out the process numbers seen here: a container that is
// started again begins anew with them in the same boot. The kernel may give the number
// of its namespace to the next one, so its first process counts too.
func numberSpace() string {
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	first, err := Process(1)
	if err != nil { // hidden from who is not root
		return space
	}
	return space + " " + strconv.FormatUint(first.Start, 10)
}

// Newest is the process number that was given out last, 0 if that is not told.
func Newest() int {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[bytes.LastIndexByte(b, ' ')+1:])))
	if err != nil {
		return 0
	}
	return pid
}
