package monitor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"simplejobq/internal/config"
	"simplejobq/internal/spool"
	"simplejobq/internal/status"
)

// viewOf is a view of a new spool with these files, by queue/name.
func viewOf(t testing.TB, files map[string]string) *View {
	t.Helper()
	c := config.Default()
	c.Root = t.TempDir()
	err := spool.Make(Layout(c))
	for name, text := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(c.Root, name), []byte(text), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	v, err := OpenView(c, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func stamped(second int, items string) string {
	return fmt.Sprintf("timestamp: 2026-11-21T21:50:%02d.000Z enqueued\n\n==== UNIT OF WORK\n%s\n\n==== STATUS\n%s\n\n==== JOB LOG\n",
		second, items, strings.Repeat(" ", 240))
}

// Files are read by several at once, long ones in another way, and the list is in order.
func TestList(t *testing.T) {
	files := map[string]string{
		"wait-q/.hidden": "x\n", "wait-q/README": "x\n", "priority-q/waits": stamped(1, "COMMAND :: true\nAFTER :: job0007"),
		"wait-q/log":  stamped(30, "COMMAND :: true\nTITLE :: a long log") + strings.Repeat("line\n", 5000),
		"wait-q/head": stamped(31, "COMMAND :: true\nTITLE :: many items\n"+items(3000)),
	}
	var want []string
	for i := range 3 * namesAtOnce {
		name := fmt.Sprintf("job%04d", i)
		files["wait-q/"+name] = stamped(i%20, "COMMAND :: true")
	}
	for second := range 20 {
		for i := second; i < 3*namesAtOnce; i += 20 {
			want = append(want, fmt.Sprintf("job%04d", i))
		}
	}
	want = append(want, "log", "head")
	v := viewOf(t, files)
	var got []string
	err := v.List(spool.Wait, func(j status.Job) bool {
		got = append(got, j.Name)
		if j.Size != int64(len(files["wait-q/"+j.Name])) || j.Why != noMonitor || j.Enqueued.IsZero() {
			t.Errorf("%+v", j)
		}
		if wantTitle := map[string]string{"log": "a long log", "head": "many items"}[j.Name]; j.Title != wantTitle {
			t.Errorf("%s: title %q, want %q", j.Name, j.Title, wantTitle)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	err = v.List(spool.Priority, func(j status.Job) bool {
		if j.Why != "waits for job0007 (in wait-q)" {
			t.Errorf("%+v", j)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := v.List(spool.Wait, func(status.Job) bool { n++; return n < 5 }); err != nil || n != 5 {
		t.Errorf("%d listed after the fifth was the last asked for: %v", n, err)
	}
}

func items(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "ITEM%d :: x\n", i)
	}
	return b.String()
}

// What is no regular file, or no unit of work, is listed by its times.
func TestListOdd(t *testing.T) {
	v := viewOf(t, map[string]string{"trash/text": "x\n", "trash/text.why": "no\n", "error-q/text": "x\n"})
	for _, err := range []error{os.Mkdir(v.s.sp.Dir(spool.Trash).Join("dir"), 0o755), os.Symlink("nowhere", v.s.sp.Dir(spool.Trash).Join("link"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, q := range []spool.Queue{spool.Trash, spool.Error} {
		if err := v.List(q, func(j status.Job) bool { got = append(got, j.Queue+"/"+j.Name+" "+string(j.State)); return true }); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(got) // times have the grain of the kernel's clock
	if diff := cmp.Diff([]string{"error-q/text error", "trash/dir trashed", "trash/link trashed", "trash/text trashed"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func BenchmarkList(b *testing.B) {
	files := map[string]string{}
	for i := range 2000 {
		files[fmt.Sprintf("wait-q/job%04d", i)] = stamped(i%60, "COMMAND :: true")
	}
	v := viewOf(b, files)
	b.ReportAllocs()
	for b.Loop() {
		if err := v.List(spool.Wait, func(status.Job) bool { return true }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(files)), "ns/file")
}
