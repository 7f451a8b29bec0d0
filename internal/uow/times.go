package uow

import (
	"strconv"
	"strings"
	"time"

	"simplejobq/internal/pattern"
)

// stampLayout is how every time of the project is written.
const stampLayout = "2006-01-02T15:04:05.000Z"

// timeExample stands in every sentence about a bad time.
const timeExample = "2026-11-21T21:50:00Z"

// Stamp writes a time as RFC 3339 in UTC with milliseconds.
func Stamp(t time.Time) string {
	return t.UTC().Format(stampLayout)
}

// The layouts of package time forgive commas, hours of one digit and offsets of
// more than a day; the date itself they check.
var rfc3339 = pattern.Lazy(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// parseTime reads RFC 3339. Years that Stamp could not write, or that would be
// taken for "no time", are refused.
func parseTime(s string) (time.Time, bool) {
	if t, ok := parseStamp(s); ok {
		return t, true
	}
	if len(s) > 64 {
		return time.Time{}, false
	}
	s = strings.ToUpper(s)
	t, err := time.Parse(time.RFC3339Nano, s)
	t = t.UTC()
	return t, err == nil && rfc3339().MatchString(s) && sane(t)
}

// parseStamp reads a time as Stamp writes it, which nearly all are; another one may be right
// nevertheless.
func parseStamp(s string) (time.Time, bool) {
	if len(s) != len(stampLayout) {
		return time.Time{}, false
	}
	var n [7]int // year to milliseconds
	part := 0
	for i := range len(s) {
		if want := stampLayout[i]; want < '0' || want > '9' {
			if s[i] != want {
				return time.Time{}, false
			}
			part++
		} else if c := s[i]; c >= '0' && c <= '9' {
			n[part] = 10*n[part] + int(c-'0')
		} else {
			return time.Time{}, false
		}
	}
	t := time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], n[6]*int(time.Millisecond), time.UTC)
	// What is no date, such as February 30, comes out as another one.
	return t, sane(t) && t.Month() == time.Month(n[1]) && t.Day() == n[2] && n[3] < 24 && n[4] < 60 && n[5] < 60
}

// parseUnix reads seconds since 1970, with or without a fraction.
func parseUnix(s string) (time.Time, bool) {
	whole, part, fraction := strings.Cut(s, ".")
	// Twelve digits are far beyond any year we know, and cannot overflow.
	if !digits(whole) || len(whole) > 12 || fraction && !digits(part) {
		return time.Time{}, false
	}
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	nsec, err := strconv.Atoi((part + "000000000")[:9])
	if err != nil {
		return time.Time{}, false
	}
	t := time.Unix(sec, int64(nsec)).UTC()
	return t, sane(t)
}

func sane(t time.Time) bool {
	return t.Year() >= 1970 && t.Year() <= 9999
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// What begins and ends the line as the monitor writes it.
const (
	timestampMark = "timestamp:"
	timestampEnd  = " enqueued"
)

// timestampLine writes the line that the monitor adds at acceptance.
func timestampLine(t time.Time) string {
	return timestampMark + " " + Stamp(t) + timestampEnd
}

// parseTimestamp reads a file's first line. meant tells that it was meant for a
// timestamp even where it is none.
func parseTimestamp(line string) (t time.Time, meant, ok bool) {
	if stamp, ours := strings.CutSuffix(line, timestampEnd); ours && strings.HasPrefix(stamp, timestampMark+" ") {
		if t, ok = parseStamp(stamp[len(timestampMark)+1:]); ok {
			return t, true, true
		}
	}
	rest, marked := strings.CutPrefix(strings.Trim(line, blanks), timestampMark)
	words := strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune(blanks, r) })
	if len(words) == 0 {
		return time.Time{}, marked, false
	}
	if t, ok = parseTime(words[0]); !ok {
		t, ok = parseUnix(words[0])
	}
	// A number and "::" is an item without a title above it.
	ok = ok && (len(words) == 1 || len(words) == 2 && words[1] != "::")
	meant = marked || ok || strings.EqualFold(cutAt(rest, len(timestampMark)), timestampMark) ||
		len(rest) > 5 && digits(rest[:4]) && rest[4] == '-'
	return t, meant, ok
}
