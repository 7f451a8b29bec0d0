package systemd

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What a job may find in its environment; nothing of systemd's is among it.
var known = regexp.MustCompile(`^(PATH|HOME|USER|LOGNAME|SHELL|LANG|PWD|(MONITOR|UOW)_[A-Z]+)=`)

// look is a command that shows what a job inherits, one `WORD value` a line.
const look = `COMMAND :: env | sed 's/^/env /'; sed 's/^/status /' /proc/self/status; echo "oom $(cat /proc/self/oom_score_adj)"; ` +
	`echo "fd" $(ls /proc/self/fd); echo "mounts $(readlink /proc/self/ns/mnt)"; echo "me $(id -un)"`

func (s *spool) inherited(text string) map[string][]string {
	found := map[string][]string{}
	for line := range strings.Lines(text) {
		if word, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			found[word] = append(found[word], strings.Join(strings.Fields(value), " "))
		}
	}
	if len(found["env"]) == 0 || len(found["status"]) == 0 {
		s.Fatalf("the job has told nothing:\n%s", text)
	}
	return found
}

func TestJobInheritsNothing(t *testing.T) {
	s := newSpool(t, "OOMScoreAdjust=-500", "Environment=SECRET=of-the-unit", "UMask=0077")
	s.drop("one", look, "TICKET :: OPS-1")
	found := s.inherited(s.ended("done-q", "one"))
	for _, e := range found["env"] {
		if !known.MatchString(e) {
			t.Errorf("the job's environment has %q", e)
		}
	}
	contains(t, "the environment", strings.Join(found["env"], "\n"), "UOW_TICKET=OPS-1", "MONITOR_UOW=one", "HOME=/root")
	for word, want := range map[string]string{"oom": "0", "me": "root", "fd": "0 1 2 3", // 3 is the listed directory
		"mounts": s.in("readlink", "/proc/1/ns/mnt"),
	} {
		if got := found[word]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", word, got, want)
		}
	}
	contains(t, "its status", strings.Join(found["status"], "\n"), "CapAmb: 0000000000000000", "SigIgn: 0000000000000000", "SigBlk: 0000000000000000", "Umask: 0022")
}

// With User= the monitor takes leases on files of others, so that it need not
// wait to see whether they still change. Jobs get nothing of that.
func TestOtherUser(t *testing.T) {
	s := madeSpool(t, "User=spooler")
	err := filepath.WalkDir(s.dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, 700, 700)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.systemctl("start", s.unit)
	began := time.Now()
	s.drop("roots", look)
	found := s.inherited(s.ended("done-q", "roots"))
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("a file of somebody else took %v", d)
	}
	if me := found["me"]; len(me) != 1 || me[0] != "spooler" {
		t.Errorf("the job ran as %q", me)
	}
	contains(t, "its status", strings.Join(found["status"], "\n"),
		"Uid: 700 700 700 700", "CapPrm: 0000000000000000", "CapEff: 0000000000000000", "CapAmb: 0000000000000000")
	contains(t, "the environment", strings.Join(found["env"], "\n"), "USER=spooler", "HOME=/srv")
	pid := s.job("two")
	s.systemctl("restart", s.unit)
	s.adopted("two", pid)
}
