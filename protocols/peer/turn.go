package peer

import (
	"net"
	"time"

	"github.com/havenmq/havenmq/core"
)

// What the reader does after a turn.
type verdict uint8

const (
	readOn  verdict = iota // all that is there was decoded
	waitOn                 // too much waits to be written, or the broker has enough to do
	stopNow                // the connection ends
)

// receive decodes what has come, feeds it to the machine, and answers what to do next, with the bytes that the reader is
// to write itself.
func (c *conn[F]) receive() (next verdict, direct []byte) {
	c.enter()
	defer c.leave()
	now := time.Now()
	for c.closing == nil && c.unwritten() <= 2*c.o.Limits.MaxOutBufferBytes && c.decodeOne(now) {
	}
	c.weigh(now)
	c.expectRest(now)
	c.feed(now)
	c.arm(now)
	if c.raw != nil && !c.writing && c.sending == nil && c.closing == nil {
		direct = c.grab()
	} else if c.unwritten() > 0 || c.closing != nil {
		c.signal()
	}
	switch {
	case c.closing != nil:
		return stopNow, direct
	case c.mustWait():
		return waitOn, direct
	}
	return readOn, direct
}

// decodeOne feeds one frame to the machine, if a whole one is there.
func (c *conn[F]) decodeOne(now time.Time) bool {
	if c.in.from == c.in.to {
		c.in.need = 0
		return false
	}
	f, n, need, err := c.codec.Decode(c.in.bytes())
	if err == nil && n == 0 && (need > c.bound || c.in.to-c.in.from >= c.bound) {
		err = errFrameTooLarge
	}
	if err != nil {
		c.malformed(err, now)
		return false
	}
	if n == 0 {
		c.in.need = need
		return false
	}
	c.in.take(n)
	c.greeted = true
	c.machine.Receive(f, now, &c.out)
	c.collect()
	if c.refusal != nil && c.closing == nil {
		c.evict(c.refusal, now)
	}
	return c.closing == nil
}

// weigh counts what the machine holds of messages that are not whole, and refuses the one that is too much.
func (c *conn[F]) weigh(now time.Time) {
	if c.holder == nil || c.closing != nil {
		return
	}
	if in, _ := c.holder.HeldBytes(); !c.o.Allowance.resize(&c.held, in) {
		c.malformed(errNoAllowance, now)
	}
}

// expectRest sets the time by which more of a large message must have come: it keeps others from sending theirs.
func (c *conn[F]) expectRest(now time.Time) {
	half := len(c.in.bytes()) >= readBytes
	if c.closing != nil || !half && !c.half {
		return
	}
	by := time.Time{}
	if c.half = half; half {
		by = now.Add(stallTimeout)
	}
	_ = c.socket.SetReadDeadline(by) // a socket that is closed will say so
}

// room says whether the next delivery may be handed over: not too much waits to be written, and it is small or has an
// allowance.
func (c *conn[F]) room() bool {
	waits := c.unwritten()
	if c.holder != nil {
		_, out := c.holder.HeldBytes()
		waits += out
	}
	if waits >= c.o.Limits.MaxOutBufferBytes {
		return false
	}
	if c.next >= len(c.got.Deliveries) {
		return true
	}
	m := c.got.Deliveries[c.next].Message
	if m == nil || len(m.Bare) <= maxKeptBytes {
		return true
	}
	want := c.unreadBytes() + len(m.Bare)
	if c.o.Unread.resize(&c.unread, want) {
		return true
	}
	if !c.awaits.Swap(true) {
		c.o.Unread.await(func() {
			c.awaits.Store(false)
			c.signal()
		})
	}
	return c.o.Unread.resize(&c.unread, want)
}

// unreadBytes is what large messages take that the peer has not read.
func (c *conn[F]) unreadBytes() (n int) {
	for _, b := range []*buffer{c.pending, c.sending} {
		if b != nil && cap(b.b) > maxKeptBytes {
			n += cap(b.b)
		}
	}
	if c.holder != nil {
		if _, out := c.holder.HeldBytes(); out > maxKeptBytes {
			n += out
		}
	}
	return n
}

// refuse ends the connection in the machine's words.
func (c *conn[F]) refuse(why error) {
	c.enter()
	defer c.leave()
	if c.closing == nil {
		now := time.Now()
		c.malformed(why, now)
		c.do(now)
	}
}

func (c *conn[F]) malformed(why error, now time.Time) {
	c.machine.Malformed(why, now, &c.out)
	c.collect()
	c.close(why) // unless the machine has said so, in its own words
}

// feed hands the machine what the broker has for it, until there is no more or enough waits to be written.
func (c *conn[F]) feed(now time.Time) {
	for {
		c.do(now)
		if c.closing != nil {
			return
		}
		if c.poll(now) {
			continue
		}
		if c.flusher == nil {
			return
		}
		if c.unwritten() >= c.o.Limits.MaxOutBufferBytes {
			c.backlog = true // what it gathered would only wait here
			return
		}
		c.flusher.Flush(now, &c.out)
		c.collect()
		c.backlog, c.out.More = c.out.More, false
		if len(c.out.Ops) == 0 && !c.backlog {
			return
		}
	}
}

// do carries out the operations that were gathered.
func (c *conn[F]) do(now time.Time) {
	if len(c.out.Ops) == 0 {
		return
	}
	if c.client != nil && !c.closed {
		c.client.Do(c.out.Ops, now.UnixMilli())
	}
	clear(c.out.Ops)
	clear(c.tags)
	c.out.Ops, c.tags, c.ops = c.out.Ops[:0], c.tags[:0], 0
	if cap(c.out.Ops) > maxIdleOps {
		c.out.Ops = nil
	}
	if cap(c.tags) > maxIdleTags {
		c.tags = nil
	}
}

// poll takes answers, and deliveries as far as there is room for them, and says whether there were any.
func (c *conn[F]) poll(now time.Time) bool {
	if c.client == nil {
		return false
	}
	room := c.room()
	left := c.next < len(c.got.Deliveries)
	if left && room {
		c.deliver(now)
		return true
	}
	events, most := &c.got, deliveriesTaken
	if left {
		events = &c.answers
	}
	if !room {
		most = 0
	}
	c.news.Store(false)
	c.more = c.client.Poll(events, most)
	for i := range events.Done {
		if d := &events.Done[i]; d.Err != nil {
			d.Err = c.here(d.Err)
		}
		c.machine.Done(&events.Done[i], now, &c.out)
		if c.collect(); c.closing != nil {
			return true
		}
	}
	if events.Evicted != nil {
		c.evict(c.here(events.Evicted), now)
		return true
	}
	if !left {
		c.next = 0
		c.deliver(now)
	}
	return len(events.Done) > 0 || len(events.Deliveries) > 0
}

// deliver hands over what was taken, as long as there is room.
func (c *conn[F]) deliver(now time.Time) {
	for c.next < len(c.got.Deliveries) && c.closing == nil && c.room() {
		c.next++
		c.machine.Deliver(&c.got.Deliveries[c.next-1], now, &c.out)
		c.collect()
	}
	c.o.Unread.exact(&c.unread, c.unreadBytes())
}

// here completes what the peer is told of the next master: it is at the port that this connection came to.
func (c *conn[F]) here(err error) error {
	m, ok := err.(*core.Moved)
	if !ok || m.Port != 0 {
		return err
	}
	at, ok := c.socket.LocalAddr().(*net.TCPAddr)
	if !ok {
		return err
	}
	return &core.Moved{Err: m.Err, Host: m.Host, Port: at.Port}
}

func (c *conn[F]) evict(why error, now time.Time) {
	c.machine.Evict(why, now, &c.out)
	c.collect()
	c.close(why)
}

// collect takes over what the machine put into Out. Operations stay there until do; their tags are the machine's own and
// are copied.
func (c *conn[F]) collect() {
	o := &c.out
	if len(o.Frames) > 0 {
		c.encode()
	}
	for ; c.ops < len(o.Ops); c.ops++ {
		if op := &o.Ops[c.ops]; len(op.Tags) > 0 {
			from := len(c.tags)
			c.tags = append(c.tags, op.Tags...)
			op.Tags = c.tags[from:len(c.tags):len(c.tags)]
		}
	}
	if !o.Wake.IsZero() {
		c.tickAt, o.Wake = o.Wake, time.Time{}
	}
	if o.Close != nil {
		why := o.Close
		o.Close = nil
		c.close(why)
	}
}

// encode turns frames into bytes that wait to be written.
func (c *conn[F]) encode() {
	o := &c.out
	if c.pending == nil {
		c.pending = outPool.Get().(*buffer)
	}
	for i := range o.Frames {
		b, err := c.codec.Append(c.pending.b, o.Frames[i])
		if err != nil {
			c.close(err)
			break
		}
		c.pending.b = b
	}
	clear(o.Frames)
	o.Frames = o.Frames[:0]
}

// mustWait says that the socket should not be read for now.
func (c *conn[F]) mustWait() bool {
	if c.client != nil && c.client.Throttled() {
		c.deaf = true
		return true
	}
	return c.unwritten() > 2*c.o.Limits.MaxOutBufferBytes
}

// tick does what the clock asks for.
func (c *conn[F]) tick(now time.Time) {
	c.armedAt = time.Time{}
	late := !c.greeted && !now.Before(c.handsBy)
	if late || !c.tickAt.IsZero() && !now.Before(c.tickAt) {
		c.tickAt = time.Time{}
		c.out.Deaf = c.deaf
		c.machine.Tick(now, &c.out)
		c.collect()
		c.out.Deaf, c.deaf = false, c.deaf && c.paused.Load()
	}
	if late {
		c.close(ErrHandshake) // unless the machine has, in its own words
	}
}

// arm sets the timer. One that fires too early is set anew then: so moving Wake on, as each frame does, costs nothing.
func (c *conn[F]) arm(now time.Time) {
	at := c.tickAt
	if !c.greeted && (at.IsZero() || c.handsBy.Before(at)) {
		at = c.handsBy
	}
	if at.IsZero() || c.closing != nil || !c.armedAt.IsZero() && !at.Before(c.armedAt) {
		return
	}
	c.armedAt = at
	if wait := max(at.Sub(now), 0); c.timer == nil {
		c.timer = time.AfterFunc(wait, c.fire)
	} else {
		c.timer.Reset(wait)
	}
}

func (c *conn[F]) fire() {
	c.due.Store(true)
	c.signal()
}
