package main

import (
	"strings"
	"testing"
	"time"

	"simplejobq/internal/spool"
	"simplejobq/internal/uow"
)

func TestAddItems(t *testing.T) {
	items := []uow.Item{{Name: "A", Content: "1"}, {Name: "B", Content: ""}}
	for _, test := range []struct{ head, want string }{
		{"==== UNIT OF WORK\nCOMMAND :: x\n", "==== UNIT OF WORK\nCOMMAND :: x\nA :: 1\nB :: \n"},
		{"==== UNIT OF WORK\nCOMMAND :: x", "==== UNIT OF WORK\nCOMMAND :: x\nA :: 1\nB :: \n"},
		{"==== UNIT OF WORK\r\nCOMMAND :: x\r\n\r\n", "==== UNIT OF WORK\r\nCOMMAND :: x\r\nA :: 1\r\nB :: \r\n\r\n"},
		{"==== UNIT OF WORK\nCOMMAND :: x\n\n==== STATUS\n\n==== JOB LOG\n", "==== UNIT OF WORK\nCOMMAND :: x\nA :: 1\nB :: \n\n==== STATUS\n\n==== JOB LOG\n"},
		{"==== UNIT OF WORK\n==== JOB LOG\n", "==== UNIT OF WORK\nA :: 1\nB :: \n==== JOB LOG\n"},
	} {
		got, err := addItems([]byte(test.head), items)
		if err != nil || string(got) != test.want {
			t.Errorf("addItems(%q) = %q, %v, want %q", test.head, got, err, test.want)
		}
	}
}

func TestCommandNamesAreNames(t *testing.T) {
	now := time.Date(2026, 11, 21, 21, 50, 0, 0, time.UTC)
	for program, begin := range map[string]string{
		"make": "make-", "/usr/bin/env": "env-", ".hidden": "hidden-", "#x": "x-", "a b": "a_b-", "\xff": "_-", "\n": "_-", ".": "command-",
		strings.Repeat("ä", 200): "ä",
	} {
		name := commandName(program, now)
		if !strings.HasPrefix(name, begin) || checkName(name) != nil || spool.Ignored(name) || !strings.Contains(name, "-20261121T215000Z-") {
			t.Errorf("commandName(%q) = %q", program, name)
		}
	}
}

// Files of one call start in the order of the command line, whatever they are
// called.
func TestStampKeepsOrder(t *testing.T) {
	d := &drop{}
	var last time.Time
	lastName := ""
	for _, name := range []string{"c", "b", "a", "a1", "0"} {
		whole, err := uow.Parse(name, []byte("==== UNIT OF WORK\nCOMMAND :: x\n"))
		if err != nil {
			t.Fatal(err)
		}
		u := &unit{name: name, text: &text{unit: whole}}
		d.stamp(u)
		done, err := uow.Parse(name, u.text.head)
		if err != nil || !done.Complete() {
			t.Fatalf("%s is not complete: %v", name, err)
		}
		if done.Enqueued.Before(last) || done.Enqueued.Equal(last) && name < lastName {
			t.Errorf("%s at %v comes before %s at %v", name, done.Enqueued, lastName, last)
		}
		last, lastName = done.Enqueued, name
	}
}
