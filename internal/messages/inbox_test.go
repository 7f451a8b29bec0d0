package messages

import (
	"os"
	"strings"
	"testing"

	"simplejobq/internal/durable"
)

func TestReadAndDone(t *testing.T) {
	x := newBox(t, head)
	x.want()
	before, _ := os.Stat(x.path)
	x.append("STATUS\n\n  \n# no message\nHOLD my job \r\nBAD\x00\n")
	x.want("STATUS", "HOLD my job ", "BAD\x00")
	x.holds(head + "STATUS\n\n  \n# no message\nHOLD my job \r\nBAD\x00\n")
	x.want()
	x.acted()
	x.holds(head)
	after, _ := os.Stat(x.path)
	if !os.SameFile(before, after) {
		t.Error("the file was replaced")
	}
	x.want()
	x.acted()
	x.append("A\n")
	x.want("A")
	x.append("B\n")
	x.want("B") // while A is still being acted upon
	x.acted()
	x.holds(head)
	x.says()
}

func TestComments(t *testing.T) {
	x := newBox(t, "")
	x.append("# one\n")
	x.want()
	x.append("# two") // stays open
	x.want()
	x.want()
	x.append(" more\nA\n# not of the block\n")
	x.want("A")
	x.acted()
	x.holds("# one\n# two more\n")
	x.append("# three\n")
	x.want()
	x.holds("# one\n# two more\n# three\n")
	x.append("\n# four\n") // nothing to act upon, and not of the block
	x.want()
	x.holds("# one\n# two more\n# three\n")
	x.says()
}

func TestLongLines(t *testing.T) {
	x := newBox(t, "")
	x.append(strings.Repeat("y", maxLine) + "\nA\n" + strings.Repeat("x", maxLine+1) + "\nB\n")
	x.want(strings.Repeat("y", maxLine), "A", "B")
	x.acted()
	x.says("a line of more than 64 KiB is passed over: \"xxx")
	x.holds("")
	for range 30 { // 3 MB in all
		x.append(strings.Repeat("z", 100<<10))
		x.want()
	}
	x.says("a line of more than 64 KiB")
	x.crash()
	x.start()
	x.want()
	x.append("end of it\nC\n")
	x.want("C")
	x.acted()
	x.crash()
	x.start()
	x.want()
	x.holds("")
}

func TestIdleReadIsCheap(t *testing.T) {
	x := newBox(t, head)
	x.append("A\n")
	x.want("A")
	x.acted()
	x.want()
	calls := 0
	withFault(t, func(durable.Site) error { calls++; return nil })
	if n := testing.AllocsPerRun(100, func() {
		if lines, said, err := x.Read(); len(lines) > 0 || len(said) > 0 || err != nil {
			t.Error(lines, said, err)
		}
	}); n > 4 || calls != 0 {
		t.Errorf("%v allocations, %d operations", n, calls)
	}
}
