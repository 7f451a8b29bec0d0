package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"simplejobq/internal/config"
	"simplejobq/internal/spool"
	"simplejobq/internal/status"
	"simplejobq/internal/units"
)

func (p *program) newWait() *cobra.Command {
	var timeout string
	c := &cobra.Command{
		Use:   "wait NAME...",
		Short: "wait until units of work have ended",
		Long: `wait returns when every NAME has ended and is on disk in its last queue, with the
exit status of the job ("monitor help exit-status" has them all). Of several, the
first that is not 0, in the order given. A name nobody knows ends it at once. A
unit of work between two tries has not ended.`,
		Example: `  monitor wait deploy-7 && monitor submit smoke-test
  monitor wait --timeout 10m nightly`,
		Args: wants(0, "at least one name"),
		RunE: func(c *cobra.Command, args []string) error {
			limit, err := units.ParseDuration(timeout)
			if err != nil {
				return usage("--timeout %q %w", timeout, err)
			}
			return p.wait(c.Context(), args, limit)
		},
	}
	c.Flags().StringVar(&timeout, "timeout", "0", "give up waiting after this long, with status 124 (0: never)")
	return c
}

func (p *program) wait(ctx context.Context, names []string, limit time.Duration) error {
	c, sp, err := p.open()
	if err != nil {
		return err
	}
	defer sp.Close()
	var trails []*trail
	for _, name := range names {
		t, err := p.followName(c, sp, name)
		if err != nil {
			return err
		}
		defer t.close()
		trails = append(trails, t)
	}
	return p.waitAll(ctx, sp, trails, limit)
}

// waitSubmitted waits for the very files that were just dropped.
func (p *program) waitSubmitted(c *config.Config, sp *spool.Spool, units []*unit) error {
	var trails []*trail
	for _, u := range units {
		trails = append(trails, &trail{conf: c, sp: sp, name: u.name, file: u.file, stat: u.stat})
		u.file = nil
	}
	for _, t := range trails {
		defer t.close()
	}
	return p.waitAll(context.Background(), sp, trails, 0)
}

func (p *program) waitAll(ctx context.Context, sp *spool.Spool, trails []*trail, limit time.Duration) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	if err := p.sayIfNobody(sp, trails); err != nil {
		return err
	}
	codes := make([]int, len(trails))
	for i, t := range trails {
		code, err := t.end(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%s has not ended within %s; it goes on", status.Name(t.name), units.Duration(limit))
			return &exitError{exitTime, err}
		}
		if err != nil {
			if !errors.Is(err, errGone) && !errors.Is(err, errNoRun) {
				return err
			}
			fmt.Fprintln(p.stderr, "monitor:", err)
		}
		codes[i] = code
	}
	for _, code := range codes {
		if code != exitOK {
			return quit(code)
		}
	}
	return nil
}

// sayIfNobody tells who waits for something that can't happen now.
func (p *program) sayIfNobody(sp *spool.Spool, trails []*trail) error {
	holder, err := sp.Watched()
	if err != nil || holder != "" {
		return err
	}
	for _, t := range trails {
		if !t.queue.Ended() {
			_, err := fmt.Fprintf(p.stderr, "monitor: no monitor is running on this spool; waiting until one is started (monitor --root %s run)\n", shellWord(sp.Root.Path()))
			return err
		}
	}
	return nil
}

// errNoRun is a UOW that lies among the ended without having run.
var errNoRun = errors.New("has not run")

// end waits for the end, and returns the exit status that stands for it.
func (t *trail) end(ctx context.Context) (int, error) {
	for pace := (pace{}); ; {
		found, err := t.look()
		if err != nil {
			return exitNo, err
		}
		if found {
			if ok, err := t.settled(); err != nil {
				return exitNo, err
			} else if ok {
				return t.status()
			}
		}
		select {
		case <-ctx.Done():
			return exitNo, ctx.Err()
		case <-time.After(pace.next()):
		}
	}
}

// status is the exit status of an ended UOW.
func (t *trail) status() (int, error) {
	if t.queue == spool.Done {
		return exitOK, nil
	}
	where := t.sp.Name(t.queue)
	if t.queue == spool.Trash {
		return exitNo, fmt.Errorf("%s %w: it is in %s", status.Name(t.name), errNoRun, where)
	}
	text := ""
	if u, err := t.unit(); err == nil {
		text = u.Status.Text
	}
	if text == "" {
		return exitNo, fmt.Errorf("%s %w: it lies in %s without an outcome", status.Name(t.name), errNoRun, where)
	}
	if strings.Contains(text, "…") {
		if whole, err := t.wholeStatus(text); err == nil && whole != "" {
			text = whole
		}
	}
	return jobStatus(text), nil
}
