// Package debian builds the Debian package and lives through what becomes of it on a
// machine: installed, upgraded while a job runs, removed, purged.
package debian

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const epoch = "1790000000" // SOURCE_DATE_EPOCH of what is built here

// needs skips a test that needs programs this machine has not.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range append(programs, "dpkg-deb", "scdoc", "make", "git") {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is missing", program)
		}
	}
}

// sources copies the tree to a new directory, as somebody else may have it.
func sources(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "cmd", "internal", "deploy", "docs", "*.md", "*.toml", "LICENSE", "Makefile", "go.mod", "go.sum")
	list.Dir = "../.."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		from := filepath.Join("../..", name)
		st, err := os.Stat(from)
		if os.IsNotExist(err) {
			continue // removed, and git does not know it yet
		}
		text, e := os.ReadFile(from)
		to := filepath.Join(dir, name)
		if err != nil || e != nil || os.MkdirAll(filepath.Dir(to), 0o755) != nil {
			t.Fatal(err, e)
		}
		if err := os.WriteFile(to, text, st.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shell runs a line in a directory, which has to succeed.
func shell(t *testing.T, dir, line string) string {
	t.Helper()
	c := exec.Command("sh", "-ec", line)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// build makes a package of a tree and gives its path.
func build(t *testing.T, dir, before, arch string) string {
	t.Helper()
	shell(t, dir, before+"; make deb GOARCH="+arch+" VERSION=v1.0 DEBVERSION=1.0-1 SOURCE_DATE_EPOCH="+epoch)
	return filepath.Join(dir, "bin", "simple-job-q_1.0-1_"+arch+".deb")
}

var (
	oncePackage sync.Once
	packageText []byte
)

// theDeb is the package for this kind of machine, built once for all tests.
func theDeb(t *testing.T) string {
	t.Helper()
	oncePackage.Do(func() {
		var err error
		if packageText, err = os.ReadFile(build(t, sources(t), "umask 022", "amd64")); err != nil {
			t.Fatal(err)
		}
	})
	if packageText == nil {
		t.Skip("the package could not be built")
	}
	path := filepath.Join(t.TempDir(), "simple-job-q_1.0-1_amd64.deb")
	if err := os.WriteFile(path, packageText, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// nextDeb is the same as version 1.1, with another configuration.
func nextDeb(t *testing.T, deb string) string {
	t.Helper()
	dir := t.TempDir()
	shell(t, dir, `dpkg-deb -R `+deb+` root
sed -i 's/^Version: .*/Version: 1.1-1/' root/DEBIAN/control
echo "# of version 1.1" >> root/etc/simple-job-q/config.toml
dpkg-deb --root-owner-group -Znone -b root next.deb`)
	return filepath.Join(dir, "next.deb")
}

// The same tree gives the same package, whoever builds it wherever.
func TestReproducible(t *testing.T) {
	needs(t)
	one, err := os.ReadFile(theDeb(t))
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile(build(t, sources(t), "umask 077; export TZ=Asia/Tokyo LC_ALL=C.UTF-8 HOSTNAME=other USER=other", "amd64"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Errorf("two builds of the same tree differ: %d and %d bytes", len(one), len(two))
	}
}

func TestLintian(t *testing.T) {
	needs(t, "lintian")
	out, err := exec.Command("lintian", "--allow-root", "--fail-on", "error,warning", theDeb(t)).CombinedOutput()
	if err != nil {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

func TestOtherMachine(t *testing.T) {
	needs(t)
	deb := build(t, sources(t), "umask 022", "arm64")
	dir := t.TempDir()
	if got := shell(t, dir, "dpkg-deb -f "+deb+" Architecture; dpkg-deb -x "+deb+" ."); got != "arm64\n" {
		t.Errorf("it is for %q", got)
	}
	for _, name := range []string{"usr/bin/monitor", "usr/libexec/simple-job-q/runner"} {
		f, err := elf.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Machine != elf.EM_AARCH64 || f.Section(".interp") != nil {
			t.Errorf("%s is for %v, or needs a loader", name, f.Machine)
		}
	}
}

func files(t *testing.T, root string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var st fs.FileInfo
			if st, err = d.Info(); err == nil {
				name, _ := filepath.Rel(root, path)
				all = append(all, fmt.Sprintf("%v %s", st.Mode(), strings.TrimSuffix(name, ".gz")))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// make install puts the same in place, but for what is Debian's alone.
func TestInstall(t *testing.T) {
	needs(t)
	deb, tree, dir := theDeb(t), sources(t), t.TempDir()
	shell(t, tree, "make install DESTDIR="+dir+"/made PREFIX=/usr VERSION=v1.0 SOURCE_DATE_EPOCH="+epoch)
	shell(t, dir, "dpkg-deb -x "+deb+" deb")
	ofDebian := func(name string) bool {
		return strings.Contains(name, "lintian") || strings.HasSuffix(name, "/copyright") || strings.Contains(name, "/changelog")
	}
	got := files(t, filepath.Join(dir, "made"))
	for i := range got {
		got[i] = strings.Replace(got[i], "zsh/site-functions", "zsh/vendor-completions", 1)
	}
	slices.Sort(got)
	if diff := cmp.Diff(slices.DeleteFunc(files(t, filepath.Join(dir, "deb")), ofDebian), got); diff != "" {
		t.Errorf("package (-) against make install (+):\n%s", diff)
	}
	unit, err := os.ReadFile(filepath.Join(dir, "made/usr/lib/systemd/system/simple-job-q.service"))
	if err != nil || !strings.Contains(string(unit), "\nExecStart=/usr/bin/monitor run ") {
		t.Errorf("the unit starts something else: %v\n%s", err, unit)
	}
	// What an administrator changed is kept.
	config := filepath.Join(dir, "made/etc/simple-job-q/config.toml")
	if err := os.WriteFile(config, []byte("slots = 3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	shell(t, tree, "make install DESTDIR="+dir+"/made PREFIX=/usr VERSION=v1.0 SOURCE_DATE_EPOCH="+epoch)
	if text, _ := os.ReadFile(config); string(text) != "slots = 3\n" {
		t.Errorf("a changed configuration became %q", text)
	}
}
