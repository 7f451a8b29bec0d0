// Package graph draws the steps of a flow: as a table for a terminal, in the DOT
// language of Graphviz, and as SVG with a layered drawing of its own.
//
// It promises the same output for the same graph, steps in the order in which they
// were written, and that each state is told by a word and not by its colour alone. No
// text of a job can leave the place it is shown in: names are quoted, and what XML or a
// terminal can't show is replaced. The layout takes time about proportional to the
// graph; what an SVG of more than some hundred steps shows is for a machine, or for who
// likes to scroll.
//
// It is pure: no file, no clock, nothing of a queue.
package graph

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// Graph is a flow, and how it stands.
type Graph struct {
	Name   string // of its UOW
	Title  string
	Status string // its STATUS line
	Steps  []Step
}

// Step is one step of it.
type Step struct {
	Name    string
	After   []int  // numbers of the steps it comes after
	State   string // its word
	Note    string // more of how it stands: "try 2 of 5"
	Text    string // how its last command ended
	Command string // what it runs; "" for a group
}

// look is how a state is shown where there is room for colour.
type look struct {
	fill, line string
	width      int  // of the line
	dashed     bool // nothing of it has run
}

// Light fills under dark text (contrast above 7), and lines that still differ in black
// and white: dashed for what has not run, thick for what runs, very thick for what failed.
var looks = map[string]look{
	"waiting":     {"#ffffff", "#666666", 1, true},
	"ready":       {"#ffffff", "#0b4f9e", 1, true},
	"checking":    {"#cfe3ff", "#0b4f9e", 2, false},
	"running":     {"#cfe3ff", "#0b4f9e", 2, false},
	"rechecking":  {"#cfe3ff", "#0b4f9e", 2, false},
	"succeeded":   {"#d4f2d4", "#1b6b1b", 1, false},
	"failed":      {"#ffd9d6", "#a11212", 3, false},
	"skipped":     {"#eeeeee", "#666666", 1, true},
	"cancelled":   {"#ffe9c2", "#8a5a00", 2, false},
	"not-reached": {"#eeeeee", "#666666", 1, true},
	"unknown":     {"#ffffff", "#333333", 1, false},
}

func lookOf(state string) look {
	if l, known := looks[state]; known {
		return l
	}
	return looks["unknown"]
}

// word is what is said of a step's state.
func (s *Step) word() string {
	switch {
	case s.State == "":
		return s.Note
	case s.Note == "":
		return s.State
	}
	return s.State + ", " + s.Note
}

func (g *Graph) heading() string {
	text := g.Name
	if g.Title != "" {
		text += ": " + g.Title
	}
	return text
}

// Text writes a line for each step.
func (g *Graph) Text(w io.Writer) error {
	head := g.heading()
	if g.Status != "" {
		head += " (" + g.Status + ")"
	}
	if _, err := fmt.Fprintln(w, plain(head)); err != nil {
		return err
	}
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i := range g.Steps {
		s := &g.Steps[i]
		after := make([]string, len(s.After))
		for n, before := range s.After {
			after[n] = g.Steps[before].Name
		}
		line := "  " + s.State + "\t" + s.Name + "\t"
		if len(after) > 0 {
			line += "after " + strings.Join(after, ", ")
		}
		notes := strings.Trim(s.Note+"; "+s.Text, "; ")
		if notes == "" {
			notes = s.Command
		}
		_, _ = fmt.Fprintln(t, plain(line)+"\t"+plain(notes)) // a Builder takes all
	}
	_ = t.Flush()
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// plain is text without what moves a terminal's cursor or does worse; tabs of ours stay.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return '�'
		}
		return r
	}, s)
}

// shorten keeps the ends of a long text.
func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	tail := most / 3
	return string(r[:most-tail-1]) + "…" + string(r[len(r)-tail:])
}
