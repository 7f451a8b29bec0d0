package messages

import "strings"

// Nearest is the word of a list that was probably meant, or "" if none is near:
// case counts for nothing, a letter too many, too few, wrong or swapped with its
// neighbour counts one, and one in three letters may be wrong.
func Nearest(word string, of []string) string {
	// A line of any length may come in; nothing long is near.
	const longest = 64
	best, found := 0, ""
	if len(word) > longest {
		return ""
	}
	for _, w := range of {
		d := distance([]rune(strings.ToUpper(word)), []rune(strings.ToUpper(w)))
		if d <= max(len(word), len(w))/3 && (found == "" || d < best) {
			best, found = d, w
		}
	}
	return found
}

// distance is the edit distance with swaps of neighbours.
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range a {
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
