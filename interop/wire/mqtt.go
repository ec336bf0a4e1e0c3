package wire

import (
	"encoding/binary"
	"io"
)

// MQTT's packet types, in the upper half of the first byte.
const (
	mqttConnect, mqttConnack, mqttPublish, mqttPuback, mqttPubrec, mqttPubrel, mqttPubcomp, mqttSubscribe, mqttSuback = 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x82, 0x90
	mqttDisconnect                                                                                                    = 0xe0
)

type mqttConn struct {
	conn
	buf     []byte
	present bool // the broker has kept the session
}

func dialMQTT(o Options, clean bool) (*mqttConn, error) {
	c, err := dial(o.Addr)
	if err != nil {
		return nil, err
	}
	m := &mqttConn{conn: c}
	return m, c.handshake(func() error {
		flags := byte(0)
		if clean {
			flags = 2
		}
		body := append(mqttString(nil, "MQTT"), 4, flags, 0, 0)
		m.put(mqttConnect, mqttString(body, o.ID))
		answer, err := m.expect(mqttConnack)
		if err == nil && answer[1] != 0 {
			err = protocolError("CONNACK", answer)
		}
		m.present = err == nil && answer[0] == 1
		return err
	})
}

func mqttString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// put gathers a packet; an error stays with the writer, whose Flush tells it.
func (m *mqttConn) put(first byte, parts ...[]byte) {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := binary.AppendUvarint(append(m.w.AvailableBuffer(), first), uint64(n))
	for _, p := range parts {
		b = append(b, p...)
	}
	_, _ = m.w.Write(b)
}

// read returns the next packet; its body is good until the next call.
func (m *mqttConn) read() (first byte, body []byte, err error) {
	if first, err = m.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(m.r)
	if err != nil {
		return 0, nil, err
	}
	if uint64(cap(m.buf)) < n {
		m.buf = make([]byte, n)
	}
	m.buf = m.buf[:n]
	_, err = io.ReadFull(m.r, m.buf)
	return first, m.buf, err
}

func (m *mqttConn) expect(first byte) ([]byte, error) {
	if err := m.w.Flush(); err != nil {
		return nil, err
	}
	got, body, err := m.read()
	if err == nil && got != first {
		err = protocolError("unexpected packet", got)
	}
	return body, err
}

func (m *mqttConn) Close() error {
	m.put(mqttDisconnect)
	_ = m.w.Flush() // the connection ends either way
	return m.conn.Close()
}

type mqttSender struct {
	*mqttConn
	*window
	o     Options
	topic []byte
}

// SendMQTT opens a sender of QoS 0 or 1.
func SendMQTT(o Options) (Sender, error) {
	c, err := dialMQTT(o, true)
	if err != nil {
		return nil, err
	}
	s := &mqttSender{c, newWindow(min(o.Window, 60000), 1<<63), o, mqttString(nil, o.Destination)}
	go s.acks()
	return s, nil
}

func (s *mqttSender) acks() {
	for {
		first, body, err := s.read()
		switch {
		case err != nil:
			s.fail(err)
			return
		case first == mqttPuback:
			s.confirm(1)
		default:
			s.fail(protocolError("want PUBACK", body))
			return
		}
	}
}

func (s *mqttSender) Send(body []byte) error {
	if s.o.QoS == 0 {
		s.put(mqttPublish, s.topic, body)
		return nil
	}
	n, err := s.take(s.w.Flush)
	if err != nil {
		return err
	}
	var id [2]byte
	binary.BigEndian.PutUint16(id[:], uint16(n%65535+1))
	s.put(mqttPublish|1<<1, s.topic, id[:], body)
	return nil
}

func (s *mqttSender) Flush() error { return s.w.Flush() }

func (s *mqttSender) Wait() error {
	if err := s.w.Flush(); err != nil {
		return err
	}
	return s.wait()
}

type mqttReceiver struct{ *mqttConn }

// ReceiveMQTT opens a receiver; Durable keeps its session.
func ReceiveMQTT(o Options) (Receiver, error) {
	c, err := dialMQTT(o, !o.Durable)
	if err != nil {
		return nil, err
	}
	if c.present { // it subscribed then; what waits may be on its way
		return &mqttReceiver{c}, nil
	}
	return &mqttReceiver{c}, c.handshake(func() error {
		c.put(mqttSubscribe, []byte{0, 1}, mqttString(nil, o.Destination), []byte{o.QoS})
		answer, err := c.expect(mqttSuback)
		if err == nil && answer[2] > 2 {
			err = protocolError("SUBACK", answer)
		}
		return err
	})
}

func (r *mqttReceiver) Next() ([]byte, error) {
	for {
		if r.r.Buffered() == 0 {
			if err := r.Ack(); err != nil {
				return nil, err
			}
		}
		first, body, err := r.read()
		if err != nil {
			return nil, err
		}
		switch first & 0xf0 {
		case mqttPublish:
			return r.publish(first, body)
		case mqttPubrel:
			r.put(mqttPubcomp, body[:2])
		default:
			return nil, protocolError("want PUBLISH", body)
		}
	}
}

func (r *mqttReceiver) Ack() error { return r.w.Flush() }

func (r *mqttReceiver) publish(first byte, body []byte) ([]byte, error) {
	body = body[2+int(binary.BigEndian.Uint16(body)):]
	switch first >> 1 & 3 {
	case 0:
		return body, nil
	case 1:
		r.put(mqttPuback, body[:2])
	case 2:
		r.put(mqttPubrec, body[:2])
	}
	return body[2:], nil
}
