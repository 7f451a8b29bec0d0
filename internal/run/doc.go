// Package run owns what the monitor and a runner say to each other: the run
// record on disk, the socket beside it, and the means to find again and to end
// what a run left behind.
//
//	monitor                    socket: spec, kill, ack  ──►             runner ── fork ──► job
//	  │                        ◄── ready, started, ended                   │
//	  └─ start, kill ──►  ROOT/.monitor/run/N (locked while the runner lives)  ◄── live, end
//
// # What it promises
//
// The record decides, the socket only tells sooner. A record whose lock is held
// has a result or will get one; an end that does not carry the run id of the
// start beside it is no end; a start without the fork mark never ran. A record
// is made with all its room, so that an end can be written on a full disk.
//
// # What it refuses
//
// It knows no queues and no text of a unit of work, decides nothing about order
// or tries, and never trusts a process number alone: a number counts only with
// the time its process was born, or that of its session's leader, and where it
// was given out.
//
// The runner is built from this package, so it stays as small as the runner.
package run
