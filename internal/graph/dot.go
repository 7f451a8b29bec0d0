package graph

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// DOT writes the graph in the language of Graphviz: each step, and then each of its
// edges, in the order of the steps.
func (g *Graph) DOT(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "digraph %s {\n", quote(g.Name))
	fmt.Fprintf(b, "\tlabel=%s labelloc=t tooltip=%s\n", quote(g.heading()), quote(g.Status))
	fmt.Fprintf(b, "\tnode [shape=box style=filled fontname=%q]\n", "sans-serif")
	for i := range g.Steps {
		s := &g.Steps[i]
		l := lookOf(s.State)
		label := s.Name
		if word := s.word(); word != "" {
			label += "\n" + word
		}
		style := "filled"
		if l.dashed {
			style = "filled,dashed"
		}
		fmt.Fprintf(b, "\t%s [label=%s tooltip=%s style=%q fillcolor=%q color=%q penwidth=%d]\n",
			quote(s.Name), quote(label), quote(s.title()), style, l.fill, l.line, l.width)
	}
	for i := range g.Steps {
		for _, before := range g.Steps[i].After {
			fmt.Fprintf(b, "\t%s -> %s\n", quote(g.Steps[before].Name), quote(g.Steps[i].Name))
		}
	}
	fmt.Fprintln(b, "}")
	return b.Flush()
}

// quote makes a string of DOT. A backslash of ours must not become an escape, and a
// character that no file of text should hold becomes a mark.
func quote(s string) string {
	s = strings.ToValidUTF8(s, "�")
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", " ").Replace(s)
	return `"` + plain(s) + `"`
}

// title is all that is known of a step, for who asks for more than fits into its box.
func (s *Step) title() string {
	lines := []string{s.Name}
	for _, text := range []string{s.word(), s.Text, shorten(s.Command, 200)} {
		if text != "" {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines, "\n")
}
