// Package flow owns what comes next in a unit of work: which command of which
// step to run, whether to try again, what the outcome is. It is pure: results in,
// the next action out; it knows no files, no processes and no clock.
//
// # A try
//
// A step is up to four commands:
//
//	          CHECK                COMMAND             CHECK again          CLEANUP
//	begin ──► check ──exit 0─────────────────────────────────────► done ──► cleanup, if
//	            │no                                                  ▲       COMMAND was
//	            └─────► command ──CHECK given, however it ended──► recheck   ever started
//	                       │ none                                   │no
//	                       └──► done, error or fail                 └──► error
//
// A failed try is followed by another while TRIES allows: [Begin] and [Next].
//
// # A flow
//
// A [Plan] is the graph of the steps; it never changes. A [Flow] is a plan that
// runs. A plain UOW is a plan of one step without a name. Each step is in one of
// these states, and a table tells which may follow on which:
//
//	waiting ──► ready ──► checking ──► running ──► rechecking
//	   │          ▲           │           │             │
//	   │          └───────────┴───────────┴─────────────┤ a try failed, another is due
//	   │                                                ▼
//	   ├──────────────────────────────► succeeded, failed, cancelled
//	   └──► skipped, not-reached
//
// What a decision costs depends on what it changes: the steps that come after the
// one that ended, not the size of the flow.
//
// # Its past
//
// Whatever a Flow decides follows from its plan and its past, which is a list of
// [Record]s: one for each command that ended, and for each wish from outside. A
// record tells what was decided, not only what had happened, so that a
// configuration that changed since decides nothing again. [Restore] makes of any
// beginning of a past the Flow as it stood then; what was running at that moment
// is told it by [Flow.Adopt]. It refuses a past that belongs to another plan.
package flow
