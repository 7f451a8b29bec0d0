package reads

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

// plain is what people write; the others keep the file open for a while before
// and after, and write a line by halves.
const (
	plain  = `echo "RESUME #$1-$i" >> "$3"`
	slow   = `{ sleep 0.00$((i % 4)); echo "RESUME #$1-$i"; sleep 0.001; } >> "$3"`
	halves = `{ printf RESU; sleep 0.00$((i % 4)); printf 'ME #%s-%s' "$1" $i; sleep 0.001; echo; } >> "$3"`
)

// shells are real shells, each with so many lines to append.
type shells struct {
	t       testing.TB
	running []*exec.Cmd
	starter []io.WriteCloser
	over    chan error
}

// hire starts the shells; they wait for [shells.release] before each step lines.
func hire(t testing.TB, file, kind, how string, number, lines, step int) *shells {
	t.Helper()
	h := &shells{t: t, over: make(chan error, number)}
	for i := range number {
		sh := exec.Command("dash", "-ec", `i=0; while [ $i -lt $2 ]; do if [ $((i % $4)) = 0 ]; then read go; fi; `+how+`; i=$((i+1)); done`,
			"sh", fmt.Sprint(kind, i), fmt.Sprint(lines), file, fmt.Sprint(step))
		sh.Stderr = os.Stderr
		start, err := sh.StdinPipe()
		if err == nil {
			err = sh.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sh.Process.Kill() })
		h.running, h.starter = append(h.running, sh), append(h.starter, start)
	}
	for _, sh := range h.running {
		go func() { h.over <- sh.Wait() }()
	}
	return h
}

// release lets each shell append its next lines.
func (h *shells) release() {
	for _, s := range h.starter {
		_, _ = io.WriteString(s, "go\n") // those that are through are gone
	}
}

// wait is until all have ended, or for d at most.
func (h *shells) wait(d time.Duration) (all bool) {
	h.t.Helper()
	deadline := time.After(d)
	for len(h.running) > 0 {
		select {
		case err := <-h.over:
			if err != nil {
				h.t.Errorf("a shell could not append: %v", err)
			}
			h.running = h.running[1:]
		case <-deadline:
			return false
		}
	}
	return true
}

// hammer has shells append while the monitor is killed every so often, and tells
// how often it was. In the end one more monitor has acted upon everything.
func (d *daemon) hammer(kind, how string, number, lines, step int, every func() time.Duration) (kills int) {
	d.T.Helper()
	h := hire(d.T, filepath.Join(d.Root, "monitor_reads"), kind, how, number, lines, step)
	for all := false; !all; {
		d.start()
		h.release()
		if all = h.wait(every()); !all {
			d.kill()
			kills++
		}
	}
	d.all("end" + kind + "0-0")
	return kills
}

// settle stops the monitor and tells what became of the messages. One more start
// must not act upon anything again.
func (d *daemon) settle(kind string, number, lines int) account {
	d.T.Helper()
	d.stop()
	a := d.account(kind, number, lines)
	d.Once("")
	for _, f := range a.difference(d.account(kind, number, lines)) {
		d.T.Error(f)
	}
	return a
}

func (d *daemon) judge(a account) {
	d.T.Helper()
	for _, f := range a.faults() {
		d.T.Error(f)
	}
}

func shortly() time.Duration { return time.Duration(rand.IntN(100)) * time.Millisecond }

// The figure: 50 shells, 20,000 lines each, the monitor killed every two seconds.
func TestShellsWhileKilled(t *testing.T) {
	if world.At() == world.Quick {
		t.Parallel() // else it has the machine for itself
	}
	number, lines := world.Pick(20, 50, 50), world.Pick(500, 20_000, 20_000)
	for range world.Pick(1, 1, 10) {
		began := time.Now()
		d := newDaemon(t, os.TempDir())
		step, every := lines, func() time.Duration { return 2 * time.Second }
		if world.At() == world.Quick {
			step, every = 50, shortly
		}
		kills := d.hammer("k", plain, number, lines, step, every)
		d.emptied()
		a := d.settle("k", number, lines)
		d.judge(a)
		if kills < 2 {
			t.Errorf("only %d kills: that proves little", kills)
		}
		world.Figures(t, "monitor_reads: %d shells x %d lines, %d kills: %d lost, %d silent repeats, %d announced ones, %v",
			number, lines, kills, a.lost, a.silent, a.repeated, time.Since(began).Round(time.Second/10))
	}
}

// The same where the file, or who looks at it, is special. Each variant says what
// must be left of the file.
func TestHardPlaces(t *testing.T) {
	number, lines := world.Pick(8, 20, 50), world.Pick(100, 2000, 20_000)
	whole := func(d *daemon) {
		if text := d.text(); !strings.HasPrefix(text, d.begin) || strings.Count(text, "\nRESUME #") < number*lines {
			d.T.Errorf("it was cut although that could not be safe: %d bytes are left", len(text))
		}
	}
	for name, v := range map[string]struct {
		how     string
		number  int
		lines   int
		prepare func(d *daemon)
		left    func(d *daemon)
	}{
		"slow writers": {slow, 20, lines / 8, func(*daemon) {}, (*daemon).emptied},
		// Two of those would mix their halves, which is not the monitor's fault.
		"half lines": {halves, 1, lines / 3, func(*daemon) {}, (*daemon).emptied},
		"link to another file system": {plain, number, lines, func(d *daemon) {
			// What is in memory is not on the disk, and the other way round.
			d.reads = filepath.Join(world.Scratch(d.T, world.Memory()), "messages")
			link := filepath.Join(d.Root, "monitor_reads")
			if err := errors.Join(os.WriteFile(d.reads, []byte(d.begin), 0o644), os.Remove(link), os.Symlink(d.reads, link)); err != nil {
				d.T.Fatal(err)
			}
		}, func(d *daemon) {
			d.emptied()
			if to, err := os.Readlink(filepath.Join(d.Root, "monitor_reads")); err != nil || to != d.reads {
				d.T.Errorf("the link was replaced: %q, %v", to, err)
			}
		}},
		"somebody looks on": {plain, number, lines, func(d *daemon) {
			tail := exec.Command("tail", "-n", "0", "-f", d.reads)
			if err := tail.Start(); err != nil {
				d.T.Fatal(err)
			}
			d.T.Cleanup(func() { _ = tail.Process.Kill(); _ = tail.Wait() })
			d.until("tail has it open", func() bool {
				to, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", tail.Process.Pid))
				return slices.ContainsFunc(to, func(fd string) bool { file, _ := os.Readlink(fd); return file == d.reads })
			})
		}, whole},
		"no lease": {plain, number, lines, func(d *daemon) {
			d.nobody()
			if err := errors.Join(os.Chown(d.reads, 0, 0), os.Chmod(d.reads, 0o666)); err != nil {
				d.T.Fatal(err)
			}
		}, func(d *daemon) {
			whole(d)
			if !d.Says("is not emptied") {
				d.T.Error("that it is not emptied is not said")
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t, os.TempDir())
			v.prepare(d)
			kills := d.hammer("v", v.how, v.number, v.lines, max(1, v.lines/8), shortly)
			v.left(d)
			a := d.settle("v", v.number, v.lines)
			d.judge(a)
			world.Figures(t, "monitor_reads, %s: %d shells x %d lines, %d kills: %d lost, %d silent repeats, %d announced ones",
				name, v.number, v.lines, kills, a.lost, a.silent, a.repeated)
		})
	}
}
