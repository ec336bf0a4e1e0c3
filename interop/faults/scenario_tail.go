package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/Azure/go-amqp"
)

// A tail that nobody confirms: messages enough for the log to be longer than what is confirmed meanwhile.
const (
	tailMessages = 200
	tailBytes    = tailMessages * hugeBytes
)

// staleTail is scenario 27: by its length alone the log of the one who dies first would win.
func staleTail(s *stage) {
	l := s.load()
	first := s.master
	rest := s.c.others(first)
	before, ok := first.status()
	if !ok {
		s.fail("%s does not answer", first.host.name)
	}
	tail := s.tail(first)
	for _, n := range rest {
		n.freeze()
	}
	s.fault()
	tail.send(s.ctx)
	var longest uint64
	s.check(until(quorumLost, "the master holds a tail", func() bool {
		st, ok := first.status()
		if ok {
			longest = st.Store.LogEnd
		}
		return longest > before.Store.LogEnd+tailBytes/4
	}), func() string { return fmt.Sprintf("its log reached from %d to %d", before.Store.LogEnd, longest) })
	first.kill()
	for _, n := range rest {
		n.thaw()
	}
	tail.wait()
	s.service(l, startTimeout)
	second := s.now()
	third := s.c.others(second)[0]
	if third == first {
		third = s.c.others(second)[1]
	}
	second.kill()
	st, ok := third.status()
	if !ok || st.Store.LogEnd >= longest {
		s.fail("the tail up to %d is not longer than what was confirmed, up to %d", longest, st.Store.LogEnd)
	}
	began := time.Now()
	s.must(first.boot())
	gap := s.service(l, startTimeout)
	if m := s.now(); m != third {
		s.fail("%s serves, whose log has an older end", m.host.name)
	}
	s.elections(2, 2)
	s.saw("%s's log reached to %d, %s's to %d; %s was elected %s after %s's start", first.host.name, longest, third.host.name, st.Store.LogEnd, third.host.name, ms(time.Since(began)), first.host.name)
	s.row.gap = gap
}

// tail is messages that are sent at once and not waited for.
type tail struct {
	conn   *amqp.Conn
	sender *amqp.Sender
	sends  sync.WaitGroup
}

// tail prepares to send to a node.
func (s *stage) tail(to *node) *tail {
	conn, err := amqp.Dial(s.ctx, "amqp://"+to.addr+":5672", &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous()})
	s.must(err)
	session, err := conn.NewSession(s.ctx, nil)
	s.must(err)
	sender, err := session.NewSender(s.ctx, "tail", nil)
	s.must(err)
	return &tail{conn: conn, sender: sender}
}

func (t *tail) send(ctx context.Context) {
	for range tailMessages {
		t.sends.Go(func() {
			m := amqp.NewMessage(bytes.Repeat([]byte{'t'}, hugeBytes))
			m.Header = &amqp.MessageHeader{Durable: true}
			_ = t.sender.Send(ctx, m, nil) // nobody is to confirm it
		})
	}
}

// wait returns once the node that was sent to is gone.
func (t *tail) wait() {
	_ = t.conn.Close() // it is gone
	t.sends.Wait()
}
