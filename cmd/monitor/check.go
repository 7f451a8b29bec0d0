package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/afero"
	"github.com/spf13/cobra"

	"simplejobq/internal/config"
	"simplejobq/internal/graph"
	"simplejobq/internal/monitor"
	"simplejobq/internal/spool"
	"simplejobq/internal/status"
	"simplejobq/internal/uow"
)

func (p *program) newCheck() *cobra.Command {
	var as string
	var d checkDrawing
	c := &cobra.Command{
		Use:   "check FILE...",
		Short: "validate units of work or a configuration",
		Long: `check reads each FILE (- is the standard input) and tells every error with its
line, on the standard error. A file whose name ends in .toml is a configuration,
anything else a unit of work; --as says otherwise. Job types are those of the
spool, if one is named or the current directory is one. With --graph the steps of
each flow are drawn as well, as "monitor graph" does.`,
		Example: `  monitor check deploy-7 config.toml
  make-uow | monitor check -
  monitor check --graph --svg release > release.svg`,
		Args: wants(0, "at least one file"),
		RunE: func(_ *cobra.Command, args []string) error {
			if as != "" && as != "uow" && as != "config" {
				return usage("--as %q: write uow or config", as)
			}
			return p.check(args, as, d)
		},
	}
	c.Flags().StringVar(&as, "as", "", "what the files are: uow or config")
	c.Flags().BoolVar(&d.wanted, "graph", false, "draw the steps of each flow that is good")
	d.flags(c)
	return c
}

// checkDrawing is whether flows are drawn, and how.
type checkDrawing struct {
	drawing
	wanted bool
}

func (p *program) check(files []string, as string, d checkDrawing) error {
	if (d.dot || d.svg) && !d.wanted {
		return usage("--dot and --svg say how --graph draws: write it as well")
	}
	if err := d.fault(); err != nil {
		return err
	}
	conf, err := p.checkConfig()
	if err != nil {
		return err
	}
	bad := false
	for _, name := range files {
		var g *graph.Graph
		switch {
		case as == "config" || as == "" && strings.HasSuffix(name, ".toml"):
			err = p.checkTOML(name)
		case d.wanted:
			if g, err = p.fileGraph(conf, name); errors.Is(err, monitor.ErrNoSteps) {
				err = nil
			}
		default:
			_, err = p.checkUOW(conf, name)
		}
		if err != nil {
			bad = true
			err = printLines(p.stderr, err.Error())
		} else {
			if !d.dot && !d.svg { // these are for programs
				_, err = fmt.Fprintf(p.stdout, "%s: ok\n", status.Name(name))
			}
			if g != nil && err == nil {
				err = p.print(func(w io.Writer) error { return d.draw(w, g) })
			}
		}
		if err != nil {
			return err
		}
	}
	if bad {
		return quit(exitNo)
	}
	return nil
}

func printLines(w io.Writer, text string) error {
	_, err := fmt.Fprintln(w, text)
	return err
}

// checkConfig is the configuration UOWs are checked under: the spool's if there
// is a spool, else the defaults.
func (p *program) checkConfig() (*config.Config, error) {
	if !p.hasSpool() {
		return config.Default(), nil
	}
	return p.config()
}

// hasSpool reports whether a spool is named, or here.
func (p *program) hasSpool() bool {
	return p.configFile != "" || p.namedRoot() != "" || spool.IsSpool(".")
}

func (p *program) checkTOML(name string) error {
	if name != "-" {
		_, err := config.Load(afero.NewOsFs(), name)
		return err
	}
	text, err := io.ReadAll(p.stdin)
	if err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	// The configuration is only read from files.
	disk := afero.NewOsFs()
	f, err := afero.TempFile(disk, "", "monitor-check-*.toml")
	if err != nil {
		return fmt.Errorf("keep standard input: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		_, err = config.Load(disk, f.Name())
	}
	err = errors.Join(err, disk.Remove(f.Name()))
	var faults config.Errors
	if errors.As(err, &faults) {
		for _, f := range faults {
			f.File = "standard input"
		}
		return faults
	}
	return err
}

// text is a file as somebody wrote it: what stands before its log, and the log.
type text struct {
	name string // for errors
	head []byte
	unit *uow.Unit
	log  io.Reader // what follows head
	file io.Closer
}

func (t *text) close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}

// checkUOW reads a file and checks it as the monitor would.
func (p *program) checkUOW(c *config.Config, name string) (*text, error) {
	t, err := p.readText(c, name)
	if err != nil {
		return nil, err
	}
	if err := t.close(); err != nil {
		return nil, err
	}
	t.unit, err = monitor.Check(c, t.name, t.head)
	return t, err
}

// readText reads a file up to its log.
func (p *program) readText(c *config.Config, name string) (*text, error) {
	t := &text{name: name}
	in := p.stdin
	if name == "-" {
		t.name = "standard input"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		if st, err := f.Stat(); err != nil || st.IsDir() {
			if err == nil {
				err = fmt.Errorf("%s: is a directory, not a text file with a unit of work", name)
			}
			return nil, errors.Join(err, f.Close())
		}
		in, t.file = f, f
	}
	// Head reads ahead: what it took beyond its end belongs to the log.
	var seen bytes.Buffer
	head, err := uow.Head(io.TeeReader(in, &seen), int64(c.Limits.UOWSize))
	if err != nil {
		if errors.Is(err, uow.ErrTooLarge) {
			err = monitor.TooLarge(t.name, c)
		} else {
			err = fmt.Errorf("read %s: %w", t.name, err)
		}
		return nil, errors.Join(err, t.close())
	}
	t.head = head
	t.log = io.MultiReader(bytes.NewReader(seen.Bytes()[len(head):]), in)
	return t, nil
}
