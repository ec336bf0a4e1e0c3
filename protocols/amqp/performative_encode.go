package amqp

func (p *open) encode(dst []byte) []byte {
	w := begin(dst, kindOpen)
	w.dst = appendString(w.dst, p.containerID)
	w.field()
	w.string(p.hostname)
	w.uintUnless(p.maxFrame, defaultMaxFrame)
	w.ushort(p.channelMax)
	w.uintUnless(p.idleTimeoutMs, 0)
	w.symbols(p.outLocales)
	w.symbols(p.inLocales)
	w.symbols(p.offered)
	w.symbols(p.desired)
	w.fields(p.properties)
	return w.end()
}

func (p *beginning) encode(dst []byte) []byte {
	w := begin(dst, kindBegin)
	if p.remoteChannel.set {
		w.ushort(uint16(p.remoteChannel.value))
	} else {
		w.null()
	}
	w.uint(p.nextOutgoingID)
	w.uint(p.incomingWindow)
	w.uint(p.outgoingWindow)
	w.uintUnless(p.handleMax, defaultMaxFrame)
	w.symbols(p.offered)
	w.symbols(p.desired)
	w.fields(p.properties)
	return w.end()
}

func (p *attach) encode(dst []byte) []byte {
	w := begin(dst, kindAttach)
	w.dst = appendString(w.dst, p.name)
	w.field()
	w.uint(p.handle)
	w.bool(p.role)
	w.ubyte(p.sndMode)
	w.ubyte(p.rcvMode)
	w.terminus(p.source)
	w.terminus(p.target)
	w.raw(p.unsettled)
	w.flag(p.incompleteUnsettled)
	w.opt(p.initialDeliveryCount)
	if p.maxMessageBytes == 0 {
		w.null()
	} else {
		w.ulong(p.maxMessageBytes)
	}
	w.symbols(p.offered)
	w.symbols(p.desired)
	w.fields(p.properties)
	return w.end()
}

func (w *listWriter) terminus(t *terminus) {
	if t == nil {
		w.null()
		return
	}
	w.dst = t.encode(w.dst)
	w.field()
}

func (t *terminus) encode(dst []byte) []byte {
	w := begin(dst, t.is)
	if t.is == kindCoordinator {
		w.symbols(t.capabilities)
		return w.end()
	}
	w.value(t.address)
	w.uintUnless(t.durable, durabilityNone)
	if t.expiry == expirySessionEnd {
		w.null()
	} else {
		w.symbol(t.expiry)
	}
	w.uintUnless(t.timeoutS, 0)
	w.flag(t.dynamic)
	w.raw(t.nodeProperties)
	if t.is == kindSource {
		w.symbol(t.distribution)
		w.fields(t.filter)
		w.state(&t.defaultOutcome)
		w.symbols(t.outcomes)
	}
	w.symbols(t.capabilities)
	return w.end()
}

func (p *flow) encode(dst []byte) []byte {
	w := begin(dst, kindFlow)
	w.opt(p.nextIncomingID)
	w.uint(p.incomingWindow)
	w.uint(p.nextOutgoingID)
	w.uint(p.outgoingWindow)
	w.opt(p.handle)
	w.opt(p.deliveryCount)
	w.opt(p.credit)
	w.opt(p.available)
	w.flag(p.drain)
	w.flag(p.echo)
	w.fields(p.properties)
	return w.end()
}

func (p *transfer) encode(dst []byte) []byte {
	w := begin(dst, kindTransfer)
	w.uint(p.handle)
	w.opt(p.deliveryID)
	w.binary(p.tag)
	w.opt(optUint{p.format, p.deliveryID.set})
	if p.settledSet {
		w.bool(p.settled)
	} else {
		w.flag(p.settled)
	}
	w.flag(p.more)
	if p.rcvMode.set {
		w.ubyte(uint8(p.rcvMode.value))
	} else {
		w.null()
	}
	w.state(&p.state)
	w.flag(p.resume)
	w.flag(p.aborted)
	w.flag(p.batchable)
	return w.end()
}

func (p *disposition) encode(dst []byte) []byte {
	w := begin(dst, kindDisposition)
	w.bool(p.role)
	w.uint(p.first)
	w.opt(p.last)
	w.flag(p.settled)
	w.state(&p.state)
	w.flag(p.batchable)
	return w.end()
}

func (w *listWriter) state(s *state) {
	if s.is == kindNone {
		w.null()
		return
	}
	w.dst = s.encode(w.dst)
	w.field()
}

func (s *state) encode(dst []byte) []byte {
	w := begin(dst, s.is)
	switch s.is {
	case kindReceived: // section-number and section-offset are mandatory; we resume nothing
		w.uint(0)
		w.ulong(0)
	case kindRejected:
		w.error(s.err)
	case kindModified:
		w.flag(s.failed)
		w.flag(s.here)
	case kindDeclared:
		w.binary(s.txn)
	case kindTxState:
		w.binary(s.txn)
		inner := *s
		inner.is = s.outcome
		w.state(&inner)
	}
	return w.end()
}

func (w *listWriter) error(e *wireError) {
	if e == nil {
		w.null()
		return
	}
	in := begin(w.dst, kindError)
	in.symbol(e.condition)
	in.string(e.description)
	in.fields(e.info)
	w.dst = in.end()
	w.field()
}

func (p *detach) encode(dst []byte) []byte {
	w := begin(dst, kindDetach)
	w.uint(p.handle)
	w.flag(p.closed)
	w.error(p.err)
	return w.end()
}

func (p *ending) encode(dst []byte) []byte {
	w := begin(dst, kindEnd)
	w.error(p.err)
	return w.end()
}

func (p *closing) encode(dst []byte) []byte {
	w := begin(dst, kindClose)
	w.error(p.err)
	return w.end()
}

func (p *mechanisms) encode(dst []byte) []byte {
	w := begin(dst, kindMechanisms)
	w.symbols(p.names)
	return w.end()
}

func (p *saslInit) encode(dst []byte) []byte {
	w := begin(dst, kindInit)
	w.symbol(p.mechanism)
	w.binary(p.response)
	w.string(p.hostname)
	return w.end()
}

func (p *challenge) encode(dst []byte) []byte {
	w := begin(dst, kindChallenge)
	w.binary(p.bytes)
	return w.end()
}

func (p *saslResponse) encode(dst []byte) []byte {
	w := begin(dst, kindResponse)
	w.binary(p.bytes)
	return w.end()
}

func (p *outcome) encode(dst []byte) []byte {
	w := begin(dst, kindOutcome)
	w.ubyte(p.code)
	return w.end()
}
