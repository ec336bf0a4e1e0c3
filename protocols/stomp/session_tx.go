package stomp

import "github.com/havenmq/havenmq/core"

// transaction is an open one. Its acknowledgements can be taken back, and be given again after ABORT.
type transaction struct {
	id   core.TxID
	kept []taken
}

// taken are deliveries of one subscription that a transaction acknowledges.
type taken struct {
	sub  *subscription
	list []flight
}

// keep is where to remember what is taken from sub.
func (t *transaction) keep(sub *subscription) *[]flight {
	if n := len(t.kept); n == 0 || t.kept[n-1].sub != sub {
		t.kept = append(t.kept, taken{sub: sub})
	}
	return &t.kept[len(t.kept)-1].list
}

// txID is the core's name of it; 0 for none.
func (t *transaction) txID() core.TxID {
	if t == nil {
		return 0
	}
	return t.id
}

// txOf is the transaction that a frame belongs to; nil none.
func (s *session) txOf(f *Frame) (*transaction, *wireError) {
	name := f.get("transaction")
	if name == nil {
		return nil, nil
	}
	t := s.txs[string(name)]
	if t == nil {
		return nil, errNoTx
	}
	return t, nil
}

// begin takes BEGIN.
func (s *session) begin(f *Frame) *wireError {
	name := f.get("transaction")
	switch {
	case len(name) == 0:
		return errTxName
	case s.txs[string(name)] != nil:
		return errTxOpen
	case len(s.txs) >= maxTransactions:
		return errManyTxs
	}
	if s.txs == nil {
		s.txs = map[string]*transaction{}
	}
	s.lastTx++
	s.txs[string(name)] = &transaction{id: s.lastTx}
	s.out.Do(core.Op{Kind: core.OpBegin, Tx: s.lastTx, Ticket: s.pend(pending{receipt: receiptOf(f)})})
	return nil
}

// endTx takes COMMIT and ABORT. What an aborted transaction acknowledged waits for ACK as before.
func (s *session) endTx(f *Frame, kind core.OpKind) *wireError {
	name := f.get("transaction")
	if len(name) == 0 {
		return errTxName
	}
	t := s.txs[string(name)]
	if t == nil {
		return errNoTx
	}
	delete(s.txs, string(name))
	s.out.Do(core.Op{Kind: kind, Tx: t.id, Ticket: s.pend(pending{receipt: receiptOf(f)})})
	for _, k := range t.kept {
		if kind == core.OpRollback && k.sub != nil && !k.sub.over {
			k.sub.flights.restore(k.list)
		}
	}
	return nil
}
