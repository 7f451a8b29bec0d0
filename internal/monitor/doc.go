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
//	                       │ one round                        │ done
//	                       ▼                                  │
//	             ┌──── disk: messages, look, move, edit, launch, commit ────┐
//	             └───────────────────────────────────────────────────────────┘
//
// A round is carried out by the disk goroutine, while the loop waits for it and
// keeps its ears open: state belongs to whichever of the two has the turn, so
// there is no lock around it, and a disk that hangs stops neither the watchdog
// nor the queue of what comes in.
//
// # A round
//
// Everything a round writes becomes durable by one commit at its end, and
// anybody's sync may make a beginning of it durable earlier. So every beginning
// of a round must be a state that recovery understands. From that follows:
//
//   - A UOW moves in the round after the one that wrote its STATUS.
//   - A command is handed to a runner after the commit that covers its claim and
//     its start record.
//   - A run record is used again after the commit of the round that took its end.
//   - A second link goes after the commit that covers the final move.
//
// What is told to people and programs is told after the commit.
package monitor
