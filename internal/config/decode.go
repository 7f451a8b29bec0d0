package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// decoder puts a parsed TOML tree into a Config. The library could do that
// itself, but it stops at the first value of a wrong type, takes keys in any
// case and says no line for what it does not know.
type decoder struct {
	from source
	bad  map[string]bool // paths with a fault already
	errs Errors
}

// field is a key of a table and where its value goes.
type field struct {
	key   string
	index int
	typ   reflect.Type
}

// fields lists the keys of a struct in the order they are written.
func fields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("toml"); key != "" && key != "-" {
			all = append(all, field{key, i, t.Field(i).Type})
		}
	}
	return all
}

func (d *decoder) table(path []string, data any, v reflect.Value) {
	table, ok := data.(map[string]any)
	if !ok {
		d.mismatch(path, data, v.Type())
		return
	}
	known := fields(v.Type())
	for _, key := range slices.Sorted(maps.Keys(table)) {
		at := child(path, key)
		i := slices.IndexFunc(known, func(f field) bool { return f.key == key })
		if i < 0 {
			d.fault(at, "unknown key %s%s", quoteKey(at), suggest(path, key, known))
			continue
		}
		d.value(at, table[key], v.Field(known[i].index))
	}
}

// value leaves v as it was if data is not of its type.
func (d *decoder) value(path []string, data any, v reflect.Value) {
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(path, data, v.Type(), text)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.table(path, data, v)
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		d.value(path, data, fresh.Elem())
		if !d.bad[join(path)] {
			v.Set(fresh)
		}
	case reflect.Map:
		d.mapping(path, data, v)
	case reflect.Slice:
		d.list(path, data, v)
	default:
		d.plain(path, data, v)
	}
}

func (d *decoder) text(path []string, data any, t reflect.Type, into encoding.TextUnmarshaler) {
	switch data.(type) {
	case string, int64, float64:
	default:
		d.mismatch(path, data, t)
		return
	}
	// 0 as a number says no more than 5 does; only the text "0" is accepted.
	text, quoted := data.(string)
	shown := cut(text)
	if !quoted {
		text, shown = "a bare number", fmt.Sprint(data)
	}
	if err := into.UnmarshalText([]byte(text)); err != nil {
		d.faultAt(path, "%s %v", shown, err)
	}
}

// mapping reads a table whose keys are names a person chose. An empty one is
// nil, so that configurations can be compared.
func (d *decoder) mapping(path []string, data any, v reflect.Value) {
	table, ok := data.(map[string]any)
	if !ok {
		d.mismatch(path, data, v.Type())
		return
	}
	m := reflect.MakeMap(v.Type())
	for _, name := range slices.Sorted(maps.Keys(table)) {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(child(path, name), table[name], elem)
		if elem.Kind() != reflect.Pointer || !elem.IsNil() {
			m.SetMapIndex(reflect.ValueOf(name), elem)
		}
	}
	if m.Len() == 0 {
		m = reflect.Zero(v.Type())
	}
	v.Set(m)
}

func (d *decoder) list(path []string, data any, v reflect.Value) {
	items, ok := data.([]any)
	if !ok {
		d.mismatch(path, data, v.Type())
		return
	}
	all := reflect.Zero(v.Type())
	for _, item := range items {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.plain(path, item, elem)
		all = reflect.Append(all, elem)
	}
	v.Set(all)
}

func (d *decoder) plain(path []string, data any, v reflect.Value) {
	switch x := data.(type) {
	case string:
		if v.Kind() != reflect.String {
			break
		}
		// Neither a path nor an argument can hold one; the kernel would say so
		// only when the job is to start.
		if strings.ContainsRune(x, 0) {
			d.faultAt(path, "%q holds a NUL", x)
			return
		}
		v.SetString(x)
		return
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(x)
			return
		}
	case int64:
		if v.Kind() == reflect.Int && !v.OverflowInt(x) {
			v.SetInt(x)
			return
		}
	}
	d.mismatch(path, data, v.Type())
}

func (d *decoder) mismatch(path []string, data any, want reflect.Type) {
	d.faultAt(path, "%s is not %s", describe(data), wanted(want))
}

// describe shows a value of the wrong type so that the reader finds it.
func describe(data any) string {
	switch x := data.(type) {
	case string:
		return cut(x)
	case map[string]any:
		return "a table"
	case []any, []map[string]any:
		return "a list"
	case time.Time:
		return "a date or time"
	default:
		return fmt.Sprint(x)
	}
}

func wanted(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[Duration]():
		return `a duration (write "90s", "30m" or "2h30m")`
	case t == reflect.TypeFor[Size]():
		return `a size (write "64KiB", "1MiB" or "2GiB")`
	case t.Kind() == reflect.String:
		return `a text (write it in quotes)`
	case t.Kind() == reflect.Bool:
		return "a switch (write true or false)"
	case t.Kind() == reflect.Int:
		return "a whole number (such as 4, without quotes)"
	case t == reflect.TypeFor[[]string]():
		return `a list of texts (write ["one", "two"])`
	case t == reflect.TypeFor[[]int]():
		return "a list of whole numbers (write [75, 76])"
	case t == reflect.TypeFor[map[string]string]():
		return `a table of texts (write { NAME = "value" })`
	}
	return "a table"
}

// child is path with a key more, sharing nothing with other children.
func child(path []string, key ...string) []string {
	return slices.Concat(path, key)
}
