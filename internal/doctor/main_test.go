package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"simplejobq/internal/config"
	"simplejobq/internal/monitor"
	"simplejobq/internal/spool"

	"golang.org/x/sys/unix"
)

// The binaries, built once.
var bin string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if os.Getenv("DOCTOR_TEST_HOG") != "" {
		return hog()
	}
	if root := os.Getenv("DOCTOR_TEST_ROOT"); root != "" {
		// This test binary as another user.
		e := exam(root, config.Default())
		e.Runner = os.Getenv("DOCTOR_TEST_RUNNER")
		if err := json.NewEncoder(os.Stdout).Encode(e.Look()); err != nil {
			return 1
		}
		return 0
	}
	var err error
	if bin, err = os.MkdirTemp("", "doctor"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	_ = os.Chmod(bin, 0o755) // for others, too
	if out, err := exec.Command("go", "build", "-o", bin, "simplejobq/cmd/runner", "simplejobq/cmd/monitor").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// hog takes all inotify instances its user may have, until its input ends.
func hog() int {
	for {
		if _, err := unix.InotifyInit1(unix.IN_CLOEXEC); err != nil {
			break
		}
	}
	fmt.Println("ready")
	_, _ = io.ReadAll(os.Stdin)
	return 0
}

func exam(root string, c *config.Config) *Exam {
	c.Root = root
	c.Ready.FreeSpace = 0
	return &Exam{Conf: c, File: filepath.Join(root, "config.toml"), Options: []string{"--root", root}, Version: "(devel)", Runner: filepath.Join(bin, "runner"), Now: time.Now()}
}

// box makes a spool below dir, in order.
func box(t *testing.T, dir string) (root string) {
	t.Helper()
	root = filepath.Join(dir, "q")
	must(t, os.Mkdir(root, 0o755))
	must(t, os.Chmod(root, 0o755))
	c := config.Default()
	c.Root = root
	must(t, spool.Make(monitor.Layout(c)))
	must(t, os.Mkdir(filepath.Join(root, "status"), 0o755))
	return root
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// finds fails unless there is a finding of that level about that with those words,
// and with something to do if it is not good.
func finds(t *testing.T, found []Finding, level Level, about, words string) {
	t.Helper()
	for _, f := range found {
		if f.Level != Good && f.Do == "" {
			t.Errorf("nothing to do: %+v", f)
		}
	}
	if !slices.ContainsFunc(found, func(f Finding) bool {
		return f.Level == level && f.About == about && strings.Contains(f.Text+"; do: "+f.Do, words)
	}) {
		t.Errorf("no finding %s about %s with %q in:\n%s", level, about, words, text(found))
	}
}

// none fails if anything is wrong.
func none(t *testing.T, found []Finding) {
	t.Helper()
	if Ill(found) {
		t.Errorf("something is wrong:\n%s", text(found))
	}
}

func text(found []Finding) string {
	var b strings.Builder
	_ = Output{All: true}.Write(&b, found)
	return b.String()
}

// mounted mounts something at a new directory for the length of a test.
func mounted(t *testing.T, source, kind string, flags uintptr, data string) (point string) {
	t.Helper()
	point = t.TempDir()
	mountAt(t, source, point, kind, flags, data)
	must(t, os.Chmod(point, 0o755))
	return point
}

func mountAt(t *testing.T, source, point, kind string, flags uintptr, data string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	if err := unix.Mount(source, point, kind, flags, data); err != nil {
		t.Fatalf("mount %s: %v", kind, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// disk is a file system of that kind in a file, mounted with those options.
func disk(t *testing.T, kind, options string, mkfs ...string) (point string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	image, point := filepath.Join(t.TempDir(), "image"), t.TempDir()
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, 64<<20))
	command(t, append(append([]string{"mkfs." + kind, "-q"}, mkfs...), image)...)
	command(t, "mount", "-o", "loop,"+options, image, point)
	t.Cleanup(func() { command(t, "umount", point) })
	must(t, os.Chmod(point, 0o755))
	return point
}

func command(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

// asUser has another user look.
func asUser(t *testing.T, uid uint32, root string) (found []Finding) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("being somebody else needs root")
	}
	out, err := selfAs(t, uid, "DOCTOR_TEST_ROOT="+root, "DOCTOR_TEST_RUNNER="+filepath.Join(bin, "runner"), "TMPDIR=/tmp").Output()
	must(t, err)
	must(t, json.Unmarshal(out, &found))
	return found
}

// selfAs is this test binary as another user's program.
func selfAs(t *testing.T, uid uint32, env ...string) *exec.Cmd {
	t.Helper()
	self := filepath.Join(bin, "doctor.test")
	if _, err := os.Stat(self); err != nil {
		b, err := os.ReadFile("/proc/self/exe")
		must(t, err)
		must(t, os.WriteFile(self, b, 0o755))
	}
	cmd := exec.Command(self)
	cmd.Env, cmd.Dir, cmd.Stderr = append(os.Environ(), env...), "/", os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return cmd
}

// runs has a real monitor work on a spool for the length of a test.
func runs(t *testing.T, root string) *exec.Cmd {
	t.Helper()
	return runsAs(t, root, nil)
}

func runsAs(t *testing.T, root string, who *syscall.Credential) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "monitor"), "--root", root, "run")
	cmd.Stderr, cmd.Dir = os.Stderr, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(root, "status/status.json"))
		return err == nil
	})
	return cmd
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it has not come to pass in 20 s")
		}
	}
}
