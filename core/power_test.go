package core

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A power loss test plays a seeded load through a Broker, takes the power away at a random operation of the disk (also
// while the store is being recovered), opens again what the disk holds then, and compares: nothing that was confirmed is
// missing, nothing that was confirmed as settled is back, QoS 2 and transactions are exactly once, all or nothing.
//
//	go test ./core -run TestPowerLoss                       some hundred losses
//	go test ./core -run TestPowerLoss -seed 4711            one, as often as you like
//	HAVENMQ_POWER_LOSSES=10000 go test ./core -run TestPowerLoss -timeout 1h

var seedFlag = flag.Uint64("seed", 0, "play this seed of TestPowerLoss, and with HAVENMQ_POWER_LOSSES those from there on")

const (
	powerLosses   = 600
	powerLives    = 6  // of the broker, in one seed
	powerSteps    = 90 // of the load, in one life, at most
	powerPatience = 20 * time.Second
)

// powerDisk is what outlives a broker.
type powerDisk interface {
	// open recovers the store and leads; the power may go meanwhile.
	open() (Store, error)
	// arm has the power go at the n-th operation from now; hold not before the next arm: false, it is gone already.
	arm(n int)
	hold() bool
	// off cuts the power, if it is not, ends the store, and makes the disk what is left.
	off(rng *rand.Rand)
	// quiet waits until all that was appended is committed, or the power is gone: false.
	quiet() bool
	// check looks at the store's own promises.
	check() error
}

func TestPowerLoss(t *testing.T) {
	most, seed := powerLosses, uint64(1)
	if *seedFlag != 0 {
		seed, most = *seedFlag, 1
	}
	if s := os.Getenv("HAVENMQ_POWER_LOSSES"); s != "" {
		var err error
		if most, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	var n powerCounts
	for ; n.losses < most && !t.Failed(); seed++ {
		n.add(playPower(t, seed, newPowerDisk(t, seed)))
	}
	t.Logf("%+v; the next seed is %d", n, seed)
}

// powerCounts says what the seeds went through.
type powerCounts struct {
	losses     int // of power
	recovering int // of them, while the store was opened
	loaded     int // of them, under the load; the others after it
	trimmed    int // lives of a log whose head was freed
}

func (n *powerCounts) add(m powerCounts) {
	n.losses += m.losses
	n.recovering += m.recovering
	n.loaded += m.loaded
	n.trimmed += m.trimmed
}

// playPower plays one seed and says how often the power went.
func playPower(t *testing.T, seed uint64, disk powerDisk) (n powerCounts) {
	p := &power{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 7)), disk: disk, now: rigStartMs}
	p.init()
	for life := range powerLives {
		if life > 0 {
			disk.arm(1 + p.rng.IntN(60))
		} else {
			disk.arm(1 << 30)
		}
		for !p.open() || !disk.hold() { // the power went while it was recovered
			if p.end(); t.Failed() {
				t.Fatalf("replay: go test ./core -run TestPowerLoss -seed %d", seed)
			}
			disk.off(p.rng)
			n.losses++
			n.recovering++
			disk.arm(1 + p.rng.IntN(60))
		}
		p.verify()
		if err := disk.check(); err != nil {
			p.errorf("%v", err)
		}
		disk.arm(1 + p.rng.IntN(40))
		p.play(powerSteps)
		if n.losses++; !disk.hold() {
			n.loaded++
		}
		if p.b.store.Usage().LogStart > 0 {
			n.trimmed++
		}
		p.end()
		disk.off(p.rng)
		if t.Failed() {
			break
		}
	}
	disk.arm(1 << 30)
	if !p.open() {
		t.Fatalf("seed %d: the store does not open: %v", seed, p.failed)
	}
	p.verify()
	if err := disk.check(); err != nil {
		p.errorf("%v", err)
	}
	p.end()
	disk.off(p.rng)
	if t.Failed() {
		t.Logf("replay: go test ./core -run TestPowerLoss -seed %d", seed)
	}
	return n
}

// unit is a group of changes that happen together or not at all.
type powerUnit struct {
	brings    []*powerMessage
	again     []*powerUnit // of messages that it sends once more
	takes     []*powerMessage
	what      string
	confirmed bool
	// What is found after the power loss: that it happened, and that it did not.
	happened, not string
}

// powerMessage is one message in one place.
type powerMessage struct {
	body     string
	place    string // whose queue: "q0", "sub a", "inbox"
	by       *powerUnit
	taken    []*powerUnit // units that take it away, or move it to the dead letters
	moved    bool         // taken is a rejection
	received int          // QoS 2: 1 said, 2 confirmed
	attempts [2]uint32    // confirmed, said
	seq      uint64
	tag      Tag
	busy     bool // something was said about it in this life
	seen     bool // it was delivered in this life, and so was committed
}

// power is the load and what it knows.
type power struct {
	t      *testing.T
	seed   uint64
	rng    *rand.Rand
	disk   powerDisk
	now    int64
	b      *Broker
	failed error
	bodies int

	live     map[string][]*powerMessage // by place
	units    []*powerUnit               // of this life, not confirmed
	retained map[string][]said          // by topic: the last confirmed, and what was said since
	inbound  map[uint16]*mark           // QoS 2 packet ids
	dead     map[string]int             // dead letters by body

	clients map[string]*Client // producer, durable, mqtt
	tickets map[Ticket]func(done *Completion)
	last    Ticket
	credit  map[string]uint64
	tx      *powerUnit // open; nil none
	sent    []*powerSent
	ev      Events
}

// said is a retained message that was published.
type said struct {
	n    int
	body string
}

// mark is a QoS 2 packet id in use.
type mark struct {
	by       *powerUnit
	released bool // that was said
}

var powerTopics = []string{"t.a", "t.b"}

func (p *power) errorf(format string, args ...any) {
	p.t.Helper()
	p.t.Errorf("seed %d: "+format, append([]any{p.seed}, args...)...)
}

func (p *power) init() {
	p.live, p.retained, p.inbound, p.dead = map[string][]*powerMessage{}, map[string][]said{}, map[uint16]*mark{}, map[string]int{}
	for i := range powerRetained {
		p.retained[fmt.Sprint("r.", i)] = []said{{}}
	}
}

// open opens store and broker, and connects all clients. false: the power went.
func (p *power) open() bool {
	store, err := p.disk.open()
	if err != nil {
		p.failed = err
		return false
	}
	p.now += 1000
	p.b, err = Open(Options{Store: store, NowMs: p.now, Pagers: -1, Formats: []Format{rawFormat{}},
		Limits: Limits{WindowMessages: 8}, Policies: []Policy{{Pattern: queueOf(">"), MaxRedeliveries: -1}}})
	if err != nil {
		p.failed = err
		p.disk.quiet()
		return false
	}
	p.tickets, p.credit, p.tx = map[Ticket]func(*Completion){}, map[string]uint64{}, nil
	return true
}

// connect brings the clients of this life. It is called after what was found was compared.
func (p *power) connect() {
	p.clients = map[string]*Client{}
	for _, name := range powerClients {
		p.join(name)
	}
}

func (p *power) join(name string) {
	p.clients[name] = p.b.Attach(noSink{}, name)
	switch name {
	case "producer":
		p.do(name, Op{Kind: OpConnect, Connect: &ConnectRequest{Protocol: "amqp", ClientID: name}}, nil)
		for i := range powerQueues {
			p.do(name, Op{Kind: OpSubscribe, Sub: SubID(i + 1), Subscribe: &SubscribeRequest{Source: queueOf(powerQueues[i])}}, nil)
		}
	case "durable":
		p.do(name, Op{Kind: OpConnect, Connect: &ConnectRequest{Protocol: "stomp", ClientID: name}}, nil)
		for i, sub := range powerSubs {
			p.do(name, Op{Kind: OpSubscribe, Sub: SubID(i + 1), Subscribe: &SubscribeRequest{Source: topicOf("t.>"), Durable: true, Name: sub}}, nil)
		}
	default:
		p.do(name, Op{Kind: OpConnect, Connect: mqttRequest(name, false, ExpiryNever)}, nil)
		p.do(name, Op{Kind: OpFilter, Filter: &Filter{Pattern: topicOf("t.>"), MaxQoS: 2, ID: 5, Retained: RetainedNever}}, nil)
	}
}

// rejoin breaks a connection, or has a new one take its session, and goes on.
func (p *power) rejoin() {
	name := powerClients[p.rng.IntN(len(powerClients))]
	old := p.clients[name]
	if takes := name == "mqtt" && p.rng.IntN(2) == 0; takes {
		p.join(name)
		old.Close(p.now)
	} else {
		old.Close(p.now)
		p.join(name)
	}
	for place, list := range p.live {
		for _, x := range list {
			if clientOf(place) == name {
				x.tag = nil
			}
		}
	}
	if name == "producer" && p.tx != nil {
		for _, x := range p.tx.takes {
			x.busy = false
		}
		p.unsend(p.tx)
		p.tx = nil
	}
	for key := range p.credit {
		if strings.HasPrefix(key, name) {
			delete(p.credit, key)
		}
	}
}

var powerClients = []string{"producer", "durable", "mqtt"}

var (
	powerQueues = []string{"q0", "q1", "in"}
	powerSubs   = []string{"a", "b"}
)

const powerRetained = 3 // topics

func (p *power) do(client string, op Op, then func(*Completion)) {
	if then != nil {
		p.last++
		op.Ticket = p.last
		p.tickets[p.last] = then
	}
	p.clients[client].Do([]Op{op}, p.now)
}

// pump takes in what there is.
func (p *power) pump() {
	for _, name := range powerClients {
		c := p.clients[name]
		for more := true; more; {
			more = c.Poll(&p.ev, 100)
			for i := range p.ev.Done {
				d := &p.ev.Done[i]
				switch then := p.tickets[d.Ticket]; {
				case d.Err == nil && then != nil:
					then(d)
				case d.Err != nil && !expected(d.Err):
					p.errorf("%v", d.Err)
				}
				delete(p.tickets, d.Ticket)
			}
			for i := range p.ev.Deliveries {
				p.delivered(name, &p.ev.Deliveries[i])
			}
		}
	}
}

// expected are the errors of a store without power, and of repeats.
func expected(err error) bool {
	for _, e := range []error{ErrShutdown, ErrDuplicate, ErrNotFound, &Error{Code: CodeRolledBack}} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// placeOf names the queue that a delivery comes from.
func placeOf(client string, d *Delivery) string {
	switch client {
	case "producer":
		return powerQueues[d.Sub-1]
	case "durable":
		return "sub " + powerSubs[d.Sub-1]
	}
	return "inbox"
}

func (p *power) delivered(client string, d *Delivery) {
	place := placeOf(client, d)
	var x *powerMessage
	for _, y := range p.live[place] {
		if d.Received && y.seq == d.Seq || !d.Received && y.body == string(d.Message.Bare) {
			x = y
		}
	}
	switch {
	case x == nil:
		p.errorf("%s: %q (seq %d) was delivered and is not there", place, d.Message.Bare, d.Seq)
		return
	case x.seq != 0 && place == "inbox" && x.seq != d.Seq:
		p.errorf("%s: %q has seq %d, was %d", place, x.body, d.Seq, x.seq)
	case d.Received && x.received == 0 || !d.Received && x.received == 2:
		p.errorf("%s: %q comes as received %v, was %d", place, x.body, d.Received, x.received)
	}
	if slices.ContainsFunc(x.taken, func(u *powerUnit) bool { return u.confirmed && u.what != "purge" }) { // one may wait in a mailbox
		p.errorf("%s: %q was delivered after it was settled", place, x.body)
	}
	x.tag, x.seen = d.Tag, true
	if place == "inbox" {
		x.seq = d.Seq
	}
}

// play does n steps of the load, as long as there is power.
func (p *power) play(n int) {
	p.connect()
	for range n {
		p.now += 10
		switch r := p.rng.IntN(100); {
		case r < 22:
			p.publish()
		case r < 30:
			p.publishTopic()
		case r < 36:
			p.publishInbound()
		case r < 40:
			p.release()
		case r < 45:
			p.retain()
		case r < 60:
			p.settleOne()
		case r < 70:
			p.workInTx()
		case r < 76:
			p.grantSome()
		case r < 78:
			p.purge()
		case r < 80:
			p.rejoin()
		default:
			if p.b.Tick(p.now); p.rng.IntN(2) == 0 && !p.disk.quiet() {
				p.pump()
				return
			}
			p.pump()
		}
	}
	p.pump()
}

// end is the moment after the power went: what is still confirmed was so before.
func (p *power) end() {
	if p.clients != nil {
		p.pump()
	}
	if p.b != nil {
		p.b.Shutdown()
	}
	p.clients, p.b = nil, nil
}
