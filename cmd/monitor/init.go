package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/afero"
	"github.com/spf13/cobra"

	"simplejobq/internal/config"
	"simplejobq/internal/monitor"
	"simplejobq/internal/spool"
)

func (p *program) newInit() *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "make a spool",
		Long: `init makes DIR, with its parents, and in it the directories of a spool, each with
a README that says what it is for. On a spool it makes what is missing. A
directory that holds anything else is refused. Names come from --config, or from
a config.toml that lies in DIR already.`,
		Example: `  monitor init /srv/queue`,
		Args:    wants(1, "one directory"),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.makeSpool(afero.NewOsFs(), args[0])
		},
	}
}

func (p *program) makeSpool(disk afero.Fs, dir string) error {
	root, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	c, err := p.initConfig(disk, root)
	if err != nil {
		return &exitError{exitConfig, err}
	}
	was := spool.IsSpool(root)
	if !was {
		if err := strangers(disk, root, c); err != nil {
			return err
		}
	}
	if err := disk.MkdirAll(root, 0o777); err != nil {
		return fmt.Errorf("make spool: %w", err)
	}
	texts := readmes(c)
	var made []string
	for _, t := range texts {
		if _, err := disk.Stat(filepath.Join(root, t.dir)); errors.Is(err, fs.ErrNotExist) {
			made = append(made, t.dir)
		}
	}
	if err := spool.Make(monitor.Layout(c)); err != nil {
		return fmt.Errorf("make spool: %w", err)
	}
	if err := disk.Mkdir(filepath.Join(root, c.Dirs.Status), 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make spool: %w", err)
	}
	for _, t := range texts {
		wrote, err := writeReadme(disk, filepath.Join(root, t.dir), t.text)
		if err != nil {
			return fmt.Errorf("make spool: %w", err)
		}
		if wrote && !slices.Contains(made, t.dir) {
			made = append(made, filepath.Join(t.dir, "README"))
		}
	}
	switch {
	case !was:
		_, err = fmt.Fprintf(p.stdout, "%s is a spool now; start its monitor with: monitor --root %s run\n", root, shellWord(root))
	case len(made) == 0:
		_, err = fmt.Fprintf(p.stdout, "%s is a spool already, and nothing is missing\n", root)
	default:
		_, err = fmt.Fprintf(p.stdout, "%s is a spool already; made what was missing: %s\n", root, strings.Join(made, ", "))
	}
	return err
}

// initConfig is where the names of the directories come from.
func (p *program) initConfig(disk afero.Fs, root string) (*config.Config, error) {
	file := p.configFile
	if file == "" {
		file = filepath.Join(root, "config.toml")
	}
	c, err := config.Load(disk, file)
	if p.configFile == "" && (errors.Is(err, fs.ErrNotExist) || isNotDir(disk, root)) {
		c, err = config.Default(), nil
	}
	if err == nil {
		c.Root = root
	}
	return c, err
}

func isNotDir(disk afero.Fs, path string) bool {
	st, err := disk.Stat(path)
	return err == nil && !st.IsDir()
}

// strangers refuses a directory with anything in it that a spool, or an init cut
// short, would not hold: nobody's home becomes a spool by a slip.
func strangers(disk afero.Fs, root string, c *config.Config) error {
	list, err := afero.ReadDir(disk, root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make spool: %w", err)
	}
	ours := func(e os.FileInfo) bool {
		name := e.Name()
		switch {
		case name == ".monitor" || name == "lost+found":
			return e.IsDir()
		case name == "config.toml": // it may be a link into /etc
			return e.Mode().IsRegular() || e.Mode()&fs.ModeSymlink != 0
		case spool.Readme(name):
			return e.Mode().IsRegular()
		}
		if !e.IsDir() || !slices.ContainsFunc(readmes(c), func(r readme) bool { return r.dir == name }) {
			return false
		}
		empty, err := afero.IsEmpty(disk, filepath.Join(root, name))
		return err == nil && empty
	}
	for _, e := range list {
		if !ours(e) {
			return fmt.Errorf("%s holds %q and is no spool; name a directory that is empty or does not exist yet", root, e.Name())
		}
	}
	return nil
}

// writeReadme explains a directory, unless somebody has done so already: of two
// READMEs the monitor would keep only the newer.
func writeReadme(disk afero.Fs, dir, text string) (bool, error) {
	for _, name := range []string{"README", "README.md", "README.txt"} {
		if _, err := disk.Stat(filepath.Join(dir, name)); err == nil {
			return false, nil
		}
	}
	f, err := disk.OpenFile(filepath.Join(dir, "README"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return false, err
	}
	_, err = f.WriteString(text)
	return true, errors.Join(err, f.Close())
}
