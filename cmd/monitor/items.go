package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"simplejobq/internal/uow"
)

// parseItems reads N=V.
func parseItems(list []string) (items []uow.Item, err error) {
	for _, text := range list {
		name, content, ok := strings.Cut(text, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, usage("--item %q: write NAME=VALUE", text)
		}
		if slices.ContainsFunc(items, func(it uow.Item) bool { return strings.EqualFold(it.Name, name) }) {
			return nil, usage("--item %q: an item of this name was given already", text)
		}
		items = append(items, uow.Item{Name: name, Content: content})
	}
	return items, nil
}

// addItems writes items at the end of the section UNIT OF WORK, so that the
// lines before it keep their numbers. head is valid.
func addItems(head []byte, items []uow.Item) ([]byte, error) {
	lines := strings.SplitAfter(string(head), "\n")
	at, eol := -1, "\n"
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "==== UNIT OF WORK"):
			at = i + 1
			if strings.HasSuffix(line, "\r\n") {
				eol = "\r\n"
			}
		case strings.HasPrefix(line, "==== ") && at >= 0:
			return insertItems(lines, at, eol, items)
		case at >= 0 && strings.TrimSpace(line) != "":
			at = i + 1
		}
	}
	return insertItems(lines, at, eol, items)
}

func insertItems(lines []string, at int, eol string, items []uow.Item) ([]byte, error) {
	if at < 0 {
		return nil, errors.New("there is no section \"==== UNIT OF WORK\" to add items to")
	}
	var b strings.Builder
	b.WriteString(strings.Join(lines[:at], ""))
	if b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
		b.WriteString(eol)
	}
	for _, it := range items {
		if strings.ContainsAny(it.Name+it.Content, "\r\n") {
			return nil, fmt.Errorf("--item %q: holds a line break", it.Name+"="+it.Content)
		}
		b.WriteString(it.Name + " :: " + it.Content + eol)
	}
	b.WriteString(strings.Join(lines[at:], ""))
	return []byte(b.String()), nil
}
