package logdisk

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What was flushed is in every state, what was not is in some, and no state is later
// or earlier than what it holds.
func TestStates(t *testing.T) {
	sector := func(c byte) []byte { return bytes.Repeat([]byte{c}, 512) }
	blank := &Image{Size: 1 << 20, pages: map[int64]*page{}}
	log := []Op{
		{Kind: Write, Off: 0, Data: sector('a')},
		{Kind: Mark, Mark: "m", Data: []byte("1")},
		{Kind: Flush},
		{Kind: Mark, Mark: "m", Data: []byte("2")},
		{Kind: Write, Off: 512, Data: sector('b')},
		{Kind: Mark, Mark: "m", Data: []byte("3")},
		{Kind: Write, Off: 4096 - 512, Data: append(sector('c'), sector('d')...)},
		{Kind: Mark, Mark: "m", Data: []byte("4")},
	}
	at := map[byte]int64{'a': 0, 'b': 512, 'c': 4096 - 512, 'd': 4096}
	states := Choose((&Recording{Base: blank, Told: Told{}, Log: log}).Epochs(), 100, rand.New(rand.NewPCG(1, 2)), 512)
	met := map[string]map[string]bool{}
	for _, s := range states {
		m, holds := s.Image(), ""
		for _, c := range []byte("abcd") {
			var b [1]byte
			if m.Read(at[c], b[:]); b[0] == c {
				holds += string(c)
			} else if b[0] != 0 {
				t.Errorf("%s: %q at %d", s.What, b, at[c])
			}
		}
		if met[holds] != nil {
			t.Errorf("%s: %q is there twice", s.What, holds)
		}
		met[holds] = map[string]bool{}
		for _, told := range s.Told {
			met[holds][told["m"]] = true
		}
	}
	want := map[string]map[string]bool{
		"":     {"": true, "1": true},
		"a":    {"": true, "1": true, "12": true, "123": true, "1234": true},
		"ab":   {"12": true, "123": true, "1234": true},
		"ac":   {"123": true, "1234": true},
		"ad":   {"123": true, "1234": true},
		"abc":  {"123": true, "1234": true},
		"abd":  {"123": true, "1234": true},
		"acd":  {"123": true, "1234": true},
		"abcd": {"123": true, "1234": true},
	}
	for holds, told := range want {
		if !maps.Equal(met[holds], told) {
			t.Errorf("with %q witnesses may have seen %v, want %v", holds, met[holds], told)
		}
	}
	if len(met) != len(want) {
		t.Errorf("%d states, want %d", len(met), len(want))
	}
}

// What is served is what was loaded, and what was written to it.
func TestServe(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip(err)
	}
	file := t.TempDir() + "/image"
	if err := os.WriteFile(file, []byte("loaded"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 1<<20); err != nil {
		t.Fatal(err)
	}
	m, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Serve(t.TempDir(), m, Told{"seen": "before\n"})
	if err != nil {
		t.Fatal(err)
	}
	// A child must not keep the mount waiting when this process is killed.
	if out, err := exec.Command("ls", "-l", "/proc/self/fd").Output(); err != nil || strings.Contains(string(out), "fuse") {
		t.Errorf("%v\n%s", err, out)
	}
	d.Record()
	disk, err := os.OpenFile(d.Path(Name), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := os.OpenFile(d.Path("seen"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{
		func() error { _, err := disk.WriteAt([]byte("L"), 0); return err },
		disk.Sync,
		func() error { _, err := seen.WriteString("it\n"); return err },
		func() error { _, err := disk.WriteAt([]byte("x"), 1<<20-1); return err },
		disk.Close, seen.Close, d.Close,
	} {
		if err := step(); err != nil {
			t.Error(err)
		}
	}
	epochs := d.Stop().Epochs()
	if len(epochs) != 2 || len(epochs[0].writes) != 1 || len(epochs[1].writes) != 1 {
		t.Fatalf("%+v", epochs)
	}
	all := epochs[1].first(1)
	var b [6]byte
	if all.Image().Read(0, b[:]); string(b[:]) != "Loaded" {
		t.Errorf("%q", b)
	}
	if n := len(all.Told); all.Told[n-1]["seen"] != "before\nit\n" {
		t.Errorf("%q", all.Told)
	}
}
