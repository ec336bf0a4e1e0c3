package wire

import (
	"encoding/binary"
	"io"
	"net"
)

const (
	saslHeader = "AMQP\x03\x01\x00\x00"
	amqpHeader = "AMQP\x00\x01\x00\x00"

	maxFrameBytes = 1 << 20
	sessionWindow = 1 << 30 // frames that we take, at any time
)

func dialAMQP(o Options) (*amqpConn, error) {
	c, err := dial(o.Addr)
	if err != nil {
		return nil, err
	}
	a := &amqpConn{conn: c}
	return a, c.handshake(func() error { return a.open(o) })
}

// open logs in as nobody, opens the connection and begins a session.
func (a *amqpConn) open(o Options) error {
	if err := a.header(saslHeader); err != nil {
		return err
	}
	if _, err := a.expect(saslMechanisms); err != nil {
		return err
	}
	a.put(1, new(list).sym("ANONYMOUS").bin("").described(saslInit))
	outcome, err := a.expect(saslOutcome)
	if err != nil {
		return err
	}
	if outcome.uint(0) != 0 {
		return protocolError("SASL", outcome.text())
	}
	if err := a.header(amqpHeader); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return err
	}
	a.put(0, new(list).str(o.ID).str(host).uint(maxFrameBytes).described(perfOpen))
	if _, err := a.expect(perfOpen); err != nil {
		return err
	}
	a.put(0, new(list).null().uint(0).uint(sessionWindow).uint(sessionWindow).described(perfBegin))
	return a.w.Flush()
}

func (a *amqpConn) header(h string) error {
	if _, err := a.w.WriteString(h); err != nil {
		return err
	}
	if err := a.w.Flush(); err != nil {
		return err
	}
	got := make([]byte, len(h))
	if _, err := io.ReadFull(a.r, got); err != nil {
		return err
	}
	if string(got) != h {
		return protocolError("header", got)
	}
	return nil
}

func (a *amqpConn) Close() error {
	a.put(0, new(list).described(perfClose))
	_ = a.w.Flush() // the connection ends either way
	return a.conn.Close()
}

type amqpSender struct {
	*amqpConn
	*window
	head   []byte // the transfer up to its delivery id
	middle []byte // from there to the body's length
	// The peer's bounds: transfers by the session's window, deliveries by the link's credit. Only the reader uses them.
	sessionLimit, linkLimit uint64
}

// SendAMQP opens a sender.
func SendAMQP(o Options) (Sender, error) {
	c, err := dialAMQP(o)
	if err != nil {
		return nil, err
	}
	s := &amqpSender{amqpConn: c, window: newWindow(o.Window, 0)}
	err = c.handshake(func() error {
		begin, err := c.expect(perfBegin)
		if err != nil {
			return err
		}
		s.sessionLimit = uint64(begin.uint(2))
		source := new(list).str(o.ID).described(typeSource)
		target := new(list).str(o.Destination).described(typeTarget)
		c.put(0, new(list).str(o.ID).uint(0).bool(false).ubyte(0).ubyte(0).sub(source).sub(target).null().bool(false).uint(0).described(perfAttach))
		_, err = c.expect(perfAttach)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.template(o.Persistent)
	go s.answers()
	return s, nil
}

// template encodes what all transfers share. A transfer is handle 0, delivery id, delivery tag, format 0, not settled; each
// message has a header and one data section.
func (s *amqpSender) template(durable bool) {
	s.head = []byte{0, 0x53, perfTransfer, 0xc0, 1 + 1 + 5 + 6 + 1 + 1, 5, 0x43, 0x70}
	s.middle = append([]byte{0x43, 0x42}, new(list).bool(durable).described(sectionHeader)...)
	s.middle = append(s.middle, 0, 0x53, sectionData, 0xb0)
}

func (s *amqpSender) answers() {
	for {
		p, err := s.read()
		if err != nil {
			s.fail(err)
			return
		}
		switch p.code {
		case perfFlow:
			s.flow(p)
		case perfDisposition:
			if !p.has(4) || p.fields[4][2] != typeAccepted {
				s.fail(protocolError("not accepted", p.text()))
				return
			}
			last := p.uint(1)
			if p.has(2) {
				last = p.uint(2)
			}
			s.confirm(uint64(last-p.uint(1)) + 1)
		default:
			s.fail(protocolError("unexpected performative", p.text()))
			return
		}
	}
}

func (s *amqpSender) flow(p *performative) {
	s.sessionLimit = uint64(p.uint(0)) + uint64(p.uint(1))
	if p.has(4) {
		s.linkLimit = uint64(p.uint(5)) + uint64(p.uint(6))
	}
	s.allow(min(s.sessionLimit, s.linkLimit))
}

func (s *amqpSender) Send(body []byte) error {
	n, err := s.take(s.w.Flush)
	if err != nil {
		return err
	}
	id := binary.BigEndian.AppendUint32(make([]byte, 0, 4), uint32(n))
	size := binary.BigEndian.AppendUint32(make([]byte, 0, 4), uint32(len(body)))
	s.put(0, s.head, id, []byte{0xa0, 4}, id, s.middle, size, body)
	return nil
}

func (s *amqpSender) Flush() error { return s.w.Flush() }

func (s *amqpSender) Wait() error {
	if err := s.w.Flush(); err != nil {
		return err
	}
	return s.wait()
}

type amqpReceiver struct {
	*amqpConn
	credit   uint32
	count    uint32 // deliveries so far: the link's delivery-count
	used     uint32 // of the credit, since it was last given
	frames   uint32 // transfers so far: the session's next-incoming-id
	first    uint32 // of the deliveries that are not yet settled
	unacked  uint32
	partial  []byte
	accepted []byte
}

// ReceiveAMQP opens a receiver; Durable makes a durable subscription of it.
func ReceiveAMQP(o Options) (Receiver, error) {
	c, err := dialAMQP(o)
	if err != nil {
		return nil, err
	}
	r := &amqpReceiver{amqpConn: c, credit: uint32(o.Credit), accepted: new(list).described(typeAccepted)}
	return r, c.handshake(func() error {
		begin, err := c.expect(perfBegin)
		if err != nil {
			return err
		}
		r.frames = begin.uint(1)
		source := new(list).str(o.Destination)
		if o.Durable {
			source.uint(2).sym("never") // unsettled-state, never expires
		}
		target := new(list).str(o.ID).described(typeTarget)
		c.put(0, new(list).str(o.ID).uint(0).bool(true).ubyte(0).ubyte(0).sub(source.described(typeSource)).sub(target).described(perfAttach))
		attach, err := c.expect(perfAttach)
		if err != nil {
			return err
		}
		r.count = attach.uint(9)
		return r.flow()
	})
}

func (r *amqpReceiver) flow() error {
	r.used = 0
	r.put(0, new(list).uint(r.frames).uint(sessionWindow).uint(0).uint(sessionWindow).uint(0).uint(r.count).uint(r.credit).described(perfFlow))
	return r.w.Flush()
}

func (r *amqpReceiver) Next() ([]byte, error) {
	r.partial = r.partial[:0]
	for {
		if r.r.Buffered() == 0 || r.unacked >= 64 {
			if err := r.Ack(); err != nil {
				return nil, err
			}
		}
		p, err := r.read()
		if err != nil {
			return nil, err
		}
		switch p.code {
		case perfFlow:
			continue
		case perfTransfer:
		default:
			return nil, protocolError("want a transfer", p.text())
		}
		if body := r.transfer(p); body != nil {
			return body, nil
		}
	}
}

// transfer gathers a message's frames and returns its body when it is whole.
func (r *amqpReceiver) transfer(p *performative) []byte {
	r.frames++
	if p.has(1) && r.unacked == 0 && len(r.partial) == 0 {
		r.first = p.uint(1)
	}
	message := p.payload
	if p.true(5) || len(r.partial) > 0 {
		r.partial = append(r.partial, p.payload...)
		message = r.partial
	}
	if p.true(5) {
		return nil
	}
	r.count++
	r.used++
	r.unacked++
	if body := messageBody(message); body != nil {
		return body
	}
	return []byte{}
}

// Ack also gives new credit when half is used.
func (r *amqpReceiver) Ack() error {
	if r.unacked > 0 {
		r.put(0, new(list).bool(true).uint(r.first).uint(r.first+r.unacked-1).bool(true).sub(r.accepted).described(perfDisposition))
		r.unacked = 0
	}
	if r.used >= r.credit/2 {
		return r.flow()
	}
	return r.w.Flush()
}
