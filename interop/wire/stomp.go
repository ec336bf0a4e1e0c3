package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
)

// StompFrame is one frame; its header values are as they are on the wire.
type StompFrame struct {
	Command string
	Headers map[string]string
	Body    []byte
}

// StompConn is a raw connection, for tests that speak frame by frame. Reading and writing may be two goroutines'.
type StompConn struct{ conn }

// DialSTOMP connects and logs in; id is the client-id, "" for none.
func DialSTOMP(addr, id string) (*StompConn, error) {
	if id != "" {
		id = "client-id:" + id + "\n"
	}
	return dialSTOMP(addr, "heart-beat:0,0\n"+id)
}

// DialSTOMPBeating promises a heart-beat every sendMs and asks for one every wantMs; 0 for none.
func DialSTOMPBeating(addr string, sendMs, wantMs int) (*StompConn, error) {
	return dialSTOMP(addr, fmt.Sprintf("heart-beat:%d,%d\n", sendMs, wantMs))
}

func dialSTOMP(addr, headers string) (*StompConn, error) {
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	return loginSTOMP(c, headers)
}

// OpenSTOMP logs in on a connection that somebody else has made, and closes it if that fails.
func OpenSTOMP(c net.Conn) (*StompConn, error) { return loginSTOMP(buffered(c), "heart-beat:0,0\n") }

func loginSTOMP(c conn, headers string) (*StompConn, error) {
	s := &StompConn{c}
	return s, c.handshake(func() error {
		if err := s.Write("CONNECT\naccept-version:1.2\nhost:/\n"+headers+"\n", nil); err != nil {
			return err
		}
		_, err := s.Expect("CONNECTED")
		return err
	})
}

// ReadByte returns what comes next, a heart-beat between frames for one.
func (s *StompConn) ReadByte() (byte, error) { return s.r.ReadByte() }

// Write sends a frame at once: head is everything up to the empty line, that line included.
func (s *StompConn) Write(head string, body []byte) error {
	s.put(head, body)
	return s.w.Flush()
}

// put gathers a frame; an error stays with the writer, whose Flush tells it.
func (s *StompConn) put(head string, body []byte) {
	_, _ = s.w.WriteString(head)
	_, _ = s.w.Write(body)
	_ = s.w.WriteByte(0)
}

// Read returns the next frame.
func (s *StompConn) Read() (f StompFrame, err error) { return readFrame(s.r) }

// Expect reads a frame of this command.
func (s *StompConn) Expect(command string) (StompFrame, error) {
	f, err := s.Read()
	if err == nil && f.Command != command {
		err = protocolError("want "+command, f)
	}
	return f, err
}

func readFrame(r *bufio.Reader) (f StompFrame, err error) {
	line := []byte("\n")
	for len(line) == 1 { // heart-beats, and the line end that may follow a frame
		if line, err = r.ReadSlice('\n'); err != nil {
			return f, err
		}
	}
	f.Command = string(line[:len(line)-1])
	f.Headers = make(map[string]string, 8)
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return f, err
		}
		if len(line) == 1 {
			break
		}
		k, v, _ := bytes.Cut(line[:len(line)-1], []byte(":"))
		if _, again := f.Headers[string(k)]; !again {
			f.Headers[string(k)] = string(v)
		}
	}
	return f, readBody(r, &f)
}

func readBody(r *bufio.Reader, f *StompFrame) (err error) {
	length, ok := f.Headers["content-length"]
	if !ok {
		f.Body, err = r.ReadBytes(0)
		f.Body = bytes.TrimSuffix(f.Body, []byte{0})
		return err
	}
	n, err := strconv.Atoi(length)
	if err != nil {
		return err
	}
	f.Body = make([]byte, n+1)
	if _, err = io.ReadFull(r, f.Body); err != nil {
		return err
	}
	f.Body = f.Body[:n]
	return nil
}

type stompSender struct {
	*StompConn
	*window
	o    Options
	head []byte
}

// SendSTOMP opens a sender. Persistent messages ask for a receipt each.
func SendSTOMP(o Options) (Sender, error) {
	c, err := DialSTOMP(o.Addr, "")
	if err != nil {
		return nil, err
	}
	s := &stompSender{StompConn: c, window: newWindow(o.Window, 1<<63), o: o,
		head: fmt.Appendf(nil, "SEND\ndestination:%s\npersistent:%t\n", o.Destination, o.Persistent)}
	go s.receipts()
	return s, nil
}

func (s *stompSender) receipts() {
	for {
		f, err := s.Read()
		switch {
		case err != nil:
			s.fail(err)
			return
		case f.Command == "RECEIPT":
			s.confirm(1)
		default:
			s.fail(protocolError("want RECEIPT", f))
			return
		}
	}
}

func (s *stompSender) Send(body []byte) error {
	n, err := s.take(s.w.Flush)
	if err != nil {
		return err
	}
	b := s.w.AvailableBuffer()
	b = append(b, s.head...)
	b = strconv.AppendUint(append(b, "receipt:"...), n, 10)
	b = strconv.AppendInt(append(b, "\ncontent-length:"...), int64(len(body)), 10)
	b = append(append(append(b, "\n\n"...), body...), 0)
	_, err = s.w.Write(b)
	return err
}

func (s *stompSender) Flush() error { return s.w.Flush() }

func (s *stompSender) Wait() error {
	if err := s.w.Flush(); err != nil {
		return err
	}
	return s.wait()
}

type stompReceiver struct {
	*StompConn
	every   int    // how many messages one ACK covers
	unacked int    // since the last ACK
	last    string // ack id of the last message
}

// ReceiveSTOMP opens a receiver that acknowledges cumulatively.
func ReceiveSTOMP(o Options) (Receiver, error) {
	id := ""
	if o.Durable {
		id = o.ID
	}
	c, err := DialSTOMP(o.Addr, id)
	if err != nil {
		return nil, err
	}
	r := &stompReceiver{StompConn: c, every: min(50, max(1, o.Credit/2))}
	return r, c.handshake(func() error {
		head := fmt.Sprintf("SUBSCRIBE\nid:1\ndestination:%s\nack:client\nactivemq.prefetchSize:%d\nreceipt:s\n", o.Destination, o.Credit)
		if o.Durable {
			head += "activemq.subscriptionName:" + o.ID + "\n"
		}
		if err := c.Write(head+"\n", nil); err != nil {
			return err
		}
		_, err := c.Expect("RECEIPT")
		return err
	})
}

func (r *stompReceiver) Next() ([]byte, error) {
	if r.unacked >= r.every || r.r.Buffered() == 0 {
		if err := r.Ack(); err != nil {
			return nil, err
		}
	}
	f, err := r.Expect("MESSAGE")
	r.last = f.Headers["ack"]
	r.unacked++
	return f.Body, err
}

func (r *stompReceiver) Ack() error {
	if r.unacked == 0 {
		return nil
	}
	r.unacked = 0
	return r.Write("ACK\nid:"+r.last+"\n\n", nil)
}
