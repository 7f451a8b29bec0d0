package survive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"simplejobq/test/crash/world"
)

// damage is what somebody does below .monitor while no monitor is there.
var damage = map[string]func(private string) error{
	"record garbled": func(private string) error {
		return each(private, "run/[0-9]*", func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte("garbage"), 0)
			return err
		})
	},
	"record emptied": func(private string) error { return each(private, "run/[0-9]*", empty) },
	"record removed": func(private string) error { return each(private, "run/[0-9]*", os.Remove) },
	"past emptied":   func(private string) error { return each(private, "flow/*", empty) },
	"past removed":   func(private string) error { return each(private, "flow/*", os.Remove) },
	"past cut":       func(private string) error { return each(private, "flow/*", cut(60)) },
	"past all zeros": func(private string) error { return each(private, "flow/*", zeros) },
	"record and past": func(private string) error {
		return errors.Join(each(private, "run/[0-9]*", os.Remove), each(private, "flow/*", os.Remove))
	},
}

func empty(path string) error { return os.Truncate(path, 0) }

func cut(n int64) func(string) error {
	return func(path string) error {
		st, err := os.Stat(path)
		if err != nil {
			return err
		}
		return os.Truncate(path, st.Size()-n)
	}
}

func zeros(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, make([]byte, st.Size()), 0o644)
}

func each(private, pattern string, do func(path string) error) error {
	paths, err := filepath.Glob(filepath.Join(private, pattern))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := do(path); err != nil {
			return err
		}
	}
	return nil
}

// Of a run that goes on, its record or its flow's past is gone when the next monitor
// comes: nothing is begun a second time without a word, and nothing runs on unseen.
func TestRecordsDamaged(t *testing.T) {
	t.Parallel()
	const witness = `echo begun >> %[1]s; sleep 3; echo over >> %[1]s`
	kinds := map[string]string{
		"plain":   "COMMAND :: " + witness + "\n",
		"retried": "RETRY INTERRUPTED :: yes\nCOMMAND :: " + witness + "\n",
		"flow":    "==== STEP one\nCOMMAND :: echo first >> %[1]s\n==== STEP two\nCOMMAND :: " + witness + "\n",
	}
	for what, do := range damage {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.start()
			for name, text := range kinds {
				m.Drop(world.Unit{Name: name, Drop: "wait-q", Text: "==== UNIT OF WORK\n" + fmt.Sprintf(text, filepath.Join(m.W, name))})
			}
			read := func(name string) string { b, _ := os.ReadFile(filepath.Join(m.W, name)); return string(b) }
			m.Until(time.Minute, "all run", func() bool {
				for name := range kinds {
					if !strings.Contains(read(name), "begun\n") {
						return false
					}
				}
				return true
			})
			m.kill()
			if err := do(filepath.Join(m.Root, ".monitor")); err != nil {
				t.Fatal(err)
			}
			m.start()
			for name := range kinds {
				var end, log string
				m.Until(time.Minute, name+" ends", func() bool {
					for _, q := range []string{"done-q", "error-q", "fail-q"} {
						b, err := os.ReadFile(filepath.Join(m.Root, q, name))
						if err == nil {
							end, log = q, string(b)
						}
					}
					return end != ""
				})
				again := strings.Count(log, "; started again")
				begun, over, first := strings.Count(read(name), "begun\n"), strings.Count(read(name), "over\n"), strings.Count(read(name), "first\n")
				if begun > 1+again || first > 1 || again > 0 && name != "retried" {
					t.Errorf("%s ran %d times, and %d are announced, in %s:\n%s", name, begun, again, end, log)
				}
				if end == "done-q" != (over == begun-again) || end == "fail-q" != strings.Contains(log, "fail: interrupted: ") {
					t.Errorf("%s is in %s, and %d of %d runs came to their end:\n%s", name, end, over, begun, log)
				}
			}
			m.stop()
		})
	}
}
