package main

import (
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"simplejobq/internal/config"
	"simplejobq/internal/doctor"
)

func (p *program) newDoctor() *cobra.Command {
	var o doctor.Output
	c := &cobra.Command{
		Use:   "doctor",
		Short: "what is wrong with the spool or the machine, and what to do",
		Long: `doctor looks at the configuration, the spool, its file system, the monitor,
systemd, the kernel, the clock and the programs of job types, and changes nothing.
What is wrong and what is doubtful is a line each, with what to type next. It sees
most as root. The exit status is 1 if anything is wrong.`,
		Example: `  monitor --root /srv/queue doctor
  monitor doctor -v                       # what is good as well
  monitor doctor --json | jq -r .do`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			conf, err := p.config()
			if err != nil {
				return err
			}
			e := doctor.Exam{Conf: conf, File: filepath.Join(conf.Root, "config.toml"), Options: p.options(conf), Version: p.version, Now: time.Now()}
			if p.configFile != "" {
				e.File = p.configFile
			}
			e.Runner, e.RunnerErr = findRunner()
			found := e.Look()
			o.Color = p.color()
			if err := p.print(func(w io.Writer) error { return o.Write(w, found) }); err != nil {
				return err
			}
			if doctor.Ill(found) {
				return quit(exitNo)
			}
			return nil
		},
	}
	c.Flags().BoolVarP(&o.All, "verbose", "v", false, "tell what is good, too")
	c.Flags().BoolVar(&o.JSON, "json", false, "one JSON object a line: level, about, text, do")
	return c
}

// options name the spool to another command, wherever that is typed.
func (p *program) options(conf *config.Config) []string {
	if p.configFile == "" {
		return []string{"--root", conf.Root}
	}
	file, err := filepath.Abs(p.configFile)
	if err != nil {
		file = p.configFile
	}
	if p.root == "" {
		return []string{"--config", file}
	}
	return []string{"--config", file, "--root", conf.Root}
}
