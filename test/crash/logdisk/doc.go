// Package logdisk is a disk that remembers the order of what was written to it:
// what device mapper has in dm-log-writes, for machines without device mapper.
//
// [Serve] mounts a FUSE file system with one file, [Name], to be loop-mounted so
// that a real kernel file system lies on it, and files beside it to which
// witnesses append. Every block write, every flush (loop sends one as fsync, for
// a FUA write as well) and everything that witnesses write go into one log in the
// order in which they came.
//
// From the log [Epochs] makes what a disk with a volatile cache may hold when the
// power goes: everything before the last flush, and of what came since nothing,
// a beginning, any part, and of a write of many sectors any of these. [Choose]
// takes distinct ones; each knows what witnesses had seen when it was possible.
//
// Discards are refused, so none is in the log. A disk that answers a flush and
// has not flushed is not in the model.
package logdisk
