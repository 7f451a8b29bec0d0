package monitor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"simplejobq/internal/clock"
	"simplejobq/internal/config"
	"simplejobq/internal/durable"
	"simplejobq/internal/flow"
	"simplejobq/internal/run"
	"simplejobq/internal/spool"
	"simplejobq/internal/status"
	"simplejobq/internal/uow"
)

// ErrNobody is what a name means that nobody has seen.
var ErrNobody = errNobody

// View looks at a spool without being its monitor: it takes no lock and changes
// nothing, and says the same as the monitor would, because it asks the same
// questions.
type View struct {
	s      *session
	holder string
	last   *status.Digest // what the last monitor wrote
	woes   []string       // what keeps the monitor from its work

	surveyed bool // the live queues are read
	jobsRead bool // and what is executing
}

// OpenView opens a spool for looking.
func OpenView(c *config.Config, version string) (*View, error) {
	sp, err := spool.Open(Layout(c))
	if err != nil {
		return nil, err
	}
	v := &View{s: &session{
		Config: Config{Conf: c, Version: version}, conf: c, sp: sp, now: time.Now(), wall: clock.Wall(), viewing: true,
		jobs: map[uint64]*job{}, names: map[string]*job{}, types: map[string]int{}, gates: map[string]gated{},
		trouble: map[string]*woe{},
	}}
	v.s.order.init()
	if err := v.read(); err != nil {
		sp.Close()
		return nil, err
	}
	return v, nil
}

const noMonitor = "no monitor is running on this spool"

func (v *View) read() (err error) {
	s := v.s
	if v.holder, err = s.sp.Watched(); err != nil {
		return err
	}
	if s.paused, err = s.readPaused(); err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(s.conf.Root, s.conf.Dirs.Status, "status.json"))
	switch {
	case err == nil:
		// A digest that can't be read is as good as none: the files tell the rest.
		v.last, _ = status.ReadJSON(f)
		if err := f.Close(); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if v.holder != "" {
		v.woes = readBoard(s.sp)
	}
	switch {
	case v.holder == "":
		s.closed = noMonitor
	case s.paused:
		s.closed = "paused (RESUME goes on)"
	case v.last != nil:
		s.closed = v.last.NotReady
	}
	return nil
}

// survey reads the live queues and what is executing, when somebody asks for
// more than the digest.
func (v *View) survey() error {
	if v.surveyed {
		return nil
	}
	if _, err := v.s.sp.Look(true, v.s.now); err != nil {
		return err
	}
	v.surveyed = true
	v.s.ahead, _ = v.s.sp.Count(spool.Priority)
	return v.readJobs()
}

// readJobs finds out what is executing.
func (v *View) readJobs() error {
	if v.jobsRead {
		return nil
	}
	s := v.s
	links, names, err := s.sp.Seconds()
	if err != nil {
		return err
	}
	tokens := map[uint64]string{}
	for _, l := range links {
		tokens[l.Ino] = l.Token
	}
	records := map[uint64][]found{}
	private := false // somebody else's monitor: its records are not ours to read
	for _, name := range names {
		f, err := peekRecord(s.sp, name)
		if errors.Is(err, fs.ErrPermission) {
			private = true
			continue
		}
		if err != nil {
			return err
		}
		if f.start.Run != "" && f.start.Claim == tokens[f.start.Ino] {
			records[f.start.Ino] = append(records[f.start.Ino], f)
		}
	}
	here, err := s.sp.Executing()
	if err != nil {
		return err
	}
	for _, n := range here {
		u, c, err := s.readUnit(spool.Executing, n.Name)
		if err != nil {
			continue // foreign, or gone by now: counted, not told of
		}
		if _, known := records[n.Ino]; !known && tokens[n.Ino] == "" {
			// Nobody claimed it: a person's, which is started if it can be.
			if _, err := Check(s.conf, n.Name, c.Head); err != nil {
				continue
			}
		}
		j := s.newJob(spool.Claimed{UOW: n.Name, Name: n.Name, At: spool.Executing, From: spool.Wait, Ino: n.Ino, Dev: c.Stat.Dev, Token: tokens[n.Ino], Enqueued: durable.Nanos(u.Enqueued)}, u)
		v.running(j, records[n.Ino], private)
		s.enter(j)
	}
	v.jobsRead = true
	return nil
}

// running finds out how an executing UOW stands.
func (v *View) running(j *job, list []found, private bool) {
	for _, f := range list {
		j.UOW = f.start.UOW
		if f.end != nil && f.end.Run == f.start.Run {
			continue
		}
		c := v.s.found(j, f)
		if j.began.IsZero() || f.live.Started.Before(j.began) {
			j.began = f.live.Started
		}
		j.commands = append(j.commands, c)
	}
	switch {
	case private:
		j.commands = append(j.commands, &command{job: j, stage: alive, Start: flow.Start{Phase: flow.Command, Try: 1}})
	case len(list) > 0 && len(j.commands) == 0 && (j.plain() || j.unit.Ended()):
		j.state, j.text = judged, j.unit.Status.Text
	}
	if !j.plain() {
		if past, err := v.s.readPast(j.Ino); err == nil {
			j.flow, _ = flow.Restore(j.plan, past)
		}
		for _, c := range j.commands {
			if j.flow != nil {
				_, _ = j.flow.Adopt(c.Start) // or its end is in the past by now
			}
		}
	}
}

// peekRecord reads a run record without the right to write to it.
func peekRecord(sp *spool.Spool, name string) (f found, err error) {
	start, live, end, err := run.PeekRecord(sp.Run, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, run.ErrDamaged) {
		err = nil
	}
	return found{start: start, live: live, end: end}, err
}

// Close gives up what the view holds open.
func (v *View) Close() { v.s.sp.Close() }

// Spool is the spool looked at.
func (v *View) Spool() *spool.Spool { return v.s.sp }

// Holder tells who works on the spool, "" if nobody does.
func (v *View) Holder() (string, error) { return v.holder, nil }

// Digest is what the monitor wrote last or, if none is running, what the files
// tell.
func (v *View) Digest(now time.Time) (*status.Digest, error) {
	if v.holder != "" && v.last != nil {
		v.last.Trouble = v.woes
		return v.last, nil
	}
	if err := v.survey(); err != nil {
		return nil, err
	}
	s := v.s
	for _, q := range spool.Live {
		s.sp.Entries(q, func(e *spool.Entry) bool { v.judge(e); return true })
	}
	d := s.compose(now)
	d.Monitor.Gone = v.holder == ""
	if v.last != nil {
		m := v.last.Monitor
		d.Monitor.Version, d.Monitor.PID, d.Monitor.Started = m.Version, m.PID, m.Started
		d.Monitor.Rounds, d.Monitor.Errors = m.Rounds, m.Errors
		d.Monitor.SlowestRoundSeconds, d.Monitor.SlowestCommitSeconds = m.SlowestRoundSeconds, m.SlowestCommitSeconds
		d.Time, d.Recent = v.last.Time, v.last.Recent
	} else {
		d.Monitor.PID, d.Monitor.Version = 0, ""
	}
	return d, nil
}

// judge reads what an entry waits for, as the monitor would at its acceptance.
func (v *View) judge(e *spool.Entry) *uow.Unit {
	if e.Odd || e.State == spool.Accepted {
		return nil
	}
	u, _, err := v.s.readUnit(e.Queue, e.Name)
	if err != nil {
		e.State = spool.Settling
		return nil
	}
	if !u.Enqueued.IsZero() {
		v.s.sp.Place(e, durable.Nanos(u.Enqueued))
	}
	e.State = spool.Accepted
	if !u.Complete() || u.Ended() {
		e.State = spool.Settling
	}
	e.Note = v.s.termsFor(e, u)
	return u
}

// tryOf is the try that STATUS tells of: the one that is due, or the last.
func tryOf(st uow.Status) int {
	if st.Kind == uow.TryAgain {
		return st.Try
	}
	i := strings.LastIndex(st.Text, ", try ")
	if i < 0 {
		return 0
	}
	var try int
	_, _ = fmt.Sscanf(st.Text[i:], ", try %d", &try) // 0 if there is none
	return try
}

// Explain is why a UOW is where it is, in one sentence.
func (v *View) Explain(name string) (string, error) {
	t, err := v.resolve(name)
	if errors.Is(err, errNobody) {
		return v.overlooked(name, err)
	}
	if err != nil {
		return "", err
	}
	if t.entry != nil && t.entry.State != spool.Accepted && v.holder != "" && v.last != nil {
		// The monitor may know more of a file it does not take than we can see.
		for _, j := range v.last.Next {
			if j.Name == t.name && j.Queue == v.s.sp.Name(t.queue) && j.Why != "" {
				return "is in " + j.Queue + ": " + j.Why, nil
			}
		}
	}
	text := v.s.explain(t)
	if len(v.woes) > 0 && (t.job != nil || t.entry != nil && t.queue != spool.Hold) {
		if t.entry != nil && t.entry.State != spool.Accepted {
			text = "is in " + v.s.sp.Name(t.queue) + ": not accepted yet"
		}
		text += "; the monitor is in trouble: " + v.woes[0]
	}
	return text, nil
}

// overlooked explains a name that lies in a queue and is no UOW's.
func (v *View) overlooked(name string, err error) (string, error) {
	for _, q := range spool.Live {
		if _, e := v.s.sp.Dir(q).Stat(plainName(name)); e == nil && spool.Ignored(plainName(name)) {
			return "lies in " + v.s.sp.Name(q) + " and is not looked at: names that start with . or # or end in ~, .swp, .tmp or .part are temporary ones; rename it", nil
		}
	}
	return "", err
}

// Found is what a name means.
type Found struct {
	Queue   spool.Queue
	Name    string
	Running bool
	Ino     uint64
}

// Find says what a name means: see the names of 3 kinds in docs/uow.md.
func (v *View) Find(name string) (Found, error) {
	t, err := v.resolve(name)
	if err != nil {
		return Found{}, err
	}
	st, err := v.s.sp.Dir(t.queue).Stat(t.name)
	return Found{Queue: t.queue, Name: t.name, Running: t.job != nil && t.job.out() > 0, Ino: st.Ino}, err
}

func (v *View) resolve(name string) (target, error) {
	if err := v.survey(); err != nil {
		return target{}, err
	}
	t, err := v.s.resolve(name, true)
	if err != nil {
		if errors.Is(err, errNobody) {
			err = fmt.Errorf("%w: %s", errNobody, quoteName(name))
		}
		return t, err
	}
	if t.entry != nil {
		v.judge(t.entry)
	}
	return t, nil
}
