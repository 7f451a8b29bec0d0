package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/spf13/afero"
	"github.com/spf13/cobra"

	"simplejobq/internal/config"
	"simplejobq/internal/monitor"
	"simplejobq/internal/spool"
)

// program is what all commands share.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	version        string

	root       string // --root
	configFile string // --config

	notifying sync.Mutex // guards the rest
	beat      time.Time
	deaf      bool // the service manager can't be told anything
}

// Version is set by the build (-ldflags -X main.Version=…).
var Version string

func version() string {
	if Version != "" {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func newRoot(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "monitor",
		Short: "a job queue you operate with ls, cat, mv and echo",
		Long: `monitor is a job queue for one machine. A job is a text file, and the directory
it lies in is its state. "monitor run" works on such a spool; the other commands
are for what ls, cat, mv and echo do not do as well.`,
		Example: `  monitor init /srv/queue
  monitor --root /srv/queue run
  monitor --root /srv/queue submit --wait -- make backup`,
		Version:       p.version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&p.root, "root", "", "directory of the spool (its config.toml is read if there is one; default $MONITOR_ROOT, else the current directory if it is a spool)")
	c.PersistentFlags().StringVar(&p.configFile, "config", "", "configuration file (may set root)")
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see %s --help)", err, c.CommandPath())}
	})
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(
		p.newInit(), p.newRun(), p.newCheck(), p.newSubmit(), p.newStatus(), p.newList(),
		p.newLog(), p.newWait(), p.newExplain(), p.newGraph(), p.newSend(), p.newConfig(), p.newDoctor(),
		p.newCompletion(), exitStatusHelp(),
	)
	p.completions(c)
	c.InitDefaultHelpCmd()
	if help, _, err := c.Find([]string{"help"}); err == nil {
		help.Short = "the help of a command"
		help.Long = `help shows what COMMAND --help does, and topics that are no command.`
		help.Example = `  monitor help submit
  monitor help exit-status`
	}
	return c
}

// knownCommand is asked about words that are no command of ours.
func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see monitor --help"
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usageError{fmt.Errorf("%q is no command of monitor; %s", args[0], hint)}
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument, found %q (see %[1]s --help)", c.CommandPath(), args[0])}
	}
	return nil
}

// wants makes a command insist on its arguments: at least one, and at most most
// if that is not 0. what says in words what they are.
func wants(most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 || most > 0 && len(args) > most {
			return usageError{fmt.Errorf("%s takes %s, found %d arguments (see %[1]s --help)", c.CommandPath(), what, len(args))}
		}
		return nil
	}
}

// config is the configuration in force: --config, else the config.toml of the
// spool named by --root or $MONITOR_ROOT, else of the current directory if that
// is a spool.
func (p *program) config() (*config.Config, error) {
	c, err := p.readConfig()
	if err != nil {
		return nil, &exitError{exitConfig, err}
	}
	return c, nil
}

func (p *program) readConfig() (*config.Config, error) {
	disk := afero.NewOsFs()
	if p.configFile != "" {
		c, err := config.Load(disk, p.configFile)
		if err == nil && p.root != "" {
			c.Root, err = filepath.Abs(p.root)
		}
		return c, err
	}
	root := p.namedRoot()
	if root == "" {
		if !spool.IsSpool(".") {
			return nil, &spool.LayoutError{Text: "the current directory is no spool; name one with --root DIR, --config FILE or MONITOR_ROOT, or make one with: monitor init DIR"}
		}
		root = "."
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(root, "config.toml")
	c, err := config.Load(disk, path)
	if errors.Is(err, fs.ErrNotExist) {
		// A configuration that can't be reached is not one that is not there.
		if _, e := os.Lstat(path); e == nil {
			return nil, &spool.LayoutError{Text: path + ": is a link to a file that is not there; mend the link, or remove it for the defaults"}
		}
		if !spool.IsSpool(root) {
			return nil, &spool.LayoutError{Text: fmt.Sprintf("%s is no spool; make one with: monitor init %[1]s", root)}
		}
		c, err = config.Default(), nil
		c.Root = root
	}
	return c, err
}

// namedRoot is the spool that the command line or the environment names.
func (p *program) namedRoot() string {
	if p.root != "" {
		return p.root
	}
	return os.Getenv("MONITOR_ROOT")
}

// view opens the spool for looking: no lock, nothing changed.
func (p *program) view() (*config.Config, *monitor.View, error) {
	c, err := p.config()
	if err != nil {
		return nil, nil, err
	}
	v, err := monitor.OpenView(c, p.version)
	return c, v, err
}

// open opens the spool where only its directories are needed.
func (p *program) open() (*config.Config, *spool.Spool, error) {
	c, err := p.config()
	if err != nil {
		return nil, nil, err
	}
	sp, err := spool.Open(monitor.Layout(c))
	return c, sp, err
}
