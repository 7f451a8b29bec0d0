// Package crashfs is a disk in memory that can lose its power at any moment.
//
// [Mount] serves trees over FUSE to unmodified programs and writes down, in order,
// each call that changes one. From such a [Log] are built, for a power cut after any
// of its operations, the trees that a disk may hold then. They are served again,
// under the same inode numbers, to the program's recovery, whose own log can be cut
// in its turn.
//
// # Two models of a file system
//
// Journalled, as ext4 (data=ordered) and xfs do it: what happened to names and
// inodes reaches the disk in order, so a prefix of it is there. fsync of an inode
// makes the prefix reach at least to the last change of that inode, and no further:
// a clean one commits nothing. Anybody's sync, a timer, or another program may have
// committed more, so every longer prefix is legal too. Bytes that were written and
// not fsynced go their own way: see [Fate].
//
// Strict, where each directory and each file answers for itself: a name is on disk
// when its directory was fsynced, any subset of the rest is. A rename between two
// directories is two changes or, with [Strict].Whole, one.
//
// # What it does not model
//
// Mapped files, extended attributes and files without a name: they are refused, as
// some file systems do. A sector (512 bytes) is never torn, and a disk that says it
// has flushed has.
package crashfs
