package spool

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"simplejobq/internal/durable"
)

// Who writes at the moment in which a file is marked as told of is seen all the same.
func TestToldWhileWritten(t *testing.T) {
	b := newBox(t)
	b.drop(Wait, "a", "text\n")
	e := b.look(Wait, "a")
	if err := b.accept(b.acceptance(e, "")); err != nil {
		t.Fatal(err)
	}
	did := false
	durable.Fault = func(s durable.Site) error {
		if s == "accept:told" {
			did = true
			// It would wait for us: so it does not get in here.
			f, err := os.OpenFile(b.path(Wait, "a"), os.O_WRONLY|os.O_TRUNC|unix.O_NONBLOCK, 0)
			if err == nil {
				_, err = f.WriteString("other\n")
				_ = f.Close()
			}
			if err == nil {
				t.Error("was written to between the look and the new time")
			}
		}
		return nil
	}
	defer func() { durable.Fault = nil }()
	if err := b.Told(e, stamp.Add(time.Second)); err != nil || !did {
		t.Fatal(err, did)
	}
	b.drop(Wait, "a", "other\n")
	if found, err := b.Look(true, stamp); err != nil || len(found.Fresh) != 1 {
		t.Errorf("its new text is not looked at: %v %v", found.Fresh, err)
	}
	if err := b.Told(e, stamp.Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	st, err := b.Dir(Wait).Stat("a")
	if err != nil || st.Mtime == stamp.Add(2*time.Second).UnixNano() {
		t.Errorf("told of what was not accepted: %v", err)
	}
}
