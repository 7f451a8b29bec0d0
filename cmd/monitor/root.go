package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/afero"
	"github.com/spf13/cobra"

	"simplejobq/internal/config"
	"simplejobq/internal/spool"
)

// program is what all commands share.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	version        string

	root       string // --root
	configFile string // --config
	beat       time.Time
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
		Use:           "monitor",
		Short:         "a job queue you operate with ls, cat, mv and echo",
		Version:       p.version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&p.root, "root", "", "directory of the spool (its config.toml is read if there is one)")
	c.PersistentFlags().StringVar(&p.configFile, "config", "", "configuration file (may set root)")
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see %s --help)", err, c.CommandPath())}
	})
	c.AddCommand(p.newInit(), p.newRun())
	return c
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument, found %q (see %[1]s --help)", c.CommandPath(), args[0])}
	}
	return nil
}

// config is the configuration in force: --config, else the config.toml of the
// spool named by --root or $MONITOR_ROOT, else of the current directory if that
// is a spool.
func (p *program) config() (*config.Config, error) {
	disk := afero.NewOsFs()
	if p.configFile != "" {
		c, err := config.Load(disk, p.configFile)
		if err == nil && p.root != "" {
			c.Root, err = filepath.Abs(p.root)
		}
		return c, err
	}
	root := p.root
	if root == "" {
		root = os.Getenv("MONITOR_ROOT")
	}
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
	c, err := config.Load(disk, filepath.Join(root, "config.toml"))
	if errors.Is(err, fs.ErrNotExist) {
		c, err = config.Default(), nil
		c.Root = root
	}
	return c, err
}
