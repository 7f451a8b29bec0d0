package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
	"simplejobq/internal/units"
)

// mount is where the spool's file system is mounted, and how.
type mount struct {
	point, kind, device string
	options             []string // of the mount and of the file system
}

// What the kinds of file systems cost in promises. Those the tests run on cost none.
var kinds = map[string]struct {
	level Level
	text  string
}{
	"ext4": {Good, "tested"}, "xfs": {Good, "tested"}, "btrfs": {Good, "tested"},
	"tmpfs":     {Doubtful, "it is memory: a reboot or a power cut empties it, queued and ended UOWs included"},
	"ramfs":     {Doubtful, "it is memory: a reboot or a power cut empties it, queued and ended UOWs included"},
	"f2fs":      {Good, "known to sync as a whole, not tested"},
	"zfs":       {Good, "not tested; each file is synced by itself"},
	"ext2":      {Doubtful, "it has no journal: after a power cut fsck may put UOWs into lost+found"},
	"ext3":      {Good, "not tested; each file is synced as on ext4"},
	"nfs":       {Doubtful, "leases say nothing about writers on other hosts: a file is accepted after five seconds without change, and notifications of other hosts come at the pace of sleep_time"},
	"nfs4":      {Doubtful, "leases say nothing about writers on other hosts: a file is accepted after five seconds without change, and notifications of other hosts come at the pace of sleep_time"},
	"cifs":      {Doubtful, "another host keeps it: neither leases nor notifications tell of its other users, and what a sync promises is the server's affair"},
	"smb3":      {Doubtful, "another host keeps it: neither leases nor notifications tell of its other users, and what a sync promises is the server's affair"},
	"overlay":   {Doubtful, "it is a container's layer: it goes with the container; mount a volume for the spool"},
	"9p":        {Doubtful, "another kernel keeps it: notifications and leases tell nothing of its other users, and what a sync promises is that kernel's affair"},
	"virtiofs":  {Doubtful, "another kernel keeps it: notifications and leases tell nothing of its other users, and what a sync promises is that kernel's affair"},
	"vfat":      {Wrong, "it has no hard links, no owners and no modes; a spool needs them"},
	"exfat":     {Wrong, "it has no hard links, no owners and no modes; a spool needs them"},
	"ecryptfs":  {Doubtful, "not tested"},
	"fuse":      {Doubtful, "a program keeps it: what a sync promises, and whether notifications come, is that program's affair"},
	"fuseblk":   {Doubtful, "a program keeps it: what a sync promises, and whether notifications come, is that program's affair"},
	"squashfs":  {Wrong, "nothing can be written to it"},
	"iso9660":   {Wrong, "nothing can be written to it"},
	"reiserfs":  {Doubtful, "not tested, and no kernel has it any more"},
	"bcachefs":  {Doubtful, "not tested"},
	"nilfs2":    {Doubtful, "not tested"},
	"jfs":       {Doubtful, "not tested"},
	"ubifs":     {Doubtful, "not tested"},
	"glusterfs": {Doubtful, "leases say nothing about writers on other hosts"},
	"ceph":      {Doubtful, "leases say nothing about writers on other hosts"},
}

// fileSystem looks what the spool lies on, and how that is mounted.
func (e *Exam) fileSystem() {
	var err error
	if e.mount, err = mountOf(e.Conf.Root); err != nil {
		e.doubtful(line("findmnt", "-T", e.Conf.Root), "on which file system the spool lies can't be found out: %v", err)
		return
	}
	m := e.mount
	known, ok := kinds[m.kind]
	if base, _, sub := strings.Cut(m.kind, "."); !ok && sub {
		known, ok = kinds[base] // fuse.sshfs
	}
	if m.kind == "ext4" && !m.journalled() {
		known = kinds["ext2"]
	} else if !ok {
		known.level, known.text = Doubtful, "not tested"
	}
	do := ""
	if known.level != Good {
		do = line("findmnt", "-T", e.Conf.Root)
	}
	e.tell(known.level, do, "%s on %s: %s", []any{m.kind, m.point, known.text})
	e.options()
}

// journalled reports whether an ext4 has its journal, as far as the kernel tells.
func (m mount) journalled() bool {
	disk, err := filepath.EvalSymlinks(filepath.Join("/sys/dev/block", m.device))
	if err != nil {
		return true
	}
	b, err := os.ReadFile(filepath.Join("/sys/fs/ext4", filepath.Base(disk), "journal_task"))
	return err != nil || strings.TrimSpace(string(b)) != "<none>"
}

// options are those of the mount that take a promise away, or time.
func (e *Exam) options() {
	m, before := e.mount, len(e.found)
	has := func(options ...string) string {
		for _, o := range options {
			if slices.Contains(m.options, o) {
				return o
			}
		}
		return ""
	}
	remount := func(option string) string { return line("mount", "-o", "remount,"+option, m.point) }
	if has("ro") != "" {
		e.wrong(remount("rw"), "%s is mounted read-only: the monitor waits until it can write; dmesg tells whether the kernel did that after an error", m.point)
	}
	if o := has("barrier=0", "nobarrier"); o != "" {
		e.wrong(remount("barrier=1"), "%s is mounted with %s: what was synced is in the disk's cache, and a power cut takes it; mount it without", m.point, o)
	}
	if has("data=writeback") != "" {
		e.doubtful(line("grep", "-n", m.point, "/etc/fstab"), "%s is mounted with data=writeback: after a power cut the log of a UOW may hold old bytes of other files; take the option away and mount anew", m.point)
	}
	if o := has("sync", "dirsync"); o != "" {
		e.doubtful(remount("async"), "%s is mounted with %s: each write waits for the disk, which the monitor's one commit for all makes needless", m.point, o)
	}
	if len(e.found) == before {
		e.good("no mount option of %s takes a promise away", m.point)
	}
}

// mountOf finds the mount of a path in /proc/self/mountinfo, by its number or, on
// old kernels, by its device and the longest fitting name.
func mountOf(path string) (m mount, err error) {
	path, err = filepath.EvalSymlinks(path)
	if err != nil {
		return m, err
	}
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_MNT_ID, &st); err != nil {
		return m, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return m, err
	}
	id, device := strconv.FormatUint(st.Mnt_id, 10), fmt.Sprintf("%d:%d", st.Dev_major, st.Dev_minor)
	for text := range strings.Lines(string(b)) {
		// number, parent, device, root, point, options, tags…, "-", kind, source, options
		one, other, _ := strings.Cut(text, " - ")
		f, g := strings.Fields(one), strings.Fields(other)
		if len(f) < 6 || len(g) < 3 {
			continue
		}
		point := unescape(f[4])
		if st.Mask&unix.STATX_MNT_ID != 0 {
			if f[0] != id {
				continue
			}
		} else if f[2] != device || !strings.HasPrefix(path+"/", strings.TrimSuffix(point, "/")+"/") || len(point) < len(m.point) {
			continue
		}
		m = mount{point, g[0], device, append(strings.Split(f[5], ","), strings.Split(g[2], ",")...)}
	}
	if m.kind == "" {
		return m, fmt.Errorf("%s: its mount is not in /proc/self/mountinfo", path)
	}
	return m, nil
}

// unescape reads the \040 of mountinfo.
func unescape(s string) string {
	for _, c := range []string{" ", "\t", "\n", `\`} {
		s = strings.ReplaceAll(s, fmt.Sprintf(`\%03o`, c[0]), c)
	}
	return s
}

// few is the share of a disk below which it is time to think of it.
const few = 5 // per cent

// room looks whether there is space, and whether [ready] finds it enough.
func (e *Exam) room() {
	var st unix.Statfs_t
	if err := unix.Statfs(e.Conf.Root, &st); err != nil {
		e.doubtful(line("df", "-h", e.Conf.Root), "how much is free can't be asked: %v", err)
		return
	}
	largest := line("sh", "-c", "du -xah "+line(e.Conf.Root)+" | sort -h | tail")
	free, all := int64(st.Bavail)*st.Bsize, int64(st.Blocks)*st.Bsize
	usable := free + all - int64(st.Bfree)*st.Bsize
	wanted := int64(e.Conf.Ready.FreeSpace)
	switch {
	case wanted > usable && usable > 0:
		e.wrong(e.monitorLine("config"), "the whole file system has %s, and [ready] free_space asks for %s: nothing will ever start; lower it", units.Bytes(usable), e.Conf.Ready.FreeSpace)
	case free < wanted:
		e.wrong(largest, "%s are free, and [ready] free_space asks for %s: nothing starts until there is room", units.Bytes(free), e.Conf.Ready.FreeSpace)
	case usable > 0 && free*100 < usable*few:
		e.doubtful(largest, "%s are free, less than %d %% of %s", units.Bytes(free), few, units.Bytes(usable))
	default:
		e.good("%s of %s are free", units.Bytes(free), units.Bytes(usable))
	}
	inodes := line("sh", "-c", "du -x --inodes "+line(e.Conf.Root)+" | sort -n | tail")
	switch {
	case st.Files == 0: // as many as there is space
	case st.Ffree == 0:
		e.wrong(inodes, "no inode is free: no file can be made, however much space there is")
	case st.Ffree*100 < st.Files*few:
		e.doubtful(inodes, "%d inodes are free, less than %d %% of %d", st.Ffree, few, st.Files)
	default:
		e.good("%d of %d inodes are free", st.Ffree, st.Files)
	}
}

// Far longer than a disk takes that is only busy.
var diskPatience = 10 * time.Second

// operations is patient with a disk, but not for ever: one that is frozen does not
// answer until somebody thaws it.
func (e *Exam) operations() {
	beside := *e
	beside.found = nil
	done := make(chan []Finding, 1)
	go func() {
		beside.try()
		done <- beside.found
	}()
	select {
	case found := <-done:
		e.found = append(e.found, found...)
	case <-time.After(diskPatience):
		e.wrong(line("fsfreeze", "-u", e.mount.point), "the disk has not answered a write within %v: it is frozen or failing (dmesg tells); the monitor waits for it, and so does the end of this command", diskPatience)
	}
}

// try tries, on files of its own in .monitor/tmp, what the monitor does to
// UOWs all day.
func (e *Exam) try() {
	tmp := filepath.Join(e.Conf.Root, ".monitor/tmp")
	d, err := durable.OpenDir(tmp)
	if err != nil {
		return // told by directories
	}
	defer d.Close()
	p := probe{e: e, dir: d, name: "doctor-" + strconv.Itoa(os.Getpid())}
	f, err := d.Create("doctor:create", p.name, 0o600)
	if err != nil {
		e.cannotTry(tmp, err)
		return
	}
	defer p.end()
	defer f.Close()
	if _, err := f.Write("doctor:write", []byte("monitor doctor\n")); err != nil {
		e.cannotTry(tmp, err)
		return
	}
	p.sync(f)
	p.lock(f)
	f.Close()
	p.lease()
	p.renames()
}

// cannotTry tells why nothing was tried: whether that is wrong depends on whether
// the monitor would meet the same.
func (e *Exam) cannotTry(tmp string, err error) {
	switch {
	case durable.Passing(err):
		e.wrong(line("df", "-h", e.Conf.Root), "nothing can be written: %v; the monitor waits until that has passed", err)
	case e.as.self:
		e.wrong(line("ls", "-ld", tmp), "leases, locks and renames can't be tried: %v", err)
	default:
		e.good("leases, locks and renames can't be tried as this user (%v); sudo monitor doctor can", err)
	}
}
