// Package clock is the wall clock: what people write and read, and what must hold
// over a restart. Somebody may set it forth or back at any moment, so it measures
// no span: that is what the monotonic reading of time.Now is for, and the times
// this package returns have none.
package clock
