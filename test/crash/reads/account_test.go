package reads

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const unclear = "a crash left it unclear whether this was acted upon; it is acted upon again"

// account is what became of the messages, by what was said of them.
type account struct {
	acted     int      // times that any was acted upon
	lost      int      // never acted upon
	unsaid    int      // acted upon, and no event tells it
	silent    int      // acted upon again without a word
	announced int      // said to be acted upon again, perhaps
	repeated  int      // acted upon more than once
	disorder  int      // acted upon before one that the same shell sent earlier
	foreign   []string // answers that nobody asked for
	trouble   []string
}

var (
	answer = regexp.MustCompile(`^\S+  answer    #([a-z]+)(\d+)-(\d+) (not paused|not understood: .*|` + unclear + `)$`)
	begun  = regexp.MustCompile(`^\S+  answer    #[a-z]+\d+-\d+ (.*)$`)
	told   = regexp.MustCompile(`"event":"message","reason":"(?:RESUME|resume) #([a-z]+)(\d+)-(\d+)"`)
)

// account counts what was said of the messages RESUME #KINDs-n, for each of the
// shells s and its lines n. It is of those only whose kind is given.
func (d *daemon) account(kind string, shells, lines int) (a account) {
	d.T.Helper()
	acted, again := make([]uint8, shells*lines), make([]uint8, shells*lines)
	events := make([]bool, shells*lines)
	next := make([]int, shells)
	at := func(m [][]byte) (shell, line int, ok bool) {
		shell, _ = strconv.Atoi(string(m[2]))
		line, _ = strconv.Atoi(string(m[3]))
		return shell, line, string(m[1]) == kind && shell < shells && line < lines
	}
	d.lines("monitor_says", func(line []byte) {
		m := answer.FindSubmatch(line)
		if m == nil {
			switch word := bytes.Fields(line); {
			case len(word) < 2 || bytes.Contains(line, []byte(" #end")):
			case string(word[1]) == "answer" && torn(line):
			case string(word[1]) == "answer":
				a.foreign = append(a.foreign, string(line))
			case string(word[1]) == "trouble":
				a.trouble = append(a.trouble, string(line))
			}
			return
		}
		s, n, ok := at(m)
		if !ok {
			return
		}
		if i := s*lines + n; strings.HasPrefix(string(m[4]), "a crash") {
			again[i]++
			a.announced++
		} else if acted[i]++; acted[i] == 1 {
			if n < next[s] {
				a.disorder++
			}
			next[s] = n
		}
	})
	d.lines("monitor_events", func(line []byte) {
		if m := told.FindSubmatch(line); m != nil {
			if s, n, ok := at(m); ok {
				events[s*lines+n] = true
			}
		}
	})
	for i, n := range acted {
		a.acted += int(n)
		switch {
		case n == 0:
			a.lost++
			continue
		case n > 1:
			a.repeated++
			if n-1 > again[i] {
				a.silent++
			}
		}
		if !events[i] {
			a.unsaid++
		}
	}
	return a
}

// torn is an answer that a kill cut off in the middle of its write, at the end of a
// page: it counts as none, and the message is acted upon again.
func torn(line []byte) bool {
	m := begun.FindSubmatch(line)
	return m != nil && (strings.HasPrefix("not paused", string(m[1])) || strings.HasPrefix(unclear, string(m[1])))
}

func (d *daemon) lines(name string, each func(line []byte)) {
	d.T.Helper()
	b, err := os.ReadFile(filepath.Join(d.Root, name))
	if err != nil {
		d.T.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		each(bytes.TrimSuffix(line, []byte("\n")))
	}
}

// faults are the promises that an account shows broken.
func (a account) faults() (faults []string) {
	for _, c := range []struct {
		n    int
		what string
	}{
		{a.lost, "messages were never acted upon"},
		{a.silent, "were acted upon again without a word"},
		{a.unsaid, "are in no event"},
		{a.disorder, "were acted upon out of order"},
	} {
		if c.n > 0 {
			faults = append(faults, fmt.Sprint(c.n, " ", c.what))
		}
	}
	for what, list := range map[string][]string{"answers that nobody asked for": a.foreign, "troubles": a.trouble} {
		if n := len(list); n > 0 {
			faults = append(faults, fmt.Sprintf("%d %s: %q …", n, what, list[:min(n, 5)]))
		}
	}
	return faults
}

// difference is what one more start did, which should be nothing.
func (a account) difference(b account) []string {
	if a.acted == b.acted && a.announced == b.announced {
		return nil
	}
	return []string{fmt.Sprintf("one more start acted upon %d messages that had been before", b.acted-a.acted)}
}
