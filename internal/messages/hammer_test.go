package messages

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

// helperDir tells the test binary to be the monitor's inbox, and where;
// helperEnd at which operation to kill itself.
const (
	helperDir = "MESSAGES_TEST_HELPER"
	helperEnd = "MESSAGES_TEST_HELPER_END"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		if err := helper(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// helper acts upon messages, by writing them down, until it is killed.
func helper(dir string) error {
	state, err := durable.OpenDir(filepath.Join(dir, ".monitor"))
	if err != nil {
		return err
	}
	b, _, err := OpenInbox(filepath.Join(dir, "monitor_reads"), state, "reads")
	if err != nil {
		return err
	}
	acted, err := os.OpenFile(filepath.Join(dir, "acted"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if left, err := strconv.Atoi(os.Getenv(helperEnd)); err == nil {
		durable.Fault = func(durable.Site) error {
			if left--; left == 0 {
				return unix.Kill(os.Getpid(), unix.SIGKILL)
			}
			return nil
		}
	}
	fmt.Println("up")
	for {
		lines, _, err := b.Read()
		if err != nil {
			return err
		}
		for _, l := range shown(lines) {
			if _, err := fmt.Fprintln(acted, l); err != nil {
				return err
			}
		}
		if _, err := b.Done(); err != nil {
			return err
		}
		if len(lines) == 0 {
			<-time.After(200 * time.Microsecond)
		}
	}
}

// Real shells append while what reads is killed again and again: every line is
// acted upon, in its shell's order, and a second time only as a repeat.
func TestShellsAgainstKills(t *testing.T) {
	const shells, kills, each = 20, 25, 20 // lines of a shell between two kills
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".monitor"), 0o700); err != nil {
		t.Fatal(err)
	}
	reads := filepath.Join(dir, "monitor_reads")
	write(t, head, reads)

	var running []*exec.Cmd
	var starters []io.WriteCloser
	for i := range shells {
		// Half of them keep the file open for a moment before and after.
		line := `echo "$1 $i" >> "$2"`
		if i%2 == 1 {
			line = `exec 3>> "$2"; echo "$1 $i" >&3; exec 3>&-`
		}
		sh := exec.Command("/bin/sh", "-c",
			`i=0; while read go; do j=0; while [ $j -lt $3 ]; do `+line+`; i=$((i+1)); j=$((j+1)); done; done`,
			"sh", fmt.Sprint("s", i), reads, fmt.Sprint(each))
		sh.Stderr = os.Stderr
		start, err := sh.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := sh.Start(); err != nil {
			t.Fatal(err)
		}
		running, starters = append(running, sh), append(starters, start)
	}

	for round := range kills + 1 {
		h := exec.Command(os.Args[0])
		h.Env = append(os.Environ(), helperDir+"="+dir)
		if round%2 == 0 && round < kills {
			// Killed from outside it is mostly found idle.
			h.Env = append(h.Env, fmt.Sprint(helperEnd, "=", 1+rand.IntN(25)))
		}
		var trouble bytes.Buffer
		h.Stderr = &trouble
		up, err := h.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Start(); err != nil {
			t.Fatal(err)
		}
		if n, err := up.Read(make([]byte, 1)); n != 1 {
			t.Fatalf("the helper does not begin: %v %s", err, &trouble)
		}
		if round < kills {
			for _, s := range starters {
				if _, err := io.WriteString(s, "go\n"); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(time.Duration(rand.IntN(30000)) * time.Microsecond)
		} else {
			for i, sh := range running {
				starters[i].Close()
				if err := sh.Wait(); err != nil {
					t.Error(err)
				}
			}
			if !waitFor(func() bool { return read(t, reads) == head }) {
				t.Error("it is not emptied in the end")
			}
		}
		if err := h.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		if _ = h.Wait(); trouble.Len() > 0 {
			t.Fatal(trouble.String())
		}
	}

	seen := map[string]bool{}
	next := map[string]int{}
	repeats, marked := 0, 0
	for line := range strings.Lines(read(t, dir, "acted")) {
		text, again := strings.CutSuffix(strings.TrimSuffix(line, "\n"), "!")
		var shell string
		var n int
		if k, err := fmt.Sscanf(text, "%s %d", &shell, &n); k != 2 || err != nil || text != fmt.Sprint(shell, " ", n) {
			t.Errorf("torn: %q", line)
			continue
		}
		if again {
			marked++
		}
		if seen[text] {
			if repeats++; !again {
				t.Errorf("%q came twice without saying so", text)
			}
			continue
		}
		seen[text] = true
		if n != next[shell] {
			t.Errorf("%q came when %d was due", text, next[shell])
		}
		next[shell] = n + 1
	}
	if len(seen) != shells*kills*each {
		t.Errorf("%d of %d lines were acted upon", len(seen), shells*kills*each)
	}
	if t.Logf("%d kills, %d lines marked, %d of them repeats", kills, marked, repeats); marked == 0 {
		t.Error("no kill ever struck between the two marks: that proves little")
	}
}

// waitFor polls until ok or half a minute is over.
func waitFor(ok func() bool) bool {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-time.After(time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}
