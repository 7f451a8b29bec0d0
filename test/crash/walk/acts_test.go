package walk

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

var queues = []string{"wait-q", "priority-q", "hold-q", "currently-executing", "done-q", "error-q", "fail-q", "archive", "trash"}

// acts are all that a person does, each with how often.
var acts = []struct {
	often int
	do    func(w *walk)
}{
	{14, (*walk).drop},
	{3, (*walk).copyIn},
	{2, (*walk).remove},
	{2, (*walk).takeOut},
	{2, (*walk).putIn},
	{6, (*walk).move},
	{2, (*walk).rename},
	{3, (*walk).replace},
	{2, (*walk).rewrite},
	{2, (*walk).steal},
	{14, (*walk).message},
	{3, (*walk).messageForMany},
	{2, (*walk).wait},
	{4, (*walk).killMonitor},
	{2, (*walk).restart},
	{1, (*walk).reload},
	{2, (*walk).killRunner},
	{3, (*walk).trouble},
}

// act does one of them, and rests for a moment, or does not.
func (w *walk) act() {
	sum := 0
	for _, a := range acts {
		sum += a.often
	}
	n := w.rng.IntN(sum)
	rest := time.Duration(max(0, w.rng.IntN(80)-40)) * time.Millisecond
	for _, a := range acts {
		if n -= a.often; n < 0 {
			a.do(w)
			break
		}
	}
	if w.Runners != "" {
		w.hurt()
	}
	time.Sleep(rest)
	if !w.alive() {
		w.note("the monitor ended by its fault")
		w.kills++
		w.kill()
		w.start("")
	}
}

func one[T any](w *walk, list []T) T { return list[w.rng.IntN(len(list))] }

// list is what lies in a queue.
func (w *walk) list(queue string) (names []string) {
	entries, err := os.ReadDir(filepath.Join(w.Root, queue))
	if err != nil {
		w.T.Fatal(err)
	}
	for _, e := range entries {
		if n := e.Name(); n[0] != '.' && !strings.HasPrefix(n, "README") && !strings.Contains(n, ".why") {
			names = append(names, n)
		}
	}
	return names
}

// some picks a file out of one of the queues.
func (w *walk) some(from ...string) (queue, name string, ok bool) {
	draw := w.rng.Uint64()
	var all [][2]string
	for _, q := range from {
		for _, n := range w.list(q) {
			all = append(all, [2]string{q, n})
		}
	}
	if len(all) == 0 {
		return "", "", false
	}
	pick := all[draw%uint64(len(all))]
	return pick[0], pick[1], true
}

// unit is what a file asks for, and its STATUS. What a person moved into or out of
// currently-executing is left alone from then on: nobody could tell which of its
// names is which.
func (w *walk) unit(path string) (u *unit, st string) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, ""
	}
	id, st := idOf(string(b))
	if u = w.byID(id); u != nil && u.stolen {
		u = nil
	}
	return u, st
}

func (w *walk) byID(id string) *unit {
	for _, u := range w.units {
		if u.id == id {
			return u
		}
	}
	return nil
}

func (w *walk) in(queue, name string) string { return filepath.Join(w.Root, queue, name) }

// create makes up a new UOW; its file is still to be written.
func (w *walk) create(queue string) *unit {
	n := len(w.units)
	u := &unit{id: fmt.Sprintf("u%04d", n), kind: one(w, kinds), at: queue, lives: 1, vague: w.fog, loose: w.fog}
	u.name = one(w, []string{"a%d", "job-%d", "ä%d", "two words %d"})
	u.name = fmt.Sprintf(u.name, n)
	if reuse := w.rng.IntN(8); n > 0 && reuse == 0 {
		other := one(w, w.units)
		u.name, u.shared, other.shared = other.name, true, true
		w.inherit(u, other)
	}
	command := fmt.Sprintf(`echo "$MONITOR_UOW" %s >> "$W/ran"; %s`, u.id, u.kind.command)
	u.text = world.Plain(command, u.kind.items)
	if u.kind.name == "garbage" {
		u.text = "this is no unit of work: " + u.id + "\n"
	}
	w.units = append(w.units, u)
	return u
}

// inherit notes that u has the name of another: what was meant for that may reach
// u.
func (w *walk) inherit(u, other *unit) {
	u.vague, u.loose, u.hurt = u.vague || other.vague, u.loose || other.vague, u.hurt || other.hurt
	for tag, whom := range w.sent {
		if slices.Contains(whom, other) {
			w.sent[tag] = append(slices.Clone(whom), u)
		}
	}
}

// quietly renames a file unless that would overwrite one.
func quietly(from, to string) bool {
	return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE) == nil
}

func (w *walk) write(path, text string) {
	w.T.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.T.Fatal(err)
	}
}
