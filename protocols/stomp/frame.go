package stomp

import "github.com/havenmq/havenmq/core"

// version is the dialect that CONNECT agreed on.
type version uint8

const (
	vNone version = iota // nothing is agreed on yet
	v10
	v11
	v12
)

func (v version) String() string { return [...]string{"none", "1.0", "1.1", "1.2"}[v] }

// dialect is what codec and session share: what they agreed on, and whether bytes came in that are no whole frame yet.
type dialect struct {
	version version
	opened  bool   // CONNECT was accepted: frames may be large
	arrived bool   // since the session last looked
	ids     string // what the message-ids that this connection gives begin with
	temp    string // what the core's names of this connection's temporary destinations begin with
}

// command is a frame's first line.
type command uint8

const (
	cmdNone command = iota
	cmdBeat         // no frame: one or more line ends between frames, a heart-beat
	cmdConnect
	cmdStomp
	cmdSend
	cmdSubscribe
	cmdUnsubscribe
	cmdAck
	cmdNack
	cmdBegin
	cmdCommit
	cmdAbort
	cmdDisconnect
	cmdConnected
	cmdMessage
	cmdReceipt
	cmdError
)

var commandNames = [...]string{cmdNone: "", cmdBeat: "", cmdConnect: "CONNECT", cmdStomp: "STOMP", cmdSend: "SEND",
	cmdSubscribe: "SUBSCRIBE", cmdUnsubscribe: "UNSUBSCRIBE", cmdAck: "ACK", cmdNack: "NACK", cmdBegin: "BEGIN",
	cmdCommit: "COMMIT", cmdAbort: "ABORT", cmdDisconnect: "DISCONNECT", cmdConnected: "CONNECTED", cmdMessage: "MESSAGE",
	cmdReceipt: "RECEIPT", cmdError: "ERROR"}

func (c command) String() string { return commandNames[c] }

// clientCommand reads the first line of a client's frame; cmdNone is none of them.
func clientCommand(line []byte) command {
	switch string(line) {
	case "SEND":
		return cmdSend
	case "ACK":
		return cmdAck
	case "NACK":
		return cmdNack
	case "CONNECT":
		return cmdConnect
	case "STOMP":
		return cmdStomp
	case "SUBSCRIBE":
		return cmdSubscribe
	case "UNSUBSCRIBE":
		return cmdUnsubscribe
	case "BEGIN":
		return cmdBegin
	case "COMMIT":
		return cmdCommit
	case "ABORT":
		return cmdAbort
	case "DISCONNECT":
		return cmdDisconnect
	}
	return cmdNone
}

// escapes says whether a frame's headers are escaped in a version: not in 1.0, and not in the frames that agree on one
// (STOMP 1.2, "Value Encoding").
func (c command) escapes(v version) bool {
	return v >= v11 && c != cmdConnect && c != cmdStomp && c != cmdConnected
}

// header is one header of a frame, unescaped. raw is the line as it came.
type header struct{ name, value, raw []byte }

// Frame is one STOMP frame, or a heart-beat. A frame that came in aliases the read buffer and the codec's own memory.
type Frame struct {
	command   command
	hasLength bool // it came with a content-length
	verbatim  bool // its raw lines are what version 1.2 would write
	escaped   bool // and some of them have escapes
	headers   []header
	body      []byte

	receipt []byte   // cmdReceipt: the receipt-id, unescaped
	out     outgoing // cmdMessage
}

// outgoing is a delivery on its way to the wire.
type outgoing struct {
	message  *core.Message // nil: the end of a browse
	sub      *subscription
	to       core.Destination
	seq      uint64 // what names it in ACK
	attempts uint32
	returned bool
	retained bool
	reason   string           // why it is a dead letter
	origin   core.Destination // and where it died; zero is not known

	// What read found in the message.
	id     []byte // of the message itself
	block  []byte // header lines, as 1.2 writes them
	body   []byte
	length bool // content-length is written
}

// get finds the first header of a name; only the first counts (STOMP 1.2, "Repeated Header Entries").
func (f *Frame) get(name string) []byte {
	for i := range f.headers {
		if string(f.headers[i].name) == name {
			return f.headers[i].value
		}
	}
	return nil
}

// has says whether there is such a header, which may be empty.
func (f *Frame) has(name string) bool {
	for i := range f.headers {
		if string(f.headers[i].name) == name {
			return true
		}
	}
	return false
}

// text makes a frame of ours with the headers given as name, value, name, value.
func text(c command, body string, pairs ...string) Frame {
	f := Frame{command: c, body: []byte(body)}
	for i := 0; i < len(pairs); i += 2 {
		f.headers = append(f.headers, header{name: []byte(pairs[i]), value: []byte(pairs[i+1])})
	}
	return f
}
