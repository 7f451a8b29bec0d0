package monitor

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"simplejobq/internal/clock"
	"simplejobq/internal/config"
	"simplejobq/internal/spool"
)

// queued is a session without runners on a spool with n UOWs as a monitor that starts finds
// them, each with the items it is to have.
func queued(b testing.TB, n int, items func(i int) string) *session {
	b.Helper()
	c := config.Default()
	c.Root = b.TempDir()
	if err := spool.Make(Layout(c)); err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 21, 50, 0, 0, time.UTC)
	for i := range n {
		path := fmt.Sprintf("%s/wait-q/job%07d", c.Root, i)
		when := at.Add(time.Duration(i%60) * time.Second)
		if err := errors.Join(os.WriteFile(path, []byte(stamped(i%60, items(i))), 0o644), os.Chtimes(path, when, when)); err != nil {
			b.Fatal(err)
		}
	}
	sp, err := spool.Open(Layout(c))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(sp.Close)
	s := &session{
		Config: Config{Conf: c}, conf: c, sp: sp, now: time.Now(), wall: clock.Wall(), timer: true, first: true,
		jobs: map[uint64]*job{}, names: map[string]*job{}, types: map[string]int{}, gates: map[string]gated{},
		trouble: map[string]*woe{}, stuck: map[*spool.Entry]string{}, blank: map[string]int64{}, gc: 100,
	}
	s.line()
	return s
}

func plainItems(int) string { return "COMMAND :: true" }

func (s *session) readAll(b testing.TB) {
	b.Helper()
	found, err := s.sp.Look(true, s.now)
	if err != nil || len(found.Fresh) > 0 {
		b.Fatal(err, len(found.Fresh))
	}
	for s.more = true; s.more; {
		s.more = false
		if err := s.judge(); err != nil {
			b.Fatal(err)
		}
	}
}

var depths = []int{100, 10_000, 100_000}

func perUOW(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/UOW")
}

// What a start does before the first job: names and times, in order.
func BenchmarkScan(b *testing.B) {
	for _, n := range depths {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := queued(b, n, plainItems)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				sp, err := spool.Open(Layout(s.conf))
				if err != nil {
					b.Fatal(err)
				}
				sp.Taken, sp.NoteOf = s.sp.Taken, s.sp.NoteOf
				b.StartTimer()
				if _, err := sp.Look(true, s.now); err != nil || sp.Shelved(spool.Wait) != n {
					b.Fatal(err, sp.Shelved(spool.Wait))
				}
				sp.Close()
			}
			perUOW(b, n)
		})
	}
}

// And what it does then: each is read and gets its place.
func BenchmarkRead(b *testing.B) {
	s := queued(b, 10_000, plainItems)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		sp, err := spool.Open(Layout(s.conf))
		if err != nil {
			b.Fatal(err)
		}
		s.sp = sp
		s.line()
		b.StartTimer()
		s.readAll(b)
		sp.Close()
	}
	perUOW(b, 10_000)
}

// The digest of many is made at the cost of that of few.
func BenchmarkDigest(b *testing.B) {
	for _, n := range depths {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := queued(b, n, plainItems)
			s.readAll(b)
			b.ReportAllocs()
			for b.Loop() {
				s.compose(s.wall)
			}
		})
	}
}

// Who is next: half of them in chains of 100, half in fans, where 98 come after one and one
// after all of these. What is decided goes to done-q at once.
func BenchmarkDecide(b *testing.B) {
	name := func(i int) string { return fmt.Sprintf("job%07d", i) }
	after := func(i int) string {
		k, group := i%100, i-i%100
		switch {
		case k == 0:
			return plainItems(i)
		case i/100%2 == 0:
			return plainItems(i) + "\nAFTER :: " + name(i-1)
		case k < 99:
			return plainItems(i) + "\nAFTER :: " + name(group)
		}
		text := plainItems(i) + "\nAFTER ::"
		for j := 1; j < 99; j++ {
			text += map[bool]string{true: " ", false: ", "}[j == 1] + name(group+j)
		}
		return text
	}
	for _, n := range depths {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := queued(b, n, after)
				s.readAll(b)
				b.StartTimer()
				for range n {
					e := s.next()
					if e == nil {
						b.Fatal("nobody is next")
					}
					name := e.Name
					if _, err := s.sp.Put("bench", e, spool.Done); err != nil {
						b.Fatal(err)
					}
					s.order.news(name)
				}
			}
			perUOW(b, n)
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "decisions/s")
		})
	}
}
