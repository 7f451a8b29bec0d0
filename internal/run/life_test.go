package run

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"simplejobq/internal/durable"

	"golang.org/x/sys/unix"
)

func unixForkExec(path string, argv, env []string) (int, error) {
	return syscall.ForkExec(path, argv, &syscall.ProcAttr{Env: env, Sys: &syscall.SysProcAttr{Setsid: true}})
}

func openRecord(t *testing.T, dir, name string) *Record {
	t.Helper()
	d, err := durable.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenRecord(d, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); d.Close() })
	return r
}

func wait(t *testing.T, r *Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Wait(ctx); err != nil {
		t.Fatalf("waiting for the record: %v", err)
	}
}

func TestOneAfterAnother(t *testing.T) {
	k := newKept(t)
	for i := range 50 {
		s := k.spec("/bin/true")
		if i == 0 {
			s.Argv = sh("sleep 0.2")
		}
		k.launch(s)
		if i == 0 {
			if err := k.runner.Launch(s); !errors.Is(err, ErrBusy) {
				t.Fatalf("a second launch: %v", err)
			}
		}
		if e := k.ended(s); e.Reason != Exit {
			t.Fatalf("run %d ended %+v", i, e)
		}
		if err := k.runner.Ack(s.Run); err != nil {
			t.Fatal(err)
		}
	}
	rec := k.runner.Record()
	if locked, err := rec.Locked(); !locked || err != nil {
		t.Errorf("locked %v, %v", locked, err)
	}
	if err := rec.Remove("test:remove"); err == nil {
		t.Error("a record that is held was removed")
	}
	// Idle and nothing to collect: it goes and leaves nothing.
	k.runner.Close()
	if g, ok := k.next().(Gone); !ok || g.Err != nil || !g.Reaped {
		t.Errorf("gone: %+v", g)
	}
	if _, err := os.Stat(k.dir.Join(rec.Name())); !os.IsNotExist(err) {
		t.Errorf("the record is still there: %v", err)
	}
	if err := k.runner.Launch(k.spec("/bin/true")); !errors.Is(err, ErrClosed) {
		t.Errorf("a launch after that: %v", err)
	}
}

func TestAnEndNobodyTookIsKept(t *testing.T) {
	k := newKept(t)
	s := k.spec("/bin/true")
	k.run(s)
	k.runner.Close()
	if g, ok := k.next().(Gone); !ok || g.Err != nil {
		t.Errorf("gone: %+v", g)
	}
	rec := k.runner.Record()
	wait(t, rec)
	if start, _, end, err := rec.Read(); err != nil || start.Run != s.Run || end == nil || end.Text == "" {
		t.Errorf("the record says %+v %+v %v", start, end, err)
	}
	// The next start makes that end no end.
	if err := rec.WriteStart(Start{Run: k.ids.Next(), UOW: "next"}); err != nil {
		t.Fatal(err)
	}
	if start, live, end, err := rec.Read(); err != nil || end != nil || live.MayHaveRun(start.Run) {
		t.Errorf("the record says %+v %+v %+v %v; want never started", start, live, end, err)
	}
}

func TestKill(t *testing.T) {
	k := newKept(t)
	s := k.spec(sh("trap 'echo bye; exit 5' TERM; echo on; sleep 300 & wait")...)
	k.launch(s)
	k.started(s)
	eventually(t, "the trap is set", func() bool { return strings.Contains(k.log(s), "on\n") })
	if err := k.runner.Kill("killed by request"); err != nil {
		t.Fatal(err)
	}
	e := k.ended(s)
	if e.Reason != Killed || e.Exit != 5 || !strings.HasPrefix(e.Text, "killed by request after ") || !strings.Contains(k.log(s), "bye\n") {
		t.Errorf("ended %+v:\n%s", e, k.log(s))
	}
	if e := k.run(k.spec("/bin/true")); e.Reason != Exit {
		t.Errorf("the next one ended %+v", e)
	}
	if err := k.runner.Kill("nobody"); err != nil {
		t.Errorf("a kill with nothing to kill: %v", err)
	}
}

// The monitor goes, the run goes on, the next monitor kills it.
func TestAdoptedAndKilled(t *testing.T) {
	k := newKept(t)
	s := k.spec(sh("sleep 300")...)
	k.launch(s)
	k.started(s)
	k.runner.Close()
	if g, ok := k.next().(Gone); !ok || g.Reaped || g.Err != nil {
		t.Errorf("gone: %+v; want not reaped", g)
	}
	rec := openRecord(t, k.dir.Path(), k.runner.Record().Name())
	if locked, err := rec.Locked(); !locked || err != nil {
		t.Fatalf("locked %v, %v", locked, err)
	}
	if err := rec.RequestKill(s.Run, "killed by request"); err != nil {
		t.Fatal(err)
	}
	if err := rec.Terminate(); err != nil {
		t.Fatal(err)
	}
	wait(t, rec)
	_, _, end, err := rec.Read()
	if err != nil || end == nil || end.Reason != Killed || !strings.HasPrefix(end.Text, "killed by request after ") {
		t.Errorf("the record says %+v, %v", end, err)
	}
	if err := rec.Terminate(); err != nil {
		t.Errorf("ending it again: %v", err)
	}
	reap(k.runner.PID())
}

func reap(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

func TestTerminatedFromOutside(t *testing.T) {
	for name, c := range map[string]struct {
		command string
		both    bool // the job gets the signal first, as at a reboot
	}{
		"runner only": {"sleep 300", false},
		"both":        {"exec sleep 300", true},
		"both, shell": {"sleep 300; exit 1", true},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKept(t)
			s := k.spec(sh(c.command)...)
			k.launch(s)
			pid := k.started(s)
			if c.both {
				_ = unix.Kill(pid, unix.SIGTERM)
			}
			if err := unix.Kill(k.runner.PID(), unix.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if e := k.ended(s); e.Reason != Terminated || !strings.HasPrefix(e.Text, "interrupted: terminated from outside after ") {
				t.Errorf("ended %+v", e)
			}
			if g, ok := k.next().(Gone); !ok || !g.Reaped {
				t.Errorf("gone: %+v", g)
			}
			nobodyLeft(t, s.Run)
		})
	}
	t.Run("idle", func(t *testing.T) {
		k := newKept(t)
		if err := unix.Kill(k.runner.PID(), unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if g, ok := k.next().(Gone); !ok || !g.Reaped {
			t.Errorf("gone: %+v", g)
		}
	})
}

func TestOtherSignalsAreSurvived(t *testing.T) {
	k := newKept(t)
	s := k.spec(sh("read x < fifo; echo $x; exit 3")...)
	s.Dir = k.dir.Path()
	if err := unix.Mkfifo(k.dir.Join("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.launch(s)
	k.started(s)
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGHUP, unix.SIGPIPE} {
		if err := unix.Kill(k.runner.PID(), sig); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(k.dir.Join("fifo"), []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	if e := k.ended(s); e.Reason != Exit || e.Exit != 3 || !strings.Contains(k.log(s), "\ngo\n") {
		t.Errorf("ended %+v", e)
	}
}

// kill -9 of the runner: what it started dies or is found.
func TestRunnerIsKilled(t *testing.T) {
	k := newKept(t)
	s := k.spec(sh("setsid sleep 300 & env -i sleep 301 & echo on; sleep 302")...)
	k.launch(s)
	job := k.started(s)
	eventually(t, "it is on", func() bool { return strings.Contains(k.log(s), "on\n") && ours(t, k) == 4 })
	rec := k.runner.Record()
	if err := unix.Kill(k.runner.PID(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	g, ok := k.next().(Gone)
	if !ok || !g.Reaped || g.Err == nil || !strings.Contains(g.Err.Error(), "SIGKILL") {
		t.Errorf("gone: %+v", g)
	}
	if locked, err := rec.Locked(); locked || err != nil {
		t.Errorf("locked %v, %v", locked, err)
	}
	start, live, end, err := rec.Read()
	if err != nil || end != nil || !live.MayHaveRun(start.Run) || live.PID != job || live.Runner != k.runner.PID() {
		t.Errorf("the record says %+v %+v %+v %v", start, live, end, err)
	}
	eventually(t, "the first process is dead", func() bool { p, err := Process(job); return err != nil || p.Dead() })
	if n, err := KillTree(s.Run, live); n < 2 || err != nil {
		t.Errorf("KillTree: %d, %v; want all three sleeps but the one that went", n, err)
	}
	if tree, err := treeOf(s.Run, live); err != nil || len(tree) > 0 {
		t.Errorf("left: %+v, %v", tree, err)
	}
	if err := rec.Remove("test:remove"); err != nil {
		t.Error(err)
	}
}

// kill -9 of the monitor: the run goes on to its end, which is on disk.
func TestMonitorIsKilled(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "u1"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := asRole("monitor", append([]string{runnerPath, dir}, sh("echo begun; read x < "+dir+"/fifo; echo $x; exit 7")...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	name, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	rec := openRecord(t, dir, strings.TrimSpace(name))
	if locked, err := rec.Locked(); !locked || err != nil {
		t.Fatalf("locked %v, %v; want it to be adopted", locked, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- rec.Wait(ctx) }()
	cancel()
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that is called off: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fifo"), []byte("more\n"), 0); err != nil {
		t.Fatal(err)
	}
	wait(t, rec)
	start, _, end, err := rec.Read()
	if err != nil || end == nil || end.Run != start.Run || end.Exit != 7 || end.Reason != Exit {
		t.Errorf("the record says %+v %+v %v", start, end, err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "u1"))
	if err != nil || !strings.Contains(string(log), "\nbegun\nmore\n---- ") || !strings.HasSuffix(string(log), ": "+end.Text+"\n") {
		t.Errorf("the log is %q, %v", log, err)
	}
}

// What was sent whole is carried out though its sender is gone; what was not is
// no launch.
func TestMonitorGoesRightAfterTheLaunch(t *testing.T) {
	k := newKept(t)
	s := k.spec(sh("exit 9")...)
	k.launch(s)
	k.runner.Close()
	<-k.runner.Done()
	wait(t, k.runner.Record())
	if _, _, end, err := k.runner.Record().Read(); err != nil || end == nil || end.Exit != 9 {
		t.Errorf("the record says %+v, %v", end, err)
	}
	reap(k.runner.PID())

	for what, send := range map[string]func(whole []byte) []byte{
		"half a launch": func(whole []byte) []byte { return whole[:len(whole)-1] },
		"nonsense":      func([]byte) []byte { return AppendMessage(nil, 'Z', []byte("?")) },
		"no spec":       func([]byte) []byte { return AppendMessage(nil, MsgLaunch, []byte("run=1\x00")) },
		"endless":       func([]byte) []byte { return []byte{MsgLaunch, 0xff, 0xff, 0xff, 0xff} },
	} {
		k := newKept(t)
		s := k.spec("/usr/bin/touch", k.dir.Join("ran"))
		b, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := k.runner.Record().WriteStart(Start{Run: s.Run}); err != nil {
			t.Fatal(err)
		}
		if _, err := k.runner.conn.Write(send(AppendMessage(nil, MsgLaunch, b))); err != nil {
			t.Fatal(err)
		}
		k.runner.Close()
		if g, ok := k.next().(Gone); !ok || !g.Reaped {
			t.Errorf("%s: %+v", what, g)
		}
		start, live, end, err := k.runner.Record().Read()
		if err != nil || start.Run != s.Run || live.MayHaveRun(s.Run) || end != nil {
			t.Errorf("%s: the record says %+v %+v %+v %v; want never started", what, start, live, end, err)
		}
		if _, err := os.Stat(k.dir.Join("ran")); !os.IsNotExist(err) {
			t.Errorf("%s: it ran", what)
		}
	}
}

// Wait finds the end soon, whether or not it can see the process.
func TestWaitFollowsTheLock(t *testing.T) {
	d, err := durable.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	own, err := CreateRecord(d)
	if err != nil {
		t.Fatal(err)
	}
	own.live.Runner = 0
	if err := own.writeLive(); err != nil {
		t.Fatal(err)
	}
	rec := openRecord(t, d.Path(), own.Name())
	done := make(chan error)
	go func() { done <- rec.Wait(context.Background()) }()
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	own.rec.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
