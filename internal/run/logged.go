package run

import (
	"errors"
	"hash/crc32"
	"io"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// LogSum goes on with the checksum of what a run appended to its log.
func LogSum(sum uint32, b []byte) uint32 { return crc32.Update(sum, castagnoli, b) }

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
