package status

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"simplejobq/internal/pattern"
)

// Counts are the queues in the order in which they are to be shown; in JSON an
// object in that order.
type Counts []Count

// MarshalJSON writes an object with the queues in their order.
func (c Counts) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, count := range c {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(count.Queue)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s:%d", name, count.N)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON keeps the order of the object.
func (c *Counts) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	start, err := dec.Token()
	if err != nil {
		return err
	}
	if start != json.Delim('{') {
		return errors.New("queues: not an object")
	}
	var all Counts
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var n int
		if err := dec.Decode(&n); err != nil {
			return fmt.Errorf("queue %q: %w", name, err)
		}
		all = append(all, Count{name.(string), n}) // the decoder takes no other key
	}
	*c = all
	return nil
}

// Of is the count of a queue, 0 if it is not there.
func (c Counts) Of(queue string) int {
	if i := slices.IndexFunc(c, func(n Count) bool { return n.Queue == queue }); i >= 0 {
		return c[i].N
	}
	return 0
}

// JSON writes the digest indented, in a stable order, with a newline at the
// end. Empty lists are written as such.
func (d *Digest) JSON(w io.Writer) error {
	whole := *d
	for _, list := range []*[]Job{&whole.Running, &whole.Next, &whole.Recent} {
		if *list == nil {
			*list = []Job{}
		}
	}
	if whole.Jobs == nil {
		whole.Jobs = map[string]Type{}
	}
	if err := encode(w, whole, "  "); err != nil {
		return fmt.Errorf("write digest: %w", err)
	}
	return nil
}

// JSON writes the UOW on one line.
func (j Job) JSON(w io.Writer) error {
	if err := encode(w, j, ""); err != nil {
		return fmt.Errorf("write %s: %w", Name(j.Name), err)
	}
	return nil
}

func encode(w io.Writer, value any, indent string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", indent)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return err
	}
	_, err := w.Write(escapeControls(b.Bytes()))
	return err
}

// escapeControls spells the controls that JSON need not escape and terminals
// act upon: names and output may hold them, and people look at JSON, too.
func escapeControls(text []byte) []byte {
	return control().ReplaceAllFunc(text, func(c []byte) []byte {
		r, _ := utf8.DecodeRune(c)
		return fmt.Appendf(nil, `\u%04x`, r)
	})
}

var control = pattern.Lazy(`[\x{7f}-\x{9f}]`)

// ReadJSON reads what JSON wrote. Fields it does not know, of a later version,
// are passed over.
func ReadJSON(r io.Reader) (*Digest, error) {
	var d Digest
	dec := json.NewDecoder(r)
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("read digest: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read digest: there is more after it")
	}
	return &d, nil
}
