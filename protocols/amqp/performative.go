package amqp

import "math"

// kind is a described type's numeric descriptor: a performative, a terminus, an outcome or a message section.
type kind uint8

const (
	kindNone kind = 0

	kindOpen        kind = 0x10
	kindBegin       kind = 0x11
	kindAttach      kind = 0x12
	kindFlow        kind = 0x13
	kindTransfer    kind = 0x14
	kindDisposition kind = 0x15
	kindDetach      kind = 0x16
	kindEnd         kind = 0x17
	kindClose       kind = 0x18
	kindError       kind = 0x1d

	kindReceived    kind = 0x23
	kindAccepted    kind = 0x24
	kindRejected    kind = 0x25
	kindReleased    kind = 0x26
	kindModified    kind = 0x27
	kindSource      kind = 0x28
	kindTarget      kind = 0x29
	kindDeleteClose kind = 0x2b
	kindCoordinator kind = 0x30
	kindDeclare     kind = 0x31
	kindDischarge   kind = 0x32
	kindDeclared    kind = 0x33
	kindTxState     kind = 0x34

	kindMechanisms kind = 0x40
	kindInit       kind = 0x41
	kindChallenge  kind = 0x42
	kindResponse   kind = 0x43
	kindOutcome    kind = 0x44

	kindHeader        kind = 0x70
	kindDeliveryNotes kind = 0x71 // delivery-annotations
	kindMessageNotes  kind = 0x72 // message-annotations
	kindProperties    kind = 0x73
	kindAppProperties kind = 0x74
	kindData          kind = 0x75
	kindSequence      kind = 0x76
	kindValue         kind = 0x77
	kindFooter        kind = 0x78
	lastSection            = kindFooter
	firstSection           = kindHeader
	roleSender        bool = false
	roleReceiver      bool = true
	defaultMaxFrame        = math.MaxUint32
	defaultChannelMax      = math.MaxUint16
	minMaxFrame            = 512
	sndUnsettled           = 0
	sndSettled             = 1
	sndMixed               = 2
	rcvFirst               = 0
	rcvSecond              = 1
	durabilityNone         = 0
	expiryNever            = symbol("never")
	expirySessionEnd       = symbol("session-end")
	distributionCopy       = symbol("copy")
	distributionMove       = symbol("move")
	saslOK                 = 0
	saslAuthFailed         = 1
	saslSys                = 2
	saslSysTemp            = 4
)

// kindNames are the symbolic descriptors, which are as good as the numeric ones (AMQP 1.0 part 1, 1.2).
var kindNames = map[symbol]kind{
	"amqp:open:list": kindOpen, "amqp:begin:list": kindBegin, "amqp:attach:list": kindAttach, "amqp:flow:list": kindFlow,
	"amqp:transfer:list": kindTransfer, "amqp:disposition:list": kindDisposition, "amqp:detach:list": kindDetach,
	"amqp:end:list": kindEnd, "amqp:close:list": kindClose, "amqp:error:list": kindError,
	"amqp:received:list": kindReceived, "amqp:accepted:list": kindAccepted, "amqp:rejected:list": kindRejected,
	"amqp:released:list": kindReleased, "amqp:modified:list": kindModified, "amqp:source:list": kindSource,
	"amqp:target:list": kindTarget, "amqp:delete-on-close:list": kindDeleteClose, "amqp:coordinator:list": kindCoordinator,
	"amqp:declare:list": kindDeclare, "amqp:discharge:list": kindDischarge, "amqp:declared:list": kindDeclared,
	"amqp:transactional-state:list": kindTxState, "amqp:sasl-mechanisms:list": kindMechanisms, "amqp:sasl-init:list": kindInit,
	"amqp:sasl-challenge:list": kindChallenge, "amqp:sasl-response:list": kindResponse, "amqp:sasl-outcome:list": kindOutcome,
	"amqp:header:list": kindHeader, "amqp:delivery-annotations:map": kindDeliveryNotes,
	"amqp:message-annotations:map": kindMessageNotes, "amqp:properties:list": kindProperties,
	"amqp:application-properties:map": kindAppProperties, "amqp:data:binary": kindData,
	"amqp:amqp-sequence:list": kindSequence, "amqp:amqp-value:*": kindValue, "amqp:footer:map": kindFooter,
}

// performative is the body of a frame. Those that a codec decodes are good until the machine's Receive returns:
// transfer, disposition and flow are reused, and their byte slices alias the read buffer.
type performative interface {
	kind() kind
	// encode appends it, descriptor and all.
	encode(dst []byte) []byte
	// decode reads its fields; every field is set, to its default if it is not there.
	decode(c *cursor)
}

// open (2.7.1).
type open struct {
	containerID   string
	hostname      string
	maxFrame      uint32
	channelMax    uint16
	idleTimeoutMs uint32
	outLocales    []symbol
	inLocales     []symbol
	offered       []symbol
	desired       []symbol
	properties    pairs
}

// begin (2.7.2).
type beginning struct {
	remoteChannel  optUint // an ushort on the wire
	nextOutgoingID uint32
	incomingWindow uint32
	outgoingWindow uint32
	handleMax      uint32
	offered        []symbol
	desired        []symbol
	properties     pairs
}

// attach (2.7.3).
type attach struct {
	name                 string
	handle               uint32
	role                 bool
	sndMode              uint8
	rcvMode              uint8
	source               *terminus
	target               *terminus
	unsettled            []byte // the map as it came
	incompleteUnsettled  bool
	initialDeliveryCount optUint
	maxMessageBytes      uint64
	offered              []symbol
	desired              []symbol
	properties           pairs
}

// terminus is a source (3.5.3), a target (3.5.4) or a coordinator (4.5.1), as kind says.
type terminus struct {
	is             kind
	address        any // string, or nil
	durable        uint32
	expiry         symbol
	timeoutS       uint32
	dynamic        bool
	nodeProperties []byte
	distribution   symbol
	filter         pairs
	defaultOutcome state
	outcomes       []symbol
	capabilities   []symbol
}

// flow (2.7.4).
type flow struct {
	nextIncomingID optUint
	incomingWindow uint32
	nextOutgoingID uint32
	outgoingWindow uint32
	handle         optUint
	deliveryCount  optUint
	credit         optUint
	available      optUint
	drain          bool
	echo           bool
	properties     pairs
}

// transfer (2.7.5).
type transfer struct {
	handle     uint32
	deliveryID optUint
	tag        []byte
	format     uint32
	settled    bool
	settledSet bool
	more       bool
	rcvMode    optUint // an ubyte on the wire
	state      state
	resume     bool
	aborted    bool
	batchable  bool
}

// disposition (2.7.6).
type disposition struct {
	role      bool
	first     uint32
	last      optUint
	settled   bool
	state     state
	batchable bool
}

// state is a delivery state (3.4, 4.5.7, 4.5.8). is says which; kindNone is none at all.
type state struct {
	is      kind
	failed  bool       // modified: delivery-failed
	here    bool       // modified: undeliverable-here
	err     *wireError // rejected
	txn     []byte     // declared, transactional-state
	outcome kind       // transactional-state: the outcome within, kindNone if there is none
}

// final is the outcome that the state has or carries.
func (s *state) final() kind {
	if s.is == kindTxState {
		return s.outcome
	}
	return s.is
}

// detach (2.7.7).
type detach struct {
	handle uint32
	closed bool
	err    *wireError
}

// end (2.7.8) and close (2.7.9).
type (
	ending  struct{ err *wireError }
	closing struct{ err *wireError }
)

// SASL frames (5.3.3).
type (
	mechanisms struct{ names []symbol }
	saslInit   struct {
		mechanism symbol
		response  []byte
		hostname  string
	}
	challenge    struct{ bytes []byte }
	saslResponse struct{ bytes []byte }
	outcome      struct{ code uint8 }
)

func (*open) kind() kind         { return kindOpen }
func (*beginning) kind() kind    { return kindBegin }
func (*attach) kind() kind       { return kindAttach }
func (*flow) kind() kind         { return kindFlow }
func (*transfer) kind() kind     { return kindTransfer }
func (*disposition) kind() kind  { return kindDisposition }
func (*detach) kind() kind       { return kindDetach }
func (*ending) kind() kind       { return kindEnd }
func (*closing) kind() kind      { return kindClose }
func (*mechanisms) kind() kind   { return kindMechanisms }
func (*saslInit) kind() kind     { return kindInit }
func (*challenge) kind() kind    { return kindChallenge }
func (*saslResponse) kind() kind { return kindResponse }
func (*outcome) kind() kind      { return kindOutcome }
