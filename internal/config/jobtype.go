package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"simplejobq/internal/pattern"
)

// JobType is a fixed program whose arguments come from a UOW's items. A nil
// field means: as in [Job].
type JobType struct {
	Name       string            `toml:"-"`
	Program    []string          `toml:"program"`
	Items      map[string]Item   `toml:"items"`
	Timeout    *Duration         `toml:"timeout"`
	Silence    *Duration         `toml:"silence"`
	Slots      int               `toml:"slots"` // 0: no limit of its own
	Process    string            `toml:"process"`
	ErrorIf    []string          `toml:"error_if"`
	FailIf     []string          `toml:"fail_if"`
	FailExit   []int             `toml:"fail_exit"`
	Env        map[string]string `toml:"env"`
	Directory  *string           `toml:"directory"`
	Tries      *int              `toml:"tries"`
	RetryDelay *Duration         `toml:"retry_delay"`
	Leftover   *string           `toml:"leftover"`
}

// Item says what an item of a UOW may hold. It is required unless it has a
// default. An empty pattern matches everything.
type Item struct {
	Pattern string  `toml:"pattern"`
	Default *string `toml:"default"`

	re *regexp.Regexp // Pattern, compiled when it was validated
}

// ItemFault is what keeps one item from being used; the caller knows the line.
type ItemFault struct{ Item, Text string }

// Fill makes the argument vector. get gives a UOW's item by name, in whatever
// case the program spells it. One word of the program makes exactly one word,
// whatever the items hold. Items that are declared and not in the program are
// checked the same, as the job finds them in its environment.
//
// All faults come at once, each item once: those of the program in its order,
// then the others by name.
func (t *JobType) Fill(get func(item string) (string, bool)) ([]string, []ItemFault) {
	f := filling{job: t, get: get, known: map[string]value{}}
	args := make([]string, len(t.Program))
	for i, word := range t.Program {
		args[i] = f.word(word)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Items)) {
		f.item(name)
	}
	if len(f.faults) > 0 {
		return nil, f.faults
	}
	return args, nil
}

func (t *JobType) declared(name string) (Item, bool) {
	if item, ok := t.Items[name]; ok {
		return item, true
	}
	for declared, item := range t.Items {
		if strings.EqualFold(declared, name) {
			return item, true
		}
	}
	return Item{}, false
}

type value struct {
	text string
	ok   bool // no fault
	free bool // written in the UOW, no pattern vouches for it
}

type filling struct {
	job    *JobType
	get    func(string) (string, bool)
	known  map[string]value // by name in capitals
	faults []ItemFault
}

func (f *filling) fault(item, format string, args ...any) {
	f.faults = append(f.faults, ItemFault{item, fmt.Sprintf(format, args...)})
}

func (f *filling) word(word string) string {
	var b strings.Builder
	for _, p := range split(word) {
		if p.item == "" {
			b.WriteString(p.text)
			continue
		}
		v := f.item(p.item)
		// What begins a word with a dash is an option to most programs, and
		// the job type, not the UOW, says which options there are.
		if v.ok && v.free && b.Len() == 0 && strings.HasPrefix(v.text, "-") {
			f.fault(p.item, "%s begins with %q and would be taken for an option (a pattern in job type %q can allow it)", cut(v.text), "-", f.job.Name)
			v.ok = false
			f.known[strings.ToUpper(p.item)] = v
		}
		b.WriteString(v.text)
	}
	return b.String()
}

// item finds and checks a value, once.
func (f *filling) item(name string) value {
	key := strings.ToUpper(name)
	if v, ok := f.known[key]; ok {
		return v
	}
	v := f.find(name)
	f.known[key] = v
	return v
}

func (f *filling) find(name string) value {
	declared, _ := f.job.declared(name)
	text, given := f.get(name)
	switch {
	case !given && declared.Default == nil:
		f.fault(name, "is missing (job type %q needs it)", f.job.Name)
		return value{}
	case !given:
		return value{text: *declared.Default, ok: true}
	case strings.ContainsRune(text, 0):
		f.fault(name, "%s holds a NUL, which no argument can", cut(text))
		return value{}
	}
	matches, err := declared.match(text)
	if err != nil {
		f.fault(name, "job type %q: %v", f.job.Name, err)
		return value{}
	}
	if !matches {
		f.fault(name, "%s does not match %s of job type %q", cut(text), cut(declared.Pattern), f.job.Name)
		return value{}
	}
	return value{text: text, ok: true, free: declared.Pattern == ""}
}

func (i Item) match(text string) (bool, error) {
	if i.re == nil { // made by hand, not by Load
		re, err := regexp.Compile(i.Pattern)
		if err != nil {
			return false, fmt.Errorf("%s is not a regular expression: %s", cut(i.Pattern), why(err))
		}
		i.re = re
	}
	return i.re.MatchString(text), nil
}

// part is a piece of a word of a program: an item's place, or plain text.
type part struct{ item, text string }

// split finds the {NAME}s of a word. Braces around anything that is not the
// name of an item are plain text.
func split(word string) []part {
	var parts []part
	plain := 0
	for i := 0; i < len(word); i++ {
		if word[i] != '{' {
			continue
		}
		n := strings.IndexByte(word[i:], '}')
		if n < 0 {
			break
		}
		if name := word[i+1 : i+n]; itemName(name) {
			if plain < i {
				parts = append(parts, part{text: word[plain:i]})
			}
			parts = append(parts, part{item: name})
			i += n
			plain = i + 1
		}
	}
	if plain < len(word) {
		parts = append(parts, part{text: word[plain:]})
	}
	return parts
}

// No blank at the end: a UOW's items are trimmed, so none could have it.
var itemNameRule = pattern.Lazy(`^[A-Za-z0-9]([A-Za-z0-9 _.-]*[A-Za-z0-9_.-])?$`)

func itemName(s string) bool { return len(s) <= 64 && itemNameRule().MatchString(s) }

// variable is what an item is called in a job's environment, behind UOW_.
func variable(item string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, item)
}
