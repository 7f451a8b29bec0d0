// Package figures measures the whole program from outside: make bench.
package figures

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// daemon is a monitor on a spool of its own.
type daemon struct {
	b    *testing.B
	root string
	cmd  *exec.Cmd
	err  bytes.Buffer
}

func start(b *testing.B, config string, prepare func(root string)) *daemon {
	b.Helper()
	bin := b.TempDir()
	build := exec.Command("go", "build", "-o", bin+"/", "simplejobq/cmd/monitor", "simplejobq/cmd/runner")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	// Below the checkout, so that it is a disk and not a tmpfs that is measured.
	dir, err := os.MkdirTemp(".", "spool-")
	if err != nil {
		b.Fatal(err)
	}
	d := &daemon{b: b}
	if d.root, err = filepath.Abs(dir); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(d.root) })
	monitor := filepath.Join(bin, "monitor")
	if out, err := exec.Command(monitor, "init", d.root).CombinedOutput(); err != nil {
		b.Fatalf("init: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(d.root, "config.toml"), []byte(config), 0o644); err != nil {
		b.Fatal(err)
	}
	if prepare != nil {
		prepare(d.root)
	}
	d.cmd = exec.Command(monitor, "run", "--root", d.root)
	d.cmd.Stderr = &d.err
	if err := d.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		if err := d.cmd.Wait(); err != nil {
			b.Errorf("monitor: %v\n%s", err, &d.err)
		}
	})
	d.until("up", func() bool { return d.exists("status/status.json") })
	return d
}

func (d *daemon) exists(name string) bool {
	_, err := os.Stat(filepath.Join(d.root, name))
	return err == nil
}

func (d *daemon) until(what string, ok func() bool) {
	d.b.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(200 * time.Microsecond) {
		if time.Now().After(end) {
			d.b.Fatalf("waited two minutes for %s\n%s", what, &d.err)
		}
	}
}

// drop drops a UOW of one command.
func (d *daemon) drop(name, command string) {
	d.b.Helper()
	d.put(name, "COMMAND :: "+command+"\n")
}

// put writes a UOW beside the queue and renames it in.
func (d *daemon) put(name, text string) {
	d.b.Helper()
	tmp := filepath.Join(d.root, "."+name)
	err := os.WriteFile(tmp, []byte("==== UNIT OF WORK\n"+text), 0o644)
	if err = errors.Join(err, os.Rename(tmp, filepath.Join(d.root, "wait-q", name))); err != nil {
		d.b.Fatal(err)
	}
}

func (d *daemon) proc(file string) string {
	d.b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", d.cmd.Process.Pid, file))
	if err != nil {
		d.b.Fatal(err)
	}
	return string(text)
}

// rss is the monitor's resident memory in MB.
func (d *daemon) rss() float64 {
	_, rest, _ := strings.Cut(d.proc("status"), "VmRSS:")
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		d.b.Fatal(err)
	}
	return kb / 1000
}

// cpu is the time the monitor has used, to the microsecond.
func (d *daemon) cpu() time.Duration {
	var total time.Duration
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", d.cmd.Process.Pid))
	if err != nil || len(tasks) == 0 {
		d.b.Fatal("no schedstat: ", err)
	}
	for _, t := range tasks {
		text, err := os.ReadFile(t)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			d.b.Fatal(err)
		}
		total += time.Duration(ns)
	}
	return total
}

// Dropped by rename to the job's first act, on an idle queue.
func BenchmarkDropToStart(b *testing.B) {
	d := start(b, "", nil)
	var all []time.Duration
	for i := 0; b.Loop(); i++ {
		name := "job" + strconv.Itoa(i)
		began := time.Now()
		d.drop(name, ": > "+d.root+"/started-"+name)
		d.until("start", func() bool { return d.exists("started-" + name) })
		all = append(all, time.Since(began))
		d.until("end", func() bool { return d.exists("done-q/" + name) })
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}

// 1,000 no-op jobs behind a PAUSE, then released.
func BenchmarkDrain(b *testing.B) {
	for _, slots := range []int{1, 2, 8} {
		b.Run(strconv.Itoa(slots)+"-slots", func(b *testing.B) {
			const jobs = 1000
			var took time.Duration
			for b.Loop() {
				took += release(b, slots, jobs, func(d *daemon) { d.noops(jobs) })
			}
			b.ReportMetric(float64(jobs*b.N)/took.Seconds(), "jobs/s")
		})
	}
}

// Memory with 10,000 queued, and what an idle minute costs then.
func BenchmarkIdle(b *testing.B) {
	d := start(b, "", paused)
	const jobs, watched = 10000, 30 * time.Second
	for i := range jobs {
		d.drop(fmt.Sprintf("job%05d", i), "true")
	}
	d.until("acceptance", func() bool { return d.count("monitor_events", `"event":"accepted"`) == jobs })
	// What the acceptance left to do is not idling: a last digest, and one reading
	// of the directory that it changed, at the next turn of the timer.
	time.Sleep(16 * time.Second)
	for b.Loop() {
		before := d.cpu()
		time.Sleep(watched)
		b.ReportMetric((d.cpu()-before).Seconds()*1000*float64(time.Minute/watched), "cpu-ms/min")
		b.ReportMetric(d.rss(), "rss-MB")
	}
}

func paused(root string) {
	if err := os.WriteFile(filepath.Join(root, ".monitor", "paused"), nil, 0o644); err != nil {
		panic(err)
	}
}

func (d *daemon) send(line string) {
	d.b.Helper()
	f, err := os.OpenFile(filepath.Join(d.root, "monitor_reads"), os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.WriteString(line + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		d.b.Fatal(err)
	}
}

func (d *daemon) count(file, text string) int {
	b, err := os.ReadFile(filepath.Join(d.root, file))
	if err != nil {
		return 0
	}
	return bytes.Count(b, []byte(text))
}

func (d *daemon) entries(dir string) int {
	list, err := os.ReadDir(filepath.Join(d.root, dir))
	if err != nil {
		d.b.Fatal(err)
	}
	return len(list)
}
