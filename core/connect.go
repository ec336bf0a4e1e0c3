package core

import (
	"fmt"
)

// connect proves who the client is, and takes its id and inbox.
func (c *Client) connect(op *Op) {
	r := op.Connect
	if err := c.identify(r); err != nil {
		c.b.news.add(Event{Kind: EventRefused, AtMs: c.b.nowMs(), Subject: "client at " + c.remote, Detail: err.Error()})
		c.answer(op, 0, err)
		return
	}
	done := Completion{Ticket: op.Ticket}
	if r.ClientID == "" && r.Inbox != nil {
		r.ClientID = c.b.inventName()
		done.Dest.Name = r.ClientID
	}
	if len(r.ClientID) > MaxNameBytes {
		c.answer(op, 0, &Error{CodeInvalid, "client id", "it may have at most 65535 bytes"})
		return
	}
	if err := c.checkWill(r.Will); err != nil {
		c.answer(op, 0, err)
		return
	}
	if err := c.takeID(r); err != nil {
		c.answer(op, 0, err)
		return
	}
	c.id = r.ClientID
	c.card.Store(&card{id: c.id, protocol: r.Protocol, user: c.who.User})
	if !r.Proved {
		c.b.news.add(Event{Kind: EventConnected, AtMs: c.b.nowMs(), Subject: c.subject(), Detail: r.Protocol + " from " + c.remote})
	}
	pos, err := c.openInbox(r, &done)
	if err == nil {
		pos2, err2 := c.leaveWill(r.Will)
		pos, err = max(pos, pos2), err2
	}
	if c.inherited != nil && err == nil {
		c.b.publishWill(c.id, c.inherited)
	}
	done.Err = err
	c.complete(pos, done)
}

// identify asks who it is, unless SASL has.
func (c *Client) identify(r *ConnectRequest) error {
	if r.Proved {
		if !c.proved {
			return &Error{CodeUnauthorized, "connection", "who you are was not proved before"}
		}
		if c.id != "" {
			return &Error{CodeInvalid, "connection", "it has a client id already"}
		}
		if p := c.card.Load().protocol; p != "" {
			r.Protocol = p
		}
		return nil
	}
	if c.proved {
		return &Error{CodeInvalid, "connection", "it is open already"}
	}
	who, err := c.b.auth.Authenticate(r, c.remote)
	if err != nil {
		if e, ok := err.(*Error); ok {
			return e
		}
		return &Error{CodeUnauthorized, fmt.Sprintf("user %q", r.User), err.Error()}
	}
	c.who, c.proved = who, true
	return nil
}

// takeID takes the client id, from who holds it if that may be.
func (c *Client) takeID(r *ConnectRequest) error {
	if !r.Exclusive || r.ClientID == "" {
		return nil
	}
	b := c.b
	b.mu.Lock()
	old := b.holders[r.ClientID]
	if old != nil && old != c && !r.TakeOver {
		b.mu.Unlock()
		return &Error{CodeInUse, fmt.Sprintf("client id %q", r.ClientID), "another connection has it: give each client its own"}
	}
	b.holders[r.ClientID] = c
	c.holds = true
	b.mu.Unlock()
	if old != nil && old != c {
		b.news.add(Event{Kind: EventTakenOver, AtMs: b.nowMs(), Subject: fmt.Sprintf("client %q", r.ClientID), Detail: "by " + c.remote + ", from " + old.remote})
		old.evict(&Error{CodeTakenOver, fmt.Sprintf("client id %q", r.ClientID), "another connection took it"})
	}
	return nil
}

// disconnect is the peer's goodbye.
func (c *Client) disconnect(op *Op) {
	c.parted = !op.WithWill
	if c.inbox != nil && op.ExpiryS != ExpiryKeep {
		c.setInboxExpiry(op.ExpiryS)
	}
	c.answer(op, c.lastPos, nil)
}

// inventName makes a name that no other client or temporary destination of this broker's life has, or had in another's:
// the time is part of it.
func (b *Broker) inventName() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastTemp++
	return fmt.Sprintf("ID-%x-%x", b.nowMs(), b.lastTemp)
}
