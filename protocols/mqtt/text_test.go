package mqtt

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

var packetTypes = map[string]byte{"connect": packets.Connect, "publish": packets.Publish, "puback": packets.Puback, "pubrec": packets.Pubrec,
	"pubrel": packets.Pubrel, "pubcomp": packets.Pubcomp, "subscribe": packets.Subscribe, "unsubscribe": packets.Unsubscribe,
	"pingreq": packets.Pingreq, "disconnect": packets.Disconnect, "auth": packets.Auth}

// clientBytes encodes a packet of a client's, as mochi does, from key=value words.
func clientBytes(t testing.TB, w map[string]string, version byte) []byte {
	t.Helper()
	typ, ok := packetTypes[w["verb"]]
	if !ok {
		t.Fatalf("no packet %q", w["verb"])
	}
	p := packets.Packet{ProtocolVersion: version, FixedHeader: packets.FixedHeader{Type: typ}, PacketID: uint16(num(w, "id")), ReasonCode: byte(num(w, "code"))}
	p.Mods.AllowResponseInfo = true
	readProperties(t, &p.Properties, w, "")
	var b bytes.Buffer
	var err error
	switch typ {
	case packets.Connect:
		readConnect(t, &p, w)
		err = p.ConnectEncode(&b)
	case packets.Publish:
		p.TopicName, p.Payload = w["topic"], []byte(w["body"])
		p.FixedHeader.Qos, p.FixedHeader.Dup, p.FixedHeader.Retain = byte(num(w, "qos")), w["dup"] != "", w["retain"] != ""
		err = p.PublishEncode(&b)
	case packets.Puback, packets.Pubrec, packets.Pubcomp:
		err = p.PubackEncode(&b)
	case packets.Pubrel:
		p.FixedHeader.Qos = 1
		err = p.PubrelEncode(&b)
	case packets.Subscribe, packets.Unsubscribe:
		p.FixedHeader.Qos = 1
		readFilters(&p, w)
		if typ == packets.Subscribe {
			err = p.SubscribeEncode(&b)
		} else {
			err = p.UnsubscribeEncode(&b)
		}
	case packets.Pingreq:
		err = p.PingreqEncode(&b)
	case packets.Disconnect:
		err = p.DisconnectEncode(&b)
	case packets.Auth:
		err = p.AuthEncode(&b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readConnect(t testing.TB, p *packets.Packet, w map[string]string) {
	p.PacketID = 0
	c := &p.Connect
	c.ProtocolName, c.ClientIdentifier, c.Clean, c.Keepalive = []byte("MQTT"), w["id"], w["clean"] != "", uint16(num(w, "keepalive"))
	if w["name"] != "" {
		c.ProtocolName = []byte(w["name"])
	}
	if user, ok := w["user"]; ok {
		c.UsernameFlag, c.Username = true, []byte(user)
	}
	if password, ok := w["password"]; ok {
		c.PasswordFlag, c.Password = true, []byte(password)
	}
	if topic, ok := w["will"]; ok {
		c.WillFlag, c.WillTopic, c.WillPayload = true, topic, []byte(w["will-body"])
		c.WillQos, c.WillRetain = byte(num(w, "will-qos")), w["will-retain"] != ""
		readProperties(t, &c.WillProperties, w, "will-")
	}
}

func readFilters(p *packets.Packet, w map[string]string) {
	for i, f := range strings.Split(w["filter"], ",") {
		pick := func(name string) byte {
			list := strings.Split(w[name], ",")
			n, _ := strconv.Atoi(list[min(i, len(list)-1)])
			return byte(n)
		}
		p.Filters = append(p.Filters, packets.Subscription{Filter: f, Qos: pick("qos"), NoLocal: pick("no-local") > 0,
			RetainAsPublished: pick("as-retain") > 0, RetainHandling: pick("handling")})
	}
}

func readProperties(t testing.TB, p *packets.Properties, w map[string]string, prefix string) {
	has := func(name string) bool { _, ok := w[prefix+name]; return ok }
	number := func(name string) uint32 { return uint32(num(w, prefix+name)) }
	p.PayloadFormatFlag, p.PayloadFormat = has("format"), byte(number("format"))
	p.MessageExpiryInterval, p.WillDelayInterval = number("expiry"), number("delay")
	p.ContentType, p.ResponseTopic = w[prefix+"content-type"], w[prefix+"response"]
	p.CorrelationData = []byte(w[prefix+"correlation"])
	p.SessionExpiryIntervalFlag, p.SessionExpiryInterval = has("session-expiry"), number("session-expiry")
	p.AuthenticationMethod, p.ReasonString = w[prefix+"method"], w[prefix+"reason"]
	p.RequestProblemInfoFlag, p.RequestProblemInfo = has("problem"), byte(number("problem"))
	p.RequestResponseInfo, p.ReceiveMaximum = byte(number("ask-response")), uint16(number("receive"))
	p.MaximumPacketSize, p.TopicAliasMaximum = number("max-packet"), uint16(number("alias-max"))
	p.TopicAliasFlag, p.TopicAlias = has("alias"), uint16(number("alias"))
	if n := number("sub-id"); n > 0 {
		p.SubscriptionIdentifier = []int{int(n)}
	}
	if has("user-property") {
		for e := range strings.SplitSeq(w[prefix+"user-property"], ",") {
			k, v, _ := strings.Cut(e, ":")
			p.User = append(p.User, packets.UserProperty{Key: k, Val: v})
		}
	}
}

// showPacket prints a packet of ours.
func showPacket(p *packets.Packet) string {
	var w strings.Builder
	w.WriteString(strings.ToLower(packets.PacketNames[p.FixedHeader.Type]))
	switch p.FixedHeader.Type {
	case packets.Connack:
		fmt.Fprintf(&w, " present=%v", p.SessionPresent)
	case packets.Publish:
		fmt.Fprintf(&w, " %s qos=%d", p.TopicName, p.FixedHeader.Qos)
		if p.FixedHeader.Dup {
			w.WriteString(" dup")
		}
		if p.FixedHeader.Retain {
			w.WriteString(" retain")
		}
	}
	if p.PacketID != 0 {
		fmt.Fprintf(&w, " id=%d", p.PacketID)
	}
	if p.ReasonCode != 0 {
		fmt.Fprintf(&w, " code=%02x", p.ReasonCode)
	}
	if p.ReasonCodes != nil {
		fmt.Fprintf(&w, " codes=%x", p.ReasonCodes)
	}
	showProperties(&w, &p.Properties)
	if p.FixedHeader.Type == packets.Publish {
		fmt.Fprintf(&w, " %q", p.Payload)
	}
	return w.String()
}

// showProperties prints what is not zero.
func showProperties(w *strings.Builder, p *packets.Properties) {
	v := reflect.ValueOf(*p)
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i)
		switch {
		case strings.HasSuffix(name, "Flag"):
		case f.IsZero():
			if flag := v.FieldByName(name + "Flag"); flag.IsValid() && flag.Bool() {
				fmt.Fprintf(w, " %s=0", name)
			}
		case f.Type() == reflect.TypeFor[[]byte]():
			fmt.Fprintf(w, " %s=%s", name, hex.EncodeToString(f.Bytes()))
		default:
			fmt.Fprintf(w, " %s=%v", name, f.Interface())
		}
	}
}

func decodeProperties(p *packets.Properties, props []byte) (int, error) {
	return p.Decode(packets.Publish, bytes.NewBuffer(append(appendVarint(nil, len(props)), props...)))
}
