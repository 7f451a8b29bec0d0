package monitor

import (
	"slices"

	"simplejobq/internal/spool"
)

// hearing is what becomes of one that waits for a name of which there is news.
type hearing int

const (
	askAgain   hearing = iota // everything it waits for is looked at anew when its turn comes
	waitsOn                   // this name is still to come
	waitsOther                // this one has come, others have not
)

// hear tells those that wait for names the news of them. Of one that waits for many only
// that name is looked at, and all of them once the last has come: else a UOW that comes
// after a hundred others would look at a hundred a hundred times.
func (s *session) hear() {
	if len(s.order.heard) == 0 {
		return
	}
	fates := map[string]fate{} // of these names, asked once
	s.order.tell(func(e *spool.Entry, name string) hearing { return s.hears(e, name, fates) })
}

func (s *session) hears(e *spool.Entry, name string, fates map[string]fate) hearing {
	t := termsOf(e)
	if t == nil {
		return askAgain
	}
	known := false
	ask := func(items []string, bad bool) hearing {
		for _, item := range items {
			if plainName(item) != name {
				continue
			}
			known = true
			f, asked := fates[item]
			if !asked {
				f, _ = s.fate(item)
				fates[item] = f
			}
			switch {
			case f == fateBad && bad:
				return askAgain
			case f != fateDone && f != fateBad:
				return waitsOn
			}
		}
		return waitsOther
	}
	was := slices.Min([]hearing{ask(t.after, true), ask(t.afterAny, false)})
	if was == waitsOther {
		t.waits--
	}
	if !known || t.waits <= 0 && was == waitsOther {
		return askAgain
	}
	return was
}
