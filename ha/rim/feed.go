package rim

import (
	"fmt"
	"slices"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/ha/wire"
	"github.com/havenmq/havenmq/persist"
)

// feed streams the log to one replica. Its link's writer owns it.
type feed struct {
	stream *ha.Stream // nil: nothing
	store  *persist.Store
	pin    *persist.Pin
	next   persist.Pos
	buf    []byte // room for a frame's head, then batches
	ration ration
}

// startStream has a link's writer stream. mu is held.
func (r *Rim) startStream(a ha.Stream) {
	p := r.peers[a.Link]
	if p == nil {
		return
	}
	p.acked.Store(uint64(a.From))
	p.mu.Lock()
	if !p.parting && !p.gone {
		p.stream = &a
	}
	p.mu.Unlock()
	if !slices.Contains(*r.streams.Load(), p) {
		r.setStreams(append(slices.Clone(*r.streams.Load()), p))
	}
	p.signal()
}

// unstream ends the stream: the writer begins no other chunk of it.
func (p *peer) unstream() {
	p.mu.Lock()
	p.stream = nil
	p.mu.Unlock()
	p.signal()
}

// unstream forgets a link that has ended. mu is held.
func (r *Rim) unstream(p *peer) {
	if list := *r.streams.Load(); slices.Contains(list, p) {
		r.setStreams(slices.DeleteFunc(slices.Clone(list), func(x *peer) bool { return x == p }))
	}
}

func (r *Rim) setStreams(list []*peer) { r.streams.Store(&list) }

// written is told by the store's committer that the log's file has grown.
func (r *Rim) written() {
	for _, p := range *r.streams.Load() {
		p.signal()
	}
}

// turnTo begins a stream, unless it is the present one. The log may have been trimmed since the machine looked: the
// link ends then, and the replica says hello again.
func (f *feed) turnTo(p *peer, stream *ha.Stream) error {
	if f.stream == stream {
		return nil
	}
	f.close()
	s := p.r.store.Load()
	if stream == nil || s == nil {
		return nil
	}
	pin, err := s.Pin(stream.From)
	if err != nil {
		return fmt.Errorf("streaming the log from position %d: %w", stream.From, err)
	}
	f.stream, f.store, f.pin, f.next = stream, s, pin, stream.From
	f.ration = ration{rate: p.r.o.BehindRate}
	return nil
}

// send reads and writes one chunk, if there is one and the window is open. more: look again. rest: look again after that time.
func (f *feed) send(p *peer) (more bool, rest time.Duration, err error) {
	if f.stream == nil {
		return false, 0, nil
	}
	r, acked := p.r, persist.Pos(p.acked.Load())
	f.pin.Move(acked)
	received := f.store.Received()
	if f.next >= received || f.next >= acked+persist.Pos(r.o.WindowBytes) {
		return false, 0, nil
	}
	most := r.o.ChunkBytes
	behind := f.next+persist.Pos(r.o.BehindBytes) < min(received, persist.Pos(r.commitAt.Load()))
	if behind {
		most = r.o.BehindChunk
		if rest := f.ration.rest(time.Now(), received, int64(most)); rest > 0 {
			return false, rest, nil
		}
	}
	n, err := f.chunk(p, most)
	if behind {
		f.ration.sent(n)
	}
	return n > 0, 0, err
}

// chunk sends whole batches, of most bytes unless one is larger, and says how many bytes.
func (f *feed) chunk(p *peer, most int) (n int, err error) {
	if f.buf == nil {
		f.buf = make([]byte, wire.AppendBytes, 64<<10)
	}
	b, err := f.store.ReadBatches(f.next, most, f.buf[:wire.AppendBytes])
	if err != nil {
		return 0, fmt.Errorf("reading the log at position %d: %w", f.next, err)
	}
	if n = len(b) - wire.AppendBytes; n <= 0 {
		return 0, nil
	}
	wire.PutAppend(b[:0], f.stream.Epoch, f.next, persist.Pos(p.r.commitAt.Load()), n)
	if err := p.conn.Write(b); err != nil {
		return n, err
	}
	f.next += persist.Pos(n)
	if cap(b) <= 2*p.r.o.ChunkBytes {
		f.buf = b
	}
	return n, nil
}

func (f *feed) close() {
	if f.stream != nil {
		f.pin.Release()
		f.stream, f.store, f.pin = nil, nil, nil
	}
}

// damagePause is how long after it met damage a master does not speak of it again.
const damagePause = time.Second

// damaged is called when a replica cannot be sent the log, as this node's own is damaged where the index needs it no more. A replica
// that holds all can take over: its log is another copy.
func (r *Rim) damaged(damage *persist.DamageError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now(); r.damagedAt == 0 || now-r.damagedAt >= damagePause {
		r.damagedAt = now
		r.tells.put(ha.Tell{Level: ha.Alarm, Text: fmt.Sprintf("this master's log cannot be sent to a replica, and another node is to take over: %v", damage)})
		r.stepLocked(ha.PromoteAsked{})
	}
}
