package config

import (
	"fmt"
	"reflect"
	"strings"
)

// suggest names the key that was probably meant: a similar one of the same
// table, else the same one of another table.
func suggest(path []string, key string, known []field) string {
	best, least := "", len(key)+1
	for _, f := range known {
		if len(key) > 2*len(f.key) {
			continue // and a key of a hundred kilobytes is not compared
		}
		if n := distance(strings.ToLower(key), f.key); n < least {
			best, least = f.key, n
		}
	}
	if best != "" && least*3 <= max(len(key), len(best)) {
		return fmt.Sprintf("; did you mean %s?", quoteKey(child(path, best)))
	}
	for _, section := range fields(reflect.TypeFor[Config]()) {
		if section.key == key {
			return fmt.Sprintf("; %q stands before the first [table]", key)
		}
		if section.typ.Kind() != reflect.Struct {
			continue
		}
		for _, f := range fields(section.typ) {
			if f.key == key {
				return fmt.Sprintf("; did you mean %q?", section.key+"."+key)
			}
		}
	}
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.key
	}
	return "; known here: " + strings.Join(names, ", ")
}

// distance counts the bytes to insert, delete, replace or swap with their
// neighbour to make b of a.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			n := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				n = min(n, rows[i-2][j-2]+1)
			}
			rows[i][j] = n
		}
	}
	return rows[len(a)][len(b)]
}
