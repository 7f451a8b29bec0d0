package uow

import (
	"slices"
	"strings"
)

const (
	titleMark   = "==== "
	unitOfWork  = "UNIT OF WORK"
	stepTitle   = "STEP"
	statusTitle = "STATUS"
	jobLog      = "JOB LOG"
)

var titles = []string{unitOfWork, stepTitle, statusTitle, jobLog}

// titleLines is a line for each title, and one for what is none of them.
type titleLines [5]int

func (l *titleLines) of(title string) *int { return &l[1+slices.Index(titles, title)] }

// splitTitle reads a line that is a title as it should be written; for a STEP rest
// is its name.
func splitTitle(line string) (title, rest string, ok bool) {
	inner, ok := strings.CutPrefix(strings.TrimRight(line, blanks), titleMark)
	if !ok {
		return "", "", false
	}
	if inner == unitOfWork || inner == statusTitle || inner == jobLog {
		return inner, "", true
	}
	name, ok := strings.CutPrefix(inner, stepTitle)
	if !ok || name != "" && name[0] != ' ' {
		return "", "", false
	}
	return stepTitle, strings.Trim(name, blanks), true
}

// likeTitle reports whether whoever wrote the line meant a title, and which one if
// that can be told. A line without marks counts only if its words are a title's.
func likeTitle(line string) (nearest, rest string, like bool) {
	line = strings.Trim(line, blanks)
	marked := strings.HasPrefix(line, "==")
	inner := strings.Trim(line, "=-#: \t")
	if len(inner) > 128 {
		return "", "", marked
	}
	words := strings.Fields(strings.ToUpper(inner))
	whole := strings.Join(words, " ")
	best := -1
	for _, title := range titles {
		have := whole
		if title == stepTitle && len(words) > 0 {
			have = words[0]
		}
		far := distance(have, title)
		if far > max(2, len(title)/3) || !marked && (far > 0 || title == stepTitle) {
			continue
		}
		if best < 0 || far < best {
			best, nearest = far, title
		}
	}
	if nearest == stepTitle {
		rest = strings.Trim(inner[len(strings.Fields(inner)[0]):], blanks)
	}
	return nearest, rest, marked || nearest != ""
}

// distance counts the letters to insert, drop or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost = 1 + min(corner, row[j], row[j+1])
			}
			corner, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
