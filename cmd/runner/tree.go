package main

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"simplejobq/internal/run"

	"golang.org/x/sys/unix"
)

// descendants is the job's tree: as a subreaper this process is the parent of
// whoever loses his own, so nobody gets out of it. A process number can't come
// to mean another process between the look and the signal: the numbers go round
// in tens of thousands, and that takes far longer.
func descendants() []run.Proc {
	all, err := run.Processes()
	if err != nil {
		return nil
	}
	children := make(map[int][]run.Proc, len(all))
	for _, p := range all {
		children[p.Parent] = append(children[p.Parent], p)
	}
	tree := children[os.Getpid()]
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i].PID]...)
	}
	return tree
}

func signalAll(signals ...unix.Signal) {
	for _, p := range descendants() {
		for _, s := range signals {
			_ = unix.Kill(p.PID, s) // gone already, or not ours to signal: it is looked for again
		}
	}
}

// killAll kills whole process groups at a time, which no fork can slip out of,
// and looks again while new ones show: a tree that forks as fast as it dies
// loses. A group that has one descendant has no other members, because each
// job began in a session of its own. It reports whether it saw anybody alive.
func killAll() (seen bool) {
	mine := unix.Getpgrp()
	killed := map[run.Proc]bool{}
	for range 50 {
		fresh := false
		groups := map[int]bool{}
		for _, p := range descendants() {
			key := run.Proc{PID: p.PID, Start: p.Start}
			if !p.Dead() { // who looks dead may still have threads that live
				seen, fresh = true, fresh || !killed[key]
			}
			killed[key] = true
			if p.Group > 1 && p.Group != mine && !groups[p.Group] {
				groups[p.Group] = true
				_ = unix.Kill(-p.Group, unix.SIGKILL)
			}
			_ = unix.Kill(p.PID, unix.SIGKILL)
		}
		if !fresh {
			break
		}
	}
	return seen
}

// chase is for who is always somebody else by the time all of /proc is read: the
// number given out last is looked at alone. A child of ours keeps its number
// until we collect it, so nobody else is hit.
func chase() {
	for range 300 {
		pid := run.Newest()
		if p, err := run.Process(pid); err == nil && p.Parent == os.Getpid() && !p.Dead() {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// tellLeft writes into the log who was left behind, the first of them by name.
func (j *job) tellLeft(tree []run.Proc, what string) {
	tree = slices.DeleteFunc(tree, run.Proc.Dead)
	var named []string
	for _, p := range tree[:min(len(tree), 5)] {
		named = append(named, printable(p.Name)+" (pid "+strconv.Itoa(p.PID)+")")
	}
	if len(tree) > len(named) {
		named = append(named, "…")
	}
	switch count := len(tree); count {
	case 0: // there is somebody, but nobody stood still long enough
		j.log.line(j.spec.Label, "processes left behind were "+what)
	case 1:
		j.log.line(j.spec.Label, "1 process left behind was "+what+": "+named[0])
	default:
		j.log.line(j.spec.Label, strconv.Itoa(count)+" processes left behind were "+what+": "+strings.Join(named, ", "))
	}
}

// printable: a process chooses its own name.
func printable(name string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return '?'
		}
		return c
	}, name)
}
