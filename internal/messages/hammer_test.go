package messages

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"simplejobq/internal/durable"
)

// helperDir tells the test binary to be the monitor's inbox, and where.
const helperDir = "MESSAGES_TEST_HELPER"

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
	const shells, each = 20, 500
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".monitor"), 0o700); err != nil {
		t.Fatal(err)
	}
	reads := filepath.Join(dir, "monitor_reads")
	write(t, head, reads)

	var running []*exec.Cmd
	for i := range shells {
		// Half of them keep the file open for a moment before and after. The
		// program in between makes it last long enough for many kills.
		line := `echo "$1 $i" >> "$2"`
		if i%2 == 1 {
			line = `exec 3>> "$2"; echo "$1 $i" >&3; exec 3>&-`
		}
		sh := exec.Command("/bin/sh", "-c", `i=0; while [ $i -lt $3 ]; do `+line+`; i=$((i+1)); [ $((i%5)) != 0 ] || /bin/true; done`,
			"sh", fmt.Sprint("s", i), reads, fmt.Sprint(each))
		sh.Stderr = os.Stderr
		if err := sh.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, sh)
	}
	ended := make(chan error, 1)
	go func() {
		var failed error
		for _, sh := range running {
			if err := sh.Wait(); err != nil {
				failed = err
			}
		}
		ended <- failed
	}()

	kills := 0
	deadline := time.After(2 * time.Minute)
	for appending := true; ; {
		h := exec.Command(os.Args[0])
		h.Env = append(os.Environ(), helperDir+"="+dir)
		var trouble bytes.Buffer
		h.Stderr = &trouble
		if err := h.Start(); err != nil {
			t.Fatal(err)
		}
		// Killed before it did anything it proves nothing.
		acted := size(filepath.Join(dir, "acted"))
		waitFor(func() bool { return len(ended) > 0 || size(filepath.Join(dir, "acted")) > acted })
		var emptied bool
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
			appending = false
			emptied = waitFor(func() bool { b, _ := os.ReadFile(reads); return string(b) == head })
		case <-time.After(time.Duration(rand.IntN(12000)) * time.Microsecond):
		case <-deadline:
			t.Fatal("the shells do not end")
		}
		if err := h.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = h.Wait()
		if kills++; trouble.Len() > 0 {
			t.Fatal(trouble.String())
		}
		if !appending {
			if !emptied {
				t.Error("it is not emptied in the end")
			}
			break
		}
	}

	seen := map[string]bool{}
	next := map[string]int{}
	repeats := 0
	for line := range strings.Lines(read(t, dir, "acted")) {
		text, again := strings.CutSuffix(strings.TrimSuffix(line, "\n"), "!")
		var shell string
		var n int
		if k, err := fmt.Sscanf(text, "%s %d", &shell, &n); k != 2 || err != nil || text != fmt.Sprint(shell, " ", n) {
			t.Errorf("torn: %q", line)
			continue
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
	if len(seen) != shells*each {
		t.Errorf("%d of %d lines were acted upon", len(seen), shells*each)
	}
	if t.Logf("%d kills, %d repeats", kills, repeats); kills < 5 || repeats == 0 {
		t.Error("that proves little")
	}
}

func size(path string) int64 {
	s, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return s.Size()
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
