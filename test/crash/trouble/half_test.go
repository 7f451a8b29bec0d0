package trouble

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

// A full disk keeps the beginning of somebody's message, and he is told that it did
// not take it. That beginning would be a message of its own, which ends every job: it
// is not acted upon, that is said, and the next message is a line of its own.
func TestHalfMessage(t *testing.T) {
	t.Parallel()
	const half, rest = "KILL JOB", " nosuchjob\n"
	c := newCourse(t, memory(t, "size=24m"))
	c.prepare("0B")
	runs := unit("runs", "wait-q", "done-q", "done: exit 0", until("end"))
	c.Drop(runs)
	c.run(false)
	c.Until(20*time.Second, "it runs", func() bool { return c.Ran()["runs"] == 1 })

	reads := filepath.Join(c.Root, "monitor_reads")
	st, err := os.Stat(reads)
	if err != nil {
		t.Fatal(err)
	}
	// The last page that the file has gets room for just so much.
	page := os.Getpagesize()
	c.Tell("#" + strings.Repeat(".", 2*page-(int(st.Size())+len(half))%page-len("#\n")))
	c.send(syscall.SIGSTOP) // it may give back a page of its own
	c.place.fill()
	out, err := exec.Command("sh", "-c", `printf '`+half+strings.ReplaceAll(rest, "\n", `\n`)+`' >> "$1"`, "sh", reads).CombinedOutput()
	text, e := os.ReadFile(reads)
	if err == nil || e != nil || !strings.HasSuffix(string(text), ".\n"+half) {
		t.Fatalf("the disk took all of the message, or nothing: %v, %s, it ends in %q", errors.Join(err, e), out, text[max(0, len(text)-40):])
	}
	c.send(syscall.SIGCONT)
	c.place.unfill()
	c.Until(20*time.Second, "half a message is said", func() bool { return c.Says(`has no newline and is not acted upon`) })
	c.Until(20*time.Second, "it is refused", func() bool { return strings.Contains(c.answers(), "not understood: \""+half) })
	c.Tell("KILL JOB" + strings.TrimSuffix(rest, "\n"))
	c.Until(20*time.Second, "the whole one is answered", func() bool { return strings.Contains(c.answers(), "nosuchjob") })
	c.signal("end")
	c.Until(20*time.Second, "the job ends by itself", func() bool { return c.There(runs.End, runs.Name) })
	c.stop()
	if n := strings.Count(c.Story(), "has no newline and is not acted upon"); n != 1 {
		t.Errorf("it is said %d times\n%s", n, c.Story())
	}
	c.Write("config.toml", fmt.Sprintf(world.Settings, c.W))
	c.Settled([]world.Unit{runs}, "half a message")
}

// answers are the lines of monitor_says that are answers.
func (c *course) answers() (text string) {
	b, err := os.ReadFile(filepath.Join(c.Root, "monitor_says"))
	if err != nil {
		c.T.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "  answer  ") {
			text += line
		}
	}
	return text
}
