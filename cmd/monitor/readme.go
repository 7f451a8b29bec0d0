package main

import (
	"strings"

	"simplejobq/internal/config"
)

// readme is the text for one directory of a spool, relative to its root.
type readme struct{ dir, text string }

// readmes are all directories people look into, in the order in which they meet
// them.
func readmes(c *config.Config) []readme {
	names := strings.NewReplacer(
		"{wait}", c.Dirs.Wait, "{priority}", c.Dirs.Priority, "{hold}", c.Dirs.Hold, "{executing}", c.Dirs.Executing,
		"{done}", c.Dirs.Done, "{error}", c.Dirs.Error, "{fail}", c.Dirs.Fail, "{trash}", c.Dirs.Trash,
		"{archive}", c.Dirs.Archive, "{status}", c.Dirs.Status,
		"{reads}", c.Files.Reads, "{says}", c.Files.Says, "{events}", c.Files.Events,
	)
	list := []readme{
		{".", rootReadme}, {c.Dirs.Wait, waitReadme}, {c.Dirs.Priority, priorityReadme}, {c.Dirs.Hold, holdReadme},
		{c.Dirs.Executing, executingReadme}, {c.Dirs.Done, doneReadme}, {c.Dirs.Error, errorReadme}, {c.Dirs.Fail, failReadme},
		{c.Dirs.Trash, trashReadme}, {c.Dirs.Archive, archiveReadme}, {c.Dirs.Status, statusReadme}, {".monitor", privateReadme},
	}
	for i := range list {
		list[i].text = names.Replace(list[i].text)
	}
	return list
}

const rootReadme = `This directory is the spool of a job queue. A job is a text file, the unit of
work (UOW), and the directory it lies in is its state. The least one is:

    ==== UNIT OF WORK
    COMMAND :: make backup

Write it elsewhere on this file system and mv it into {wait}. The monitor runs it
and appends its output to the very same file, which ends in {done}, {error} or
{fail}.

    {wait}, {priority}    drop UOWs here
    {hold}                parked: nothing here starts
    {executing}           what runs; belongs to the monitor
    {done}, {error}, {fail}    what has ended
    {trash}, {archive}    refused files; history
    {status}              the summary: cat {status}/status.txt
    {reads}               messages to the monitor: echo "HELP" >> {reads}
    {says}                what it answers and does: tail -F {says}
    {events}              the same for programs, one JSON object a line

A file config.toml beside this one changes how the spool is worked on. Without
it the defaults hold; config.example.toml, which comes with the program, shows
every key. "monitor check FILE" tells what is wrong with a UOW or a config.toml.
`

const waitReadme = `Drop units of work here. They start in the order of their timestamps, as soon as
a slot is free and nothing they wait for is missing; those in {priority} go first.

Best write a file elsewhere on this file system and mv it here, or use
"monitor submit". A file that is still being written is left alone. One that is
no valid unit of work goes to {trash}, with the reasons beside it.

What lies here may be edited, and may be moved to {hold}, {priority} or anywhere
else. "monitor explain NAME" tells why something has not started.
`

const priorityReadme = `Units of work dropped here go before those in {wait}. Apart from that this
directory is the same. mv a file between the two to change its rank.
`

const holdReadme = `Units of work in here are parked: nothing starts, for as long as they lie here.
mv one to {wait} or {priority} to let it go (or send the message RELEASE NAME).
A file that is no valid unit of work may stay; it is judged when it leaves.
`

const executingReadme = `The units of work that run now. This directory belongs to the monitor: do not
put files in, move them out or edit them. To follow the output of one:

    tail -f {executing}/NAME

To end a run, send the message KILL JOB NAME. A running file that is moved away
is moved back.
`

const doneReadme = `Units of work that succeeded. Each file holds what was asked, the outcome in its
STATUS section, and all output in its JOB LOG. mv one to {wait} to run it again.
The monitor deletes nothing here; do so yourself when you like.
`

const errorReadme = `Units of work that ran to their end without success: their command said so by
its exit status, or a rule of the job type found an error in the output. STATUS
and JOB LOG in the file tell more. mv one to {wait} to run it again.
`

const failReadme = `Units of work that did not run to their end: not started, timed out, killed,
interrupted, expired, or trouble outside the job. STATUS in the file says which.
mv one to {wait} to run it again.
`

const trashReadme = `Not a queue. Files that are no valid unit of work come here, each with a
NAME.why that lists every reason with its line, and what was put away with the
message TRASH. Mend a file and mv it back, or delete it.
`

const archiveReadme = `Not a queue. Units of work kept for history; they come here by mv or with the
message ARCHIVE. What comes AFTER a UOW finds it here, too.
`

const statusReadme = `The summary of the spool, written anew when something changed: status.txt for
people, status.json for programs. Its first line tells when it was written.
"monitor status" shows the same, and says if no monitor is running.
`

const privateReadme = `The monitor's own records. Nothing in here is meant to be read or changed by
anybody else; without it the spool can't be recovered after a crash.
`
