package node

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/havenmq/havenmq/core"
)

// desk is what the API and the console see of the broker: the present one, or nothing on a node that does not serve.
type desk struct{ broker atomic.Pointer[core.Broker] }

// errNoBroker is the answer of a node that does not serve.
var errNoBroker = &core.Error{Code: core.CodeShutdown, Subject: "broker", Detail: "this node is not the master"}

func (d *desk) Stats() (s core.Stats) {
	if b := d.broker.Load(); b != nil {
		return b.Stats()
	}
	return s
}

func (d *desk) Queues(after, filter string, max int) (list []core.QueueInfo, next string) {
	if b := d.broker.Load(); b != nil {
		return b.Queues(after, filter, max)
	}
	return nil, ""
}

func (d *desk) Topics(after, filter string, max int) (list []core.TopicInfo, next string) {
	if b := d.broker.Load(); b != nil {
		return b.Topics(after, filter, max)
	}
	return nil, ""
}

func (d *desk) Subscriptions(after, filter string, max int) (list []core.SubscriptionInfo, next string) {
	if b := d.broker.Load(); b != nil {
		return b.Subscriptions(after, filter, max)
	}
	return nil, ""
}

func (d *desk) Clients(after uint64, filter string, max int) (list []core.ClientInfo, next uint64) {
	if b := d.broker.Load(); b != nil {
		return b.Clients(after, filter, max)
	}
	return nil, 0
}

func (d *desk) Queue(q core.Destination) (info core.QueueInfo, err error) {
	if b := d.broker.Load(); b != nil {
		return b.Queue(q)
	}
	return info, errNoBroker
}

func (d *desk) CreateQueue(q core.Destination) error {
	return d.change(func(b *core.Broker) error { return b.CreateQueue(q) })
}

func (d *desk) DeleteQueue(q core.Destination) error {
	return d.change(func(b *core.Broker) error { return b.DeleteQueue(q) })
}

func (d *desk) DeleteSubscription(clientID, name string) error {
	return d.change(func(b *core.Broker) error { return b.DeleteSubscription(clientID, name) })
}

func (d *desk) Pause(q core.Destination) error {
	return d.change(func(b *core.Broker) error { return b.Pause(q) })
}

func (d *desk) Resume(q core.Destination) error {
	return d.change(func(b *core.Broker) error { return b.Resume(q) })
}

func (d *desk) Kick(key uint64, why string) error {
	return d.with(func(b *core.Broker) error { return b.Kick(key, why) })
}

func (d *desk) Purge(q core.Destination) (n uint64, err error) {
	err = d.change(func(b *core.Broker) (err error) {
		n, err = b.Purge(q)
		return err
	})
	return n, err
}

func (d *desk) Browse(q core.Destination, cursor string, max int) (page core.BrowsePage, err error) {
	err = d.with(func(b *core.Broker) (err error) {
		page, err = b.Browse(q, cursor, max)
		return err
	})
	return page, err
}

// writeTime is how long who changes something waits for the log to hold it.
const writeTime = 5 * time.Second

// change is with for what is written to the log: it is answered when a crash or a failover does not undo it any more.
func (d *desk) change(f func(*core.Broker) error) error {
	return d.with(func(b *core.Broker) error {
		if err := f(b); err != nil {
			return err
		}
		late, cancel := context.WithTimeout(context.Background(), writeTime)
		defer cancel()
		if !b.Written(late.Done()) {
			return &core.Error{Code: core.CodeShutdown, Subject: "log", Detail: fmt.Sprintf("the change was made here, and no quorum has confirmed it in %v: "+
				"it may be lost; `havenmq status` tells why", writeTime)}
		}
		return nil
	})
}

func (d *desk) with(f func(*core.Broker) error) error {
	if b := d.broker.Load(); b != nil {
		return f(b)
	}
	return errNoBroker
}
