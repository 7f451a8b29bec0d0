package habits

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

// People move UOWs between the queues, as fast as they can, and out of
// currently-executing as well, while the monitor claims, runs and ends them: each is
// run once and comes to its end.
func TestMovedAboutWhileItWorks(t *testing.T) {
	t.Parallel()
	x := spool(t, world.Memory(), "slots = 3\n")
	var units []world.Unit
	for i := range world.Pick(60, 300, 3000) {
		u := done(fmt.Sprint("moved-", i), []string{"wait-q", "priority-q", "hold-q"}[i%3], world.Plain(world.Witness+"sleep 0.01"))
		x.Drop(u)
		units = append(units, u)
	}
	m := start(x)
	from := []string{"wait-q", "priority-q", "hold-q", "currently-executing"}
	to := []string{"wait-q", "priority-q", "hold-q", "hold-q", "archive"}
	var movers sync.WaitGroup
	var moves [4]int
	busy := make(chan struct{})
	for m := range moves {
		movers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(m), 2))
			for {
				select {
				case <-busy:
					return
				case <-time.After(time.Duration(rng.Int64N(int64(time.Millisecond)))):
				}
				a, b := from[rng.IntN(len(from))], to[rng.IntN(len(to))]
				if b == "archive" && a != "currently-executing" {
					continue // that would be its end
				}
				here, err := os.ReadDir(filepath.Join(x.Root, a))
				if err != nil || len(here) < 2 {
					continue
				}
				name := here[rng.IntN(len(here))].Name()
				if name == "README" {
					continue
				}
				err = os.Rename(filepath.Join(x.Root, a, name), filepath.Join(x.Root, b, name))
				if err == nil {
					moves[m]++
				} else if !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
			}
		})
	}
	x.Until(patience*2, "most of them have run", func() bool { return len(x.Ran()) > len(units)*3/4 })
	close(busy)
	movers.Wait()
	// Nobody takes out of hold-q but people, nor out of archive what has not run.
	for _, u := range units {
		x.Until(patience, u.Name+" ends", func() bool {
			for _, q := range []string{"hold-q", "archive"} {
				_ = os.Rename(filepath.Join(x.Root, q, u.Name), filepath.Join(x.Root, "wait-q", u.Name))
			}
			return x.There(u.End, u.Name)
		})
	}
	m.stop()
	x.Settled(units, "moved about")
	world.Figures(t, "%d UOWs moved %d times between the queues while they were claimed and ran: each ran once", len(units), moves[0]+moves[1]+moves[2]+moves[3])
}

// A person's hand falls into the middle of a claim: the monitor is stopped at a
// random moment, the file is edited, moved or removed wherever it lies just then,
// and the monitor goes on.
func TestWhileItIsClaimed(t *testing.T) {
	t.Parallel()
	hands := []struct {
		name string
		do   func(path, tmp string, next []byte) error
		// what may come of it if it lay in wait-q, and if it was claimed: how often the
		// old and the new version run, and where the file is then
		queued, claimed outcome
	}{
		{"rm", func(path, _ string, _ []byte) error { return os.Remove(path) }, outcome{0, 0, ""}, outcome{1, 0, "done-q"}},
		{"mv", func(path, _ string, _ []byte) error {
			return os.Rename(path, filepath.Join(filepath.Dir(path), "../hold-q", filepath.Base(path)))
		}, outcome{0, 0, "hold-q"}, outcome{1, 0, "done-q"}},
		{"rename over", func(path, tmp string, next []byte) error {
			return errors.Join(os.WriteFile(tmp, next, 0o644), os.Rename(tmp, path))
		}, outcome{0, 1, "done-q"}, outcome{1, 1, "done-q"}},
		{"in place", func(path, _ string, next []byte) error {
			// Who opens a file that is being read waits, and this reader is stopped.
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|syscall.O_NONBLOCK, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.Write(next)
			return err
		}, outcome{0, 1, "done-q"}, outcome{1, 0, "done-q"}},
		{"chmod", func(path, _ string, _ []byte) error { return os.Chmod(path, 0) }, outcome{1, 0, "done-q"}, outcome{1, 0, "done-q"}},
	}
	var claimed, queued, late int
	var mu sync.Mutex
	each(slices.Collect(numbers(len(hands))), func(h int) {
		hand := hands[h]
		x := spool(t, world.Memory(), "slots = 2\n")
		m := start(x)
		rng := rand.New(rand.NewPCG(uint64(h), 3))
		var names []string
		for i := range world.Pick(12, 150, 3000) {
			name := fmt.Sprintf("%s-%d", strings.ReplaceAll(hand.name, " ", "-"), i)
			x.Drop(world.Unit{Name: name, Drop: "wait-q", Text: version(name, 1)})
			// About as long as it takes to be accepted, claimed and started.
			for end := time.Now().Add(time.Duration(rng.Int64N(int64(12 * time.Millisecond)))); time.Now().Before(end) && !x.There("currently-executing", name); {
				continue
			}
			freeze(t, m.cmd)
			at, legal := "wait-q", []outcome{hand.queued}
			if x.There("currently-executing", name) {
				// The claim may still be given back: it looks whether it got what it read.
				at, legal = "currently-executing", []outcome{hand.claimed, hand.queued}
			}
			err := error(fs.ErrNotExist)
			if x.There(at, name) {
				err = hand.do(filepath.Join(x.Root, at, name), filepath.Join(x.Dir, name), []byte(version(name, 2)))
			}
			_ = m.cmd.Process.Signal(syscall.SIGCONT)
			mu.Lock()
			switch {
			case err != nil: // it had ended, or was being read
				legal = []outcome{{1, 0, "done-q"}}
				late++
			case at == "wait-q":
				queued++
			default:
				claimed++
			}
			mu.Unlock()
			came := outcome{}
			for end := time.Now().Add(patience); !came.among(legal); time.Sleep(time.Millisecond) {
				if came = outcomeOf(x, name); time.Now().After(end) {
					t.Errorf("%s: it lay in %s, and came to %+v, want one of %+v\n%s", name, at, came, legal, x.Story())
					break
				}
			}
			names = append(names, name)
		}
		// What lies in hold-q now, or nowhere, may be one that runs.
		last := done("last", "wait-q", good)
		x.Drop(last)
		ended(x, []world.Unit{last})
		x.Until(patience, "nothing runs", func() bool {
			links, err := filepath.Glob(filepath.Join(x.Root, ".monitor/run/u*"))
			return err == nil && len(links) == 0
		})
		m.stop()
		for _, name := range names {
			// It has stayed so: nothing of it ran later.
			if came := outcomeOf(x, name); !came.among([]outcome{hand.queued, hand.claimed, {1, 0, "done-q"}}) {
				t.Errorf("%s: came to %+v in the end", name, came)
			}
			forget(x, name)
			_ = os.Remove(filepath.Join(x.Root, "hold-q", name))
		}
		x.Settled([]world.Unit{last}, hand.name)
	})
	world.Figures(t, "%d hands into a UOW that waited and %d into one that was claimed (%d came too late): nothing lost, run twice or by half", queued, claimed, late)
}

// freeze stops a monitor and returns when all its threads stand.
func freeze(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var how unix.WaitStatus
	err := cmd.Process.Signal(syscall.SIGSTOP)
	if err == nil {
		_, err = unix.Wait4(cmd.Process.Pid, &how, unix.WUNTRACED, nil)
	}
	if err != nil || !how.Stopped() {
		t.Errorf("the monitor does not stop: %v, %v", how, err)
	}
}

// outcome is how often the old and the new version of a UOW ran, and where it lies.
type outcome struct {
	old, next int
	end       string
}

func outcomeOf(x *world.World, name string) outcome {
	ran := versions(x, name)
	return outcome{ran[1], ran[2], strings.Join(x.Places(name), ", ")}
}

func (o outcome) among(legal []outcome) bool { return slices.Contains(legal, o) }
