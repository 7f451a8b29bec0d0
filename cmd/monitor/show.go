package main

import (
	"errors"
	"fmt"
	"io"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"simplejobq/internal/monitor"
	"simplejobq/internal/spool"
	"simplejobq/internal/status"
)

func (p *program) newStatus() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "the summary of the spool",
		Long: `status shows what runs, what is next, why the rest waits, and what ended last,
from the files: it works with and without a running monitor, and disturbs none.`,
		Example: `  monitor status
  monitor status --json | jq .running`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, v, err := p.view()
			if err != nil {
				return err
			}
			defer v.Close()
			now := time.Now()
			d, err := v.Digest(now)
			if err != nil {
				return err
			}
			return p.print(func(w io.Writer) error {
				if asJSON {
					return d.JSON(w)
				}
				return d.Text(w, now)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return c
}

// selection is which UOWs list shows.
type selection struct {
	queues []spool.Queue
	state  status.State
	name   string
	asJSON bool
}

func (p *program) newList() *cobra.Command {
	var s selection
	var state string
	c := &cobra.Command{
		Use:   "list [QUEUE]",
		Short: "one line for each unit of work",
		Long: `list shows when each was enqueued, its state, queue and name, and what is to be
said about it: of all queues, or of one directory of the spool. What lies in
trash and archive is shown only if they are named, or asked for by --state.`,
		Example: `  monitor list
  monitor list error-q --name 'deploy-*'
  monitor list --state waiting --json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("%s takes at most one queue, found %d arguments (see %[1]s --help)", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			s.state = status.State(state)
			if state != "" && !slices.Contains(status.States(), s.state) {
				return usage("--state %q: write one of %s", state, strings.Trim(fmt.Sprint(status.States()), "[]"))
			}
			if _, err := path.Match(s.name, ""); err != nil {
				return usage("--name %q is no pattern: %w", s.name, err)
			}
			_, v, err := p.view()
			if err != nil {
				return err
			}
			defer v.Close()
			// Of what is read little is kept, and the end is near.
			debug.SetGCPercent(400)
			if s.queues, err = queuesOf(v.Spool(), args, s.state); err != nil {
				return err
			}
			return p.list(v, s)
		},
	}
	c.Flags().BoolVar(&s.asJSON, "json", false, "one JSON object a line")
	c.Flags().StringVar(&state, "state", "", "only those in this state, such as waiting, running or fail")
	c.Flags().StringVar(&s.name, "name", "", "only names that match this pattern, with * ? and [...]")
	return c
}

func queuesOf(sp *spool.Spool, args []string, state status.State) ([]spool.Queue, error) {
	if len(args) == 0 {
		all := []spool.Queue{spool.Executing, spool.Priority, spool.Wait, spool.Hold, spool.Done, spool.Error, spool.Fail}
		switch state {
		case status.Archived:
			all = []spool.Queue{spool.Archive}
		case status.Trashed:
			all = []spool.Queue{spool.Trash}
		}
		return all, nil
	}
	q, ok := sp.ByName(strings.TrimSuffix(args[0], "/"))
	if !ok {
		var names []string
		for q := range spool.Queues {
			names = append(names, sp.Name(q))
		}
		return nil, usage("%q is no queue of this spool; there are %s", args[0], strings.Join(names, ", "))
	}
	return []spool.Queue{q}, nil
}

func (p *program) list(v *monitor.View, s selection) error {
	color := p.color()
	return p.print(func(w io.Writer) error {
		// One processor finds out what is to be said, another writes it.
		pages, done := make(chan []status.Job, 4), make(chan struct{})
		var fault error
		go func() {
			defer close(done)
			for page := range pages {
				for _, j := range page {
					if s.asJSON {
						fault = j.JSON(w)
					} else {
						_, fault = io.WriteString(w, j.Line(color)+"\n")
					}
					if fault != nil {
						return
					}
				}
			}
		}()
		const atOnce = 256
		var page []status.Job
		write := func() bool {
			select {
			case pages <- page:
				page = make([]status.Job, 0, atOnce)
				return true
			case <-done:
				return false
			}
		}
		var errs []error
		for _, q := range s.queues {
			errs = append(errs, v.List(q, func(j status.Job) bool {
				if s.state != "" && j.State != s.state {
					return true
				}
				if match, _ := path.Match(s.name, j.Name); s.name != "" && !match {
					return true
				}
				page = append(page, j)
				return len(page) < atOnce || write()
			}))
			if errs[len(errs)-1] != nil {
				break
			}
		}
		write()
		close(pages)
		<-done
		return errors.Join(append(errs, fault)...)
	})
}

func (p *program) newExplain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain NAME",
		Short: "why a unit of work is where it is",
		Long: `explain says in one sentence why a unit of work waits, runs, or ended as it did.
NAME is a name, or queue/NAME for exactly that file.`,
		Example: `  monitor explain deploy-7
  monitor explain trash/deploy-7`,
		Args: wants(1, "one name"),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := p.config()
			if err != nil {
				return err
			}
			var text string
			err = p.ask(c, func(v *monitor.View) error {
				text, err = v.Explain(args[0])
				return err
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.stdout, "%s %s\n", status.Name(path.Base(args[0])), status.Strip(text, false))
			return err
		},
	}
}

func (p *program) newConfig() *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "the configuration in force",
		Long: `config shows every key with its value and where that came from. The output is a
configuration itself. A running monitor has what it read last: ask it with
"monitor send CONFIG".`,
		Example: `  monitor --root /srv/queue config`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := p.config()
			if err != nil {
				return err
			}
			return p.print(c.Write)
		},
	}
}
