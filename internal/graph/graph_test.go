package graph

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sample() *Graph {
	return &Graph{
		Name: "tea", Title: `Tea "for" <two>`, Status: "error: step \"pour\"",
		Steps: []Step{
			{Name: "water", State: "succeeded", Text: "exit 0 after 3s", Command: "boil water"},
			{Name: "leaves", State: "skipped", Command: "buy leaves"},
			{Name: "pot", After: []int{0, 1}, State: "succeeded"},
			{Name: "wait", After: []int{2}, State: "succeeded", Note: "try 2 of 3", Text: "exit 0 after 180s", Command: "sleep 180"},
			{Name: "pour", After: []int{3, 0}, State: "failed", Note: "try 1 of 1", Text: "exit 1 after 1s", Command: `pour "\n" <cup>`},
			{Name: "cookies", State: "running", Command: "bake"},
			{Name: "serve", After: []int{4, 5}, State: "not-reached"},
			{Name: "a-step-whose-name-is-longer-than-a-box-has-room-for", After: []int{6}, State: "waiting", Command: "\x1b]0;title\a\x00"},
		},
	}
}

var forms = map[string]func(*Graph, io.Writer) error{"txt": (*Graph).Text, "dot": (*Graph).DOT, "svg": (*Graph).SVG}

func drawn(t *testing.T, g *Graph, form string) string {
	t.Helper()
	var b strings.Builder
	if err := forms[form](g, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// UPDATE=yes writes them anew; look at them then.
func TestGolden(t *testing.T) {
	for form := range forms {
		path := filepath.Join("testdata", "tea."+form)
		got := drawn(t, sample(), form)
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s:\n%s", path, d)
		}
		if again := drawn(t, sample(), form); again != got {
			t.Errorf("%s: two drawings of one graph differ", form)
		}
		if strings.ContainsAny(got, "\x1b\x00\a") {
			t.Errorf("%s: holds what moves a terminal", form)
		}
	}
}

// hostile are words that must stay where they are shown.
var hostile = []string{`a"b`, `a\`, `a\"`, "a\nb", "<script>", "a&b", "]]>", "\x1b[2J", "\xff", "\u202eb", "ü", "—", ""}

func TestHostileWords(t *testing.T) {
	for _, word := range hostile {
		g := &Graph{Name: word, Title: word, Status: word, Steps: []Step{
			{Name: "one", State: word, Note: word, Text: word, Command: word},
			{Name: "two" + word, After: []int{0}, State: "failed", Text: word, Command: word},
		}}
		d := xml.NewDecoder(strings.NewReader(drawn(t, g, "svg")))
		elements := 0
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%q: %v", word, err)
			}
			if e, is := token.(xml.StartElement); is {
				if elements++; e.Name.Local == "script" {
					t.Errorf("%q: became an element", word)
				}
			}
		}
		if elements < 10 {
			t.Errorf("%q: %d elements", word, elements)
		}
		if n := strings.Count(drawn(t, g, "txt"), "\n"); n != 3 {
			t.Errorf("%q: %d lines of text for two steps", word, n)
		}
	}
}

// Graphviz itself reads what we write: the names come out as they went in.
func TestGraphviz(t *testing.T) {
	dot, err := exec.LookPath("dot")
	if err != nil {
		t.Skip("Graphviz (dot) is not installed")
	}
	g := sample()
	for _, word := range hostile[:6] {
		g.Steps = append(g.Steps, Step{Name: "step " + word, After: []int{0}, State: "failed", Text: word})
	}
	c := exec.Command(dot, "-Tplain")
	c.Stdin = strings.NewReader(drawn(t, g, "dot"))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	nodes, edges := strings.Count(string(out), "\nnode "), strings.Count(string(out), "\nedge ")
	if nodes != len(g.Steps) || edges != 8+6 {
		t.Errorf("%d nodes and %d edges:\n%s", nodes, edges, out)
	}
}

func random(rng *rand.Rand, n int) *Graph {
	g := &Graph{Name: "random"}
	for i := range n {
		s := Step{Name: fmt.Sprintf("step-%d", i), State: "waiting"}
		for range rng.IntN(4) {
			if before := i - 1 - rng.IntN(20); before >= 0 {
				s.After = append(s.After, before)
			}
		}
		g.Steps = append(g.Steps, s)
	}
	return g
}

// No two boxes overlap, each step stands in a layer behind what it comes after, and
// every line goes through one layer after the other.
func TestLayout(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		g := random(rng, 1+rng.IntN(200))
		const room = 50.0
		l := newLayout(g.Steps, layersOf(g.Steps), room)
		for n, layer := range l.layers {
			end := math.Inf(-1)
			for _, i := range layer {
				p := l.points[i]
				if p.layer != n || p.at-p.room < end-1e-6 || p.at-p.room < -1e-6 {
					t.Fatalf("seed %d: point %d stands at %.1f in layer %d, the one before it ends at %.1f in layer %d", seed, i, p.at, p.layer, end, n)
				}
				end = p.at + p.room
			}
		}
		edges := 0
		for i, s := range g.Steps {
			edges += len(s.After)
			for _, before := range s.After {
				if l.points[before].layer >= l.points[i].layer {
					t.Fatalf("seed %d: step %d is not behind step %d", seed, i, before)
				}
			}
		}
		if len(l.lines) != edges {
			t.Fatalf("seed %d: %d lines for %d edges", seed, len(l.lines), edges)
		}
		for _, line := range l.lines {
			for n := 1; n < len(line); n++ {
				if l.points[line[n]].layer != l.points[line[n-1]].layer+1 {
					t.Fatalf("seed %d: a line leaps over a layer", seed)
				}
			}
		}
	}
}

// A chain is a straight line.
func TestChainIsStraight(t *testing.T) {
	g := &Graph{Name: "chain"}
	for i := range 50 {
		s := Step{Name: fmt.Sprint(i)}
		if i > 0 {
			s.After = []int{i - 1}
		}
		g.Steps = append(g.Steps, s)
	}
	l := newLayout(g.Steps, layersOf(g.Steps), 50)
	for i, p := range l.points {
		if math.Abs(p.at-50) > 1e-6 {
			t.Fatalf("step %d stands at %.2f", i, p.at)
		}
	}
}

// Any graph is drawn, though nobody can read it; edges that make no sense harm nobody.
func TestLarge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	g := random(rng, 5000)
	for i := 1; i < len(g.Steps); i += 7 { // lines over thousands of layers
		g.Steps[i].After = append(g.Steps[i].After, 0)
	}
	if n := strings.Count(drawn(t, g, "svg"), `class="step `); n != len(g.Steps) {
		t.Errorf("%d boxes", n)
	}
	circle := &Graph{Name: "circle", Steps: []Step{{Name: "a", After: []int{1}}, {Name: "b", After: []int{0, 1}}}}
	if !strings.Contains(drawn(t, circle, "svg"), ">b<") {
		t.Error("a step is not drawn")
	}
}

func BenchmarkSVG(b *testing.B) {
	g := random(rand.New(rand.NewPCG(1, 1)), 200)
	b.ReportAllocs()
	for b.Loop() {
		if err := g.SVG(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
