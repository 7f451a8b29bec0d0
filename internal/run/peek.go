package run

import "simplejobq/internal/durable"

// PeekRecord reads a record for somebody who only looks.
func PeekRecord(dir *durable.Dir, name string) (Start, Live, *End, error) {
	f, err := dir.Open(name)
	if err != nil {
		return Start{}, Live{}, nil, err
	}
	r := &Record{file: f, name: name, dir: dir}
	defer r.Close()
	return r.Read()
}
