package status

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"simplejobq/internal/units"
)

// Text writes the digest for people. now is when it is shown, for "how long";
// a digest that was written earlier says so in its first line.
func (d *Digest) Text(w io.Writer, now time.Time) error {
	p := &page{w: bufio.NewWriter(w), now: now}
	p.head(d)
	p.counts(d)
	p.running(d.Running)
	p.next(d)
	p.recent(d.Recent)
	p.rest(d)
	if err := p.w.Flush(); err != nil {
		return fmt.Errorf("write digest: %w", err)
	}
	return nil
}

// page keeps the writer's error until Flush.
type page struct {
	w   *bufio.Writer
	now time.Time
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p.w, format, args...) }

func (p *page) head(d *Digest) {
	p.printf("%s", d.Time)
	if age := p.now.Sub(d.Time.Time); age >= time.Second {
		p.printf(" (%s ago)", units.Span(age))
	}
	m := d.Monitor
	p.printf("  monitor")
	if m.Version != "" {
		p.printf(" %s", word(m.Version))
	}
	switch {
	case m.Gone && m.PID > 0:
		p.printf(" (pid %d) is gone: nothing starts until it is started again", m.PID)
	case m.Gone:
		p.printf(" is not running: nothing starts until it is started")
	default:
		p.printf(" pid %d", m.PID)
		if !m.Started.IsZero() {
			p.printf(" up %s", units.Span(d.Time.Sub(m.Started.Time)))
		}
	}
	p.printf("\n")
	if m.Paused {
		p.printf("paused: nothing new starts until RESUME\n")
	}
	if m.Finishing {
		p.printf("finishing: nothing new starts; the monitor ends when what runs has ended\n")
	}
	for _, text := range d.Trouble {
		p.printf("trouble: %s\n", oneLine(text))
	}
	if d.NotReady != "" {
		p.printf("not ready: %s\n", oneLine(strings.TrimPrefix(d.NotReady, "not ready: ")))
	}
}

func (p *page) counts(d *Digest) {
	p.printf("\n")
	for _, c := range d.Queues {
		p.printf("%s  %8d\n", pad(word(c.Queue), 24), c.N)
	}
	inUse := 0
	for _, j := range d.Running {
		if j.State != Ending { // its slot is free again
			inUse++
		}
	}
	p.printf("%s  %8d  of %d\n", pad("slots in use", 24), inUse, d.Slots)
	for _, name := range slices.Sorted(maps.Keys(d.Jobs)) {
		t := d.Jobs[name]
		p.printf("%s  %8d", pad("job type "+word(name), 24), t.Running)
		if t.Slots > 0 {
			p.printf("  of %d", t.Slots)
		}
		p.printf("\n")
	}
}

func (p *page) running(jobs []Job) {
	p.printf("\nrunning\n")
	for _, j := range jobs {
		p.printf("  %s", pad(Name(j.Name), 24))
		if !j.Started.IsZero() {
			p.printf("  since %s, %s", j.Started, units.Span(p.now.Sub(j.Started.Time)))
		}
		for _, part := range j.progress() {
			p.printf(", %s", part)
		}
		if j.State == Ending {
			p.printf(", ending")
		}
		p.about(j.Title)
		if last := oneLine(j.Last); last != "" {
			p.printf("    > %s\n", short(last))
		}
	}
	p.none(jobs)
}

func (p *page) next(d *Digest) {
	p.printf("\nnext\n")
	for _, j := range d.Next {
		p.printf("  %s  %s", pad(Name(j.Name), 24), word(j.Queue))
		if !j.Enqueued.IsZero() {
			p.printf(", waits %s", units.Span(p.now.Sub(j.Enqueued.Time)))
		}
		if why := oneLine(j.Why); why != "" {
			p.printf(": %s", why)
		}
		p.about(j.Title)
	}
	p.none(d.Next)
}

func (p *page) recent(jobs []Job) {
	p.printf("\nended\n")
	for _, j := range jobs {
		p.printf("  %s  %s  %s", pad(Name(j.Name), 24), pad(word(j.Queue), 8), dash(oneLine(j.Status)))
		p.about(j.Title)
	}
	p.none(jobs)
}

func (p *page) rest(d *Digest) {
	m := d.Monitor
	p.printf("\noldest waiting    %s\n", units.Span(span(d.OldestWaitingSeconds)))
	p.printf("not looked at     %d\n", d.NotLookedAt)
	p.printf("rounds            %d, the slowest %s, the slowest commit %s\n",
		m.Rounds, units.Span(span(m.SlowestRoundSeconds)), units.Span(span(m.SlowestCommitSeconds)))
	p.printf("errors            %d\n", m.Errors)
	p.printf("free on disk      %s\n", units.Bytes(m.FreeBytes))
}

// about ends a line with the title people gave.
func (p *page) about(title string) {
	if title = oneLine(title); title != "" {
		p.printf("  (%s)", short(title))
	}
	p.printf("\n")
}

func (p *page) none(jobs []Job) {
	if len(jobs) == 0 {
		p.printf("  -\n")
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// short keeps a line of output or a title from filling a screen.
func short(s string) string {
	const most = 120
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

func span(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
