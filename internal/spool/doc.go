// Package spool owns the directories: which there are, what lies in them, when
// a file that lies there is whole, and how it moves from one to another. It
// does not know what is in a file.
//
// # Must never happen
//
//  1. A file that somebody dropped is gone, or lies under two names that both count.
//  2. A file that somebody is still writing is taken.
//  3. Anything is overwritten.
//
// # What follows from that
//
// The directory is the state, and one operation on a directory is the commit
// point of a change. Files move by renameat2 with RENAME_NOREPLACE between
// directories held open since the start. What is in a file is read under a
// read lease, so that nobody writes it meanwhile, and what was read is compared
// with what was taken (inode, size, time of change). A file that has to be
// completed is written anew in .monitor/tmp, synced, and exchanged with the
// name; what comes out is looked at, and if it is not what was read, exchanged
// back.
//
// The index of what lies in a queue is a cache of the directory: a notification
// names what to look at again, and a directory whose times of change are those
// of the last reading is not read. What the notification missed is found when
// the file is claimed, because it is read again then.
//
// # Crash windows
//
//	between                            a crash leaves                     at start
//	temporary made, exchange           our copy in tmp                    removed
//	exchange, removal of what came out the original in tmp                removed if unchanged, else put into trash and said
//	                                   or a file saved meanwhile          put into trash and said: no inode of ours
//	.why written, file moved           a .why without its file            stays: harmless
//	second link made, claim            a link whose file is queued        removed
//	final move, link removed           a link whose file has ended        removed
//	link and unlink (no NOREPLACE)     one file under two names           the later state keeps it
package spool
