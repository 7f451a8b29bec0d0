package doctor

import (
	"cmp"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

// account is who the monitor works as: the running one, else the one the unit would
// start, else whoever asks.
type account struct {
	uid    int
	gids   []int // the primary group first
	name   string
	leases bool // CAP_LEASE, or root
	self   bool // that is the user of this process
}

func (e *Exam) account() {
	switch {
	case e.pid > 0 && procStatus(e.pid, "Uid") != nil:
		e.as = processAccount(e.pid)
	case e.unit.values["User"] != "":
		u, err := lookUser(e.unit.values["User"])
		if err != nil {
			e.as = selfAccount()
			e.wrong(line("getent", "passwd", e.unit.values["User"]), "the unit %s runs as %q, and there is no such user; make it, or change User=", e.unit.name, e.unit.values["User"])
			return
		}
		e.as = userAccount(u)
		e.as.leases = strings.Contains(e.unit.values["AmbientCapabilities"], "cap_lease")
	default:
		e.as = selfAccount()
	}
	a := &e.as
	a.self = a.uid == os.Geteuid()
	u, err := user.LookupId(strconv.Itoa(a.uid))
	if err != nil {
		a.name = strconv.Itoa(a.uid)
		e.wrong(line("getent", "passwd", a.name), "uid %d has no entry in passwd, so that jobs have no USER and HOME; make one, or run the monitor as another user", a.uid)
		return
	}
	a.name = u.Username
	home := cmp.Or(e.Conf.Job.Env["HOME"], u.HomeDir)
	st, err := durable.StatPath(home)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		e.doubtful(line("getent", "passwd", a.name), "the monitor works as %s, and HOME of its jobs, %q, is no directory; make it, or set HOME in [job] env", a.name, home)
		return
	}
	e.good("the monitor works as %s, and its jobs find their HOME %s", a.name, home)
}

func selfAccount() account { return processAccount(os.Getpid()) }

// processAccount is what the kernel says about a process.
func processAccount(pid int) account {
	a := account{uid: number(procStatus(pid, "Uid"), 1)}
	for _, field := range append(procStatus(pid, "Gid")[1:2:2], procStatus(pid, "Groups")...) {
		gid, _ := strconv.Atoi(field)
		a.gids = append(a.gids, gid)
	}
	caps, _ := strconv.ParseUint(strings.Join(procStatus(pid, "CapEff"), ""), 16, 64)
	a.leases = caps&(1<<unix.CAP_LEASE) != 0
	return a
}

func userAccount(u *user.User) account {
	a := account{}
	a.uid, _ = strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	a.gids = []int{gid}
	groups, _ := u.GroupIds()
	for _, g := range groups {
		if gid, err := strconv.Atoi(g); err == nil {
			a.gids = append(a.gids, gid)
		}
	}
	return a
}

// lookUser finds what User= means: a name or a number.
func lookUser(name string) (*user.User, error) {
	if u, err := user.LookupId(name); err == nil {
		return u, nil
	}
	return user.Lookup(name)
}

// mayWrite reports whether the account may write in a directory. For another user
// than ourselves only owner and mode can be judged, so an access list counts as a yes.
func (a account) mayWrite(path string, st durable.Stat) bool {
	switch {
	case a.self:
		return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK|unix.X_OK, unix.AT_EACCESS) != unix.EACCES // a read-only file system is another matter
	case a.uid == 0:
		return true
	case int(st.UID) == a.uid:
		return st.Mode&0o300 == 0o300
	case slices.Contains(a.gids, int(st.GID)):
		return st.Mode&0o030 == 0o030
	case st.Mode&0o003 == 0o003:
		return true
	}
	n, err := unix.Getxattr(path, "system.posix_acl_access", nil)
	return err == nil && n > 0
}

// mayRun is the same for running a program, or entering a directory.
func (a account) mayRun(path string, st durable.Stat) bool {
	if a.self {
		return unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS) == nil
	}
	bits := st.Mode & 0o111
	switch {
	case a.uid == 0:
	case int(st.UID) == a.uid:
		bits &= 0o100
	case slices.Contains(a.gids, int(st.GID)):
		bits &= 0o010
	default:
		bits &= 0o001
	}
	return bits != 0
}

// ownGroup reports whether the group is one that only the monitor's user has as its
// first: what that group may do, the user may anyway.
func (e *Exam) ownGroup(st durable.Stat) bool {
	return len(e.as.gids) > 0 && int(st.GID) == e.as.gids[0] && int(st.UID) == e.as.uid
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return "uid " + strconv.Itoa(uid)
}

func groupName(gid uint32) string {
	name := strconv.Itoa(int(gid))
	if g, err := user.LookupGroupId(name); err == nil {
		return g.Name
	}
	return name
}
