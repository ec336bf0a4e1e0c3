package mqtt

import "github.com/mochi-mqtt/server/v2/packets"

// kind is a control packet's type (2.1.2).
type kind byte

const (
	kindConnect     = kind(packets.Connect)
	kindConnack     = kind(packets.Connack)
	kindPublish     = kind(packets.Publish)
	kindPuback      = kind(packets.Puback)
	kindPubrec      = kind(packets.Pubrec)
	kindPubrel      = kind(packets.Pubrel)
	kindPubcomp     = kind(packets.Pubcomp)
	kindSubscribe   = kind(packets.Subscribe)
	kindSuback      = kind(packets.Suback)
	kindUnsubscribe = kind(packets.Unsubscribe)
	kindUnsuback    = kind(packets.Unsuback)
	kindPingreq     = kind(packets.Pingreq)
	kindPingresp    = kind(packets.Pingresp)
	kindDisconnect  = kind(packets.Disconnect)
	kindAuth        = kind(packets.Auth)
)

// Packet is one MQTT control packet. PUBLISH, the four acknowledgements and the pings, which are nearly all there is,
// have fields of their own; the others are in whole.
//
// A PUBLISH that came in aliases the read buffer. One that goes out points into its message, which is never changed.
type Packet struct {
	kind   kind
	qos    byte
	dup    bool
	retain bool
	id     uint16
	code   reasonCode // acknowledgements
	reason string     // acknowledgements that go out

	topic   []byte   // PUBLISH: the name that came in; going out, with its length in front
	props   []byte   // PUBLISH: properties, without their length; CONNECT: the will's
	payload []byte   // PUBLISH
	ids     []uint32 // PUBLISH going out: subscription identifiers
	expiryS uint32   // PUBLISH: message expiry interval, if expires
	expires bool
	alias   uint16 // PUBLISH that came in: topic alias; 0 none
	marked  bool   // PUBLISH that came in: it has user properties
	isText  bool   // PUBLISH that came in: its payload format indicator is 1

	whole *packets.Packet // the rest: copied, so that it outlives the read buffer
}

// wire is what a connection's codec and machine both know. The machine sets it; the codec obeys.
type wire struct {
	version   byte // 4 or 5; 0 before CONNECT
	ownBytes  int  // the largest packet that we take
	peerBytes int  // the largest that the peer takes; 0 any
	quiet     bool // the peer asked for no reason strings (MQTT 5, 3.1.2.11.7)
}
