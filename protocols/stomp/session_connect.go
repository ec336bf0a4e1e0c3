package stomp

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/havenmq/havenmq/core"
)

// connect takes CONNECT or STOMP (1.2, "Connecting").
func (s *session) connect(f *Frame) *wireError {
	v := agree(f)
	if v == vNone {
		return errVersion
	}
	in, out, e := heartBeat(f)
	if e != nil {
		return e
	}
	s.dialect.version = v
	s.expects, s.promises = in, out
	s.clientID = string(f.get("client-id"))
	r := &core.ConnectRequest{Protocol: "stomp", ClientID: s.clientID, Exclusive: s.clientID != ""}
	if f.has("login") || f.has("passcode") {
		r.HasLogin, r.User, r.Password = true, string(f.get("login")), bytes.Clone(f.get("passcode"))
	}
	s.phase = phaseConnecting
	s.out.Do(core.Op{Kind: core.OpConnect, Connect: r, Ticket: s.pend(pending{kind: pendConnect, receipt: receiptOf(f)})})
	return nil
}

// agree chooses the highest version that both speak; a client that names none speaks 1.0 ("Protocol Negotiation").
func agree(f *Frame) version {
	if !f.has("accept-version") {
		return v10
	}
	best := vNone
	for _, word := range strings.Split(string(f.get("accept-version")), ",") {
		for v := v10; v <= v12; v++ {
			if strings.TrimSpace(word) == v.String() && v > best {
				best = v
			}
		}
	}
	return best
}

// heartBeat agrees on how often something comes in and goes out: the longer of what one can and the other wants; 0 never.
func heartBeat(f *Frame) (in, out time.Duration, e *wireError) {
	if !f.has("heart-beat") {
		return 0, 0, nil
	}
	can, wants, two := bytes.Cut(f.get("heart-beat"), []byte{','})
	x, ok := number(bytes.TrimSpace(can))
	y, also := number(bytes.TrimSpace(wants))
	if !two || !ok || !also {
		return 0, 0, errHeartBeat
	}
	if x > uint64(maxHeartBeat/time.Millisecond) {
		x = 0 // so seldom that it says nothing
	}
	return period(x), period(y), nil
}

func period(ms uint64) time.Duration {
	if ms == 0 {
		return 0
	}
	if ms > uint64(maxHeartBeat/time.Millisecond) {
		return maxHeartBeat
	}
	return max(time.Duration(ms)*time.Millisecond, minHeartBeat)
}

// connected answers CONNECT, to a client that has said DISCONNECT meanwhile too.
func (s *session) connected() {
	s.dialect.opened = true
	s.phase = max(s.phase, phaseOpen)
	server := productName
	if s.options.Version != "" {
		server += "/" + s.options.Version
	}
	f := text(cmdConnected, "", "version", s.dialect.version.String(), "server", server, "heart-beat", s.ownHeartBeat())
	if s.clientID != "" {
		f.headers = append(f.headers, header{name: []byte("session"), value: []byte(s.clientID)})
	} else {
		f.headers = append(f.headers, header{name: []byte("session"), value: []byte(strings.TrimSuffix(s.dialect.temp, "-"))})
	}
	s.send(f)
	s.wake()
}

// ownHeartBeat is what we can do and want. We can, and want, what the client asked for.
func (s *session) ownHeartBeat() string {
	return strconv.FormatInt(s.promises.Milliseconds(), 10) + "," + strconv.FormatInt(s.expects.Milliseconds(), 10)
}
