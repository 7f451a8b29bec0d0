package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"simplejobq/internal/durable"
	"simplejobq/internal/messages"
	"simplejobq/internal/spool"
	"simplejobq/internal/status"
)

func (p *program) newCompletion() *cobra.Command {
	shells := map[string]func(root *cobra.Command, w io.Writer) error{
		"bash": func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":  func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
		"fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "the completion script for a shell",
		Long: `completion writes a script that has the shell complete commands, flags, queues,
names of units of work, and messages.`,
		Example: `  monitor completion bash > /etc/bash_completion.d/monitor
  monitor completion zsh > /usr/local/share/zsh/site-functions/_monitor
  monitor completion fish > ~/.config/fish/completions/monitor.fish`,
		Args:              wants(1, "one of bash, zsh and fish"),
		ValidArgsFunction: oneOf("bash", "zsh", "fish"),
		RunE: func(c *cobra.Command, args []string) error {
			write := shells[args[0]]
			if write == nil {
				return usage("%q is no shell this knows: write bash, zsh or fish", args[0])
			}
			return p.print(func(w io.Writer) error { return write(c.Root(), w) })
		},
	}
}

// completions tells what each argument may be. A completion is asked for while
// somebody types: what goes wrong is not told, and there is just nothing to offer.
func (p *program) completions(root *cobra.Command) {
	for _, c := range root.Commands() {
		switch c.Name() {
		case "run", "status", "config", "doctor":
			c.ValidArgsFunction = cobra.NoFileCompletions
		case "init":
			c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
		case "list":
			c.ValidArgsFunction = p.completeQueue
		case "log", "explain":
			c.ValidArgsFunction = p.completeNames(1, cobra.ShellCompDirectiveNoFileComp)
		case "graph":
			c.ValidArgsFunction = p.completeNames(1, cobra.ShellCompDirectiveDefault)
		case "wait":
			c.ValidArgsFunction = p.completeNames(0, cobra.ShellCompDirectiveNoFileComp)
		case "send":
			c.ValidArgsFunction = p.completeMessage
		}
		for flag, f := range map[string]cobra.CompletionFunc{
			"state": oneOf(status.States()...), "as": oneOf("uow", "config"),
			"name": cobra.NoFileCompletions, "item": cobra.NoFileCompletions, "timeout": cobra.NoFileCompletions,
		} {
			if c.Flags().Lookup(flag) != nil {
				_ = c.RegisterFlagCompletionFunc(flag, f) // the flag is there
			}
		}
	}
	_ = root.MarkPersistentFlagDirname("root")
	_ = root.MarkPersistentFlagFilename("config", "toml")
}

// oneOf completes the first argument, or a flag's value.
func oneOf[T ~string](words ...T) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, begin string) (found []string, _ cobra.ShellCompDirective) {
		for _, w := range words {
			if strings.HasPrefix(string(w), begin) && !slices.Contains(args, string(w)) {
				found = append(found, string(w))
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

func (p *program) completeQueue(_ *cobra.Command, args []string, begin string) (found []string, _ cobra.ShellCompDirective) {
	_, sp, err := p.open()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer sp.Close()
	for q := range spool.Queues {
		if len(args) == 0 && strings.HasPrefix(sp.Name(q), begin) {
			found = append(found, sp.Name(q))
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// completeNames completes names of UOWs, of at most most arguments if that is
// not 0.
func (p *program) completeNames(most int, what cobra.ShellCompDirective) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found, more := p.names(begin, everywhere)
		return slices.DeleteFunc(found, func(n string) bool { return slices.Contains(args, n) }), what | more
	}
}

// everywhere is where a name may be, likely ones first.
var everywhere = []spool.Queue{
	spool.Executing, spool.Priority, spool.Wait, spool.Hold, spool.Fail, spool.Error, spool.Done, spool.Archive, spool.Trash,
}

const (
	mostNames   = 500                    // more help nobody
	longestLook = 200 * time.Millisecond // at directories that may be huge
)

// names are those in the queues that begin so. After queue/ they are those of
// that queue; where no name begins so, queue/ itself is offered.
func (p *program) names(begin string, in []spool.Queue) ([]string, cobra.ShellCompDirective) {
	_, sp, err := p.open()
	if err != nil {
		return nil, 0
	}
	defer sp.Close()
	before := ""
	if queue, rest, ok := strings.Cut(begin, "/"); ok {
		q, known := sp.ByName(queue)
		if !known {
			return nil, 0
		}
		before, begin, in = queue+"/", rest, []spool.Queue{q}
	}
	var found []string
	seen := map[string]bool{}
	until := time.Now().Add(longestLook)
	for _, q := range in {
		_ = sp.Dir(q).List(func(n durable.Name) bool {
			name := n.Name
			if strings.HasPrefix(name, begin) && !seen[name] && !spool.Ignored(name) && !spool.Readme(name) && spool.CheckName(name) == nil {
				seen[name] = true
				found = append(found, before+name)
			}
			return len(found) < mostNames && time.Now().Before(until)
		})
	}
	if len(found) > 0 || before != "" {
		return found, 0
	}
	for _, q := range in {
		if name := sp.Name(q); strings.HasPrefix(name, begin) {
			found = append(found, name+"/")
		}
	}
	return found, cobra.ShellCompDirectiveNoSpace
}

// targets are where the UOWs are that a message can do something about; of one
// that does not stand here, everywhere.
var targets = map[string][]spool.Queue{
	"KILL JOB": {spool.Executing},
	"HOLD":     {spool.Wait, spool.Priority},
	"RELEASE":  {spool.Hold},
	"PROMOTE":  {spool.Wait, spool.Hold},
	"DEMOTE":   {spool.Priority, spool.Hold},
	"REQUEUE":  {spool.Fail, spool.Error, spool.Done, spool.Archive},
	"CLEANUP":  {spool.Fail, spool.Error},
}

// completeMessage completes a keyword and what it is about.
func (p *program) completeMessage(_ *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	var found []string
	said := strings.Join(args, " ")
	for _, m := range howTo() {
		rest, about := strings.CutPrefix(said+" ", m.keyword+" ")
		if about && m.named && rest == "" {
			in, known := targets[m.keyword]
			if !known {
				in = everywhere
			}
			names, more := p.names(begin, in)
			return names, cobra.ShellCompDirectiveNoFileComp | more
		}
		// Its next word, and what it does if that is the last.
		next, ok := m.keyword, said == ""
		if !ok {
			next, ok = strings.CutPrefix(m.keyword, said+" ")
		}
		if word, _, _ := strings.Cut(next, " "); ok && strings.HasPrefix(word, begin) {
			found = append(found, fmt.Sprintf("%s\t%s", word, m.help))
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// message is a row of the answer to HELP.
type message struct {
	keyword, help string
	named         bool // a name may follow
}

// howTo reads the messages out of what people are told of them.
func howTo() (all []message) {
	for line := range strings.Lines(messages.HowTo("")) {
		line, ok := strings.CutPrefix(line, "#   ")
		show, help, parted := strings.Cut(line, "  ")
		keyword := strings.TrimRight(show, "abcdefghijklmnopqrstuvwxyz[] ")
		if !ok || !parted || strings.ToUpper(keyword) != keyword || strings.Contains(keyword, " name ") {
			continue
		}
		all = append(all, message{keyword, strings.TrimSpace(help), len(show) > len(keyword)})
	}
	return all
}
