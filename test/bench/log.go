package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const logged = 2 << 30

// measureLog is how fast the output of one job comes into its file, against tee, which
// promises nothing of it: it is not on the disk when tee ends.
func (b *bench) measureLog() error {
	script := filepath.Join(b.dir, "talk")
	text := fmt.Sprintf("#!/bin/sh\nyes 'one line of output, about as long as the lines of a build are' | head -c %d\n", logged)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		return err
	}
	s, err := b.newSpool("log", "[limits]\nlog_size = \"4GiB\"\n")
	if err == nil {
		err = s.put("talk", "COMMAND :: "+script+"\n")
	}
	if err != nil {
		return err
	}
	rate, _, err := s.drain(1, "talk")
	if err != nil {
		return err
	}
	st, err := os.Stat(s.path("done-q/talk"))
	if err != nil {
		return err
	}
	if st.Size() < logged {
		return fmt.Errorf("its log has only %d bytes", st.Size())
	}
	if err := os.RemoveAll(s.root); err != nil {
		return err
	}
	began := time.Now()
	out := filepath.Join(b.dir, "tee")
	if err := exec.Command("sh", "-c", script+" | tee -a "+out+" >/dev/null").Run(); err != nil {
		return err
	}
	tee := time.Since(began).Seconds()
	b.add("log of 2 GiB, MiB/s", "", rate*(logged>>20))
	b.add("log of 2 GiB over tee", "≥ 0.8", rate*tee)
	return os.Remove(out)
}
