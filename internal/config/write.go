package config

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"simplejobq/internal/pattern"
)

// Write shows every key in force as TOML, each with a comment that says where
// its value came from. What a job type does not set is left out, as it follows
// [job]. Loading the output gives an equal configuration.
func (c *Config) Write(w io.Writer) error {
	out := &writer{w: bufio.NewWriter(w), from: c.from}
	v := reflect.ValueOf(c).Elem()
	out.section(nil, v)
	for _, f := range fields(v.Type()) {
		switch f.typ.Kind() {
		case reflect.Struct:
			out.section([]string{f.key}, v.Field(f.index))
		case reflect.Map:
			for _, name := range slices.Sorted(maps.Keys(c.Jobs)) {
				out.section([]string{f.key, name}, reflect.ValueOf(c.Jobs[name]).Elem())
			}
		}
	}
	return out.w.Flush()
}

type writer struct {
	w    *bufio.Writer
	from source
}

// line is one key of a section; Flush reports what a write of it could not.
type line struct{ key, value, origin string }

func (w *writer) section(path []string, v reflect.Value) {
	var lines []line
	for _, f := range fields(v.Type()) {
		at := child(path, f.key)
		switch value := v.Field(f.index); {
		case value.Kind() == reflect.Struct, len(path) == 0 && value.Kind() == reflect.Map:
			// a section of its own
		case value.Kind() == reflect.Pointer && value.IsNil():
			// as in [job]
		case value.Type() == reflect.TypeFor[map[string]Item]():
			for _, name := range slices.Sorted(maps.Keys(value.Interface().(map[string]Item))) {
				item := value.MapIndex(reflect.ValueOf(name)).Interface().(Item)
				lines = append(lines, line{f.key + "." + tomlKey(name), tomlItem(item), w.origin(child(at, name))})
			}
		default:
			lines = append(lines, line{f.key, tomlValue(value), w.origin(at)})
		}
	}
	if len(path) > 0 {
		names := make([]string, len(path))
		for i, key := range path {
			names[i] = tomlKey(key)
		}
		fmt.Fprintf(w.w, "\n[%s]\n", strings.Join(names, "."))
	}
	keys, values := 0, 0
	for _, l := range lines {
		keys = max(keys, utf8.RuneCountInString(l.key))
		if n := utf8.RuneCountInString(l.value); n <= 40 { // one long value moves no other's comment
			values = max(values, n)
		}
	}
	for _, l := range lines {
		fmt.Fprintf(w.w, "%-*s = %-*s  # %s\n", keys, l.key, values, l.value, l.origin)
	}
}

func (w *writer) origin(path []string) string {
	n := w.from.lines[join(path)]
	if n == 0 {
		return "default"
	}
	file := w.from.file
	if strings.ContainsFunc(file, unicode.IsControl) || !utf8.ValidString(file) {
		file = strconv.QuoteToASCII(file)
	}
	return fmt.Sprintf("%s:%d", file, n)
}

func tomlValue(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return tomlString(s.String())
	}
	switch v.Kind() {
	case reflect.String:
		return tomlString(v.String())
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = tomlValue(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Map:
		table := v.Interface().(map[string]string)
		var pairs []string
		for _, key := range slices.Sorted(maps.Keys(table)) {
			pairs = append(pairs, tomlKey(key)+" = "+tomlString(table[key]))
		}
		return tomlTable(pairs)
	}
	return fmt.Sprint(v.Interface())
}

func tomlItem(item Item) string {
	var pairs []string
	if item.Pattern != "" {
		pairs = append(pairs, "pattern = "+tomlString(item.Pattern))
	}
	if item.Default != nil {
		pairs = append(pairs, "default = "+tomlString(*item.Default))
	}
	return tomlTable(pairs)
}

func tomlTable(pairs []string) string {
	if len(pairs) == 0 {
		return "{}"
	}
	return "{ " + strings.Join(pairs, ", ") + " }"
}

var bareKey = pattern.Lazy(`^[A-Za-z0-9_-]+$`)

func tomlKey(key string) string {
	if bareKey().MatchString(key) {
		return key
	}
	return tomlString(key)
}

// tomlString prefers the literal form where it spares backslashes, as people
// do for regular expressions.
func tomlString(s string) string {
	plain := !strings.ContainsFunc(s, unicode.IsControl)
	if plain && strings.Contains(s, `\`) && !strings.Contains(s, "'") {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
