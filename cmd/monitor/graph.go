package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"simplejobq/internal/config"
	"simplejobq/internal/graph"
	"simplejobq/internal/monitor"
)

// drawing is how a flow is drawn.
type drawing struct{ dot, svg bool }

func (d *drawing) flags(c *cobra.Command) {
	c.Flags().BoolVar(&d.dot, "dot", false, "in the DOT language of Graphviz")
	c.Flags().BoolVar(&d.svg, "svg", false, "as SVG")
}

func (d *drawing) fault() error {
	if d.dot && d.svg {
		return usage("--dot and --svg are two ways to draw: write one of them")
	}
	return nil
}

func (d *drawing) draw(w io.Writer, g *graph.Graph) error {
	switch {
	case d.dot:
		return g.DOT(w)
	case d.svg:
		return g.SVG(w)
	}
	return g.Text(w)
}

func (p *program) newGraph() *cobra.Command {
	var d drawing
	c := &cobra.Command{
		Use:   "graph NAME|FILE",
		Short: "the steps of a flow, and how each stands",
		Long: `graph shows the steps of a unit of work: before it runs, while it does, and after.
NAME is that of a unit of work in the spool, or queue/NAME for exactly that file;
if there is none of that name, it is a FILE anywhere (- is the standard input).`,
		Example: `  monitor graph movie-night
  monitor graph --svg movie-night > movie-night.svg
  monitor graph --dot ./release | dot -Tpng > release.png`,
		Args: wants(1, "one name or file"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := d.fault(); err != nil {
				return err
			}
			g, err := p.graph(args[0])
			if errors.Is(err, monitor.ErrNoSteps) {
				err = fmt.Errorf("%s %w", args[0], err)
			}
			if err != nil {
				return err
			}
			return p.print(func(w io.Writer) error { return d.draw(w, g) })
		},
	}
	d.flags(c)
	return c
}

// graph asks the spool, if there is one, and then the disk.
func (p *program) graph(name string) (*graph.Graph, error) {
	if p.hasSpool() && name != "-" {
		_, v, err := p.view()
		if err != nil {
			return nil, err
		}
		defer v.Close()
		g, err := v.Graph(name)
		if _, missing := os.Stat(name); !errors.Is(err, monitor.ErrNobody) || missing != nil {
			return g, err
		}
	}
	conf, err := p.checkConfig()
	if err != nil {
		return nil, err
	}
	return p.fileGraph(conf, name)
}

// fileGraph checks a file, and draws it.
func (p *program) fileGraph(conf *config.Config, name string) (*graph.Graph, error) {
	t, err := p.readText(conf, name)
	if err != nil {
		return nil, err
	}
	var g *graph.Graph
	if t.unit, err = monitor.Check(conf, t.name, t.head); err == nil {
		g, err = monitor.GraphOf(conf, t.name, t.unit, t.log)
	}
	return g, errors.Join(err, t.close())
}
