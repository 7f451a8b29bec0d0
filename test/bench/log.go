package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const logged = 2 << 30

// measureLog is how fast one job can write into its log, against tee: both are in memory
// when the job ends. That the UOW is in done-q means that all of it is on the disk.
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
	wrote, err := s.wall("talk")
	if err != nil {
		return err
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
	b.add("log of 2 GiB, MiB/s", "", (logged>>20)/wrote)
	b.add("log of 2 GiB over tee", "≥ 0.8", tee/wrote)
	b.add("log of 2 GiB until it is on the disk and the UOW in done-q, MiB/s", "", rate*(logged>>20))
	return os.Remove(out)
}

// wall is how long the job of a UOW ran, in seconds, as monitor_events has it.
func (s *spool) wall(name string) (float64, error) {
	text, err := os.ReadFile(s.path("monitor_events"))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		var ev struct {
			Event, UOW string
			Wall       float64 `json:"wall_seconds"`
		}
		if json.Unmarshal(line, &ev) == nil && ev.Event == "ended" && ev.UOW == name {
			return ev.Wall, nil
		}
	}
	return 0, fmt.Errorf("monitor_events does not tell the end of %s", name)
}
