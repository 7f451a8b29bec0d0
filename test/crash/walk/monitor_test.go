package walk

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// answer is one line of an answer, with the name it is about.
var answer = regexp.MustCompile(`(?m)  answer +(?:("(?:[^"\\]|\\.)*"|\S+)  )?#(m\d+) (.*)$`)

var fromTo = regexp.MustCompile(`^from (\S+) to (\S+)`)

// message is for one UOW.
func (w *walk) message() {
	words := []string{"HOLD", "RELEASE", "PROMOTE", "DEMOTE", "REQUEUE", "REQUEUE", "ARCHIVE", "TRASH", "EXPLAIN", "KILL JOB", "PAUSE", "RESUME", "RESUME", "STATUS", "nonsense"}
	word, wait := one(w, words), w.rng.IntN(3) > 0
	switch word {
	case "PAUSE", "RESUME", "STATUS", "nonsense":
		w.send(word, "", nil, false)
		return
	}
	from := []string{"wait-q", "priority-q", "hold-q"}
	switch word {
	case "RELEASE":
		from = []string{"hold-q"}
	case "REQUEUE":
		from = []string{"done-q", "error-q", "fail-q", "archive"}
	case "KILL JOB":
		from = []string{"currently-executing"}
	case "ARCHIVE", "TRASH", "EXPLAIN":
		from = queues
	}
	q, name, ok := w.some(from...)
	if !ok {
		return
	}
	u, _ := w.unit(w.in(q, name))
	if u == nil {
		return
	}
	var whom []*unit
	for _, o := range w.units { // those of its name, as well
		if o == u || o.name == u.name {
			whom = append(whom, o)
		}
	}
	w.send(word, name, whom, wait)
}

// messageForMany is for all of a queue.
func (w *walk) messageForMany() {
	m := one(w, [][2]string{{"HOLD", "wait-q/*"}, {"RELEASE", "hold-q/*"}, {"PROMOTE", "wait-q/*"}, {"DEMOTE", "priority-q/*"}, {"REQUEUE", "done-q/a*"}, {"KILL JOB", ""}})
	w.send(m[0], m[1], w.units, true)
}

// send writes a message and, if told to, waits for its answer, which says where
// things are from then on. Of a message that was not waited for nobody knows when
// it is acted upon.
func (w *walk) send(word, name string, whom []*unit, wait bool) {
	tag := fmt.Sprint("m", len(w.acts))
	many := strings.Contains(name, "/")
	w.sent[tag], w.many[tag] = whom, many
	before, _ := w.find()
	since := int64(len(w.said(0)))
	w.note("%s %s #%s", word, name, tag)
	w.Tell(strings.TrimSpace(word+" "+name) + " #" + tag)
	if word == "KILL JOB" {
		for _, u := range whom {
			u.hurt = true
		}
	}
	if word == "EXPLAIN" || word == "KILL JOB" || name == "" {
		return
	}
	if wait && w.answered(tag, since, many) {
		for _, m := range answer.FindAllStringSubmatch(w.said(since), -1) {
			if m[2] == tag {
				w.obeyed(m[1], m[3], before)
			}
		}
		return
	}
	w.fog = w.fog || many
	for _, u := range whom {
		u.vague, u.loose = true, true
	}
}

// answered waits for an answer, which a monitor that was killed may give late.
func (w *walk) answered(tag string, since int64, many bool) bool {
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		for _, m := range answer.FindAllStringSubmatch(w.said(since), -1) {
			if m[2] == tag && (!many || strings.HasSuffix(m[3], " UOWs") || strings.Contains(m[3], ": not done: ")) {
				return true
			}
		}
	}
	return false
}

// obeyed notes one line of an answer.
func (w *walk) obeyed(name, text string, before map[string][]place) {
	if plain, err := strconv.Unquote(name); err == nil {
		name = plain
	}
	m := fromTo.FindStringSubmatch(text)
	if m == nil {
		return // not done, and why
	}
	var whom []*unit
	for _, u := range w.units {
		if u.name == name || strings.HasPrefix(name, u.name+"~") {
			whom = append(whom, u)
		}
	}
	if len(whom) != 1 || whom[0].gone {
		for _, u := range whom {
			u.vague, u.loose = true, true
		}
		return
	}
	u := whom[0]
	u.shared = u.shared || u.name != name || strings.Contains(text, " as ")
	_, end, _ := strings.Cut(u.kind.status, ":")
	st := "done:" + end // what came there after we looked came there by its end
	for _, p := range before[u.id] {
		if p.queue == m[1] {
			_, st = idOf(p.text)
		}
	}
	u.placed(m[1], m[2], st)
}

func (w *walk) wait() {
	d := time.Duration(w.rng.IntN(600)) * time.Millisecond
	w.note("wait %v", d)
	time.Sleep(d)
}

func (w *walk) killMonitor() {
	w.note("kill -9 the monitor")
	w.kills++
	away := time.Duration(max(0, w.rng.IntN(100)-50)) * time.Millisecond
	w.kill()
	time.Sleep(away)
	w.start("")
}

func (w *walk) restart() {
	w.note("kill -TERM the monitor")
	w.signal(syscall.SIGTERM)
	_ = w.monitor.Wait() // it may have been too early for it to know the signal
	w.start("")
}

func (w *walk) reload() {
	w.note("kill -HUP the monitor")
	w.signal(syscall.SIGHUP)
}

// killRunner ends a runner: what runs at that moment, whoever it is, is hurt.
func (w *walk) killRunner() {
	pick := w.rng.Uint64()
	if !w.violent {
		return
	}
	pids := w.runners()
	if len(pids) == 0 {
		return
	}
	pid := pids[pick%uint64(len(pids))]
	w.note("kill -9 the runner %d", pid)
	w.hurt()
	_ = syscall.Kill(pid, syscall.SIGKILL)
	w.kills++
}

// hurt notes that whatever may run was ended by force.
func (w *walk) hurt() {
	for _, u := range w.units {
		if isLive(u.at) {
			u.hurt = true
		}
	}
}

// trouble starts the monitor so that it ends, or its disk fails, at some operation.
func (w *walk) trouble() {
	n := 1 + w.rng.IntN(150)
	fault := fmt.Sprint("kill:", n)
	if w.violent && w.rng.IntN(2) == 0 {
		fault = fmt.Sprintf("err:%s:%d", one(w, []string{"EIO", "ENOSPC", "EMFILE", "EROFS", "EDQUOT"}), n)
	}
	runners := w.violent && w.rng.IntN(3) == 0
	w.note("kill -9 the monitor, start it with %s, its runners with kill:%d: %v", fault, n%20, runners)
	w.kills++
	w.kill()
	if runners {
		w.Runners = fmt.Sprint("kill:", 1+n%20)
	}
	w.start(fault)
}
