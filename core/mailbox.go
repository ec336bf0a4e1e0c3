package core

import (
	"sync"
	"sync/atomic"
)

// mailboxSize is how many deliveries wait for a connection to poll before its subscriptions are given no more.
const mailboxSize = 1024

// mailbox holds what queues hand to a client until its connection polls.
type mailbox struct {
	mu   sync.Mutex
	list []Delivery
	head int
	full atomic.Bool
}

// put adds a delivery. Queues' locks may be held.
func (m *mailbox) put(c *Client, d *Delivery) {
	m.mu.Lock()
	m.list = append(m.list, *d)
	n := len(m.list) - m.head
	if n == mailboxSize {
		m.full.Store(true)
	}
	m.mu.Unlock()
	if n == 1 {
		c.sink.Wake()
	}
}

// take moves at most max deliveries into dst. more says that some are left; room that full was true, and is no more.
func (m *mailbox) take(dst []Delivery, max int) (_ []Delivery, more, room bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := min(len(m.list)-m.head, max)
	dst = append(dst, m.list[m.head:m.head+n]...)
	clear(m.list[m.head : m.head+n])
	m.head += n
	if m.head == len(m.list) {
		m.list, m.head = m.list[:0], 0
	} else if m.head > mailboxSize {
		left := copy(m.list, m.list[m.head:])
		clear(m.list[left:])
		m.list, m.head = m.list[:left], 0
	}
	if left := len(m.list) - m.head; left <= mailboxSize/2 && m.full.Load() {
		m.full.Store(false)
		room = true
	}
	return dst, m.head < len(m.list), room
}

// forget takes out what waits for a subscription that ends. Its queue's lock is held, so that nothing more comes.
func (m *mailbox) forget(id SubID, q *queue) (unseen []Delivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.list[:m.head]
	for _, d := range m.list[m.head:] {
		if d.Sub != id || d.Tag != nil && d.Tag.q != q {
			kept = append(kept, d)
		} else if d.Tag != nil {
			unseen = append(unseen, d)
		}
	}
	clear(m.list[len(kept):])
	m.list = kept
	return unseen
}

// drop throws away everything: nobody polls any more.
func (m *mailbox) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list, m.head = nil, 0
}

func (m *mailbox) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.list) - m.head
}
