package amqp

func (p *open) decode(c *cursor) {
	*p = open{containerID: c.string(), hostname: c.string(), maxFrame: c.uint(defaultMaxFrame),
		channelMax: c.ushort(defaultChannelMax), idleTimeoutMs: c.uint(0), outLocales: c.symbols(), inLocales: c.symbols(),
		offered: c.symbols(), desired: c.symbols(), properties: c.fields()}
}

func (p *beginning) decode(c *cursor) {
	*p = beginning{remoteChannel: c.optUshort(), nextOutgoingID: c.must(), incomingWindow: c.must(), outgoingWindow: c.must(),
		handleMax: c.uint(defaultMaxFrame), offered: c.symbols(), desired: c.symbols(), properties: c.fields()}
}

func (c *cursor) optUshort() optUint {
	if c.left > 0 && len(c.buf) > 0 && c.buf[0] != codeNull {
		return some(uint32(c.ushort(0)))
	}
	c.next()
	return optUint{}
}

func (p *attach) decode(c *cursor) {
	named := c.left > 0 && len(c.buf) > 0 && c.buf[0] != codeNull
	*p = attach{name: c.string(), handle: c.must(), role: c.bool(false), sndMode: c.ubyte(sndMixed), rcvMode: c.ubyte(rcvFirst),
		source: c.terminus(), target: c.terminus(), unsettled: c.optRaw(), incompleteUnsettled: c.bool(false),
		initialDeliveryCount: c.optUint(), maxMessageBytes: c.ulong(0), offered: c.symbols(), desired: c.symbols(),
		properties: c.fields()}
	if !named {
		c.fail(errMandatory)
	}
	if p.sndMode > sndMixed || p.rcvMode > rcvSecond {
		c.fail(errType)
	}
}

// terminus reads a source, a target or a coordinator; nil if null or of a kind that nobody defined.
func (c *cursor) terminus() *terminus {
	is, f := c.open()
	t := &terminus{is: is}
	switch is {
	case kindSource, kindTarget:
		t.decode(&f)
	case kindCoordinator:
		t.capabilities = f.symbols()
	default:
		return nil
	}
	if err := f.rest(); err != nil {
		c.fail(err)
	}
	return t
}

func (t *terminus) decode(f *cursor) {
	t.address, t.durable, t.expiry, t.timeoutS = f.value(), f.uint(durabilityNone), f.symbol(), f.uint(0)
	t.dynamic, t.nodeProperties = f.bool(false), clone(f.optRaw())
	if t.expiry == "" {
		t.expiry = expirySessionEnd
	}
	if t.is == kindSource {
		t.distribution, t.filter, t.defaultOutcome, t.outcomes = f.symbol(), f.fields(), f.state(), f.symbols()
	}
	t.capabilities = f.symbols()
	switch t.defaultOutcome.is {
	case kindAccepted, kindRejected, kindReleased, kindModified:
	default: // no outcome (3.4): nothing to keep
		t.defaultOutcome = state{}
	}
}

func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

func (p *flow) decode(c *cursor) {
	p.nextIncomingID, p.incomingWindow, p.nextOutgoingID, p.outgoingWindow = c.optUint(), c.must(), c.must(), c.must()
	p.handle, p.deliveryCount, p.credit, p.available = c.optUint(), c.optUint(), c.optUint(), c.optUint()
	p.drain, p.echo = c.bool(false), c.bool(false)
	p.properties = c.fields()
}

func (p *transfer) decode(c *cursor) {
	p.handle, p.deliveryID, p.tag, p.format = c.must(), c.optUint(), c.binary(), c.uint(0)
	p.settledSet = c.left > 0 && len(c.buf) > 0 && c.buf[0] != codeNull
	p.settled, p.more = c.bool(false), c.bool(false)
	if c.left <= 0 { // most transfers end here
		p.rcvMode, p.state, p.resume, p.aborted, p.batchable = optUint{}, state{}, false, false, false
		return
	}
	p.rcvMode = optUint{}
	if len(c.buf) > 0 && c.buf[0] != codeNull {
		p.rcvMode = some(uint32(c.ubyte(rcvFirst)))
	} else {
		c.next()
	}
	p.state, p.resume, p.aborted, p.batchable = c.state(), c.bool(false), c.bool(false), c.bool(false)
}

func (p *disposition) decode(c *cursor) {
	p.role = c.bool(false)
	p.first, p.last, p.settled, p.state, p.batchable = c.must(), c.optUint(), c.bool(false), c.state(), c.bool(false)
}

// state reads a delivery state. One that nobody defined is as none.
func (c *cursor) state() (s state) {
	is, f := c.open()
	switch is {
	case kindReceived, kindAccepted, kindReleased:
		s.is = is
	case kindRejected:
		s.is, s.err = is, f.error()
	case kindModified:
		s.is, s.failed, s.here = is, f.bool(false), f.bool(false)
	case kindDeclared:
		s.is, s.txn = is, f.binary()
	case kindTxState:
		txn := f.binary()
		if s = f.state(); s.is == kindTxState {
			f.fail(errType) // an outcome does not nest
		}
		s.outcome = s.is
		s.is, s.txn = is, txn
	default:
		f.left, f.buf = 0, nil
	}
	if err := f.rest(); err != nil {
		c.fail(err)
	}
	return s
}

// error reads amqp:error, nil if null.
func (c *cursor) error() *wireError {
	is, f := c.open()
	if is != kindError {
		if is != kindNone {
			c.fail(errType)
		}
		return nil
	}
	e := &wireError{condition: f.symbol(), description: f.string(), info: f.fields()}
	if err := f.rest(); err != nil {
		c.fail(err)
	}
	return e
}

func (p *detach) decode(c *cursor) {
	*p = detach{handle: c.must(), closed: c.bool(false), err: c.error()}
}

func (p *ending) decode(c *cursor)       { p.err = c.error() }
func (p *closing) decode(c *cursor)      { p.err = c.error() }
func (p *mechanisms) decode(c *cursor)   { p.names = c.symbols() }
func (p *challenge) decode(c *cursor)    { p.bytes = c.binary() }
func (p *saslResponse) decode(c *cursor) { p.bytes = c.binary() }
func (p *outcome) decode(c *cursor)      { p.code = c.ubyte(saslSys) }

func (p *saslInit) decode(c *cursor) {
	*p = saslInit{mechanism: c.symbol(), response: c.binary(), hostname: c.string()}
}
