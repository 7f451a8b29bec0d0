package run

import (
	"errors"
	"hash/crc32"
	"io"
	"os"
	"sync"
)

// Made when it is needed: that takes longer than all else in which this package begins.
var castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })

// LogSum goes on with the checksum of what a run appended to its log.
func LogSum(sum uint32, b []byte) uint32 { return crc32.Update(sum, castagnoli(), b) }

// LogWhole reports whether a log holds what the run of this end appended to it.
func (e *End) LogWhole(log io.ReaderAt) (bool, error) {
	if e.LogTo == 0 {
		return true, nil
	}
	sum, buf := uint32(0), make([]byte, 64<<10)
	for at := e.LogFrom; at < e.LogTo; {
		b := buf[:min(e.LogTo-at, int64(len(buf)))]
		n, err := log.ReadAt(b, at)
		sum = LogSum(sum, b[:n])
		if errors.Is(err, io.EOF) && n < len(b) {
			return false, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		at += int64(n)
	}
	return sum == e.LogSum, nil
}

// maxOutput bounds what is read of an output file: more is no valid one.
const maxOutput = 16 << 20

// NoteOutput notes what stands in an output file.
func (e *End) NoteOutput(path string) {
	e.OutputSize, e.OutputSum = sumOutput(path)
}

// OutputWhole reports whether an output file holds what it held at this end.
func (e *End) OutputWhole(path string) bool {
	size, sum := sumOutput(path)
	return size == e.OutputSize && sum == e.OutputSum
}

// sumOutput is the size and the checksum of a file; 0 for what is no file that can be
// read, as for an empty one.
func sumOutput(path string) (size int64, sum uint32) {
	if st, err := os.Lstat(path); err != nil || !st.Mode().IsRegular() || st.Size() > maxOutput {
		return 0, 0
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, 0
	}
	return int64(len(b)), LogSum(0, b)
}
