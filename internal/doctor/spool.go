package doctor

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"simplejobq/internal/durable"
	"simplejobq/internal/monitor"

	"golang.org/x/sys/unix"
)

// directories looks whether all are there and on one file system, and opens the
// spool if so.
func (e *Exam) directories() {
	root, err := durable.OpenDir(e.Conf.Root)
	if err != nil {
		do := line("monitor", "init", e.Conf.Root)
		if errors.Is(err, fs.ErrPermission) {
			do = "sudo " + e.monitorLine("doctor")
		}
		e.wrong(do, "the spool can't be opened: %v", err)
		return
	}
	defer root.Close()
	before := len(e.found)
	for _, name := range e.names() {
		e.directory(root, name)
	}
	if st, err := root.Stat(e.Conf.Dirs.Status); err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		e.wrong(line("rm", root.Join(e.Conf.Dirs.Status)), "%s must be a directory; the digest is written there, and the monitor makes it", root.Join(e.Conf.Dirs.Status))
	}
	if len(e.found) > before {
		return
	}
	if e.view, err = monitor.OpenView(e.Conf, e.Version); err != nil {
		e.wrong(line("ls", "-la", filepath.Join(e.Conf.Root, ".monitor")), "the spool can't be opened: %v", err)
		return
	}
	e.good("%s: every directory is there, on one file system, and the format is known", e.Conf.Root)
}

// names are the directories without which there is no spool, those of the monitor
// last.
func (e *Exam) names() []string {
	layout := monitor.Layout(e.Conf)
	return append(slices.Clone(layout.Names[:]), ".monitor", ".monitor/tmp", ".monitor/run")
}

func (e *Exam) directory(root *durable.Dir, name string) {
	d, err := root.Sub(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.wrong(line("monitor", "init", e.Conf.Root), "%s is missing; it must be a directory of the spool", root.Join(name))
		return
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		e.wrong(line("ls", "-ld", root.Join(name)), "%s is a file or a link; it must be a directory: move it away, then monitor init makes one", root.Join(name))
		return
	case err != nil:
		e.wrong(line("ls", "-ld", root.Join(name)), "%v; it must be a directory that the monitor can read", err)
		return
	}
	defer d.Close()
	switch {
	case d.Dev() != root.Dev():
		e.wrong(line("findmnt", "-T", d.Path()), "%s lies on another file system than %s; one spool must lie on one, because a UOW is moved by renaming it", d.Path(), root.Path())
	case !d.SameMount(root):
		e.wrong(line("umount", d.Path()), "%s is a mount of its own (a bind mount); nothing can be renamed from one mount to another: unmount it, or mount the whole spool", d.Path())
	}
}

// permissions looks who may do what.
func (e *Exam) permissions() {
	e.mayWrite()
	dirs := e.Conf.Dirs
	own := []string{".", dirs.Executing, dirs.Status, ".monitor", ".monitor/tmp", ".monitor/run"}
	for _, name := range own {
		e.monitorsOwn(name)
	}
	for _, name := range []string{dirs.Wait, dirs.Priority, dirs.Hold} {
		e.drop(name, true)
	}
	for _, name := range []string{dirs.Done, dirs.Error, dirs.Fail, dirs.Archive, dirs.Trash} {
		e.drop(name, false)
	}
	e.file(filepath.Join(e.Conf.Root, e.Conf.Files.Reads), "may end jobs and stop the monitor")
	e.file(e.File, "may have the monitor run what they like")
}

// monitorsOwn is about directories in which nobody else has anything to do.
func (e *Exam) monitorsOwn(name string) {
	path := filepath.Join(e.Conf.Root, name)
	st, err := durable.StatPath(path)
	switch {
	case err != nil: // told by directories
	case st.Mode&0o002 != 0:
		e.wrong(line("chmod", "o-w", path), "everybody may write in %s (mode %04o), and so replace what the monitor relies on; only the monitor's user should", path, st.Mode&0o7777)
	case st.Mode&0o020 != 0 && !e.ownGroup(st):
		e.doubtful(line("chmod", "g-w", path), "group %s may write in %s, and so replace what the monitor relies on; only the monitor's user should", groupName(st.GID), path)
	default:
		e.good("only %s may write in %s", e.writers(st), path)
	}
}

// drop is about directories that people put files in or take them out of. With the
// sticky bit each may only move and remove what is theirs.
func (e *Exam) drop(name string, runs bool) {
	path := filepath.Join(e.Conf.Root, name)
	st, err := durable.StatPath(path)
	if err != nil {
		return
	}
	sticky := st.Mode&unix.S_ISVTX != 0
	all, group := st.Mode&0o002 != 0, st.Mode&0o020 != 0 && !e.ownGroup(st)
	switch {
	case all && !sticky:
		e.wrong(line("chmod", "o-w", path), "everybody may write in %s (mode %04o) and so replace and remove what others put there; take that away, or add the sticky bit (chmod +t)", path, st.Mode&0o7777)
	case all && runs && e.Conf.AllowCommand:
		e.doubtful(line("chmod", "o-w", path), "everybody on this machine may drop into %s and so run commands as %s; take that away, or set allow_command = false", path, e.as.name)
	case group && !sticky:
		e.doubtful(line("chmod", "+t", path), "the members of group %s may replace and remove each other's files in %s; the sticky bit keeps them apart", groupName(st.GID), path)
	case runs:
		e.good("%s may drop into %s", e.writers(st), path)
	default:
		e.good("%s may take files out of %s", e.writers(st), path)
	}
}

// file is about a file that gives power to whoever may write it.
func (e *Exam) file(path, power string) {
	st, err := durable.StatPath(path) // it may be a link
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return // the defaults hold; the monitor makes it
	case err != nil:
		e.doubtful(line("ls", "-l", path), "%s can't be looked at: %v", path, err)
	case !st.Regular():
		e.wrong(line("ls", "-ld", path), "%s is no regular file and must be one; move it away, and the monitor goes on", path)
	case st.Mode&0o002 != 0:
		e.wrong(line("chmod", "o-w", path), "everybody may write %s (mode %04o), and %s", path, st.Mode&0o7777, power)
	case path == e.File && st.UID != 0 && int(st.UID) != e.as.uid:
		e.wrong(line("chown", e.as.name, path), "%s belongs to %s, who %s; it must belong to root or %s", path, userName(int(st.UID)), power, e.as.name)
	default:
		e.good("%s may write %s", e.writers(st), path)
	}
}

// mayWrite looks whether the monitor's user may do its work.
func (e *Exam) mayWrite() {
	var no []string
	for _, name := range append([]string{".", e.Conf.Dirs.Status}, e.names()...) {
		path := filepath.Join(e.Conf.Root, name)
		if st, err := durable.StatPath(path); err == nil && !e.as.mayWrite(path, st) {
			no = append(no, name)
		}
	}
	switch {
	case len(no) == 0:
		e.good("%s may write in every directory", e.as.name)
	default:
		e.wrong(line("chown", "-R", e.as.name, e.Conf.Root), "%s, as whom the monitor works, may not write in %s; give the spool to that user, or run the monitor as its owner", e.as.name, strings.Join(no, ", "))
	}
}

// writers says in words who may write to what has this owner and mode.
func (e *Exam) writers(st durable.Stat) string {
	who := userName(int(st.UID))
	if st.Mode&0o020 != 0 {
		who += " and group " + groupName(st.GID)
	}
	if st.Mode&0o002 != 0 {
		who = "everybody"
	}
	return who
}
