package trouble

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// sick is a file system that hands everything on to a directory, until it is told
// to fail. It is served by a process of its own: one that serves a file system and
// starts programs at the same time can wait for itself.
type sick struct {
	*place
	orders io.WriteCloser
	done   *bufio.Reader
}

const sickMark = "TROUBLE_SICK"

func newSick(t *testing.T) *sick {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("there is no FUSE")
	}
	s := &sick{place: newPlace(t)}
	behind := filepath.Join(s.dir, "behind")
	if err := os.Mkdir(behind, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), sickMark+"="+behind+":"+s.mount)
	cmd.Stderr = os.Stderr
	orders, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	done, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.orders, s.done = orders, bufio.NewReader(done)
	t.Cleanup(func() {
		s.heal()
		s.unmount()
		_ = s.orders.Close()
		_ = cmd.Wait()
	})
	s.order("heal")
	return s
}

// order tells the server something, and waits until it is so.
func (s *sick) order(format string, args ...any) {
	s.t.Helper()
	_, err := fmt.Fprintf(s.orders, format+"\n", args...)
	if err == nil {
		_, err = s.done.ReadString('\n')
	}
	if err != nil {
		s.t.Errorf("the sick file system: %v", err)
	}
}

// fails has changes, syncs and everything else fail with an errno each.
func (s *sick) fails(change, sync, read syscall.Errno) {
	s.order("fail %d %d %d", change, sync, read)
}

// spoil has writes fail only where a file of the disk on it lies.
func (s *sick) spoil(extents []extent) {
	for _, x := range extents {
		s.order("spoil %d %d", x.from, x.to)
	}
}

func (s *sick) heal() { s.order("heal") }

// extent is a part of a file, in bytes.
type extent struct{ from, to int64 }

// illness is the server's side.
type illness struct {
	change, sync, read atomic.Int32 // the errno of each kind of operation, 0: well

	mu  sync.Mutex
	bad []extent // parts of a file that can't be written to, while changes fail; none: all
}

// serve is the server's main: orders come from standard input.
func serve(where string) error {
	behind, mount, _ := strings.Cut(where, ":")
	root, err := fs.NewLoopbackRoot(behind)
	if err != nil {
		return err
	}
	ill := &illness{}
	server, err := fs.Mount(mount, &node{root.(*fs.LoopbackNode), ill}, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "sick", MaxWrite: 1 << 20, Options: []string{"default_permissions"}},
	})
	if err != nil {
		return err
	}
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		var change, sync, read int32
		var x extent
		if n, _ := fmt.Sscanf(orders.Text(), "spoil %d %d", &x.from, &x.to); n == 2 {
			ill.mu.Lock()
			ill.bad = append(ill.bad, x)
			ill.mu.Unlock()
		} else {
			_, _ = fmt.Sscanf(orders.Text(), "fail %d %d %d", &change, &sync, &read) // else it is to heal
			ill.change.Store(change)
			ill.sync.Store(sync)
			ill.read.Store(read)
		}
		fmt.Println("done")
	}
	_ = server.Unmount() // if that was not done already
	return orders.Err()
}

func (i *illness) changing() syscall.Errno { return syscall.Errno(i.change.Load()) }
func (i *illness) syncing() syscall.Errno  { return syscall.Errno(i.sync.Load()) }
func (i *illness) reading() syscall.Errno  { return syscall.Errno(i.read.Load()) }

func (i *illness) hits(at, length int64) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.bad == nil || slices.ContainsFunc(i.bad, func(x extent) bool { return at < x.to && x.from < at+length })
}
