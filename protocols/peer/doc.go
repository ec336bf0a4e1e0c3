// Package peer is the rim: it moves bytes between sockets and the protocols' session machines, and operations between
// the machines and the broker. It holds the only read loop and the only write loop of the project.
//
//	socket ──► reader: decode ─► Receive ─┐                       ┌─► Do ──► broker
//	                                      ├─► Out: Frames, Ops ───┤
//	broker ──► Wake ─► writer: Poll ──────┘                       └─► out buffer ─► socket
//	                   timer ─► Tick
//
// A connection has two goroutines. The reader blocks in read; whatever came it decodes and feeds to the machine, frame
// after frame, and then does all operations at once. The writer sleeps until the broker, the timer or the reader wakes
// it; it polls the broker, feeds the machine, and writes all that was gathered with one call. What the reader itself has
// caused is written by the reader, if the socket takes it without blocking: that saves a switch of goroutines.
//
// Invariants:
//   - The machine, the codec, Out and the client are only touched under the connection's lock, and no lock is held over
//     a read or a write of the socket.
//   - One goroutine writes at a time: conn.writing says that one does.
//   - An idle connection holds no buffer: input is read into a pooled one when the socket has some, output is gathered
//     in a pooled one and given back when it is written. What is left of half a frame stays in a small one.
//   - A buffer grows as bytes come, never because a length field says so.
//   - Deliveries are taken while less than Limits.MaxOutBufferBytes wait to be written. When twice as much waits, the
//     socket is not read either: whoever asks much and reads nothing stops being heard.
//   - A machine that panics ends its connection alone.
//   - The client is closed once, after the machine's last operations, before the connection lingers.
//
// Lock order: Listener.mu is never held while conn.mu is taken, nor the other way round. conn.mu → the broker's.
// Wake takes no lock.
package peer
