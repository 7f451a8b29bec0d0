// Package messages owns the talk between people and the monitor: the keywords
// of monitor_reads, the inbox that takes lines out of that file, monitor_says
// for people and monitor_events for programs.
//
// # What it promises
//
// No line that reached monitor_reads is lost, however many append and whenever
// this process is killed, and none comes twice without saying so ([Line].Again).
// A line is what has its newline: half of one is never acted upon, and said. The
// file is never replaced, and never cut while anybody has it open. What is
// told to people stays one line an entry and free of control characters; a full
// disk delays it and, past one MiB, loses the oldest of it with a count.
//
// # What it refuses
//
// It does not know what a message does: it hands over words. It does not sync
// what it tells: a line missing after a power cut is no lost work.
package messages
