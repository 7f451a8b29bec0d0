package messages

import (
	"fmt"
	"os"
	"testing"
	"time"

	"simplejobq/internal/durable"
)

func TestReaderDelaysRemovalOnly(t *testing.T) {
	x := newBox(t, head)
	tail, err := os.Open(x.path)
	if err != nil {
		t.Fatal(err)
	}
	x.append("A\n")
	x.want("A")
	x.acted()
	x.holds(head + "A\n")
	x.append("B\n")
	x.want("B")
	x.acted()
	x.crash()
	x.start()
	x.want()
	x.holds(head + "A\nB\n")
	tail.Close()
	x.want()
	x.holds(head)
	x.says()
	x.append("C\n")
	x.want("C")
}

func TestKilledBeforeALateCut(t *testing.T) {
	x := newBox(t, head)
	x.append("A\n")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(x.path, old, old); err != nil {
		t.Fatal(err)
	}
	x.want("A")
	withFault(t, func(site durable.Site) error {
		if site == "reads:truncate" {
			panic("killed")
		}
		return nil
	})
	func() {
		defer func() { _ = recover() }()
		x.acted()
	}()
	durable.Fault = nil
	x.holds(head + "A\n")
	x.crash()
	x.start()
	x.want()
	x.holds(head)
	x.says()
}

func TestUnendedLine(t *testing.T) {
	x := newBox(t, head)
	w, err := os.OpenFile(x.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "A\nKILL ")
	x.want("A")
	x.acted()
	x.want()
	x.want() // a writer is there
	fmt.Fprint(w, "JOB")
	w.Close()
	x.want() // changed since the last look
	tail, err := os.Open(x.path)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	x.want("KILL JOB") // a reader does not matter
	x.acted()
	tail.Close()
	x.says("its last line has no newline")
	x.append("\nB\n")
	x.want("B")
	x.acted()
	x.holds(head)
	x.says()
}

func TestWriterComesJustBeforeTheCut(t *testing.T) {
	x := newBox(t, head)
	x.append("A\n")
	x.want("A")
	var w *os.File
	during(t, "reads done:sync", 1, func() { w, _ = os.OpenFile(x.path, os.O_WRONLY|os.O_APPEND, 0) })
	x.acted()
	x.holds(head + "A\n")
	fmt.Fprint(w, "B\n")
	w.Close()
	x.want("B")
	during(t, "reads done:sync", 1, func() { x.append("C\n") })
	x.acted()
	x.holds(head + "A\nB\nC\n")
	x.crash() // the cut that did not happen leaves no doubt
	x.start()
	x.want("C")
	x.acted()
	x.holds(head)
	x.says()
}

func TestUnendedLineGrowsJustBeforeItIsTaken(t *testing.T) {
	x := newBox(t, head)
	x.append("KILL ")
	x.want()
	during(t, "reads:reopen", 2, func() { x.append("JOB") })
	x.want()
	x.append(" x\n")
	x.want("KILL JOB x")
}
