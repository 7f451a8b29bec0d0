package world

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// template is an empty spool as monitor init makes it, made once.
var template struct {
	sync.Once
	err   error
	names []string // directories end in a slash
	bytes map[string][]byte
}

func makeTemplate() error {
	if err := os.Chmod(Bin, 0o755); err != nil { // for other accounts
		return err
	}
	root := filepath.Join(Bin, "template")
	if out, err := exec.Command(filepath.Join(Bin, "monitor"), "init", root).CombinedOutput(); err != nil {
		return fmt.Errorf("init: %w\n%s", err, out)
	}
	template.bytes = map[string][]byte{}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			template.names = append(template.names, name+"/")
			return nil
		}
		template.names = append(template.names, name)
		template.bytes[name], err = os.ReadFile(path)
		return err
	})
}

const somebodys = "somebody's file\n"

// Fresh is a spool in memory for one transition. It is cheaper than [New]: such
// tests need thousands. If we are root they belong to one account after another,
// because an account may watch so many directories at once and no more.
func Fresh(t testing.TB, tr Transition) *World {
	t.Helper()
	template.Do(func() { template.err = makeTemplate() })
	dir := Scratch(t, Memory())
	x := &World{T: t, Dir: dir, Root: filepath.Join(dir, "spool"), W: filepath.Join(dir, "w"), Out: dir}
	err := errors.Join(template.err, os.Mkdir(x.W, 0o755))
	for _, name := range template.names {
		if strings.HasSuffix(name, "/") {
			err = errors.Join(err, os.Mkdir(filepath.Join(x.Root, name), 0o755))
		} else {
			err = errors.Join(err, os.WriteFile(filepath.Join(x.Root, name), template.bytes[name], 0o644))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(Settings, x.W)
	if strings.HasPrefix(tr.Config, "[") {
		config += strings.ReplaceAll(tr.Config, "$W", x.W)
	} else {
		config = tr.Config + config
	}
	x.Write("config.toml", config)
	x.Write("done-q/namesake", somebodys)
	for _, u := range tr.Units {
		x.Drop(u)
	}
	if uid := accounts[int(turn.Add(1))%len(accounts)]; uid != os.Geteuid() {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, uid, uid))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return x
}

var turn atomic.Int64

// accounts are whose the spools are.
var accounts = func() (uids []int) {
	uids = []int{os.Geteuid()}
	for _, name := range []string{"nobody", "daemon", "games", "mail"} {
		u, err := user.Lookup(name)
		if err != nil || uids[0] != 0 {
			continue
		}
		if uid, err := strconv.Atoi(u.Uid); err == nil {
			uids = append(uids, uid)
		}
	}
	return uids
}()

// asOwner has a monitor run as the owner of its spool.
func (x *World) asOwner(cmd *exec.Cmd) {
	x.T.Helper()
	var st unix.Stat_t
	if err := unix.Stat(x.Dir, &st); err != nil {
		x.T.Fatal(err)
	}
	if int(st.Uid) != os.Geteuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: st.Uid, Gid: st.Gid}}
	}
}
