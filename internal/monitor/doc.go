// Package monitor owns the loop: what is done in which order, what is decided,
// and what is made of a crash. It knows no flags, no systemd and never exits
// the process.
//
//	          hints            ends, pids           lock free
//	watcher ────────┐   runners ────────┐   adopted ─────────┐   signals, [ready]
//	                ▼                   ▼                     ▼          │
//	             ┌──────────────── one channel of small values ──────────▼──┐
//	             │  session.loop: the only goroutine that decides anything  │
//	             └─────────┬──────────────────────────────────▲─────────────┘
//	                       ▼                                  │
//	             ┌──── a round: messages, look, move, edit, start, commit ──┐
//	             │         then: hand over, tell                            │
//	             └───────────────────────────────────────────────────────────┘
//
// The loop carries all of it out itself: state belongs to nobody else, so there is no
// lock around it, and no other thread has to be woken for each job. A guard stands
// by: of a disk that hangs it tells people, feeds the watchdog and has KILL JOB heard,
// with what it was given before the round began.
//
// # A round
//
// Everything a round writes becomes durable by one commit at its end, and
// anybody's sync may make a beginning of it durable earlier. So every beginning
// of a round must be a state that recovery understands. From that follows:
//
//   - A UOW moves in a round after the one that wrote its STATUS.
//   - A command is handed to a runner after the commit that covers its claim and
//     its start record.
//   - A run record is used again after the commit of the round that took its end.
//   - A second link goes after the commit that covers the final move.
//
// What is told to people and programs is told after the commit.
package monitor
