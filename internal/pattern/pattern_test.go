package pattern

import "testing"

func TestLazy(t *testing.T) {
	digits := Lazy(`^[0-9]+$`)
	if !digits().MatchString("12") || digits().MatchString("1x") {
		t.Error("does not match what it says")
	}
	first := digits()
	if digits() != first {
		t.Error("compiled twice")
	}
	bad := Lazy(`(`)
	defer func() {
		if recover() == nil {
			t.Error("a mistake goes unnoticed")
		}
	}()
	bad()
}
