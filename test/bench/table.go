package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// table holds what was measured, in the order in which it was first told.
type table struct{ rows []*row }

type row struct {
	what, goal string
	values     []float64
}

// add notes one value of a row. The goal is what the row must reach, "" for none.
func (t *table) add(what, goal string, value float64) {
	for _, r := range t.rows {
		if r.what == what {
			r.values = append(r.values, value)
			return
		}
	}
	t.rows = append(t.rows, &row{what, goal, []float64{value}})
}

func (t *table) markdown() string {
	var b strings.Builder
	b.WriteString("| what | must reach | median | min to max |\n| --- | --- | --- | --- |\n")
	for _, r := range t.rows {
		slices.Sort(r.values)
		goal := r.goal
		if goal == "" {
			goal = "–"
		}
		last := len(r.values) - 1
		spread := "–"
		if last > 0 {
			spread = figure(r.values[0]) + " to " + figure(r.values[last])
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.what, goal, figure(median(r.values)), spread)
	}
	return b.String()
}

// figure tells a value with three digits that count.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

const begin, end = "<!-- make bench -->\n", "<!-- end -->\n"

// rewrite puts a text between the marks of a file.
func rewrite(path, text string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(b), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s: no lines %q and %q to write between", path, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return os.WriteFile(path, []byte(head+begin+text+end+tail), 0o644)
}
