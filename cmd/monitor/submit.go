package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"simplejobq/internal/config"
	"simplejobq/internal/monitor"
	"simplejobq/internal/spool"
	"simplejobq/internal/status"
	"simplejobq/internal/uow"
)

// order is what the flags of submit say.
type order struct {
	priority, hold, wait, noAct bool

	name  string
	items []string
}

func (p *program) newSubmit() *cobra.Command {
	var o order
	c := &cobra.Command{
		Use:   "submit FILE... | -- CMD ARG...",
		Short: "drop units of work into the spool",
		Long: `submit checks each FILE (- is the standard input) and then drops a copy of it
under the file's own name. When it ends with 0 the units of work are on disk, and
it has printed queue/NAME for each. If one is invalid none is dropped.

After -- it takes a program and its arguments, just as they are: each word stays
one word, so "submit -- 'a b'" runs a program called "a b". For a shell line
write: submit -- sh -c 'make all | tail'. The job runs in the current directory.`,
		Example: `  monitor submit deploy-7 nightly
  monitor submit --priority --wait -- make backup
  generate | monitor submit --name report-1 --item OWNER=ann -`,
		RunE: func(c *cobra.Command, args []string) error {
			files, words := args, []string(nil)
			if dash := c.ArgsLenAtDash(); dash >= 0 {
				files, words = args[:dash], args[dash:]
			}
			return p.submit(o, files, words)
		},
	}
	c.Flags().BoolVar(&o.priority, "priority", false, "ahead of what waits in the ordinary queue")
	c.Flags().BoolVar(&o.hold, "hold", false, "parked, until it is released")
	c.Flags().StringVar(&o.name, "name", "", "name of the UOW (one file or command only)")
	c.Flags().StringArrayVar(&o.items, "item", nil, "add an item NAME=VALUE (may be repeated)")
	c.Flags().BoolVar(&o.noAct, "no-act", false, "run its CHECKs only, no COMMAND (adds the item NO ACT=yes)")
	c.Flags().BoolVar(&o.wait, "wait", false, "wait until it has ended, and exit as the job did")
	return c
}

func (p *program) submit(o order, files, words []string) error {
	switch {
	case len(files) == 0 && len(words) == 0:
		return usage("submit takes files, or -- and a command (see monitor submit --help)")
	case len(files) > 0 && len(words) > 0:
		return usage("submit takes files or a command after --, not both: %q stands before it", files[0])
	case o.priority && o.hold:
		return usage("--priority and --hold exclude each other")
	case o.name != "" && len(files) > 1:
		return usage("--name is for one file, found %d", len(files))
	case o.name == "" && slices.Contains(files, "-"):
		return usage("the standard input has no name; give it one with --name")
	case len(words) > 0 && words[0] == "":
		return usage("the command after -- is empty")
	}
	if o.noAct {
		o.items = append(o.items, "NO ACT=yes")
	}
	items, err := parseItems(o.items)
	if err != nil {
		return err
	}
	c, sp, err := p.open()
	if err != nil {
		return err
	}
	defer sp.Close()
	to := spool.Wait
	switch {
	case o.priority:
		to = spool.Priority
	case o.hold:
		to = spool.Hold
	}
	d := &drop{sp: sp, to: to}
	defer d.close()
	if len(words) > 0 {
		err = d.command(c, o.name, words, items)
	} else {
		err = p.readAll(d, c, o.name, files, items)
	}
	if err != nil {
		return err
	}
	if err := d.write(); err != nil {
		return err
	}
	published, err := d.publish()
	for _, u := range published {
		if _, e := fmt.Fprintf(p.stdout, "%s/%s\n", sp.Name(to), u.name); e != nil && !hungUp(e) {
			err = errors.Join(err, e)
		}
	}
	if err != nil || !o.wait {
		return err
	}
	return p.waitSubmitted(c, sp, published)
}

// readAll reads and checks every file before the first is dropped, and tells of
// all that are bad.
func (p *program) readAll(d *drop, c *config.Config, name string, files []string, items []uow.Item) error {
	var faults []error
	for _, file := range files {
		u := &unit{name: name}
		if name == "" {
			u.name = filepath.Base(file)
		}
		t, err := p.readText(c, file)
		if err == nil {
			u.text = t
			d.units = append(d.units, u)
			err = u.prepare(c, items)
		}
		if err == nil {
			err = checkName(u.name)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		d.stamp(u)
		if err := u.release(); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 && len(files) > 1 {
		faults = append(faults, errors.New("nothing was submitted"))
	}
	return errors.Join(faults...)
}

// checkName refuses names the monitor would not look at or could not tell of.
func checkName(name string) error {
	err := spool.CheckName(name)
	switch {
	case name == "" || name == "." || name == ".." || strings.Contains(name, "/"):
		err = errors.New("is no name for a file")
	case len(name) > 255:
		err = errors.New("is longer than 255 bytes")
	case spool.Ignored(name):
		err = errors.New("files of such a name are not looked at (they begin with . or #, or end in ~, .swp, .tmp or .part)")
	case spool.Readme(name):
		err = errors.New("a README explains a directory and is no unit of work")
	}
	if err != nil {
		return fmt.Errorf("%s: %w; choose another name with --name", status.Name(name), err)
	}
	return nil
}

// prepare adds items and checks what came of it.
func (u *unit) prepare(c *config.Config, items []uow.Item) error {
	whole, err := uow.Parse(u.text.name, u.text.head)
	if err != nil {
		_, err = monitor.Check(c, u.text.name, u.text.head) // tells more
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(items), func(it uow.Item) bool {
		got, there := whole.Get(it.Name)
		return there && got == strings.Trim(it.Content, " \t")
	})
	if len(missing) > 0 {
		var faults uow.Errors
		for _, it := range missing {
			if got, there := whole.Get(it.Name); there {
				faults = append(faults, whole.Fault(it.Name, "stands there already as %q, so %q can't be added", got, it.Name+"="+it.Content))
			}
		}
		if len(faults) > 0 {
			return faults
		}
		if u.text.head, err = addItems(u.text.head, missing); err != nil {
			return err
		}
	}
	if whole, err = monitor.Check(c, u.text.name, u.text.head); err != nil {
		return err
	}
	for _, it := range items {
		if got, ok := whole.Get(it.Name); !ok || got != strings.Trim(it.Content, " \t") {
			return fmt.Errorf("--item %q: would not be read as an item of this name and value", it.Name+"="+it.Content)
		}
	}
	u.text.unit = whole
	return nil
}

// command makes a unit of work of a program and its arguments.
func (d *drop) command(c *config.Config, name string, words []string, items []uow.Item) error {
	now := time.Now()
	if name == "" {
		name = commandName(words[0], now)
	}
	if err := checkName(name); err != nil {
		return err
	}
	here, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the current directory, in which the job would run: %w", err)
	}
	all := append([]uow.Item{{Name: "COMMAND", Content: shellLine(words)}, {Name: "DIRECTORY", Content: here}}, items...)
	head, err := uow.New(now, all)
	if err != nil {
		return err
	}
	u := &unit{name: name, text: &text{name: name, head: head}}
	if u.text.unit, err = monitor.Check(c, "", head); err != nil {
		return err
	}
	if u.text.unit.Directory != here {
		return fmt.Errorf("the name of the current directory, %q, can't be written into a unit of work; change to another", here)
	}
	d.units = append(d.units, u)
	return nil
}

// commandName is a name nobody else is likely to choose, that tells people what
// it was.
func commandName(program string, now time.Time) string {
	base := strings.Map(func(r rune) rune {
		if strings.ContainsRune("/\\\"' ", r) || r < ' ' || r == 0x7f || r == '�' {
			return '_'
		}
		return r
	}, strings.TrimLeft(filepath.Base(program), ".#"))
	for len(base) > 100 {
		base = string([]rune(base)[:len([]rune(base))/2])
	}
	if base == "" || spool.CheckName(base) != nil {
		base = "command"
	}
	letters := make([]byte, 4)
	for i := range letters {
		letters[i] = byte('a' + rand.IntN(26))
	}
	return base + "-" + now.UTC().Format("20060102T150405Z") + "-" + string(letters)
}
