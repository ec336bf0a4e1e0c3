package amqp

import (
	"encoding/binary"

	"github.com/havenmq/havenmq/core"
)

// coordinator is our end of the link on which a peer begins and ends transactions (4.2). A transaction that is open when
// its link ends is rolled back.
type coordinator struct {
	inbound
	source *terminus // for our attach
	begun  []core.TxID
}

// transaction is one that is open, or whose commit the core has not answered. The peer settled what it took in it, so
// that when it comes to nothing only we can give that back.
type transaction struct {
	owner *coordinator
	taken []taken
}

// taken are deliveries of one link, in a transaction.
type taken struct {
	link *sender
	tags []core.Tag
}

// take remembers deliveries that were given an outcome.
func (t *transaction) take(l *sender, tags []core.Tag) {
	if n := len(t.taken); n > 0 && t.taken[n-1].link == l {
		t.taken[n-1].tags = append(t.taken[n-1].tags, tags...)
		return
	}
	t.taken = append(t.taken, taken{l, append([]core.Tag(nil), tags...)})
}

// giveBack returns what the transaction took, one attempt more, as JMS wants of a rollback. What a link took that is
// gone went back with it.
func (t *transaction) giveBack(c *connection) {
	for _, k := range t.taken {
		if k.link.sub != 0 {
			c.out.Do(core.Op{Kind: core.OpSettle, Sub: k.link.sub, Outcome: core.Failed, Tags: k.tags})
		}
	}
}

// txBytes spells a transaction's id; nil for none.
func txBytes(id core.TxID) []byte {
	if id == 0 {
		return nil
	}
	return binary.BigEndian.AppendUint64(nil, uint64(id))
}

// txID reads it back; 0 if it is none of ours.
func txID(b []byte) core.TxID {
	if len(b) != 8 {
		return 0
	}
	return core.TxID(binary.BigEndian.Uint64(b))
}

// inTx wraps an outcome in its transaction, if there is one.
func inTx(txn []byte, st state) state {
	if len(txn) == 0 {
		return st
	}
	st.outcome, st.is, st.txn = st.is, kindTxState, txn
	return st
}

// inTransaction says whether a peer may still do something in a transaction.
func (c *connection) inTransaction(txn []byte) bool {
	_, ok := c.txs[txID(txn)]
	return ok
}

// txOf is the transaction that a state names; it was looked up before.
func (c *connection) txOf(st *state) core.TxID {
	if st.is != kindTxState {
		return 0
	}
	return txID(st.txn)
}

// transaction is the open transaction that a transfer names, 0 if it names none.
func (c *connection) transaction(st *state) (core.TxID, *wireError) {
	if st.is != kindTxState {
		return 0, nil
	}
	if !c.inTransaction(st.txn) {
		return 0, newError(condTxUnknown, "no such transaction is open")
	}
	return txID(st.txn), nil
}

func (k *coordinator) begin(a *attach) {
	k.source = a.source
	attachNow(k)
}

func (k *coordinator) answer(refused bool) *attach {
	a := &attach{name: k.name, handle: k.handle, role: roleReceiver, sndMode: k.sndMode, rcvMode: k.rcvMode, source: k.source,
		target: &terminus{is: kindCoordinator, capabilities: []symbol{"amqp:local-transactions", "amqp:multi-txns-per-ssn"}}}
	if refused {
		a.source, a.target = nil, nil
	}
	k.source = nil
	return a
}

func (k *coordinator) flow(f *flow) { k.onFlow(k, f) }

func (k *coordinator) flush() { k.grant() }

// close rolls back what was not discharged.
func (k *coordinator) close(bool) {
	c := k.session.conn
	for _, id := range k.begun {
		c.out.Do(core.Op{Kind: core.OpRollback, Tx: id})
		c.txs[id].giveBack(c)
		delete(c.txs, id)
	}
	k.begun = nil
	k.letGo()
}

// transfer takes declare or discharge (4.5.2, 4.5.3): a message whose body is one.
func (k *coordinator) transfer(t *transfer, payload []byte) {
	body, _, whole := k.assemble(k, t, payload)
	if !whole {
		return
	}
	is, fields, err := command(body)
	switch {
	case err != nil:
		detachWith(k, wireErrorOf(err))
	case k.settled: // 4.3: its outcome is the answer
		detachWith(k, newError(condNotAllowed, "declare and discharge are not sent settled"))
	case is == kindDeclare:
		k.declare(&fields)
	case is == kindDischarge:
		k.discharge(&fields)
	default:
		detachWith(k, newError(condNotImplemented, "a coordinator takes declare and discharge"))
	}
}

// command is what a message to a coordinator asks.
func command(b []byte) (is kind, fields cursor, err error) {
	for len(b) > 0 {
		s, rest, err := nextSection(b)
		if err != nil {
			return kindNone, fields, err
		}
		if s.kind == kindValue {
			c := cursor{buf: s.value, left: 1}
			is, fields = c.open()
			return is, fields, c.err
		}
		b = rest
	}
	return kindNone, fields, errSections
}

func (k *coordinator) declare(f *cursor) {
	c := k.session.conn
	global := f.optRaw()
	if err := f.rest(); err != nil {
		detachWith(k, wireErrorOf(err))
		return
	}
	if global != nil {
		k.refuse(newError(condNotImplemented, "distributed transactions (global-id) are not offered"))
		return
	}
	if len(c.txs) >= maxTransactions {
		k.refuse(newError(condLimit, "a connection may have %d transactions open", maxTransactions))
		return
	}
	c.txLast++
	id := c.txLast
	if c.txs == nil {
		c.txs = map[core.TxID]*transaction{}
	}
	c.txs[id] = &transaction{owner: k}
	k.begun = append(k.begun, id)
	c.out.Do(core.Op{Kind: core.OpBegin, Tx: id, Ticket: c.pend(pending{kind: pendBegin, link: k, first: k.id, tx: id, reply: k.reply()})})
}

func (k *coordinator) discharge(f *cursor) {
	c := k.session.conn
	id, fail := txID(f.binary()), f.bool(false)
	if err := f.rest(); err != nil {
		detachWith(k, wireErrorOf(err))
		return
	}
	t := c.txs[id]
	if t == nil || t.owner != k {
		k.refuse(newError(condTxUnknown, "no such transaction is open on this link"))
		return
	}
	k.end(id)
	p := pending{kind: pendDischarge, link: k, first: k.id, reply: k.reply()}
	if fail {
		c.out.Do(core.Op{Kind: core.OpRollback, Tx: id, Ticket: c.pend(p)})
		t.giveBack(c)
		return
	}
	p.took = t
	c.out.Do(core.Op{Kind: core.OpCommit, Tx: id, Ticket: c.pend(p)})
}

func (k *coordinator) end(id core.TxID) {
	delete(k.session.conn.txs, id)
	for i, open := range k.begun {
		if open == id {
			k.begun = append(k.begun[:i], k.begun[i+1:]...)
			return
		}
	}
}

func (k *coordinator) refuse(e *wireError) {
	k.session.answer(k.id, !k.second, state{is: kindRejected, err: e})
	k.finish(k, 1)
}

// done answers a declare or a discharge.
func (k *coordinator) done(p *pending, c *core.Completion) {
	if c.Err != nil && p.took != nil { // it was not committed
		p.took.giveBack(k.session.conn)
	}
	if k.session.ended || k.status != attached {
		return
	}
	st := state{is: kindAccepted}
	if p.kind == pendBegin {
		st = state{is: kindDeclared, txn: txBytes(p.tx)}
	}
	if c.Err != nil {
		if p.kind == pendBegin {
			k.end(p.tx)
		}
		st = state{is: kindRejected, err: wireErrorOf(c.Err)}
	}
	k.session.answer(p.first, p.reply == replySettled, st)
	k.finish(k, 1)
}
