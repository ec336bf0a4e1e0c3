package rim

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/ha/wire"
	"github.com/havenmq/havenmq/persist"
)

const (
	// outBytes of frames may wait for a peer that does not read.
	outBytes = 256 << 10
	// partingTime is what the last frames of a link have to arrive.
	partingTime = 50 * time.Millisecond
)

// peer is one link: a connection, its reader and its writer.
type peer struct {
	r        *Rim
	id       ha.Link
	conn     *wire.Conn
	accepted bool
	known    bool // the machine has heard of it: Lost is due. Guarded by Rim.mu

	mu      sync.Mutex // guards what follows
	out     []byte     // frames to be written
	spare   []byte
	parting bool // hang up once out is written
	gone    bool // the reader has ended
	why     string
	stream  *ha.Stream // what the writer is to stream; nil nothing

	wake    chan struct{} // to the writer
	written chan struct{} // closed when the writer has ended
	acked   atomic.Uint64
}

// join makes a link of a connection and starts its writer; the caller runs its reader. mu is held. nil: the rim has ended.
func (r *Rim) join(c *wire.Conn, accepted bool) *peer {
	if r.closed {
		return nil
	}
	r.lastLink++
	p := &peer{r: r, id: r.lastLink, conn: c, accepted: accepted, known: !accepted, wake: make(chan struct{}, 1), written: make(chan struct{})}
	r.peers[p.id] = p
	r.linked.Go(p.runWriter)
	return p
}

// read runs until the connection ends, and then tells the machine.
func (p *peer) read() {
	err := p.readFrames()
	p.mu.Lock()
	p.gone = true
	if p.why == "" {
		p.why = reason(err)
	}
	why := p.why
	p.mu.Unlock()
	_ = p.conn.Close() // it has ended already, or ends because of err
	p.signal()
	<-p.written
	r := p.r
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.peers, p.id)
	r.unstream(p)
	if p.known {
		r.stepLocked(ha.Lost{Link: p.id, Reason: why})
	}
}

func reason(err error) string {
	if err == nil || errors.Is(err, io.EOF) {
		return "the other end closed the connection"
	}
	return err.Error()
}

func (p *peer) readFrames() error {
	var m wire.Message
	var b *buffer
	defer func() { p.r.intake.release(b) }()
	room := func(n int) []byte {
		if b == nil || cap(b.bytes) < n {
			p.r.intake.release(b)
			if b = p.r.intake.take(n); b == nil {
				return nil
			}
		}
		return b.bytes
	}
	for {
		if err := p.conn.Read(&m, room); err != nil {
			return err
		}
		ok, kept := p.got(&m, b)
		if kept {
			p.r.intake.release(b)
			b = nil
		}
		if !ok {
			return p.drain()
		}
	}
}

// drain waits a little for the other end to close, so that it reads what was said last.
func (p *peer) drain() error {
	var m wire.Message
	_ = p.conn.SetReadDeadline(time.Now().Add(partingTime)) // if it fails the next Read does
	for {
		if err := p.conn.Read(&m, func(n int) []byte { return make([]byte, n) }); err != nil {
			return nil
		}
	}
}

// got steps a frame. ok: more are wanted. kept: a Write holds b now.
func (p *peer) got(m *wire.Message, b *buffer) (ok, kept bool) {
	f := m.Frame()
	r := p.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.isParting() || r.closed {
		return false, false
	}
	if !p.known {
		if _, hello := f.(ha.Hello); !hello {
			p.leave(fmt.Sprintf("its first frame was %T", f))
			return false, false
		}
		p.known = true
		_ = p.conn.SetReadDeadline(time.Time{}) // if it fails the next Read does
	}
	if why := p.lie(m); why != "" {
		p.leave(why)
		r.tell(ha.Warn, "a replica's link is ended: %s: %s", p.conn.Remote(), why)
		return false, false
	}
	if m.Kind != wire.KindAppend {
		r.stepLocked(ha.Got{Link: p.id, Frame: f})
		return true, false
	}
	r.lent = b
	r.stepLocked(ha.Got{Link: p.id, Frame: f})
	r.lent = nil
	return true, b.refs.Load() > 1 || b.bytes == nil
}

// lie says what in a frame cannot be true: nobody holds more of the log than this node has written, and nothing but that is streamed.
func (p *peer) lie(m *wire.Message) string {
	if m.Kind != wire.KindAck || !p.accepted {
		return ""
	}
	s := p.r.store.Load()
	if s == nil {
		return ""
	}
	if held, end := max(m.Ack.Received, m.Ack.Synced), s.Received(); held > end {
		return fmt.Sprintf("it acknowledges position %d, and the log ends at %d", held, end)
	}
	return ""
}

// send puts a frame into the writer's buffer.
func (p *peer) send(f ha.Frame) {
	p.mu.Lock()
	if p.gone || p.parting {
		p.mu.Unlock()
		return
	}
	p.out = wire.Put(p.out, f)
	over := len(p.out) > outBytes
	p.mu.Unlock()
	if over {
		p.leave("it does not read what it is sent")
		_ = p.conn.SetWriteDeadline(time.Unix(1, 0)) // nothing more gets through
	}
	p.signal()
}

// hang ends the link once what was sent is written, if that takes no time.
func (p *peer) hang() {
	p.leave("this node closed the connection")
	_ = p.conn.SetWriteDeadline(time.Now().Add(partingTime)) // if it fails writing does
	p.signal()
}

// leave marks the link as one that is being closed.
func (p *peer) leave(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parting = true
	p.stream = nil
	if p.why == "" {
		p.why = why
	}
}

func (p *peer) isParting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.parting
}

func (p *peer) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// moveWindow notes what the replica has acknowledged.
func (p *peer) moveWindow(pos persist.Pos) {
	if uint64(pos) > p.acked.Load() { // mu of Rim is held: nobody else writes
		p.acked.Store(uint64(pos))
		p.signal()
	}
}

// runWriter writes frames, and in between streams the log, until the link ends.
func (p *peer) runWriter() {
	defer close(p.written)
	var f feed
	defer func() { f.close() }()
	for {
		out, stream, parting, gone := p.due()
		if gone {
			return
		}
		if err := f.turnTo(p, stream); err != nil {
			p.fail(err)
			return
		}
		if len(out) > 0 {
			if err := p.conn.Write(out); err != nil {
				p.fail(err)
				return
			}
			continue
		}
		if parting {
			p.part()
			return
		}
		more, rest, err := f.send(p)
		if err != nil {
			p.fail(err)
			return
		}
		if !more {
			p.await(rest)
		}
	}
}

// await waits for a signal, or, if the stream rests, for a frame that is due or the end of the rest: that more of the log was
// written does not end it.
func (p *peer) await(rest time.Duration) {
	if rest <= 0 {
		<-p.wake
		return
	}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-p.wake:
			if p.urgent() {
				p.signal() // for whatever else it was about
				return
			}
		}
	}
}

// urgent says whether the writer has more to do than to stream.
func (p *peer) urgent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.out) > 0 || p.parting || p.gone
}

// due gives what is to be written; the buffer is the writer's until it asks again.
func (p *peer) due() (out []byte, stream *ha.Stream, parting, gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.out) > 0 {
		out = p.out
		p.out, p.spare = p.spare[:0], out
	}
	return out, p.stream, p.parting, p.gone
}

// fail has the reader end because of what befell the writer.
func (p *peer) fail(err error) {
	var damage *persist.DamageError
	if errors.As(err, &damage) {
		p.r.damaged(damage)
	}
	p.leave(err.Error())
	_ = p.conn.Close() // the reader tells of it
}

// part says that nothing more comes, and has the reader wait a little for the other end.
func (p *peer) part() {
	_ = p.conn.CloseWrite() // it is being closed anyhow
	_ = p.conn.SetReadDeadline(time.Now().Add(partingTime))
}
