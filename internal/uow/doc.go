// Package uow owns the text format of a unit of work: what a person or a program
// writes into a file, and what the monitor adds to it.
//
// It promises that every error of a file is told at once, each with its line and
// what would be right; that what it returns is valid as a whole or not there at
// all; and that completing a file keeps every byte, order and spelling of what
// was written. Whatever stands behind the first "==== JOB LOG" is never read: no
// job can change the meaning of its file by what it prints.
//
// It refuses to guess. An item it does not know is the user's own and is handed
// on as written, but a title, a value or a line it does not know is an error.
//
// It is pure: bytes in, bytes out. Files, clocks and processes belong to others.
package uow
