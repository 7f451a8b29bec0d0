package trouble

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"simplejobq/test/crash/world"
)

// undisturbed fails the test if anything is where only trouble can have brought it.
func (c *course) undisturbed() {
	c.T.Helper()
	ends := map[string]string{}
	for _, u := range c.units() {
		ends[u.Name] = u.End
	}
	for _, queue := range []string{"done-q", "error-q", "fail-q", "trash"} {
		entries, err := os.ReadDir(filepath.Join(c.Root, queue))
		if err != nil {
			c.T.Logf("%s can't be read now: %v", queue, err)
			continue
		}
		for _, e := range entries {
			if e.Name() != "README" && ends[e.Name()] != queue {
				c.T.Errorf("%s is in %s because of the trouble\n%s", e.Name(), queue, c.Story())
			}
		}
	}
}

// reasons fails the test if people who ask are not told why work stands still: of
// the one that is not accepted, of those that have ended and do not leave, and of
// all of it.
func (c *course) reasons(words string) {
	c.T.Helper()
	word := regexp.MustCompile(words)
	for name, stands := range map[string]string{"late": "wait-q", "ender": "currently-executing", "bad": "currently-executing"} {
		if !c.There(stands, name) {
			continue
		}
		if why, err := c.Ask("explain", name); !word.MatchString(why) {
			c.T.Errorf("explain %s does not tell of %q: %s(%v)", name, words, why, err)
		}
	}
	if len(c.missing(c.units())) == 1 {
		return // all but the writer's is done: it was no trouble to anybody
	}
	if !c.shown(words) {
		status, err := c.Ask("status")
		c.T.Errorf("status does not tell of %q (%v):\n%s", words, err, status)
	}
}

// shown reports whether the digest tells of it.
func (c *course) shown(words string) bool {
	status, _ := c.Ask("status")
	return regexp.MustCompile(words).MatchString(status)
}

// The same about two files of one directory is the same.
var lastName = regexp.MustCompile(`/[^/:]+: `)

// What a busy machine has a monitor say, whatever the trouble: others took all
// instances of inotify, or the disk took seconds to answer.
var busy = regexp.MustCompile(`inotify|while the disk does not answer|has not answered|the disk answered`)

// saidOnce counts what was said of trouble by so many monitors: nothing twice by one
// of them, and all of it together no more than a person reads.
func (c *course) saidOnce(least, most, monitors int) (n int) {
	c.T.Helper()
	says, err := os.ReadFile(filepath.Join(c.Root, "monitor_says"))
	if err != nil {
		c.T.Fatal(err)
	}
	stderr, err := os.ReadFile(filepath.Join(c.Out, "stderr"))
	if err != nil {
		c.T.Fatal(err)
	}
	for where, text := range map[string]string{"monitor_says": string(says), "stderr": string(stderr)} {
		said := map[string][]string{}
		lines, least := 0, least
		if where == "monitor_says" && monitors > 1 {
			least = 0 // what one says before it works is not in the spool
		}
		for line := range strings.Lines(text) {
			if where == "monitor_says" {
				if _, line, _ = strings.Cut(line, "  "); !strings.HasPrefix(line, "trouble") {
					continue
				}
			}
			if busy.MatchString(line) {
				continue
			}
			lines++
			key := lastName.ReplaceAllString(line, "/*: ")
			if said[key] = append(said[key], line); len(said[key]) > monitors {
				c.T.Errorf("%s tells one thing %d times:\n%s", where, len(said[key]), strings.Join(said[key], ""))
			}
		}
		if lines < least || lines > most*monitors {
			c.T.Errorf("%s has %d lines of trouble, want %d to %d:\n%s", where, lines, least, most*monitors, text)
		}
		n = max(n, lines)
	}
	return n
}

// log judges the writer's: every line of it is there, whole and once.
func (c *course) log() (lines int) {
	c.T.Helper()
	b, err := os.ReadFile(filepath.Join(c.Root, "done-q", "writer"))
	if err != nil {
		c.T.Error(err)
		return 0
	}
	_, log, _ := strings.Cut(string(b), "==== JOB LOG\n")
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "---- ") {
			continue
		}
		lines++
		if want := fmt.Sprintf("%d %d %s\n", lines, lines*sum%modulus, padding); line != want {
			c.T.Errorf("line %d of the log is %.60q, want %.60q", lines, line, want)
			return lines
		}
	}
	b, err = os.ReadFile(filepath.Join(c.W, "writer.lines"))
	if want := strings.TrimSpace(string(b)); err != nil || fmt.Sprint(lines) != want {
		c.T.Errorf("the log has %d lines, the job wrote %s (%v)", lines, want, err)
	}
	return lines
}

// settled is the end: everything as planned, and one more start changes nothing.
func (c *course) settled(what string) {
	c.T.Helper()
	c.Write("config.toml", fmt.Sprintf(world.Settings, c.W)) // quick to become idle
	c.Settled(c.units(), what)
}

// standstill watches the writer for a while, or until it has made no progress for a
// time, and returns the longest time without.
func (c *course) standstill(watch, enough time.Duration) (longest time.Duration) {
	at, since := c.at(), time.Now()
	for end := time.Now().Add(watch); time.Now().Before(end) && longest < enough; time.Sleep(20 * time.Millisecond) {
		if n := c.at(); n != at {
			at, since = n, time.Now()
		}
		longest = max(longest, time.Since(since))
	}
	return longest
}

// progress is how long after the end of the trouble things went on.
type progress struct {
	since time.Time
	took  map[string]time.Duration
}

// What went on, and how one sees it.
func (c *course) signs() map[string]func() bool {
	at := c.at()
	return map[string]func() bool{
		"the writer writes on":       func() bool { return c.at() > at+200 },
		"ends during it are seen":    func() bool { return len(c.missing(c.long)) <= 1 },
		"the message is obeyed":      func() bool { return c.There("fail-q", "victim") && !c.There("hold-q", "held") },
		"what waited starts":         func() bool { return c.Ran()["next-1"] == 1 && c.Ran()["next-2"] == 1 && c.Ran()["next-3"] == 1 },
		"what came during it starts": func() bool { return c.Ran()["late"] == 1 },
		"everything is done":         func() bool { return len(c.missing(c.units())) == 1 },
	}
}

// missing are those that are not where they have to end.
func (c *course) missing(units []world.Unit) (names []string) {
	for _, u := range units {
		if !c.There(u.End, u.Name) {
			names = append(names, u.Name)
		}
	}
	return names
}

// goesOn waits until all signs of work are seen, and fails the test for those that
// came too late.
func (c *course) goesOn(most time.Duration) progress {
	c.T.Helper()
	p := progress{time.Now(), map[string]time.Duration{}}
	signs := c.signs()
	for len(p.took) < len(signs) && time.Since(p.since) < 4*most {
		for what, seen := range signs {
			if _, done := p.took[what]; !done && seen() {
				p.took[what] = time.Since(p.since)
			}
		}
		c.alive()
		time.Sleep(5 * time.Millisecond)
	}
	for what := range signs {
		if took, done := p.took[what]; !done || took > most {
			c.T.Errorf("%v after the trouble was over, not yet: %s (it took %v, seen %v; missing %q)\n%s", most, what, took.Round(time.Millisecond), done, c.missing(c.units()), c.Story())
		}
	}
	return p
}

func (p progress) String() string {
	first, last := time.Hour, time.Duration(0)
	for _, took := range p.took {
		first, last = min(first, took), max(last, took)
	}
	return fmt.Sprintf("first progress after %.2f s, everything after %.2f s", first.Seconds(), last.Seconds())
}
