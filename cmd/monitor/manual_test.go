package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"simplejobq/internal/config"
	"simplejobq/internal/messages"
)

const manual = "../../docs/man"

// page is a page of the manual: what stands below each of its headings.
func page(t *testing.T, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(manual, name+".scd"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	at := ""
	for line := range strings.Lines(string(text)) {
		if title := strings.TrimLeft(line, "#"); title != line {
			at = strings.TrimSpace(title)
		} else {
			sections[at] += line
		}
	}
	return sections
}

// terms are the words a section of the manual explains: the bold ones of each
// line that an indented text follows.
func terms(section string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^(\S.*)\n\t`).FindAllStringSubmatch(section, -1) {
		for _, word := range regexp.MustCompile(`\*([^*]+)\*`).FindAllStringSubmatch(m[1], -1) {
			all = append(all, word[1])
		}
	}
	return all
}

// same compares what the code knows with what the manual explains.
func same(t *testing.T, what string, code, manual []string) {
	t.Helper()
	if len(code) == 0 {
		t.Errorf("%s: nothing found in the code", what)
	}
	sorted := func(s []string) []string { return slices.Compact(slices.Sorted(slices.Values(s))) }
	if diff := cmp.Diff(sorted(code), sorted(manual)); diff != "" {
		t.Errorf("%s (-code +manual):\n%s", what, diff)
	}
}

// flags are those of a set as its help shows them.
func flags(set interface{ FlagUsages() string }) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^ +(-\w)?,? +(--[a-z-]+)`).FindAllStringSubmatch(set.FlagUsages(), -1) {
		all = append(all, m[2])
		if m[1] != "" {
			all = append(all, m[1])
		}
	}
	return all
}

// Every command and flag is in monitor(1), and nothing else.
func TestManualOfCommands(t *testing.T) {
	sections := page(t, "monitor.1")
	root := newRoot(&program{version: "1"})
	root.InitDefaultHelpFlag()
	root.InitDefaultVersionFlag()
	same(t, "options of every command", slices.Concat(flags(root.PersistentFlags()), flags(root.Flags())), terms(sections["OPTIONS OF EVERY COMMAND"]))
	commands := map[string]*cobra.Command{}
	for _, c := range root.Commands() {
		if c.Runnable() {
			commands[c.Name()] = c
		}
	}
	var told []string
	for title, text := range sections {
		words := strings.Fields(title)
		if len(words) < 2 || words[0] != "monitor" {
			continue
		}
		told = append(told, words[1])
		if c := commands[words[1]]; c != nil && len(flags(c.LocalNonPersistentFlags()))+len(terms(text)) > 0 {
			same(t, "flags of monitor "+words[1], flags(c.LocalNonPersistentFlags()), terms(text))
		}
	}
	same(t, "commands", slices.Collect(maps.Keys(commands)), told)
}

func TestManualOfExitStatuses(t *testing.T) {
	code, err := os.ReadFile("exit.go")
	if err != nil {
		t.Fatal(err)
	}
	var numbers []string
	for _, m := range regexp.MustCompile(`(?m)^\texit[A-Z][A-Za-z]* += ([0-9]+)`).FindAllStringSubmatch(string(code), -1) {
		numbers = append(numbers, m[1])
	}
	same(t, "exit statuses", numbers, terms(page(t, "monitor.1")["EXIT STATUS"]))
}

// Every message, as HELP shows it, is in simple-job-q(8).
func TestManualOfMessages(t *testing.T) {
	var code, told []string
	for _, m := range regexp.MustCompile(`(?m)^#   ([A-Z].*?)  `).FindAllStringSubmatch(messages.HowTo(""), -1) {
		code = append(code, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^(\*.*)\n\t`).FindAllStringSubmatch(page(t, "simple-job-q.8")["MESSAGES"], -1) {
		told = append(told, strings.NewReplacer("*", "", "_", "").Replace(m[1]))
	}
	same(t, "messages", code, told)
}

// Every item is in uow(5), where it has its meaning.
func TestManualOfItems(t *testing.T) {
	text, err := os.ReadFile("../../internal/uow/items.go")
	if err != nil {
		t.Fatal(err)
	}
	code := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)^\t"([A-Z ]+)": +\{in: (in[A-Z][a-z]+),`).FindAllStringSubmatch(string(text), -1) {
		code[m[2]] = append(code[m[2]], m[1])
	}
	sections := page(t, "uow.5")
	same(t, "items of UNIT OF WORK", slices.Concat(code["inBoth"], code["inUnit"]), terms(sections["ITEMS OF UNIT OF WORK"]))
	same(t, "items of a step", slices.Concat(code["inBoth"], code["inStep"]), terms(sections["STEPS"]))
}

// Every key of the configuration is in simple-job-q.toml(5) with its default.
func TestManualOfKeys(t *testing.T) {
	var out bytes.Buffer
	if err := config.Default().Write(&out); err != nil {
		t.Fatal(err)
	}
	var code, told []string
	table := ""
	for line := range strings.Lines(out.String()) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "  #")
		if strings.HasPrefix(line, "[") {
			table = line
		} else if key, value, ok := strings.Cut(line, "="); ok {
			code = append(code, fmt.Sprintf("%s %s = %s", table, strings.TrimSpace(key), strings.TrimSpace(value)))
		}
	}
	sections := page(t, "simple-job-q.toml.5")
	for title, text := range sections {
		table, ok := strings.CutPrefix(title, "TABLE ")
		if !ok && title != "KEYS OUTSIDE TABLES" {
			continue
		}
		if !ok {
			table = ""
		}
		for _, m := range regexp.MustCompile(`(?m)^\*(\w+)\* = (.*)\n\t`).FindAllStringSubmatch(text, -1) {
			told = append(told, fmt.Sprintf("%s %s = %s", table, m[1], m[2]))
		}
	}
	same(t, "keys and defaults", code, told)

	code = nil
	for typ := range reflect.TypeFor[config.JobType]().Fields() {
		if key := typ.Tag.Get("toml"); key != "-" {
			code = append(code, key)
		}
	}
	for typ := range reflect.TypeFor[config.Item]().Fields() {
		if key := typ.Tag.Get("toml"); key != "" {
			code = append(code, key)
		}
	}
	told = terms(sections["TABLES [jobs.NAME]"])
	for i := range told {
		told[i] = strings.TrimSuffix(told[i], ".") // items.NAME
	}
	same(t, "keys of job types", code, told)
}

// What the manual shows as a UOW or a configuration is one.
func TestManualExamples(t *testing.T) {
	pages := map[string]map[string]string{"uow.5": page(t, "uow.5"), "simple-job-q.toml.5": page(t, "simple-job-q.toml.5")}
	t.Chdir(t.TempDir()) // no spool
	for name, as := range map[string]string{"uow.5": "uow", "simple-job-q.toml.5": "config"} {
		blocks := regexp.MustCompile("(?s)```\n(.*?)```").FindAllStringSubmatch(pages[name]["EXAMPLES"], -1)
		if len(blocks) < 2 {
			t.Errorf("%s has %d examples", name, len(blocks))
		}
		for _, b := range blocks {
			text := strings.ReplaceAll(b[1], `\\`, `\`)
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), []string{"check", "--as", as, "-"}, strings.NewReader(text), &stdout, &stderr); code != exitOK {
				t.Errorf("%s: %s%s", name, stderr.String(), text)
			}
		}
	}
}

// The pages are pages, and nothing in them is what a formatter would wonder about.
func TestManualPages(t *testing.T) {
	for _, program := range []string{"scdoc", "mandoc", "make"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is missing (Debian package %[1]s)", program)
		}
	}
	dir := t.TempDir()
	if out, err := exec.Command("make", "-C", "../..", "man", "BIN="+dir).CombinedOutput(); err != nil {
		t.Fatalf("make man: %v\n%s", err, out)
	}
	sources, _ := filepath.Glob(filepath.Join(manual, "*.scd"))
	pages, _ := filepath.Glob(filepath.Join(dir, "man", "*"))
	if len(pages) != len(sources) || len(pages) < 4 {
		t.Errorf("pages %q of %q", pages, sources)
	}
	for _, page := range pages {
		if out, _ := exec.Command("mandoc", "-Tlint", "-Wwarning", page).CombinedOutput(); len(out) > 0 {
			t.Errorf("mandoc -Tlint:\n%s", out)
		}
	}
}
