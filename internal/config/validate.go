package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"simplejobq/internal/pattern"
)

// The largest values that make sense; beyond them a slip of the finger is
// likelier than a wish, and nothing that is sized by them may exhaust memory.
const (
	maxSlots  = 100_000
	maxTries  = 1_000_000
	maxKeep   = 1000
	maxRecent = 10_000
)

// validate notes every value that is of the right type and still cannot be
// meant.
func validate(c *Config, d *decoder) {
	d.root(c.Root)
	d.between([]string{"slots"}, c.Slots, 1, maxSlots)
	d.atLeast([]string{"sleep_time"}, c.SleepTime, milliseconds(100))
	d.oneOf([]string{"tee"}, c.Tee, TeeNone, TeeStdout)
	d.sizeIn([]string{"says_size"}, c.SaysSize, 4<<10, 1<<40)
	d.between([]string{"says_keep"}, c.SaysKeep, 0, maxKeep)
	d.names(c)
	d.sizeIn([]string{"limits", "uow_size"}, c.Limits.UOWSize, 1<<10, 64<<20)
	d.sizeIn([]string{"limits", "log_size"}, c.Limits.LogSize, 64<<10, 1<<50)
	d.sizeIn([]string{"ready", "free_space"}, c.Ready.FreeSpace, 0, 1<<50)
	d.job(c)
	for _, name := range slices.Sorted(maps.Keys(c.Jobs)) {
		d.jobType([]string{"jobs", name}, c.Jobs[name])
	}
	d.between([]string{"status", "recent"}, c.Status.Recent, 0, maxRecent)
}

func (d *decoder) root(root string) {
	if root == "" {
		d.faultAt([]string{"root"}, `is empty (write "." for the directory of this file)`)
	}
	if i := strings.IndexFunc(root, unicode.IsControl); i >= 0 {
		d.faultAt([]string{"root"}, "%s holds a control character", cut(root))
	}
}

func (d *decoder) between(path []string, n, low, high int) {
	if n < low || n > high {
		d.faultAt(path, "%d is not a number from %d to %d", n, low, high)
	}
}

func (d *decoder) sizeIn(path []string, n, low, high Size) {
	if n < low || n > high {
		d.faultAt(path, "%s is not a size from %s to %s", n, low, high)
	}
}

func (d *decoder) atLeast(path []string, n, low Duration) {
	if n < low {
		d.faultAt(path, "%s is too short (at least %s)", n, low)
	}
}

func (d *decoder) oneOf(path []string, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		d.faultAt(path, "%s is not one of \"%s\"", cut(value), strings.Join(allowed, `", "`))
	}
}

// A name appears as a column, as the part before the slash in messages and
// before suffixes like ".1": hence neither blanks nor wildcards, and no length
// that leaves no room.
func isEntryName(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsNumber(r) && (i == 0 || r != '.' && r != '-') {
			return false
		}
	}
	return s != ""
}

const maxEntryName = 200

// entry is one name and the key that sets it.
type entry struct {
	path []string
	name string
}

func entries(section string, table any) []entry {
	v := reflect.ValueOf(table)
	var all []entry
	for _, f := range fields(v.Type()) {
		all = append(all, entry{[]string{section, f.key}, v.Field(f.index).String()})
	}
	return all
}

// names checks all that will lie side by side under the root.
func (d *decoder) names(c *Config) {
	all := slices.Concat(entries("dirs", c.Dirs), entries("files", c.Files))
	// Of two that clash the one the user wrote is to blame.
	slices.SortStableFunc(all, func(a, b entry) int {
		return min(d.from.lines[join(a.path)], 1) - min(d.from.lines[join(b.path)], 1)
	})
	// Rotation makes monitor_says.1, .2, …
	rotated := func(name string) bool {
		return slices.ContainsFunc([]string{c.Files.Says, c.Files.Events}, func(file string) bool {
			n, is := strings.CutPrefix(name, file+".")
			return is && n != "" && strings.Trim(n, "0123456789") == ""
		})
	}
	used := map[string]string{"config.toml": "the configuration's own name"}
	for _, e := range all {
		switch {
		case e.name == "":
			d.faultAt(e.path, "is empty (write a name)")
		case !isEntryName(e.name) || len(e.name) > maxEntryName:
			d.faultAt(e.path, `%s is not a name (one word of letters, digits, "-", "_" and ".", not beginning with "." or "-")`, cut(e.name))
		case strings.HasPrefix(strings.ToUpper(e.name), "README"):
			d.faultAt(e.path, "%q is taken by the files that explain the directories (write another name)", e.name)
		case used[e.name] != "":
			d.faultAt(e.path, "%q is %s already (write another name)", e.name, used[e.name])
		case rotated(e.name):
			d.faultAt(e.path, "%q is what a rotated file will be called (write another name)", e.name)
		default:
			used[e.name] = dotted(e.path)
		}
	}
}

func (d *decoder) job(c *Config) {
	at := func(key string) []string { return []string{"job", key} }
	if _, known := c.Jobs[c.Job.Type]; c.Job.Type != "" && !known {
		// One whose table is at fault is known all the same.
		if !d.bad[join([]string{"jobs", c.Job.Type})] {
			d.faultAt(at("type"), "no job type %s here%s", cut(c.Job.Type), have(c.Jobs))
		}
	}
	if len(c.Job.Shell) == 0 {
		d.faultAt(at("shell"), `is empty (write ["/bin/sh", "-c"])`)
	} else if !filepath.IsAbs(c.Job.Shell[0]) {
		d.faultAt(at("shell"), "%s is not an absolute path (write one like \"/bin/sh\")", cut(c.Job.Shell[0]))
	}
	if c.Job.Path == "" {
		d.faultAt(at("path"), `is empty (write directories like "/usr/bin:/bin")`)
	}
	if _, err := c.Job.Mask(); err != nil {
		d.faultAt(at("umask"), "%v", err)
	}
	d.env(at("env"), c.Job.Env)
	d.oneOf(at("leftover"), c.Job.Leftover, LeftoverKill, LeftoverLeave)
	d.between(at("tries"), c.Job.Tries, 1, maxTries)
}

func have(jobs map[string]*JobType) string {
	if len(jobs) == 0 {
		return " (there is no [jobs.NAME] table at all)"
	}
	return " (there are: " + strings.Join(slices.Sorted(maps.Keys(jobs)), ", ") + ")"
}

var envName = pattern.Lazy(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (d *decoder) env(path []string, env map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		at := child(path, name)
		switch {
		case !envName().MatchString(name):
			d.fault(at, "%s: %s is not the name of a variable (letters, digits and \"_\", not beginning with a digit)", dotted(path), cut(name))
		case strings.HasPrefix(name, "MONITOR_"), strings.HasPrefix(name, "UOW_"):
			d.fault(at, "%s: %q is set by the monitor itself (names beginning with MONITOR_ or UOW_ are)", dotted(path), name)
		}
	}
}

var typeName = pattern.Lazy(`^[A-Za-z0-9_.-]{1,64}$`)

func (d *decoder) jobType(path []string, t *JobType) {
	at := func(key string) []string { return child(path, key) }
	if !typeName().MatchString(t.Name) {
		d.fault(path, "%s is not the name of a job type (letters, digits, \"-\", \"_\" and \".\", at most 64)", cut(t.Name))
	}
	d.program(at("program"), t.Program)
	d.items(at("items"), t)
	d.between(at("slots"), t.Slots, 0, maxSlots)
	if strings.Contains(t.Process, "/") {
		d.faultAt(at("process"), "%s is a path (write the name of the program as ps shows it)", cut(t.Process))
	}
	if strings.ContainsFunc(t.Process, unicode.IsControl) {
		d.faultAt(at("process"), "%s holds a control character", cut(t.Process))
	}
	d.patterns(at("error_if"), t.ErrorIf)
	d.patterns(at("fail_if"), t.FailIf)
	for _, n := range t.FailExit {
		if n < 1 || n > 255 {
			d.faultAt(at("fail_exit"), "%d is not an exit status that means trouble (1 to 255)", n)
		}
	}
	d.env(at("env"), t.Env)
	if t.Tries != nil {
		d.between(at("tries"), *t.Tries, 1, maxTries)
	}
	if t.Leftover != nil {
		d.oneOf(at("leftover"), *t.Leftover, LeftoverKill, LeftoverLeave)
	}
}

func (d *decoder) program(path, program []string) {
	switch {
	case len(program) == 0:
		d.faultAt(path, `is missing (write ["program", "argument", "{ITEM}"])`)
	case program[0] == "":
		d.faultAt(path, "its first word is empty (write the program's name)")
	case slices.ContainsFunc(split(program[0]), func(p part) bool { return p.item != "" }):
		// Else whoever writes a UOW chooses what is run.
		d.faultAt(path, "its first word %s has a placeholder (the program itself is fixed, its arguments are not)", cut(program[0]))
	}
}

func (d *decoder) patterns(path, patterns []string) {
	for _, p := range patterns {
		if _, err := regexp.Compile(p); err != nil {
			d.faultAt(path, "%s is not a regular expression: %s", cut(p), why(err))
		}
	}
}

// items checks what is declared and keeps the compiled patterns.
func (d *decoder) items(path []string, t *JobType) {
	variables := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(t.Items)) {
		item, at := t.Items[name], child(path, name)
		if !itemName(name) {
			d.fault(at, "%s: %s is not the name of an item (letters, digits, blank, \"_\", \"-\" and \".\", beginning with a letter or digit, at most 64)", dotted(path), cut(name))
			continue
		}
		if other := variables[variable(name)]; other != "" {
			d.fault(at, "%s: items %q and %q would be the same variable UOW_%s", dotted(path), other, name, variable(name))
		}
		variables[variable(name)] = name
		re, err := regexp.Compile(item.Pattern)
		if err != nil {
			d.faultAt(child(at, "pattern"), "%s is not a regular expression: %s", cut(item.Pattern), why(err))
			continue
		}
		if item.Default != nil && !re.MatchString(*item.Default) {
			d.faultAt(child(at, "default"), "%s does not match the item's own pattern %s", cut(*item.Default), cut(item.Pattern))
		}
		item.re = re
		t.Items[name] = item
	}
}

// why takes the library's opening words off a regexp's error.
func why(err error) string { return strings.TrimPrefix(err.Error(), "error parsing regexp: ") }

// dotted writes a path of keys as TOML does.
func dotted(path []string) string {
	words := make([]string, len(path))
	for i, key := range path {
		words[i] = key
		if len(key) > 80 || !bareKey().MatchString(key) {
			words[i] = cut(key)
		}
	}
	return strings.Join(words, ".")
}

// quoteKey quotes a key for a sentence, once.
func quoteKey(path []string) string {
	key := dotted(path)
	if strings.Contains(key, `"`) {
		return key
	}
	return `"` + key + `"`
}

// cut quotes what a user wrote, and not all of it if it is very long.
func cut(s string) string {
	const most = 80
	if len(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	end := most
	for end > 0 && s[end]&0xC0 == 0x80 {
		end--
	}
	return fmt.Sprintf("%q…", s[:end])
}
