package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"simplejobq/internal/config"
	"simplejobq/internal/durable"
	"simplejobq/internal/messages"
	"simplejobq/internal/monitor"
	"simplejobq/internal/spool"
	"simplejobq/internal/units"
)

func (p *program) newSend() *cobra.Command {
	var timeout string
	var queue bool
	c := &cobra.Command{
		Use:   "send WORDS...",
		Short: "send the monitor a message and print its answer",
		Long: `send appends one line to monitor_reads and waits for the answer in monitor_says.
It ends with 1 if the monitor did not do what was asked. "monitor send HELP" lists
the messages. Flags stand before the message.`,
		Example: `  monitor send STATUS
  monitor send HOLD 'wait-q/nightly-*'
  monitor send KILL JOB deploy-7`,
		Args: wants(0, "a message"),
		RunE: func(_ *cobra.Command, args []string) error {
			limit, err := units.ParseDuration(timeout)
			if err != nil {
				return usage("--timeout %q %w", timeout, err)
			}
			return p.send(strings.TrimSpace(strings.Join(args, " ")), limit, queue)
		},
	}
	c.Flags().SetInterspersed(false) // a UOW may be called -x
	c.Flags().StringVar(&timeout, "timeout", "30s", "how long to wait for the answer (0: for ever)")
	c.Flags().BoolVar(&queue, "queue", false, "if no monitor is running leave the message for the next one")
	return c
}

// longestMessage is well below what the monitor takes for one line.
const longestMessage = 16 << 10

func (p *program) send(text string, limit time.Duration, queue bool) error {
	switch {
	case text == "":
		return usage("the message is empty (monitor send HELP lists the messages)")
	case strings.HasPrefix(text, "#"):
		return usage("a line that begins with # is a comment and no message: %q", text)
	case strings.ContainsAny(text, "\r\n\x00"):
		return usage("a message is one line: %q", text)
	case len(text) > longestMessage:
		return usage("the message is longer than %d bytes", longestMessage)
	}
	c, sp, err := p.open()
	if err != nil {
		return err
	}
	holder, err := sp.Watched()
	sp.Close()
	if err != nil {
		return err
	}
	if holder == "" {
		if !queue {
			return fmt.Errorf("no monitor is running on %s, so nothing was sent; start one (monitor --root %s run), or use --queue to leave the message for it", c.Root, shellWord(c.Root))
		}
		if err := appendMessage(c, text); err != nil {
			return err
		}
		_, err := fmt.Fprintln(p.stdout, "no monitor is running; the message waits for the next one")
		return err
	}
	tag := strconv.FormatUint(rand.Uint64(), 36)
	says, err := followSays(c)
	if err != nil {
		return err
	}
	defer says.close()
	if err := appendMessage(c, text+" #"+tag); err != nil {
		return err
	}
	return p.await(c, says, text, tag, limit)
}

// appendMessage adds one line with one write, as echo >> does.
func appendMessage(c *config.Config, line string) error {
	path := filepath.Join(c.Root, c.Files.Reads)
	err := durable.CreateWhole("send:create", path, 0o660, []byte(messages.HowTo(path)))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		if _, stat := durable.StatPath(path); stat != nil {
			return err
		}
	}
	real, err := filepath.EvalSymlinks(path) // it may be a link, and stays one
	if err != nil {
		return fmt.Errorf("find %s: %w", path, err)
	}
	dir, err := durable.OpenDir(filepath.Dir(real))
	if err != nil {
		return err
	}
	defer dir.Close()
	f, err := dir.OpenExisting("send:open", filepath.Base(real))
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil && !st.Regular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err == nil && st.Size > 0 {
		// A line that somebody left without its end must not swallow ours.
		var last [1]byte
		if _, err = f.ReadAt(last[:], st.Size-1); err == nil && last[0] != '\n' {
			line = "\n" + line
		}
	}
	if err == nil {
		_, err = f.Write("send:write", []byte(line+"\n"))
	}
	return errors.Join(err, f.Close())
}

// await prints the answer.
func (p *program) await(c *config.Config, says *saysReader, text, tag string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	refused, answered, alone := false, false, false
	for pace := (pace{}); ; {
		lines, err := says.read()
		if err != nil {
			return err
		}
		got := false
		for _, line := range lines {
			answer, ok := answerOf(line, tag)
			if !ok {
				continue
			}
			got, answered = true, true
			refused = refused || refusal(answer, text)
			if _, err := fmt.Fprintln(p.stdout, answer); err != nil {
				return err
			}
		}
		switch {
		case answered && !got:
			// An answer of many lines is written at once: this was all of it.
			if refused {
				return quit(exitNo)
			}
			return nil
		case alone && !got:
			return fmt.Errorf("the monitor ended before it answered; the message is in %s and the next monitor will see it", c.Files.Reads)
		case limit > 0 && time.Now().After(deadline):
			return fmt.Errorf("no answer within %s; the message is in %s and may still be acted upon (the answer will be in %s, with #%s)", units.Duration(limit), c.Files.Reads, c.Files.Says, tag)
		}
		if !answered {
			if alone, err = nobody(c); err != nil {
				return err
			}
		}
		time.Sleep(pace.next())
	}
}

// nobody reports that no monitor runs any more.
func nobody(c *config.Config) (bool, error) {
	sp, err := spool.Open(monitor.Layout(c))
	if err != nil {
		return false, err
	}
	defer sp.Close()
	holder, err := sp.Watched()
	return holder == "", err
}

// answerOf takes the answer to a tag out of a line of monitor_says.
func answerOf(line, tag string) (string, bool) {
	before, prose, ok := strings.Cut(line, "#"+tag)
	if !ok {
		return "", false
	}
	rest, ok := strings.CutPrefix(before[min(len(before), len(messages.Stamp)):], "  answer")
	if !ok {
		return "", false // quoted by somebody
	}
	name := strings.TrimSpace(rest)
	prose = strings.ReplaceAll(strings.TrimPrefix(prose, " "), " #"+tag, "") // our own line, quoted
	if name != "" {
		prose = name + "  " + prose
	}
	return prose, true
}

// refusal reports whether an answer says that it was not done.
func refusal(answer, text string) bool {
	if _, prose, ok := strings.Cut(answer, "  "); ok && strings.HasPrefix(prose, "not done") {
		return true
	}
	if strings.HasPrefix(answer, "not done") || strings.HasPrefix(answer, "not understood") {
		return true
	}
	word, _, _ := strings.Cut(text, " ")
	return strings.HasPrefix(answer, word) && strings.Contains(answer, ": not done: ")
}
