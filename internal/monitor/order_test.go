package monitor

import (
	"cmp"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"simplejobq/internal/spool"
)

// The order against the simplest thing that could be right: a list that is
// searched for its least. An entry stands in line from its push until it is
// taken, is gone, or is not ready.
func TestOrderModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o order
		o.init()
		var all []*spool.Entry
		stands, pushed := map[*spool.Entry]bool{}, map[*spool.Entry]bool{}
		reloaded := false // from then on one may be asked twice, which costs no more than that
		again := func(*spool.Entry, string) hearing { return askAgain }
		kinds := []string{"", "ansible", "make"}
		push := func(e *spool.Entry) {
			o.push(e)
			if e.Queue != spool.Hold && !e.Gone {
				stands[e], pushed[e] = true, true
			}
		}
		setKind := func(e *spool.Entry, kind string) {
			if e.Note = nil; kind != "" {
				e.Note = &terms{kind: kind}
			}
		}
		ready := func(e *spool.Entry) bool {
			return !e.Gone && (e.State == spool.Fresh || e.State == spool.Accepted)
		}
		some := func(t *rapid.T) *spool.Entry {
			if len(all) == 0 {
				t.Skip("nothing there yet")
			}
			return rapid.SampledFrom(all).Draw(t, "entry")
		}
		check := func(q spool.Queue, closed string) *spool.Entry {
			open := func(kind string) bool { return kind != closed }
			var least *spool.Entry
			for _, e := range all {
				if e.Queue != q || !stands[e] || !ready(e) || !open(laneOf(e).kind) {
					continue
				}
				if least == nil || cmp.Or(cmp.Compare(e.Enqueued, least.Enqueued), cmp.Compare(e.Name, least.Name)) < 0 {
					least = e
				}
			}
			got := o.first(q, open)
			switch {
			case got == nil && least != nil:
				t.Fatalf("nothing is first, want %s", least.Name)
			case got == nil:
			case got.Queue != q || !ready(got) || !pushed[got] || !open(laneOf(got).kind):
				t.Fatalf("%s can't be first: %+v", got.Name, got)
			case laneOf(got).kind == "" && !stands[got] && !reloaded:
				t.Fatalf("%s was taken already", got.Name)
			case least != nil && got != least && !spool.Before(got, least):
				t.Fatalf("%s (%d) is first, want %s (%d)", got.Name, got.Enqueued, least.Name, least.Enqueued)
			}
			return got
		}
		queue := rapid.SampledFrom([]spool.Queue{spool.Priority, spool.Wait})
		at := rapid.Int64Range(1, 6)
		t.Repeat(map[string]func(*rapid.T){
			"drop": func(t *rapid.T) {
				e := &spool.Entry{Name: fmt.Sprint("u", len(all)%7, "-", len(all)), Queue: rapid.SampledFrom(spool.Live).Draw(t, "queue"), Enqueued: at.Draw(t, "at")}
				all = append(all, e)
				push(e)
			},
			"accept": func(t *rapid.T) {
				e := some(t)
				e.State, e.Enqueued = spool.Accepted, at.Draw(t, "at")
				setKind(e, rapid.SampledFrom(kinds).Draw(t, "kind"))
				push(e)
			},
			"settle": func(t *rapid.T) {
				e := some(t)
				e.State, stands[e] = spool.Settling, false
				setKind(e, "")
			},
			"edit": func(t *rapid.T) {
				e := some(t)
				e.State = spool.Fresh
				push(e)
			},
			"remove": func(t *rapid.T) { some(t).Gone = true },
			"take": func(t *rapid.T) {
				if e := check(queue.Draw(t, "queue"), ""); e != nil {
					o.take(e)
					stands[e] = false
				}
			},
			"wait for a name": func(t *rapid.T) {
				if e := check(queue.Draw(t, "queue"), "none"); e != nil {
					o.take(e)
					stands[e] = false
					o.awaitName(e, "x")
				}
			},
			"news": func(t *rapid.T) {
				for e := range o.named["x"] {
					if !e.Gone && e.Queue != spool.Hold {
						stands[e] = true
					}
				}
				o.news("x")
				o.tell(again)
				if o.awaited("x") {
					t.Fatal("still awaited")
				}
			},
			"reload": func(t *rapid.T) {
				reloaded = true
				o.reopen()
				o.tell(again)
				restand(&o, stands)
			},
			"": func(t *rapid.T) {
				check(spool.Priority, rapid.SampledFrom(kinds).Draw(t, "closed"))
				check(spool.Wait, "none")
			},
		})
	})
}

// restand adds who stands in line after a reload: who had waited for a name.
func restand(o *order, stands map[*spool.Entry]bool) {
	for k, l := range o.lanes {
		for _, p := range *l {
			if p.holds(k) {
				stands[p.entry] = true
			}
		}
	}
}

func TestOrderTimes(t *testing.T) {
	var o order
	o.init()
	now := time.Now()
	if !o.due().IsZero() {
		t.Error("something is due")
	}
	var list []*spool.Entry
	for i := range 3 {
		e := &spool.Entry{Name: fmt.Sprint(i), State: spool.Accepted, Enqueued: int64(i + 1)}
		list = append(list, e)
		o.awaitTime(e, now.Add(time.Duration(3-i)*time.Second))
	}
	list[2].Gone = true // it would be the first
	if due := o.due(); !due.Equal(time.Unix(0, now.Add(2*time.Second).UnixNano())) {
		t.Errorf("due in %v", due.Sub(now))
	}
	open := func(string) bool { return true }
	o.clock(now.Add(time.Second))
	if e := o.first(spool.Wait, open); e != nil {
		t.Errorf("%s came too early", e.Name)
	}
	o.clock(now.Add(2 * time.Second))
	if e := o.first(spool.Wait, open); e != list[1] {
		t.Errorf("%v came", e)
	}
	o.clock(now.Add(time.Hour))
	if e := o.first(spool.Wait, open); e != list[0] {
		t.Errorf("%v came", e)
	}
}

func TestSettling(t *testing.T) {
	var s settling
	now := time.Now()
	a, b := &spool.Entry{Name: "a", State: spool.Settling}, &spool.Entry{Name: "b", State: spool.Settling}
	s.add(a, now.Add(2*time.Second), false)
	s.add(b, now.Add(time.Second), true)
	if s.open() != 1 || !s.due().Equal(now.Add(time.Second)) {
		t.Errorf("%d open, due in %v", s.open(), s.due().Sub(now))
	}
	if ripe := s.ripe(now); len(ripe) != 0 {
		t.Errorf("%v too early", ripe)
	}
	if ripe := s.ripe(now.Add(time.Second)); len(ripe) != 1 || ripe[0] != b {
		t.Errorf("%v", ripe)
	}
	a.State = spool.Accepted // decided meanwhile
	if ripe := s.ripe(now.Add(time.Hour)); len(ripe) != 0 || s.open() != 0 || !s.due().IsZero() {
		t.Errorf("%v", ripe)
	}
}
