package habits

import (
	"os"
	"path/filepath"
	"strings"

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
