package main

import (
	"fmt"
	"path/filepath"

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
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("init takes one directory, found %d arguments", len(args))}
			}
			root, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			disk := afero.NewOsFs()
			if err := disk.MkdirAll(root, 0o777); err != nil {
				return err
			}
			c := config.Default()
			c.Root = root
			return spool.Make(monitor.Layout(c))
		},
	}
}
