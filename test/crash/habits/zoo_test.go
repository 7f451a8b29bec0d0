package habits

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/test/crash/world"
)

// fate is what becomes of something that lies in a live queue.
type fate int

const (
	refused fate = iota // in trash as it was, with a reason
	runs                // once, and ends in done-q; from hold-q not before somebody moves it
	stays               // it is none of the monitor's business, or not yet
	parked              // in hold-q it stays, elsewhere it is refused: text is judged when it leaves
)

// animal is something a user may put into a directory.
type animal struct {
	name string
	fate fate
	why  string // is part of the reason, or of what is said of one that stays
	make func(path string) error
}

func text(s string) func(string) error {
	return func(path string) error { return os.WriteFile(path, []byte(s), 0o644) }
}

func node(mode uint32, dev uint64) func(string) error {
	return func(path string) error { return unix.Mknod(path, mode|0o666, int(dev)) }
}

func link(to string) func(string) error {
	return func(path string) error { return os.Symlink(to, path) }
}

func withMode(mode os.FileMode) func(string) error {
	return func(path string) error {
		if err := os.WriteFile(path, []byte(world.Plain(world.Witness)), 0o644); err != nil {
			return err
		}
		return os.Chmod(path, mode)
	}
}

// sparse is a text with a hole of n bytes behind it, and perhaps more behind that.
func sparse(before string, n int64, after string) func(string) error {
	return func(path string) error {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err = f.WriteString(before); err == nil {
			err = f.Truncate(int64(len(before)) + n)
		}
		if err == nil {
			_, err = f.WriteAt([]byte(after), int64(len(before))+n)
		}
		return err
	}
}

// withACL has an access list beyond its mode: user::rw-, user:4321:r--, group::r--,
// mask::r--, other::r--.
func withACL(path string) error {
	if err := withMode(0o644)(path); err != nil {
		return err
	}
	err := unix.Setxattr(path, acl, []byte(accessList), 0)
	if err == unix.EOPNOTSUPP {
		return nil
	}
	return err
}

const (
	acl        = "system.posix_acl_access"
	accessList = "\x02\x00\x00\x00" +
		"\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xe1\x10\x00\x00" + "\x04\x00\x04\x00\xff\xff\xff\xff" +
		"\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x04\x00\xff\xff\xff\xff"
)

var good = world.Plain(world.Witness)

func utf16(order string) string {
	b := order
	for _, c := range []byte(good) {
		if order == "\xff\xfe" {
			b += string([]byte{c, 0})
		} else {
			b += string([]byte{0, c})
		}
	}
	return b
}

// bodies are what things may be; their names are harmless.
func bodies(x *world.World) []animal {
	inside := func(path string) error {
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		return text(good)(filepath.Join(path, "inside"))
	}
	return []animal{
		{"fifo", refused, "is a FIFO", func(p string) error { return unix.Mkfifo(p, 0o666) }},
		{"socket", refused, "is a socket", node(unix.S_IFSOCK, 0)},
		{"null", refused, "is a device", node(unix.S_IFCHR, unix.Mkdev(1, 3))},
		{"block", refused, "is a device", node(unix.S_IFBLK, unix.Mkdev(7, 77))},
		{"directory", refused, "is a directory", inside},
		{"link-to-file", refused, "is a symbolic link", link(filepath.Join(x.W, "target"))},
		{"link-dangling", refused, "is a symbolic link", link("nowhere")},
		{"link-loop", refused, "is a symbolic link", func(p string) error { return os.Symlink(filepath.Base(p), p) }},
		{"link-to-passwd", refused, "is a symbolic link", link("/etc/passwd")},
		{"link-to-queue", refused, "is a symbolic link", link("../wait-q")},
		{"link-to-zero", refused, "is a symbolic link", link("/dev/zero")},

		{"empty", stays, "the file is empty", text("")},
		{"blank", stays, "the file is empty", text("\n\r\n  \t\n")},
		{"binary", parked, "is not UTF-8", text("\x7fELF\x02\x01\x01\x00\xc3\x28\n\x80\x81\x82\x00\x01\n")},
		{"bom", parked, "byte order mark", text("\xef\xbb\xbf" + good)},
		{"utf-16le", parked, "UTF-16", text(utf16("\xff\xfe"))},
		{"utf-16be", parked, "UTF-16", text(utf16("\xfe\xff"))},
		{"mac", parked, "carriage return", text(strings.ReplaceAll(good, "\n", "\r"))},
		{"hole", parked, "control character", sparse(good, 4096, "TITLE :: behind a hole\n")},
		{"nuls", parked, "control character", sparse(good, 100, "")},
		{"10-gb", parked, "more than 1MiB before the log", sparse("", 10<<30, "")},
		{"10-gb-header", parked, "more than 1MiB before the log", sparse(good, 10<<30, "\n==== JOB LOG\n")},
		{"one-line", parked, "is neither a timestamp nor a title", text(strings.Repeat("x", 1<<20))},
		{"long-line", parked, "more than 1MiB before the log", text(good + "PAD :: " + strings.Repeat("x", 1<<20))},
		{"huge", parked, "more than 1MiB before the log", text(good + lines("huge", 20_000))},

		{"crlf", runs, "", text(strings.ReplaceAll(good, "\n", "\r\n"))},
		{"open-end", runs, "", text(strings.TrimSuffix(good, "\n"))},
		{"big", runs, "", text(good + lines("big", 10_000))},
		{"set-uid", runs, "", withMode(0o755 | os.ModeSetuid | os.ModeSetgid | os.ModeSticky)},
		{"no-mode", runs, "", withMode(0)},
		{"read-only", runs, "", withMode(0o444)},
		{"acl", runs, "", withACL},
		{"10-gb-log", runs, "", sparse(world.Complete(world.Witness, ""), 10<<30, "")},
	}
}

const control = "line break or another control character"

// Names that mean something to somebody, and are plain names here; and those that
// cannot stand in a line, or are not for the monitor. Each is put into one queue.
var names = []animal{
	{"-rf", runs, "", nil}, {"--help", runs, "", nil}, {"-", runs, "", nil},
	{"a b", runs, "", nil}, {"a,b", runs, "", nil}, {"a=b", runs, "", nil}, {"a::b", runs, "", nil},
	{"*", runs, "", nil}, {"?", runs, "", nil}, {"[a]", runs, "", nil}, {"{a,b}", runs, "", nil},
	{"$(touch pwned)", runs, "", nil}, {"`touch pwned`", runs, "", nil}, {";touch pwned;", runs, "", nil},
	{"|touch pwned", runs, "", nil}, {">pwned", runs, "", nil}, {"'\"", runs, "", nil}, {`a\q`, runs, "", nil},
	{"%s%n%d", runs, "", nil}, {"wait-q", runs, "", nil}, {"NUL", runs, "", nil}, {"größe", runs, "", nil},
	{"\U0001f98a", runs, "", nil}, {"\u202egpj", runs, "", nil}, {"~root", runs, "", nil}, {"a#", runs, "", nil},
	{"x.why", runs, "", nil}, {"x~1", runs, "", nil}, {"readme", runs, "", nil}, {"49130", runs, "", nil},
	{strings.Repeat("n", 255), runs, "", nil}, {strings.Repeat("é", 127) + "n", runs, "", nil},

	{"a\nb", refused, control, nil}, {"a\tb", refused, control, nil}, {"\x01\x02\x1b[2J\x7f", refused, control, nil},
	{"a\u0085b", refused, control, nil}, {"a\u2028b", refused, control, nil}, {"\r", refused, control, nil},
	{"bad\xff\xfe", refused, "not valid UTF-8", nil}, {"\xc3", refused, "not valid UTF-8", nil},
	{strings.Repeat("\xff", 255), refused, "not valid UTF-8", nil},

	{".hidden", stays, "", nil}, {"backup~", stays, "", nil}, {".name.swp", stays, "", nil}, {"name.swp", stays, "", nil},
	{"4913", stays, "", nil}, {"a.tmp", stays, "", nil}, {"a.part", stays, "", nil}, {"#auto#", stays, "", nil},
	{"...", stays, "", nil}, {"README", stays, "", nil},
}

// thing is one animal in one queue.
type thing struct {
	animal
	queue, name string
	ino         uint64
	text        string // unless it is no file, or long
}

// Whatever is put into a queue, or called whatever: the monitor does not hang, it
// runs what is a UOW and nothing else, and each thing it refuses lies in trash as
// it was, with the reason. What lies in the queues of ended UOWs is nobody's
// business.
func TestZoo(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: devices can't be made")
	}
	began := time.Now()
	x := spool(t, world.Memory(), "slots = 8\n")
	if err := os.WriteFile(filepath.Join(x.W, "target"), []byte(good), 0o644); err != nil {
		t.Fatal(err)
	}
	var zoo []*thing
	put := func(a animal, queue, name string) {
		path := filepath.Join(x.Root, queue, name)
		if a.make == nil {
			a.make = text(good)
		}
		if err := a.make(path); err != nil {
			t.Fatal(err)
		}
		z := &thing{animal: a, queue: queue, name: name, ino: inode(t, path)}
		if st, err := os.Lstat(path); err == nil && a.fate == runs && st.Size() < 2<<20 {
			z.text = read(path)
		}
		zoo = append(zoo, z)
	}
	all := bodies(x)
	// One half lies there before the monitor starts, the other comes while it works.
	var m *daemon
	for i, queue := range []string{"hold-q", "wait-q", "priority-q", "currently-executing", "done-q", "error-q", "fail-q", "archive", "trash"} {
		if i == 2 {
			m = start(x)
		}
		for _, a := range all {
			switch {
			case a.fate == runs && i > 2: // of those in currently-executing see TestWhileItRuns
			case a.fate == parked && i > 3 && a.name != "binary": // nobody looks at files there
			case a.name == "10-gb-log" && i != 1:
			default:
				put(a, queue, a.name+"-of-"+queue)
			}
		}
	}
	opened := watchOpens(t, x, zoo)
	for i, a := range names {
		put(a, []string{"wait-q", "priority-q"}[i%2], a.name)
		switch {
		case a.fate == stays:
			put(a, "hold-q", a.name)
		case a.fate == refused && len(a.name) < 255:
			put(a, "hold-q", "held-"+a.name)
		}
	}
	// All of it, and still a good one comes to its end.
	after := done("after the zoo", "wait-q", good)
	x.Drop(after)
	ended(x, []world.Unit{after})

	units := []world.Unit{after}
	fates := map[fate]int{}
	for _, z := range zoo {
		live := z.queue == "wait-q" || z.queue == "priority-q"
		f := z.fate
		switch {
		case !live && z.queue != "hold-q", f == parked && z.queue == "hold-q":
			f = stays
		case f == parked:
			f = refused
		}
		fates[f]++
		x.Until(patience, fmt.Sprintf("%q in %s meets its fate", z.name, z.queue), func() bool { return z.met(x, f) })
		if f == runs && z.queue != "hold-q" {
			units = append(units, done(z.name, z.queue, z.text))
		}
	}
	for _, e := range opened() {
		t.Errorf("%s was opened", e)
	}
	if there(x.Root, "pwned") || there(x.Root, "wait-q", "pwned") {
		t.Error("a name was run by a shell")
	}
	if !x.Says("the file is empty") {
		t.Error("an empty file is not said")
	}
	for name, n := range x.Ran() {
		if n != 1 {
			t.Errorf("%q ran %d times", name, n)
		}
	}
	if n := len(x.Ran()); n != len(units) {
		t.Errorf("%d ran, want %d", n, len(units))
	}
	checkKept(t, x)

	// A second start finds it all again and leaves it alone.
	m.stop()
	before := census(t, x)
	x.Once("")
	for path, was := range census(t, x) {
		if before[path] != was {
			t.Errorf("one more start changed %q: %v, was %v", path, was, before[path])
		}
		delete(before, path)
	}
	for path := range before {
		t.Errorf("one more start removed %q", path)
	}
	// A person puts away what the checker can't read, and it judges the rest.
	for _, z := range zoo {
		if z.fate == runs && z.queue != "hold-q" && z.name != "10-gb-log-of-wait-q" && !strings.HasPrefix(z.name, "crlf-") {
			continue
		}
		for _, q := range []string{z.queue, "trash", "done-q"} {
			_ = os.RemoveAll(filepath.Join(x.Root, q, z.name))
			_ = os.RemoveAll(filepath.Join(x.Root, q, why(z.name)))
		}
		units = slices.DeleteFunc(units, func(u world.Unit) bool { return u.Name == z.name })
	}
	x.Settled(units, "the zoo")
	world.Figures(t, "%d things in 9 queues: %d refused with their reason, %d run once, %d left alone; 0 hangs, 0 opened, %v",
		len(zoo), fates[refused], fates[runs], fates[stays], time.Since(began).Round(time.Second))
}

// met reports whether it came to pass; a thing that is not where it ought to be may
// still come there.
func (z *thing) met(x *world.World, f fate) bool {
	at := func(queue string) bool {
		var st unix.Stat_t
		err := unix.Lstat(filepath.Join(x.Root, queue, z.name), &st)
		return err == nil && (st.Ino == z.ino || f == runs) // one that is completed is a copy
	}
	switch {
	case f == refused:
		return at("trash") && strings.Contains(read(x.Root, "trash", why(z.name)), z.why)
	case f == runs && z.queue != "hold-q":
		return at("done-q")
	}
	return at(z.queue)
}

// why is the name of the reason beside a refused file, which has to fit.
func why(name string) string {
	if len(name) <= 251 {
		return name + ".why"
	}
	return name[:124] + "…" + name[len(name)-124:] + ".why"
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// census is everything in the queues, without opening any of it.
func census(t *testing.T, x *world.World) map[string]string {
	t.Helper()
	all := map[string]string{}
	queues, err := filepath.Glob(filepath.Join(x.Root, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queues {
		entries, err := os.ReadDir(q)
		if err != nil || filepath.Base(q) == "status" || filepath.Base(q) == ".monitor" {
			continue
		}
		for _, e := range entries {
			var st unix.Stat_t
			if err := unix.Lstat(filepath.Join(q, e.Name()), &st); err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(q)+"/"+e.Name()] = fmt.Sprintf("inode %d mode %o size %d links %d", st.Ino, st.Mode, st.Size, st.Nlink)
		}
	}
	return all
}

// watchOpens tells which of the things that must not be opened were: opening a
// device does something to it, and a FIFO keeps its opener waiting.
func watchOpens(t *testing.T, x *world.World, zoo []*thing) (opened func() []string) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	watched := map[int]string{}
	watch := func(path string) {
		wd, err := unix.InotifyAddWatch(fd, path, unix.IN_OPEN|unix.IN_DONT_FOLLOW)
		if err != nil {
			t.Fatalf("watch %s: %v", path, err)
		}
		watched[wd] = path
	}
	watch(filepath.Join(x.W, "target"))
	for _, z := range zoo {
		path := filepath.Join(x.Root, z.queue, z.name)
		var st unix.Stat_t
		if unix.Lstat(path, &st) != nil {
			continue // it is in trash already
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFIFO, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFSOCK:
			watch(path)
		}
	}
	return func() (out []string) {
		buf := make([]byte, 1<<16)
		n, err := unix.Read(fd, buf)
		if err != nil {
			return nil
		}
		for at := 0; at < n; {
			wd := int(int32(uint32(buf[at]) | uint32(buf[at+1])<<8 | uint32(buf[at+2])<<16 | uint32(buf[at+3])<<24))
			size := int(uint32(buf[at+12]) | uint32(buf[at+13])<<8)
			out = append(out, watched[wd])
			at += unix.SizeofInotifyEvent + size
		}
		return out
	}
}

// checkKept looks at what an accepted file keeps of its owner's wishes.
func checkKept(t *testing.T, x *world.World) {
	t.Helper()
	for _, q := range []string{"wait-q", "priority-q"} {
		path := filepath.Join(x.Root, "done-q", "acl-of-"+q)
		b := make([]byte, 256)
		n, err := unix.Getxattr(path, acl, b)
		if err != unix.EOPNOTSUPP && string(b[:max(n, 0)]) != accessList {
			t.Errorf("the access list is %x, %v", b[:max(n, 0)], err)
		}
		st, err := os.Stat(filepath.Join(x.Root, "done-q", "set-uid-of-"+q))
		if err != nil || st.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
			t.Errorf("set-id bits were handed on to our copy: %v, %v", st.Mode(), err)
		}
	}
}

// What lies under the name that a UOW is to get is nothing that may be lost,
// whatever it is.
func TestNamesTaken(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: devices can't be made")
	}
	x := spool(t, world.Memory(), "slots = 4\n")
	taken := map[string]func(string) error{
		"fifo":      func(p string) error { return unix.Mkfifo(p, 0o666) },
		"device":    node(unix.S_IFCHR, unix.Mkdev(1, 3)),
		"directory": func(p string) error { return os.MkdirAll(filepath.Join(p, "below"), 0o755) },
		"dangling":  link("nowhere"),
		"passwd":    link("/etc/passwd"),
		"file":      text("somebody's file\n"),
	}
	inodes := map[string]uint64{}
	var units []world.Unit
	for _, name := range slices.Sorted(maps.Keys(taken)) {
		bad := "bad-" + name
		for _, place := range []string{"done-q/" + name, "currently-executing/" + name, "trash/" + bad, "trash/" + bad + ".why"} {
			path := filepath.Join(x.Root, place)
			if err := taken[name](path); err != nil {
				t.Fatal(err)
			}
			inodes[place] = inode(t, path)
		}
		u := done(name, "wait-q", good)
		x.Drop(u)
		x.Drop(world.Unit{Name: bad, Drop: "wait-q", Text: "no unit of work\n"})
		units = append(units, u, world.Unit{Name: bad})
	}
	m := start(x)
	for _, u := range units {
		queue := map[bool]string{true: "trash", false: "done-q"}[strings.HasPrefix(u.Name, "bad-")]
		x.Until(patience, u.Name+" takes its name", func() bool {
			st, err := os.Lstat(filepath.Join(x.Root, queue, u.Name))
			return err == nil && st.Mode().IsRegular() && uint64(st.Sys().(*syscall.Stat_t).Ino) != inodes[queue+"/"+u.Name]
		})
	}
	m.stop()
	for place, ino := range inodes {
		at := place
		switch dir, name, _ := strings.Cut(place, "/"); {
		case dir == "done-q", strings.HasPrefix(name, "bad-") && !strings.HasSuffix(name, ".why"):
			at += "~1"
		case dir == "trash":
			at = "trash/" + strings.TrimSuffix(name, ".why") + "~1.why"
		}
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(x.Root, at), &st); err != nil || st.Ino != ino {
			t.Errorf("what was %s is not at %s: inode %d, want %d, %v", place, at, st.Ino, ino, err)
		}
	}
	for name, n := range x.Ran() {
		if n != 1 {
			t.Errorf("%s ran %d times", name, n)
		}
	}
	if len(x.Ran()) != len(taken) {
		t.Errorf("%d of %d ran", len(x.Ran()), len(taken))
	}
}

// One file under many names is as many UOWs, each of which gets a file of its own;
// names of it elsewhere are never written to.
func TestManyHardLinks(t *testing.T) {
	t.Parallel()
	x := spool(t, world.Memory(), "slots = 4\n")
	n := world.Pick(20, 200, 2000)
	template := filepath.Join(x.Dir, "template")
	if err := text(summed("template", 3))(template); err != nil {
		t.Fatal(err)
	}
	m := start(x)
	var units []world.Unit
	for i := range n {
		u := done(fmt.Sprint("link-", i), []string{"wait-q", "priority-q"}[i%2], summed("template", 3))
		if err := os.Link(template, filepath.Join(x.Root, u.Drop, u.Name)); err != nil {
			t.Fatal(err)
		}
		units = append(units, u)
	}
	ended(x, units)
	m.stop()
	if read(template) != summed("template", 3) {
		t.Errorf("the template was written to: %q", read(template))
	}
	x.Settled(units, "hard links")
}

// A file that the monitor may not read, or may not move, waits until it may; it is
// said, and holds up nobody.
func TestNotAllowed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: no files of other users can be made")
	}
	x := spool(t, os.TempDir(), "slots = 4\n")
	// Another user's monitor: his are the spool and what it says, not the files.
	const nobody = 65534
	if err := os.Chmod(world.Bin, 0o755); err != nil {
		t.Fatal(err)
	}
	sh(t, x.Dir, fmt.Sprintf("chown -R %d .", nobody))
	drop := func(name string, mode os.FileMode) world.Unit {
		u := done(name, "wait-q", good)
		x.Drop(u)
		if err := os.Chmod(filepath.Join(x.Root, "wait-q", name), mode); err != nil {
			t.Fatal(err)
		}
		return u
	}
	units := []world.Unit{drop("secret", 0), drop("private", 0o600), drop("readable", 0o644)}
	immovable := drop("immutable", 0o644)
	path := filepath.Join(x.Root, "wait-q", immovable.Name)
	if err := os.Chown(path, nobody, nobody); err != nil { // what is not its own takes 5 s
		t.Fatal(err)
	}
	if err := exec.Command("chattr", "+i", path).Run(); err == nil {
		t.Cleanup(func() { _ = exec.Command("chattr", "-i", path).Run() })
	} else {
		t.Log("chattr +i:", err)
	}
	m := start(x, func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	})
	later := done("later", "wait-q", good)
	x.Drop(later)
	sh(t, x.Root, fmt.Sprintf("chown %d wait-q/later", nobody))
	ended(x, []world.Unit{later})
	for _, name := range []string{"secret", "private", "immutable"} {
		x.Until(patience, name+" is explained", func() bool {
			out, err := x.Ask("explain", name)
			return err == nil && (strings.Contains(out, "not permitted") || strings.Contains(out, "permission denied"))
		})
		if !x.There("wait-q", name) {
			t.Errorf("%s is not in wait-q any more", name)
		}
	}
	if !x.Says("permission denied; the monitor must be allowed to read it") || !x.Says("operation not permitted") {
		t.Errorf("what it may not do is not said:\n%s", read(x.Root, "monitor_says"))
	}
	sh(t, filepath.Join(x.Root, "wait-q"), fmt.Sprintf("chmod 644 secret; chown %d private; chattr -i immutable || true", nobody))
	units = append(units, immovable, later)
	ended(x, units)
	m.stop()
	x.Settled(units, "not allowed")
}
