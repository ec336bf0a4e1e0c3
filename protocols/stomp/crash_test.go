package stomp

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/havenmq/havenmq/core"
)

// ledger is what a run must keep: what was confirmed, and what that says of messages.
type ledger struct {
	w         *world
	names     int
	confirmed map[string]bool   // the broker has said that it keeps it
	never     map[string]bool   // its transaction was aborted
	groups    [][]string        // each all or nothing
	seen      map[string]bool   // by whoever
	told      map[string]bool   // somebody said ACK or NACK; the broker may have it
	gone      map[string]string // the broker has said that it is acknowledged: by what
	dead      map[string]bool   // the broker has said that it is a dead letter
}

func (g *ledger) name(prefix string) string {
	g.names++
	return fmt.Sprint(prefix, g.names)
}

// meaning is what a receipt says.
type meaning struct{ confirmed, gone, dead []string }

// actor is a client that keeps its ledger.
type actor struct {
	*ledger
	*link
	version  version
	receipts map[string]meaning
}

func (a *actor) open(headers ...string) {
	a.link = a.w.connect(a.version, headers...)
	a.receipts = map[string]meaning{}
}

// ask says a frame that wants a receipt.
func (a *actor) ask(line string, m meaning) {
	r := a.name("r")
	a.receipts[r] = m
	head, body, two := strings.Cut(line, " | ")
	if head += " receipt:" + r; two {
		head += " | " + body
	}
	a.say(head)
}

// listen takes in receipts, and returns messages.
func (a *actor) listen() (list []served) {
	a.pump()
	return a.take()
}

// take is listen for what came already.
func (a *actor) take() (list []served) {
	got := a.got
	a.got = nil
	for _, f := range got {
		switch f.command {
		case "RECEIPT":
			a.receipt(f.headers["receipt-id"])
		case "MESSAGE":
			a.check(&f)
			list = append(list, f)
		default:
			a.w.Fatalf("%v", f)
		}
	}
	return list
}

func (a *actor) receipt(id string) {
	m, ok := a.receipts[id]
	if !ok {
		a.w.Fatalf("receipt %q was not asked for, or came twice", id)
	}
	delete(a.receipts, id)
	for _, body := range m.confirmed {
		a.confirmed[body] = true
	}
	for _, body := range m.gone {
		a.gone[body] = id
	}
	for _, body := range m.dead {
		a.dead[body] = true
	}
}

func (a *actor) check(f *served) {
	inDLQ := f.headers["subscription"] == "dlq"
	switch {
	case a.gone[f.body] != "":
		a.w.Fatalf("%s came back: receipt %s said that it was acknowledged", f.body, a.gone[f.body])
	case a.dead[f.body] && !inDLQ:
		a.w.Fatalf("%s came back: a receipt said that it was a dead letter", f.body)
	case a.never[f.body]:
		a.w.Fatalf("%s came, of a transaction that was aborted", f.body)
	case a.seen[f.body] && f.headers["redelivered"] != "true" && !inDLQ:
		a.w.Fatalf("%s came before, and does not say so: %v", f.body, f.headers)
	}
	a.seen[f.body] = true
}

// sender sends, alone and in transactions.
type sender struct{ actor }

func (s *sender) step() {
	switch s.w.rng.IntN(60) {
	case 0:
		s.w.until("all receipts", func() bool { s.listen(); return len(s.receipts) == 0 })
	case 1, 2, 3, 4, 5, 6, 7, 8:
		s.transaction()
	case 9, 10, 11, 12, 13, 14, 15, 16:
		s.listen()
	default:
		body := s.name("m")
		s.ask("SEND destination:/queue/q persistent:true | "+body, meaning{confirmed: []string{body}})
	}
}

func (s *sender) transaction() {
	t, ends := s.name("t"), s.w.rng.IntN(3)
	var group []string
	s.say("BEGIN transaction:" + t)
	for range 1 + s.w.rng.IntN(4) {
		group = append(group, s.name("m"))
		s.say("SEND destination:/queue/q persistent:true transaction:" + t + " | " + group[len(group)-1])
	}
	s.groups = append(s.groups, group)
	if ends > 0 {
		s.ask("COMMIT transaction:"+t, meaning{confirmed: group})
		return
	}
	for _, body := range group {
		s.never[body] = true
	}
	if s.w.rng.IntN(2) == 0 { // otherwise it stays open, until the line is cut
		s.ask("ABORT transaction:"+t, meaning{})
	}
}

// receiver consumes from the queue in one of the ack modes.
type receiver struct {
	actor
	mode  string
	held  []served // that wait for ACK, oldest first
	loose []string // acknowledged without a receipt
}

func (r *receiver) begin() {
	r.open()
	r.held, r.loose = nil, nil
	r.say("SUBSCRIBE id:1 destination:/queue/q ack:" + r.mode)
}

// hold remembers what waits for ACK. In mode auto nothing does: what is on the wire is the client's.
func (r *receiver) hold(list []served) {
	for _, f := range list {
		if r.mode == "auto" {
			r.told[f.body] = true
		} else {
			r.held = append(r.held, f)
		}
	}
}

// cut ends the line.
func (r *receiver) cut() {
	r.hold(r.take())
	r.hangUp(errCut)
}

func (r *receiver) step() {
	r.hold(r.listen())
	switch n := r.w.rng.IntN(50); {
	case n == 0:
		r.leave()
	case n > 47:
		r.w.until("all receipts", func() bool { r.hold(r.listen()); return len(r.receipts) == 0 })
	case len(r.held) == 0:
	case n == 1:
		r.ask("UNSUBSCRIBE id:1", meaning{})
		r.held = nil
		r.say("SUBSCRIBE id:1 destination:/queue/q ack:" + r.mode)
	case n < 5:
		r.transaction()
	case n < 7:
		r.tell("NACK", "")
	case n < 25:
		r.tell("ACK", "")
	}
}

// tell acknowledges one of what is held, and what that covers.
func (r *receiver) tell(command, tx string) (covered []string) {
	i := r.w.rng.IntN(len(r.held))
	f := r.held[i]
	list := []served{f}
	if r.mode == "client" {
		list = slices.Clone(r.held[:i+1])
		r.held = slices.Delete(r.held, 0, i+1)
	} else {
		r.held = slices.Delete(r.held, i, i+1)
	}
	for _, f := range list {
		covered = append(covered, f.body)
		r.told[f.body] = true
	}
	line := command + " id:" + f.headers["ack"]
	if r.version != v12 {
		line = command + " subscription:1 message-id:" + f.headers["message-id"]
	}
	switch {
	case tx != "":
		r.say(line + " transaction:" + tx)
	case command == "NACK":
		r.ask(line, meaning{dead: covered})
	case r.w.rng.IntN(2) == 0:
		r.ask(line, meaning{gone: covered})
	default:
		r.say(line)
		r.loose = append(r.loose, covered...)
	}
	return covered
}

func (r *receiver) transaction() {
	t := r.name("t")
	r.say("BEGIN transaction:" + t)
	before := slices.Clone(r.held)
	var covered []string
	for range 3 {
		if len(r.held) > 0 {
			covered = append(covered, r.tell("ACK", t)...)
		}
	}
	reply := r.name("m")
	r.say("SEND destination:/queue/q persistent:true transaction:" + t + " | " + reply)
	if r.w.rng.IntN(3) > 0 {
		r.ask("COMMIT transaction:"+t, meaning{confirmed: []string{reply}, gone: covered})
		return
	}
	r.never[reply] = true
	r.ask("ABORT transaction:"+t, meaning{})
	for _, body := range covered {
		delete(r.told, body)
	}
	r.held = before
}

// leave says goodbye: the receipt of that covers all that it said.
func (r *receiver) leave() {
	r.ask("DISCONNECT", meaning{gone: r.loose})
	r.w.until("goodbye", func() bool {
		r.hold(r.listen())
		return r.closed != nil
	})
	r.begin()
}

// TestNothingIsLostAndNothingComesBack has clients send and consume in all modes, cuts their lines and the power, and
// looks whether the broker kept its word.
func TestNothingIsLostAndNothingComesBack(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { keepsItsWord(t, seed) })
	}
}

func keepsItsWord(t *testing.T, seed uint64) {
	w := newWorld(t, seed)
	g := &ledger{w: w, confirmed: map[string]bool{}, never: map[string]bool{}, seen: map[string]bool{},
		told: map[string]bool{}, gone: map[string]string{}, dead: map[string]bool{}}
	s := &sender{actor{ledger: g, version: version(seed%3) + v10}}
	s.open()
	var rs []*receiver
	for i, mode := range []string{"client", "client-individual", "client", "client-individual", "auto"} {
		r := &receiver{actor: actor{ledger: g, version: version(i%3) + v10}, mode: mode}
		r.begin()
		rs = append(rs, r)
	}
	for range 2000 {
		switch n := w.rng.IntN(2000); {
		case n < 3:
			for _, r := range rs {
				r.hold(r.take())
			}
			w.crash()
			s.open()
			for _, r := range rs {
				r.begin()
			}
		case n < 8:
			s.hangUp(errCut)
			s.open()
		case n < 20:
			r := rs[w.rng.IntN(len(rs))]
			r.cut()
			r.begin()
		case n < 700:
			s.step()
		default:
			rs[w.rng.IntN(len(rs))].step()
		}
	}
	g.finish(s, rs)
}

// finish ends all connections, takes what is left, and compares.
func (g *ledger) finish(s *sender, rs []*receiver) {
	g.w.until("all receipts", func() bool { s.listen(); return len(s.receipts) == 0 })
	s.hangUp(errCut)
	for _, r := range rs {
		r.cut()
	}
	left, dead := g.rest()
	for body := range g.confirmed {
		if !g.told[body] && !left[body] && !dead[body] {
			g.w.Errorf("%s was confirmed, nobody has acknowledged it, and it is not there (seen: %v)", body, g.seen[body])
		}
	}
	for body := range g.dead {
		if !dead[body] {
			g.w.Errorf("%s is no dead letter any more", body)
		}
	}
	for _, group := range g.groups {
		n := 0
		for _, body := range group {
			if g.seen[body] {
				n++
			}
		}
		if n != 0 && n != len(group) {
			g.w.Errorf("of the transaction %v only %d came", group, n)
		}
	}
	if len(g.confirmed) < 200 || len(g.gone) < 100 || len(g.dead) < 10 {
		g.w.Errorf("%d confirmed, %d acknowledged: too little happened", len(g.confirmed), len(g.gone))
	}
}

// rest drains the queue and its dead letters.
func (g *ledger) rest() (left, dead map[string]bool) {
	left, dead = map[string]bool{}, map[string]bool{}
	a := &actor{ledger: g, version: v12}
	a.open()
	a.say("SUBSCRIBE id:q destination:/queue/q ack:client-individual activemq.prefetchSize:100000")
	a.say("SUBSCRIBE id:dlq destination:/queue/ActiveMQ.DLQ ack:client-individual activemq.prefetchSize:100000")
	want := map[string]int{}
	for _, name := range []string{"q", "ActiveMQ.DLQ"} {
		if q, err := g.w.broker.Queue(core.Destination{Kind: core.Queue, Name: name}); err == nil {
			want[name] = int(q.Depth)
		}
	}
	g.w.until("what is left", func() bool {
		for _, f := range a.listen() {
			if f.headers["subscription"] == "dlq" {
				dead[f.body] = true
			} else {
				left[f.body] = true
			}
		}
		return len(left) == want["q"] && len(dead) == want["ActiveMQ.DLQ"]
	})
	return left, dead
}
