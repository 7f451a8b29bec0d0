package monitor

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/afero"

	"simplejobq/internal/clock"
	"simplejobq/internal/durable"
	"simplejobq/internal/messages"
	"simplejobq/internal/spool"
	"simplejobq/internal/status"
)

// digestState is when the digest was written, and what it counts in directories
// that are not indexed.
type digestState struct {
	written time.Time
	due     time.Time // when the next is to be written, zero if nothing changed
	stale   bool      // something changed since the last one
	counts  [spool.Queues]count
}

// again has it written in its time because of what no round does.
func (d *digestState) again(interval time.Duration) {
	d.stale = true
	if next := d.written.Add(interval); d.due.IsZero() || next.Before(d.due) {
		d.due = next
	}
}

// count is how many files lie in a directory, counted when somebody else changed
// it and kept up with our own moves meanwhile.
type count struct {
	n            int
	mtime, ctime int64
	next         time.Time // not counted again before: a large directory takes its time
}

// addRecent notes a UOW that ended, for the digest's list of the last ones.
func (s *session) addRecent(j status.Job) {
	s.recent = append([]status.Job{j}, s.recent...)
	if n := s.conf.Status.Recent; len(s.recent) > n {
		s.recent = s.recent[:n]
	}
}

// remember reads the last ended UOWs from monitor_events, so that a restart does
// not empty the list.
func (s *session) remember() {
	events, err := messages.Tail(s.sp.Root, s.conf.Files.Events, 256<<10)
	if err != nil {
		return // the list fills again as UOWs end
	}
	where := map[string]string{}
	for _, e := range events {
		switch e.Event {
		case "moved":
			where[e.UOW] = e.To
		case "ended":
			if q, ok := s.sp.ByName(where[e.UOW]); ok {
				s.addRecent(status.Job{Name: e.UOW, Queue: s.sp.Name(q), State: stateOf(q), Status: e.Reason, Try: e.Try})
			}
		}
	}
	for i, j := range s.recent {
		q, _ := s.sp.ByName(j.Queue)
		if u, c, err := s.readUnit(q, j.Name); err == nil {
			s.recent[i].Title, s.recent[i].Enqueued, s.recent[i].Size = u.Title, status.At(u.Enqueued), c.Stat.Size
		}
	}
}

// writeDigest writes status.txt and status.json, by rename, at most once per
// interval. afero carries what needs no durability.
func (s *session) writeDigest(last bool) error {
	now := time.Now()
	interval := time.Duration(s.conf.Status.Interval)
	if !last {
		if len(s.jobs) > 0 && now.Sub(s.digest.written) >= 10*max(interval, time.Second) {
			s.digest.stale = true // the last line of output changes without a round
		}
		if !s.digest.stale {
			if !s.digest.due.After(now) {
				s.digest.due = time.Time{}
			}
			return nil
		}
		if next := s.digest.written.Add(interval); now.Before(next) {
			s.digest.due = next
			return nil
		}
	}
	s.digest.written, s.digest.due, s.digest.stale = now, time.Time{}, false
	if len(s.jobs) > 0 {
		s.digest.due = now.Add(10 * max(interval, time.Second))
	}
	wall := clock.Wall()
	d := s.compose(wall)
	d.Monitor.Gone = last
	disk, dir := afero.NewOsFs(), filepath.Join(s.conf.Root, s.conf.Dirs.Status)
	// Only this one: where the spool was moved away none is to grow in its place.
	if err := disk.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for name, write := range map[string]func(io.Writer) error{
		"status.txt":  func(w io.Writer) error { return d.Text(w, wall) },
		"status.json": d.JSON,
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return err
		}
		tmp := filepath.Join(dir, "."+name)
		if err := afero.WriteFile(disk, tmp, b.Bytes(), 0o644); err != nil {
			return err
		}
		if err := disk.Rename(tmp, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// How many of those that wait are listed with the reason.
const nextShown = 20

// compose makes the digest of this moment.
func (s *session) compose(now time.Time) *status.Digest {
	d := &status.Digest{
		Time: status.Time{Time: now}, Slots: s.conf.Slots,
		Monitor: status.Monitor{
			Version: s.Version, PID: os.Getpid(), Started: status.Time{Time: s.since}, Paused: s.paused, Finishing: s.stop == draining,
			Rounds: s.stats.rounds, Errors: s.stats.errors,
			SlowestRoundSeconds: s.stats.slowRound.Seconds(), SlowestCommitSeconds: s.stats.slowCommit.Seconds(),
		},
		Jobs: map[string]status.Type{},
	}
	d.Trouble = s.woes()
	if free, err := s.sp.Root.Free(); err == nil {
		d.Monitor.FreeBytes = free
	}
	for q := range spool.Queues {
		n, ignored := s.count(q)
		d.Queues = append(d.Queues, status.Count{Queue: s.sp.Name(q), N: n})
		d.NotLookedAt += ignored
	}
	for name, t := range s.conf.Jobs {
		d.Jobs[name] = status.Type{Running: s.types[name], Slots: t.Slots}
	}
	for _, j := range s.jobs {
		if !j.unstarted || j.afterwards {
			d.Running = append(d.Running, s.describeJob(j))
		}
	}
	slices.SortFunc(d.Running, byStart)
	s.describeWaiting(d, now)
	d.Recent = append(d.Recent, s.recent...)
	if s.stop == running { // paused, finishing and the like are told by themselves
		d.NotReady = s.mayStart(false)
	}
	return d
}

// describeWaiting lists the first that wait, and the age of the oldest.
func (s *session) describeWaiting(d *status.Digest, now time.Time) {
	var oldest int64
	for _, q := range []spool.Queue{spool.Priority, spool.Wait} {
		for i, e := range s.sp.Oldest(q, nextShown) {
			if i == 0 && (oldest == 0 || e.Enqueued < oldest) {
				oldest = e.Enqueued
			}
			if len(d.Next) < nextShown {
				d.Next = append(d.Next, s.describeEntry(e))
			}
		}
	}
	if oldest > 0 {
		d.OldestWaitingSeconds = max(now.Sub(time.Unix(0, oldest)).Seconds(), 0)
	}
}

func (s *session) describeEntry(e *spool.Entry) status.Job {
	j := status.Job{Name: e.Name, Queue: s.sp.Name(e.Queue), State: stateOf(e.Queue), Size: max(e.Size, 0), Why: s.whyWaits(e)}
	if u, _, err := s.readUnit(e.Queue, e.Name); err == nil && e.State == spool.Accepted {
		j.Title, j.Enqueued, j.Status, j.Try = u.Title, status.At(u.Enqueued), u.Status.Text, u.Status.Try
		j.Steps = stepsOf(s.conf, u)
	}
	return j
}

// describeJob is one that is executing, with the last line of its output.
func (s *session) describeJob(j *job) status.Job {
	out := s.outline(j)
	f, err := s.sp.Run.Open(j.Link())
	if err != nil {
		return out
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil {
		out.Size = st.Size
		b := make([]byte, min(st.Size, 1024))
		if _, err := f.ReadAt(b, st.Size-int64(len(b))); err == nil || err == io.EOF {
			out.Last = status.Strip(tail(b), false)
		}
	}
	return out
}

// outline is what is known of it without a look at its file.
func (s *session) outline(j *job) status.Job {
	out := status.Job{
		Name: j.UOW, Queue: s.sp.Name(spool.Executing), State: status.Running, Title: j.unit.Title,
		Enqueued: status.Time{Time: time.Unix(0, j.Enqueued)}, Try: j.try(), Started: status.Time{Time: j.began},
	}
	if c := j.shown(); c != nil {
		out.PID = c.pid
	}
	if !j.plain() {
		done, all := j.steps()
		out.Steps = &status.Steps{Done: done, All: all}
	}
	if j.out() == 0 && (j.state != working || j.last != nil) {
		out.State, out.Status = status.Ending, j.text
	}
	if j.afterwards {
		out.Queue, out.State, out.Status = s.sp.Name(j.At), status.Ending, "its clean-ups run; it had ended as "+j.text
	}
	return out
}

func stateOf(q spool.Queue) status.State { return states[q] }

var states = [spool.Queues]status.State{
	spool.Wait: status.Waiting, spool.Priority: status.Waiting, spool.Hold: status.Held, spool.Executing: status.Running,
	spool.Done: status.Done, spool.Error: status.Error, spool.Fail: status.Fail, spool.Archive: status.Archived, spool.Trash: status.Trashed,
}

// count is how many UOWs lie in a queue. Ended queues are counted by names alone,
// and only when they changed.
func (s *session) count(q spool.Queue) (n, ignored int) {
	for _, live := range spool.Live {
		if q == live {
			return s.sp.Count(q)
		}
	}
	c := &s.digest.counts[q]
	st, err := s.sp.Dir(q).Now()
	if err != nil {
		s.fault(err)
		return c.n, 0
	}
	began := time.Now()
	if !c.next.IsZero() && st.Mtime == c.mtime && st.Ctime == c.ctime || began.Before(c.next) {
		return c.n, 0
	}
	n, err = CountDir(s.sp, q)
	if err != nil {
		s.fault(err)
		return c.n, 0
	}
	*c = count{n: n, mtime: st.Mtime, ctime: st.Ctime, next: began.Add(100 * time.Since(began))}
	return n, 0
}

// byStart is the order in which those are told of that are executing.
func byStart(a, b status.Job) int {
	return cmp.Or(a.Started.Compare(b.Started.Time), cmp.Compare(a.Name, b.Name))
}

// counts reports whether what lies in a queue under a name counts as a UOW.
func counts(q spool.Queue, name string) bool {
	return !spool.Ignored(name) && !spool.Readme(name) && !(q == spool.Trash && filepath.Ext(name) == ".why")
}

// CountDir counts the UOWs of a queue by their names.
func CountDir(sp *spool.Spool, q spool.Queue) (n int, err error) {
	err = sp.Dir(q).List(func(name durable.Name) bool {
		if counts(q, name.Name) {
			n++
		}
		return true
	})
	if err != nil {
		err = fmt.Errorf("count %s: %w", sp.Name(q), err)
	}
	return n, err
}
