package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// nameMax is NAME_MAX of every Linux file system a spool can lie on.
const nameMax = 255

// Ignored reports a name that is not looked at: hidden files, editors' and
// copiers' temporaries.
func Ignored(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") || name == "4913" {
		return true
	}
	for _, end := range []string{"~", ".swp", ".tmp", ".part"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// Readme reports a name under which people explain a directory.
func Readme(name string) bool { return name == "README" || name == "README.md" || name == "README.txt" }

// CheckName says why a name can't be a UOW's: a message is a line, and so is an
// entry of monitor_says.
func CheckName(name string) error {
	if !utf8.ValidString(name) {
		return errors.New("the name is not valid UTF-8; rename the file and drop it again")
	}
	for _, r := range name {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return errors.New("the name holds a line break or another control character; rename the file and drop it again")
		}
	}
	return nil
}

// cut shortens name in its middle to n bytes, at rune boundaries.
func cut(name string, n int) string {
	const gap = "…"
	if len(name) <= n {
		return name
	}
	keep := n - len(gap)
	head, tail := keep-keep/2, len(name)-keep/2
	for head > 0 && !utf8.RuneStart(name[head]) {
		head--
	}
	for tail < len(name) && !utf8.RuneStart(name[tail]) {
		tail++
	}
	return name[:head] + gap + name[tail:]
}

// whyOf is the name of the file that tells why name was refused.
func whyOf(name string) string { return cut(name, nameMax-len(".why")) + ".why" }

// Older is name with the suffix ~n that tells files of one name apart.
func Older(name string, n int) string {
	suffix := "~" + strconv.Itoa(n)
	return cut(name, nameMax-len(suffix)) + suffix
}

// free finds a suffix under which name is free in q.
func (s *Spool) free(q Queue, name string) (string, error) {
	for n := 1; n < 1<<30; n++ {
		candidate := Older(name, n)
		if _, err := s.dirs[q].Stat(candidate); errors.Is(err, fs.ErrNotExist) {
			return candidate, nil
		} else if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("no free suffix for %q in %s", name, s.Name(q))
}
