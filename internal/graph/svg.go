package graph

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Sizes in the units of the drawing, which are pixels on a screen.
const (
	boxHeight = 46
	margin    = 16
	heading   = 30
	charWidth = 7.4 // of the 12 unit font, on the wide side
	longest   = 30  // characters in a box; the whole stands in its title
	gapAlong  = 18  // between two boxes of a layer
	gapAcross = 42  // between two layers
)

// sheet maps layers and places to the drawing: layers are rows, or columns if there are
// more steps side by side than behind one another, because people scroll down.
type sheet struct {
	*layout
	columns       bool
	boxWidth      float64
	width, height float64
}

func (g *Graph) sheet() *sheet {
	s := &sheet{boxWidth: 90}
	for i := range g.Steps {
		for _, text := range []string{g.Steps[i].Name, g.Steps[i].word()} {
			s.boxWidth = max(s.boxWidth, 20+charWidth*float64(min(longest, utf8.RuneCountInString(text))))
		}
	}
	layers := layersOf(g.Steps)
	count := make([]int, len(g.Steps)) // of the steps in each layer
	widest, depth := 0, 0
	for _, layer := range layers {
		count[layer]++
		widest, depth = max(widest, count[layer]), max(depth, layer+1)
	}
	s.columns = widest > depth
	room := (s.boxWidth + gapAlong) / 2
	if s.columns {
		room = (boxHeight + gapAlong) / 2
	}
	s.layout = newLayout(g.Steps, layers, room)
	along := 0.0
	for i := range s.points {
		along = max(along, s.points[i].at+s.points[i].room)
	}
	across := float64(len(s.layers))
	if s.columns {
		s.width, s.height = across*(s.boxWidth+gapAcross)-gapAcross, along
	} else {
		s.width, s.height = along, across*(boxHeight+gapAcross)-gapAcross
	}
	return s
}

// middle of a point in the drawing.
func (s *sheet) middle(i int) (x, y float64) {
	p := &s.points[i]
	if s.columns {
		return margin + float64(p.layer)*(s.boxWidth+gapAcross) + s.boxWidth/2, heading + margin + p.at
	}
	return margin + p.at, heading + margin + float64(p.layer)*(boxHeight+gapAcross) + boxHeight/2
}

// path is a line through its points, which leaves and enters every layer straight.
func (s *sheet) path(through []int) string {
	half := boxHeight / 2.0
	if s.columns {
		half = s.boxWidth / 2
	}
	var b strings.Builder
	for n, i := range through {
		x, y := s.middle(i)
		inX, inY, outX, outY := x, y-half, x, y+half
		if s.columns {
			inX, inY, outX, outY = x-half, y, x+half, y
		}
		if n == 0 {
			fmt.Fprintf(&b, "M%.1f %.1f", outX, outY)
			continue
		}
		px, py := s.middle(through[n-1])
		bend := float64(gapAcross) / 2
		if s.columns {
			px += half
			fmt.Fprintf(&b, " C%.1f %.1f %.1f %.1f %.1f %.1f", px+bend, py, inX-bend, inY, inX, inY)
		} else {
			py += half
			fmt.Fprintf(&b, " C%.1f %.1f %.1f %.1f %.1f %.1f", px, py+bend, inX, inY-bend, inX, inY)
		}
		if n < len(through)-1 { // it passes this layer
			fmt.Fprintf(&b, " L%.1f %.1f", outX, outY)
		}
	}
	return b.String()
}

// SVG writes a drawing that stands by itself: no script, no style sheet, nothing from
// elsewhere. Classes name the states, for a page that has colours of its own.
func (g *Graph) SVG(w io.Writer) error {
	s := g.sheet()
	width := max(s.width, charWidth*float64(utf8.RuneCountInString(shorten(g.heading(), 80)))) + 2*margin
	height := s.height + heading + 2*margin
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" class="flow" role="img" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(b, "<title>%s</title>\n", text(strings.TrimSuffix(g.heading()+"\n"+g.Status, "\n")))
	fmt.Fprintln(b, `<defs><marker id="to" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#555555"/></marker></defs>`)
	fmt.Fprintln(b, `<rect class="sheet" width="100%" height="100%" fill="#ffffff"/>`)
	fmt.Fprintf(b, `<text class="heading" x="%d" y="26" font-size="15" font-weight="bold" fill="#111111">%s</text>`+"\n", margin, text(shorten(g.heading(), 80)))
	for _, l := range s.lines {
		fmt.Fprintf(b, `<path class="edge" d="%s" fill="none" stroke="#555555" marker-end="url(#to)"/>`+"\n", s.path(l))
	}
	for i := range g.Steps {
		g.box(b, s, i)
	}
	fmt.Fprintln(b, "</svg>")
	return b.Flush()
}

func (g *Graph) box(b io.Writer, s *sheet, i int) {
	st := &g.Steps[i]
	l := lookOf(st.State)
	x, y := s.middle(i)
	dash := ""
	if l.dashed {
		dash = ` stroke-dasharray="5 3"`
	}
	class := "step"
	if _, known := looks[st.State]; known {
		class += " " + st.State
	}
	fmt.Fprintf(b, `<g class="%s"><title>%s</title>`, class, text(st.title()))
	fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" rx="5" fill="%s" stroke="%s" stroke-width="%d"%s/>`,
		x-s.boxWidth/2, y-boxHeight/2, s.boxWidth, boxHeight, l.fill, l.line, l.width, dash)
	lines := []string{st.Name}
	if word := st.word(); word != "" {
		lines = append(lines, word)
	}
	for n, t := range lines {
		weight, at := "bold", y+4
		if len(lines) == 2 {
			at = y - 4 + float64(n)*17
		}
		if n == 1 {
			weight = "normal"
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle" font-weight="%s" fill="#111111">%s</text>`, x, at, weight, text(shorten(t, longest)))
	}
	fmt.Fprintln(b, "</g>")
}

// text is what stands for itself in XML; what XML can't hold becomes a mark.
func text(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a Buffer takes all
	return b.String()
}
