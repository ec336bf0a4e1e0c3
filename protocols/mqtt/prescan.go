package mqtt

import (
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"
)

// connectHead is what the start of a CONNECT says.
type connectHead struct {
	version   byte
	flags     byte
	willProps []byte // aliases the body
}

// CONNECT's flags (3.1.2.3).
const (
	flagReserved  = 1 << 0
	flagWill      = 1 << 2
	flagWillQoS   = 3 << 3
	flagWillKept  = 1 << 5
	flagPassword  = 1 << 6
	flagUser      = 1 << 7
	qosShift      = 3
	nameMQTT      = "MQTT"
	nameMQIsdp    = "MQIsdp" // MQTT 3.1's
	level311      = 4
	level5        = 5
	optionsQoS    = 3
	optionsRetain = 3 << 4
	optionsUnused = 3 << 6
	sharePrefix   = "$share/"
	noLocal       = 1 << 2
)

// prescanConnect reads a CONNECT to its end. The head is good as far as it was read, whatever err says.
func prescanConnect(body []byte) (h connectHead, err error) {
	s := scanner{b: body}
	name := string(s.binary())
	if s.err == nil && name != nameMQTT && name != nameMQIsdp {
		return h, errProtocolName
	}
	h.version = s.byte()
	if s.err == nil && (h.version != level311 && h.version != level5 || name != nameMQTT) {
		return h, errVersion
	}
	h.flags = s.byte()
	s.uint16() // keep alive
	if e := connectFlags(&h); s.err == nil && e != nil {
		return h, e
	}
	if h.version == level5 {
		prescanConnectProperties(&s)
	}
	s.text() // client id
	if h.flags&flagWill != 0 {
		if h.version == level5 {
			h.willProps = s.properties(inWill, checkMessageProperty(&s))
		}
		s.text()
		s.binary()
	}
	if h.flags&flagUser != 0 {
		s.text()
	}
	if h.flags&flagPassword != 0 {
		s.binary()
	}
	return h, s.end()
}

// prescanConnectProperties also refuses authentication data without a method (3.1.2.11.10).
func prescanConnectProperties(s *scanner) {
	method, data := false, false
	s.properties(inConnect, func(p property) {
		method = method || p.id == packets.PropAuthenticationMethod
		data = data || p.id == packets.PropAuthenticationData
	})
	if data && !method {
		s.fail(errPropertyValue)
	}
}

func connectFlags(h *connectHead) *wireError {
	will := h.flags&flagWill != 0
	switch {
	case h.flags&flagReserved != 0:
		return errReservedFlag // [MQTT-3.1.2-3]
	case !will && h.flags&(flagWillQoS|flagWillKept) != 0, h.flags&flagWillQoS == flagWillQoS:
		return errWillFlags // [MQTT-3.1.2-11] to [MQTT-3.1.2-13]
	case h.version == level311 && h.flags&flagPassword != 0 && h.flags&flagUser == 0:
		return errLoginFlags // MQTT 3.1.1 [MQTT-3.1.2-22]
	}
	return nil
}

// checkMessageProperty fails s when a response topic is not a topic name [MQTT-3.3.2-14].
func checkMessageProperty(s *scanner) func(property) {
	return func(p property) {
		if p.id == packets.PropResponseTopic && (len(p.text) == 0 || hasWildcard(p.text)) {
			s.fail(errPropertyValue)
		}
	}
}

func hasWildcard(b []byte) bool {
	for _, c := range b {
		if c == '+' || c == '#' {
			return true
		}
	}
	return false
}

// prescan reads a packet that mochi is to decode, other than CONNECT, to its end.
func prescan(k kind, body []byte, version byte) error {
	s := scanner{b: body}
	switch k {
	case kindSubscribe, kindUnsubscribe:
		return prescanFilters(k, &s, version)
	case kindDisconnect:
		if version == level5 && len(body) > 0 {
			prescanReason(k, &s)
		}
	case kindAuth:
		if version != level5 {
			return errServersPacket
		}
		if len(body) > 0 {
			prescanReason(k, &s)
		}
	}
	return s.end()
}

// prescanReason reads a reason code and, unless they are left out, properties. AUTH leaves out both or neither (3.15.2.1).
func prescanReason(k kind, s *scanner) {
	if !clientMaySay(k, reasonCode(s.byte())) {
		s.fail(errReasonCode)
	}
	if len(s.b) > 0 || k == kindAuth {
		s.properties(1<<k, nil)
	}
}

// clientMaySay says whether a client's packet may have the reason code (2.4).
func clientMaySay(k kind, c reasonCode) bool {
	switch k {
	case kindPuback, kindPubrec:
		switch c {
		case codeSuccess, codeNoMatch, codeUnspecified, codeImplementation, codeNotAuthorized, codeTopicInvalid, 0x91, codeQuota, codePayloadFormat:
			return true
		}
	case kindPubrel, kindPubcomp:
		return c == codeSuccess || c == codeIDNotFound
	case kindDisconnect:
		return c == codeSuccess || c == codeWithWill || c >= codeUnspecified && c <= codeImplementation || c == codeTopicInvalid ||
			c >= codeReceiveMaximum && c <= codePayloadFormat
	case kindAuth:
		return c == codeSuccess || c == 0x18 || c == 0x19
	}
	return false
}

func prescanFilters(k kind, s *scanner, version byte) error {
	if s.uint16() == 0 && s.err == nil {
		return errPacketID // [MQTT-2.2.1-3]
	}
	if version == level5 {
		s.properties(1<<k, nil)
	}
	n := 0
	for ; len(s.b) > 0; n++ {
		if n == maxFilters {
			return errFilters
		}
		filter := s.text()
		if k == kindSubscribe {
			prescanOptions(s, string(filter), version)
		}
	}
	if s.err == nil && n == 0 {
		return errNoFilters // [MQTT-3.8.3-2] [MQTT-3.10.3-2]
	}
	return s.end()
}

// prescanOptions reads a subscription's options (3.8.3.1).
func prescanOptions(s *scanner, filter string, version byte) {
	o := s.byte()
	switch {
	case o&optionsQoS == optionsQoS, version == level311 && o > optionsQoS, o&optionsUnused != 0:
		s.fail(errOptions) // [MQTT-3.8.3-5]
	case o&optionsRetain == optionsRetain:
		s.fail(violation("retain handling 3 does not exist"))
	case o&noLocal != 0 && strings.HasPrefix(filter, sharePrefix):
		s.fail(violation("a shared subscription may not be no-local")) // [MQTT-3.8.3-4]
	}
}
