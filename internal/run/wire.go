package run

import (
	"encoding/binary"
	"errors"
)

// A message on the socket is a letter, its length in four bytes and its bytes.
// The other end is the same build or a neighbour of it, and no stranger: what
// does not read as expected ends the conversation, never the command.
const (
	MsgLaunch = 'L' // monitor: an encoded spec
	MsgKill   = 'K' // monitor: run id, NUL, reason
	MsgAck    = 'A' // monitor: the run id whose end is taken care of

	MsgReady   = 'R' // runner: protocol, blank, name of its record
	MsgStarted = 'S' // runner: run id, NUL, process number
	MsgStalled = 'W' // runner: run id, NUL, errno: its log waits for room; 0: it goes on
	MsgFailed  = 'F' // runner: why it is no runner: errno or 0, blank, a sentence
	MsgEnded   = 'E' // runner: the end area of its record
)

// Protocol is what both ends must agree upon.
const Protocol = "1"

var errFrame = errors.New("a message that is none")

// AppendMessage writes one message.
func AppendMessage(b []byte, kind byte, body []byte) []byte {
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

// NextMessage takes the first message off b. A message that is not whole yet
// has kind 0; body is part of b.
func NextMessage(b []byte) (kind byte, body, rest []byte, err error) {
	if len(b) < 5 {
		return 0, nil, b, nil
	}
	n := binary.BigEndian.Uint32(b[1:])
	if n > maxSpec {
		return 0, nil, b, errFrame
	}
	if uint32(len(b)-5) < n {
		return 0, nil, b, nil
	}
	return b[0], b[5 : 5+n], b[5+n:], nil
}
