package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func from(items map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for item, value := range items {
			if strings.EqualFold(item, name) {
				return value, true
			}
		}
		return "", false
	}
}

func TestFill(t *testing.T) {
	for _, test := range []struct {
		name, job string
		items     map[string]string
		args      []string
		faults    []ItemFault
	}{
		{"no placeholder", `program = ["make", "-j", "2"]`, nil, []string{"make", "-j", "2"}, nil},
		{"one word stays one word", `program = ["x", "{A}"]`, map[string]string{"A": `a b; rm -rf $HOME "'`}, []string{"x", `a b; rm -rf $HOME "'`}, nil},
		{"within a word, twice", `program = ["x", "--l={A}:{B}/{A}"]`, map[string]string{"A": "1", "B": "-2"}, []string{"x", "--l=1:-2/1"}, nil},
		{"a value is not filled again", `program = ["x", "{A}{B}"]`, map[string]string{"A": "{B", "B": "}"}, []string{"x", "{B}"}, nil},
		{"other braces", `program = ["x", "{}", "{ A}", "{A ", "}{", "{{A}}", "{$A}", "{a,b}"]`, map[string]string{"A": "1"},
			[]string{"x", "{}", "{ A}", "{A ", "}{", "{1}", "{$A}", "{a,b}"}, nil},
		{"names with blanks, dots and dashes, any case", `program = ["x", "{Retry delay}", "{a.b-c_d}"]`,
			map[string]string{"RETRY DELAY": "1", "A.B-C_D": "2"}, []string{"x", "1", "2"}, nil},
		{"an empty value is an empty word", `program = ["x", "{A}", "y"]`, map[string]string{"A": ""}, []string{"x", "", "y"}, nil},
		{"default", `program = ["x", "{A}"]` + "\nitems.A.default = 'd'", nil, []string{"x", "d"}, nil},
		{"an empty default", `program = ["x", "{A}"]` + "\nitems.A.default = ''", nil, []string{"x", ""}, nil},
		{"a default may be an option", `program = ["x", "{A}"]` + "\nitems.A.default = '-d'", nil, []string{"x", "-d"}, nil},
		{"declared in another case", `program = ["x", "{a}"]` + "\nitems.A = { pattern = '^d$', default = 'd' }", nil, []string{"x", "d"}, nil},
		{"an unanchored pattern matches anywhere", `program = ["x", "{A}"]` + "\nitems.A.pattern = 'b'", map[string]string{"A": "-abc"}, []string{"x", "-abc"}, nil},
		{"missing", `program = ["x", "{A}", "{A}", "{B}"]`, nil, nil,
			[]ItemFault{{"A", `is missing (job type "j" needs it)`}, {"B", `is missing (job type "j" needs it)`}}},
		{"does not match", `program = ["x", "{A}"]` + "\nitems.A.pattern = '^[a-z]+$'", map[string]string{"A": "b\n"}, nil,
			[]ItemFault{{"A", `"b\n" does not match "^[a-z]+$" of job type "j"`}}},
		{"an empty value must match, too", `program = ["x", "{A}"]` + "\nitems.A = { pattern = '.', default = 'd' }", map[string]string{"A": ""}, nil,
			[]ItemFault{{"A", `"" does not match "." of job type "j"`}}},
		{"would be an option", `program = ["x", "{A}"]`, map[string]string{"A": "-rf"}, nil,
			[]ItemFault{{"A", `"-rf" begins with "-" and would be taken for an option (a pattern in job type "j" can allow it)`}}},
		{"would be the beginning of one", `program = ["x", "{A}{B}:/", "{B}"]`, map[string]string{"A": "", "B": "-oProxyCommand=x"}, nil,
			[]ItemFault{{"B", `"-oProxyCommand=x" begins with "-" and would be taken for an option (a pattern in job type "j" can allow it)`}}},
		{"declared and not in the program", `program = ["x"]` + "\nitems.C = {}\nitems.B.pattern = 'b'\nitems.A.default = 'a'", map[string]string{"B": "x"}, nil,
			[]ItemFault{{"B", `"x" does not match "b" of job type "j"`}, {"C", `is missing (job type "j" needs it)`}}},
		{"in the environment a dash is no option", `program = ["x"]` + "\nitems.C = {}", map[string]string{"C": "-5"}, []string{"x"}, nil},
		{"NUL", `program = ["x", "a{A}"]`, map[string]string{"A": "a\x00b"}, nil, []ItemFault{{"A", `"a\x00b" holds a NUL, which no argument can`}}},
		{"a long value is cut", `program = ["x", "{A}"]` + "\nitems.A.pattern = '^b'", map[string]string{"A": strings.Repeat("ä", 1000)}, nil,
			[]ItemFault{{"A", `"` + strings.Repeat("ä", 40) + `"… does not match "^b" of job type "j"`}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := mustLoad(t, "[jobs.j]\n"+test.job)
			args, faults := c.Jobs["j"].Fill(from(test.items))
			if diff := cmp.Diff(test.args, args); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.faults, faults); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFillOfATypeMadeByHand(t *testing.T) {
	job := &JobType{Name: "j", Program: []string{"x", "{A}"}, Items: map[string]Item{"A": {Pattern: "^a$"}, "B": {Pattern: "("}}}
	args, faults := job.Fill(from(map[string]string{"A": "a", "B": "b"}))
	want := []ItemFault{{"B", "job type \"j\": \"(\" is not a regular expression: missing closing ): `(`"}}
	if diff := cmp.Diff(want, faults); diff != "" || args != nil {
		t.Errorf("%q\n%s", args, diff)
	}
}

// Whatever stands in a UOW, a program gets as many words as the job type has,
// each with the job type's own text around the values, and none becomes an
// option by the UOW's will.
func TestFillKeepsTheShape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SampledFrom([]string{"{A}", "{B}", "{C}", "-", "x", "{", "}", "{}", " "})
		program := []string{"prog"}
		for range rapid.IntRange(0, 4).Draw(t, "words") {
			program = append(program, strings.Join(rapid.SliceOfN(piece, 0, 4).Draw(t, "word"), ""))
		}
		job := &JobType{Name: "j", Program: program, Items: map[string]Item{"C": {Pattern: "^-?[a-z]*$"}}}
		items := map[string]string{}
		for _, name := range []string{"A", "B", "C"} {
			items[name] = rapid.SampledFrom([]string{"", "-", "-x", "x", "{A}", "a b"}).Draw(t, name)
		}
		args, faults := job.Fill(from(items))
		if faults != nil {
			if args != nil {
				t.Fatalf("%q with faults %v", args, faults)
			}
			return
		}
		if len(args) != len(program) {
			t.Fatalf("%d words became %d", len(program), len(args))
		}
		for i, word := range program {
			want := strings.NewReplacer("{A}", items["A"], "{B}", items["B"], "{C}", items["C"]).Replace(word)
			if args[i] != want {
				t.Fatalf("%q became %q, want %q", word, args[i], want)
			}
			if !strings.HasPrefix(args[i], "-") {
				continue
			}
			for _, p := range split(word) {
				if p.item == "A" || p.item == "B" {
					if items[p.item] != "" {
						t.Fatalf("%q became the option %q", word, args[i])
					}
				} else if p.item == "" || items[p.item] != "" {
					break // the job type's own dash, or one that a pattern allows
				}
			}
		}
	})
}
