package messages

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"simplejobq/internal/durable"
)

// ledger is who sends and acts: it knows every line sent, and that none may be
// acted upon twice unless it says so.
type ledger struct {
	sent  int
	acted map[string]int
	wrong []string
}

func (l *ledger) line() string { l.sent++; return fmt.Sprintf("order %d", l.sent) }

func (l *ledger) act(lines []Line) {
	if l.acted == nil {
		l.acted = map[string]int{}
	}
	for _, line := range lines {
		if !strings.HasPrefix(line.Text, "order ") {
			l.wrong = append(l.wrong, fmt.Sprintf("%q is no order", line.Text))
		}
		if l.acted[line.Text]++; l.acted[line.Text] > 1 && !line.Again {
			l.wrong = append(l.wrong, line.Text+" came twice without saying so")
		}
	}
}

// lost is what is wrong in the end.
func (l *ledger) lost() []string {
	for i := range l.sent {
		if l.acted[fmt.Sprintf("order %d", i+1)] == 0 {
			l.wrong = append(l.wrong, fmt.Sprintf("order %d is lost", i+1))
		}
	}
	return l.wrong
}

// life is a fixed story of everything that happens to monitor_reads. step runs
// one act of the monitor and may be struck by a fault or a crash.
func life(x *box, l *ledger, step func(func() error)) {
	round := func() {
		step(func() error {
			if x.Inbox == nil {
				var err error
				if x.Inbox, _, err = OpenInbox(x.path, x.state, "reads"); err != nil {
					return err
				}
			}
			lines, _, err := x.Read()
			l.act(lines)
			return err
		})
		step(func() error {
			if x.Inbox == nil {
				return nil
			}
			_, err := x.Done()
			return err
		})
	}
	round()
	x.append(l.line() + "\n" + l.line() + "\n")
	round()
	x.append(l.line() + "\n# remark\n\n")
	round()
	tail, err := os.Open(x.path)
	if err != nil {
		x.t.Fatal(err)
	}
	x.append(l.line() + "\n")
	round()
	x.append(l.line() + "\n")
	round()
	tail.Close()
	round()
	x.append(l.line()) // without its end
	round()
	round()
	round()
	text := read(x.t, x.path)
	if i := strings.LastIndexByte(text, '\n'); i+1 < len(text) {
		text += "\n" // an editor ends it
	}
	x.replace(text + l.line() + "\n")
	round()
	round()
	step(func() error {
		if x.Inbox == nil {
			return nil
		}
		err := x.Close()
		x.Inbox = nil
		return err
	})
	round()
	x.append(l.line() + "\n")
	round()
}

// healed is how it ends once nothing fails any more.
func healed(x *box, l *ledger) []string {
	durable.Fault = nil
	for range 6 {
		if x.Inbox == nil {
			x.start()
		}
		lines, _, err := x.Read()
		if err != nil {
			x.t.Fatal(err)
		}
		l.act(lines)
		if _, err := x.Done(); err != nil {
			x.t.Fatal(err)
		}
	}
	if text := read(x.t, x.path); strings.Contains(text, "order") {
		l.wrong = append(l.wrong, fmt.Sprintf("it was not emptied: %q", text[max(0, len(text)-60):]))
	}
	if names, err := os.ReadDir(x.state.Path()); err != nil || len(names) != 1 {
		l.wrong = append(l.wrong, fmt.Sprintf("left over: %v, %v", names, err))
	}
	return l.lost()
}

// countSites is how many operations the story has when nothing goes wrong.
func countSites(t *testing.T) (sites []durable.Site) {
	x, l := newBox(t, "-"), &ledger{}
	withFault(t, func(s durable.Site) error { sites = append(sites, s); return nil })
	life(x, l, func(act func() error) {
		if err := act(); err != nil {
			t.Fatal(err)
		}
	})
	if wrong := healed(x, l); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	if len(sites) < 30 {
		t.Fatalf("only %d operations: %v", len(sites), sites)
	}
	return sites
}

// Every operation fails, once or until further notice, with every error.
func TestEachOperationFails(t *testing.T) {
	sites := countSites(t)
	for k, site := range sites {
		for _, errno := range []unix.Errno{unix.EIO, unix.ENOSPC, unix.EROFS, unix.EMFILE, unix.EACCES} {
			for _, times := range []int{1, 1000} {
				x, l := newBox(t, "-"), &ledger{}
				n := -1
				withFault(t, func(durable.Site) error {
					if n++; n >= k && n < k+times {
						return errno
					}
					return nil
				})
				life(x, l, func(act func() error) { _ = act() })
				if wrong := healed(x, l); len(wrong) > 0 {
					t.Errorf("%v at operation %d, %s, %d times: %v", errno, k, site, times, wrong)
				}
				x.crash()
			}
		}
	}
}

// At every operation the process ends, and again at each of the first few of
// the recovery.
func TestKilledAtEachOperation(t *testing.T) {
	sites := countSites(t)
	for k, site := range sites {
		for second := range 8 {
			x, l := newBox(t, "-"), &ledger{}
			n, next := 0, k
			withFault(t, func(durable.Site) error {
				if n++; n-1 == next {
					n, next = 0, second
					if second == 0 {
						next = -1
					}
					panic(killed{})
				}
				return nil
			})
			life(x, l, func(act func() error) {
				defer func() {
					switch r := recover(); r.(type) {
					case nil:
					case killed:
						x.crash()
						if next != second {
							next = -1
						}
					default:
						panic(r)
					}
				}()
				if err := act(); err != nil {
					t.Error(err)
				}
			})
			if wrong := healed(x, l); len(wrong) > 0 {
				t.Errorf("killed at operation %d, %s, and %d later: %v", k, site, second, wrong)
			}
			x.crash()
		}
	}
}

type killed struct{}

// Any order of what people, the monitor and crashes do.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x, l := newBox(t, rapid.SampledFrom([]string{"-", "", head}).Draw(rt, "start")), &ledger{}
		defer x.crash()
		var tail *os.File
		unended, inFlight := false, false
		send := func(text string) {
			if unended {
				text = "\n" + text
			}
			unended = !strings.HasSuffix(text, "\n")
			x.append(text)
		}
		readOn := func() {
			lines, _, err := x.Read()
			if err != nil {
				rt.Fatal(err)
			}
			l.act(lines)
			inFlight = inFlight || len(lines) > 0
		}
		done := func() {
			if _, err := x.Done(); err != nil {
				rt.Fatal(err)
			}
			inFlight = false
		}
		rt.Repeat(map[string]func(*rapid.T){
			"append":  func(*rapid.T) { send(l.line() + "\n" + l.line() + "\r\n") },
			"unended": func(*rapid.T) { send(l.line()) },
			"remark":  func(*rapid.T) { send("\n# remark\n") },
			"long":    func(*rapid.T) { send(strings.Repeat("long", maxLine/3) + "\n") },
			"read":    func(*rapid.T) { readOn() },
			"done":    func(*rapid.T) { done() },
			"crash":   func(*rapid.T) { x.crash(); x.start(); inFlight = false },
			"restart": func(*rapid.T) {
				if err := x.Close(); err != nil {
					rt.Fatal(err)
				}
				x.start()
				inFlight = false
			},
			"follow": func(*rapid.T) {
				if tail != nil {
					tail.Close()
					tail = nil
				} else {
					tail, _ = os.Open(x.path)
				}
			},
			"replace": func(rt *rapid.T) {
				if unended { // an editor ends the last line
					send("\n")
				}
				x.replace(read(t, x.path) + l.line() + "\n")
			},
			"empty": func(rt *rapid.T) {
				// Only what was acted upon; the rest would be lost by the user's hand.
				if unended {
					send("\n")
				}
				for i := 0; i < 4 || x.More(); i++ {
					readOn()
					done()
				}
				if err := os.Truncate(x.path, 0); err != nil {
					rt.Fatal(err)
				}
				readOn() // had the monitor been away, it could not know
			},
			"": func(rt *rapid.T) {
				if len(l.wrong) > 0 {
					rt.Fatal(l.wrong)
				}
			},
		})
		if tail != nil {
			tail.Close()
		}
		if unended {
			send("\n")
		}
		for i := 0; i < 4 || x.More(); i++ {
			readOn()
			done()
		}
		if wrong := l.lost(); len(wrong) > 0 {
			rt.Fatal(wrong)
		}
		if text := read(t, x.path); strings.Contains(text, "order") {
			rt.Fatalf("it was not emptied: %q", text[max(0, len(text)-60):])
		}
	})
}
