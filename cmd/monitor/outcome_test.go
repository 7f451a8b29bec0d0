package main

import (
	"os"
	"strings"
	"testing"

	"simplejobq/internal/durable"
)

func TestJobStatus(t *testing.T) {
	for text, want := range map[string]int{
		"done: exit 0 after 1s (cpu 0ms, peak 1 MB), try 1":                                          0,
		"error: exit 2 after 1s (cpu 0ms, peak 1 MB), try 1":                                         2,
		"error: exit 255 after 1s (cpu 0ms, peak 1 MB), try 1":                                       255,
		`error: output matched "^fatal: ": exit 0 after 1s, try 1`:                                   1,
		`error: output matched "^fatal: \"exit 9 ": exit 4 after 1s, try 1`:                          4,
		"error: check exit 1 after 1ms (cpu 0ms, peak 1 MB), try 1":                                  1,
		"error: recheck exit 3 after 1ms (cpu 0ms, peak 1 MB), try 1":                                3,
		"error: recheck killed by SIGSEGV after 1ms, try 1":                                          1,
		"error: no act: check exit 6 after 1ms, try 1":                                               6,
		"error: no act: there is no CHECK that could tell whether COMMAND is needed, try 1":          1,
		"fail: exit 75 after 1s, which fail_exit calls trouble outside the job (cpu 0ms), try 1":     75,
		`fail: output matched "UNREACHABLE!": exit 0 after 1s (cpu 0ms, peak 1 MB), try 1`:           1,
		`fail: output matched "UNREACHABLE!": exit 4 after 1s (cpu 0ms, peak 1 MB), try 1`:           4,
		"fail: timed out after 30m (cpu 0ms, peak 1 MB), try 1":                                      124,
		"fail: silent for 10m (cpu 0ms, peak 1 MB), try 1":                                           124,
		"fail: check timed out after 10m, try 1":                                                     124,
		"fail: killed by SIGSEGV after 1s, try 1":                                                    125,
		"fail: killed by request after 1s, try 1":                                                    125,
		"fail: not started: no such file or directory, try 1":                                        125,
		"fail: not started: expired at 2026-11-21T21:50:00.000Z":                                     125,
		"fail: interrupted: terminated from outside after 1s, try 1":                                 125,
		"again: try 2 of 3 not before 2026-11-21T21:50:00.000Z; last: error: exit 4 after 1s, try 1": 1,
		"fail: output matched \"cut…":                                                                125,
		`error: step "tests" (try 2 of 2): exit 3 after 1s (cpu 0ms): ./test; 1 done, 1 failed`:      3,
		`error: step "tests" (try 1 of 1): recheck exit 4 after 1s: ./test; 1 done, 1 failed`:        4,
		`fail: step "x" (try 1 of 1): timed out after 1s: sleep 9; 0 done, 1 failed`:                 124,
		"fail: killed by request; 1 done, 1 cancelled":                                               125,
		"done":                  0,
		"":                      1,
		"error: exit 999 after": 1,
	} {
		if got := jobStatus(text); got != want {
			t.Errorf("jobStatus(%q) = %d, want %d", text, got, want)
		}
	}
}

// A STATUS that had no room for all of it stands whole in the log.
func TestWholeStatus(t *testing.T) {
	dir, err := durable.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	whole := `error: output matched "` + strings.Repeat("x", 300) + `": exit 7 after 1s, try 1`
	cut := whole[:230] + "…"
	text := "---- 2026-11-21T21:50:00.000Z " + whole[:240] + "other\n---- 2026-11-21T21:50:01.000Z " + whole + "\n---- 2026-11-21T21:50:02.000Z cleanup exit 0\n"
	if err := os.WriteFile(dir.Join("uow"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := dir.Open("uow")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := (&trail{file: f}).wholeStatus(cut)
	if err != nil || got != whole {
		t.Fatalf("found %q, %v, want %q", got, err, whole)
	}
	if code := jobStatus(got); code != 7 {
		t.Errorf("status %d, want 7", code)
	}
	// Of a flow the counts stand behind the cut.
	if got, err := (&trail{file: f}).wholeStatus(cut + "; 1 done, 1 failed"); err != nil || got != whole {
		t.Errorf("found %q, %v, want %q", got, err, whole)
	}
}

func FuzzJobStatus(f *testing.F) {
	f.Add(`error: output matched "\x00": exit 0 after`)
	f.Add("fail: exit 75 ")
	f.Fuzz(func(t *testing.T, text string) {
		if code := jobStatus(text); code < 0 || code > 255 {
			t.Errorf("jobStatus(%q) = %d", text, code)
		}
	})
}
