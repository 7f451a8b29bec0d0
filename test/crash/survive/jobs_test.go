package survive

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"simplejobq/internal/run"
	"simplejobq/test/crash/world"
)

// script is what every job does: it tells the witness that it begins, has children
// of all kinds, writes numbered lines, tells the witness that it is through and ends
// as it was told. The lock is held by whoever is left of a run: the next run of the
// same UOW would notice.
const script = `
status=$1 lines=$2 width=$3 pause=$4 child=$5 deaf=$6
exec 9>>"$W/lock-$MONITOR_UOW"
flock -n 9 || echo "$MONITOR_UOW $MONITOR_RUN" >>"$W/overlap"
echo "$MONITOR_UOW $MONITOR_RUN" >>"$W/begun"
[ "$deaf" = deaf ] && trap '' TERM HUP
case $child in
background) sleep 300 & ;;
quiet) nohup sleep 300 >/dev/null 2>&1 & ;;
session) setsid sleep 300 & ;;
daemon) (setsid sh -c 'sleep 300 & sleep 300 &' >/dev/null 2>&1 &) ;;
brood) for n in 1 2 3 4 5; do sh -c 'sleep 300; :' & done ;;
esac
pad=$(printf "%${width}s" x)
n=0
for quarter in 1 2 3 4; do
	sleep "$pause"
	while [ $n -lt $((lines * quarter / 4)) ]; do
		n=$((n + 1))
		echo "line $MONITOR_RUN $n $pad"
	done
done
echo "$MONITOR_UOW $MONITOR_RUN" >>"$W/through"
exit "$status"
`

type job struct {
	name          string
	status, lines int
	width         int
	pause         time.Duration
	child         string
	deaf          bool
	terminal      bool
	again         bool // RETRY INTERRUPTED
}

func makeJobs(n int) (jobs []job) {
	children := []string{"none", "none", "background", "quiet", "session", "daemon", "brood"}
	for i := range n {
		j := job{
			name: fmt.Sprintf("job-%04d", i), status: rand.IntN(256), lines: rand.IntN(100), width: 1 + rand.IntN(200),
			pause: among(0, 100*time.Millisecond), child: children[i%len(children)],
			deaf: rand.IntN(4) == 0, terminal: rand.IntN(4) == 0, again: rand.IntN(4) == 0,
		}
		if rand.IntN(3) == 0 {
			j.status = 0
		}
		if rand.IntN(20) == 0 { // more than the runner leaves to the monitor's commit
			j.lines, j.width = 1500, 1000
		}
		jobs = append(jobs, j)
	}
	return jobs
}

func (j job) text() string {
	deaf := "hears"
	if j.deaf {
		deaf = "deaf"
	}
	text := world.Plain(fmt.Sprintf(`%sexec sh "$W/job.sh" %d %d %d %.3f %s %s`,
		world.Witness, j.status, j.lines, j.width, j.pause.Seconds(), j.child, deaf))
	if j.terminal {
		text += "TERMINAL :: yes\n"
	}
	if j.again {
		text += "RETRY INTERRUPTED :: yes\n"
	}
	return text
}

// witness is what the jobs told: the runs of each UOW in their order, and which of
// the runs came through.
func (m *machine) witness() (begun map[string][]string, through map[string]bool) {
	m.T.Helper()
	begun, through = map[string][]string{}, map[string]bool{}
	for _, l := range m.lines("begun") {
		name, run, _ := strings.Cut(l, " ")
		begun[name] = append(begun[name], run)
	}
	for _, l := range m.lines("through") {
		_, run, _ := strings.Cut(l, " ")
		through[run] = true
	}
	return begun, through
}

func (m *machine) lines(name string) []string {
	m.T.Helper()
	b, err := os.ReadFile(filepath.Join(m.W, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.T.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// judge looks at every job, then has the one checker look at all.
func (m *machine) judge(jobs []job) {
	m.T.Helper()
	var faults []string
	begun, through := m.witness()
	ran := m.Ran()
	musts := map[string][]string{}
	for run, name := range m.must {
		musts[name] = append(musts[name], run)
	}
	var units []world.Unit
	for _, j := range jobs {
		u := world.Unit{Name: j.name, Drop: "wait-q", Text: j.text(), Runs: ran[j.name]}
		u.End, u.Status = "error-q", fmt.Sprintf("error: exit %d after ", j.status)
		if j.status == 0 {
			u.End, u.Status = "done-q", "done: exit 0 after "
		}
		interrupted := len(musts[j.name]) > 0 && !j.again
		if m.may[j.name] && m.There("fail-q", j.name) {
			interrupted = true
		}
		if interrupted {
			u.End, u.Status = "fail-q", "fail: interrupted: "
		}
		units = append(units, u)
		log, err := os.ReadFile(filepath.Join(m.Root, u.End, j.name))
		if err != nil {
			faults = append(faults, err.Error()) // the checker tells where it is
			continue
		}
		for _, f := range m.judgeOne(j, string(log), ran[j.name], begun[j.name], through, musts[j.name], interrupted) {
			faults = append(faults, j.name+": "+f)
		}
	}
	for _, l := range m.lines("overlap") {
		if l != "" {
			faults = append(faults, "began while something of an earlier run was alive: "+l)
		}
	}
	for _, pid := range m.left() {
		b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		env, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		_, name, _ := strings.Cut(string(env), "\x00MONITOR_UOW=")
		name, _, _ = strings.Cut(name, "\x00")
		text, _ := os.ReadFile(filepath.Join(m.Root, "fail-q", name))
		faults = append(faults, fmt.Sprintf("left behind: pid %d, %q, of %s:\n%s", pid, b, name, short(string(text))))
	}
	m.Well(append(faults, m.Check(units)...), "after it all")
}

// judgeOne is about one job whose place and STATUS the checker judges.
func (m *machine) judgeOne(j job, text string, ran int, begun []string, through map[string]bool, musts []string, interrupted bool) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	_, log, _ := strings.Cut(text, "==== JOB LOG\n")
	announced := strings.Count(log, "; started again\n")
	switch {
	case !j.again && ran > 1, ran > 1+announced:
		fault("ran %d times, and %d second runs are announced:\n%s", ran, announced, short(log))
	case j.again && announced < len(musts):
		fault("%d of its runs were interrupted, said are %d:\n%s", len(musts), announced, short(log))
	case announced > len(musts) && !m.may[j.name] && m.boots == 0:
		fault("%d of its runs were interrupted, said are %d:\n%s", len(musts), announced, short(log))
	}
	for i, run := range begun {
		last := i == len(begun)-1
		lived := last && !interrupted
		if lived && !through[run] {
			fault("it is said to have ended by itself, and never came to its end:\n%s", short(log))
		}
		before, _, found := strings.Cut(log, "line "+run+" ")
		if found && strings.Count(before, "; started again\n") < i {
			fault("run %d wrote before it was announced:\n%s", i+1, short(log))
		}
		if n, want := numbered(log, run), j.lines; n < 0 || lived && n != want {
			fault("run %d wrote %d lines into the log, want %d (-1: not in order)", i+1, n, want)
		}
	}
	m.repeated += max(ran-1, 0)
	if interrupted {
		m.interrupted++
	} else {
		m.kept++
		m.interrupted += announced
	}
	return faults
}

// numbered counts a run's lines, -1 if one is missing before the last.
func numbered(log, run string) (n int) {
	for l := range strings.Lines(log) {
		rest, ok := strings.CutPrefix(l, "line "+run+" ")
		if !ok || !strings.HasSuffix(l, "x\n") {
			continue // another's, or cut off with its runner
		}
		if number, _, _ := strings.Cut(rest, " "); number != strconv.Itoa(n+1) {
			return -1
		}
		n++
	}
	return n
}

// left are the processes of any job of this spool.
func (m *machine) left() (pids []int) {
	all, err := run.Processes()
	if err != nil {
		m.T.Fatal(err)
	}
	for _, p := range all {
		env, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/environ")
		if err == nil && !p.Dead() && bytes.Contains(env, []byte("\x00W="+m.W+"\x00")) {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// short is what the monitor and the runner wrote of a log.
func short(log string) string {
	var b strings.Builder
	for l := range strings.Lines(log) {
		if strings.HasPrefix(l, "---- ") {
			b.WriteString(l)
		}
	}
	return b.String()
}
