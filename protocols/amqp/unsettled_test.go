package amqp

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/havenmq/havenmq/core"
)

// TestUnsettled compares the ring and its map with a plain map, across the wrap of delivery-ids.
func TestUnsettled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		links := []*sender{{}, {}, nil}
		var u unsettled
		model, next := map[uint32]*sender{}, rapid.SampledFrom([]uint32{0, 1<<32 - 5000, 1<<31 - 5000}).Draw(t, "first id")
		steps := map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				link := links[rapid.IntRange(0, 2).Draw(t, "link")]
				for range rapid.SampledFrom([]int{1, 2, 100, 5000}).Draw(t, "n") {
					u.push(next, sentDelivery{link: link})
					if link != nil {
						model[next] = link
					}
					next++
				}
			},
			"take": func(t *rapid.T) {
				first := next - uint32(rapid.IntRange(-5, 12000).Draw(t, "back"))
				last := first + uint32(rapid.SampledFrom([]int{-1, 0, 1, 50, 6000}).Draw(t, "span"))
				want := 0
				for id := range model {
					if id-first <= last-first && int32(last-first) >= 0 {
						want++
					}
				}
				got := 0
				u.take(first, last, func(id uint32, d sentDelivery) {
					if model[id] == nil || model[id] != d.link || id-first > last-first {
						t.Fatalf("%d was not to be taken", id)
					}
					delete(model, id)
					got++
				})
				if got != want {
					t.Fatalf("%d taken, not %d", got, want)
				}
			},
			"drop": func(t *rapid.T) {
				link := links[rapid.IntRange(0, 1).Draw(t, "link")]
				u.drop(link)
				for id, l := range model {
					if l == link {
						delete(model, id)
					}
				}
			},
			"": func(t *rapid.T) {
				if u.live != len(model) {
					t.Fatalf("%d live, not %d", u.live, len(model))
				}
			},
		}
		t.Repeat(steps)
	})
}

// TestUnsettledStraggler holds that one delivery which is kept for long does not make the ring grow for ever.
func TestUnsettledStraggler(t *testing.T) {
	var u unsettled
	k := &sender{}
	for id := range uint32(1_000_000) {
		u.push(id, sentDelivery{link: k})
		if id > 0 {
			u.take(id, id, func(uint32, sentDelivery) {})
		}
	}
	if len(u.ring) > maxRingSpan || u.live != 1 {
		t.Errorf("a ring of %d for %d", len(u.ring), u.live)
	}
	got := uint32(1)
	u.take(0, 999_999, func(id uint32, _ sentDelivery) { got = id })
	if got != 0 || u.live != 0 {
		t.Errorf("%d, %d live", got, u.live)
	}
}

// TestPending holds that a ticket finds its op, in order or not.
func TestPending(t *testing.T) {
	var r pendingRing
	rapid.Check(t, func(t *rapid.T) {
		want := map[core.Ticket]uint32{}
		var order []core.Ticket
		for i := range uint32(rapid.IntRange(1, 100).Draw(t, "n")) {
			ticket := r.put(pending{kind: pendPublish, first: i})
			want[ticket] = i
			order = append(order, ticket)
		}
		for len(order) > 0 {
			at := rapid.IntRange(0, len(order)-1).Draw(t, "at")
			ticket := order[at]
			order = append(order[:at], order[at+1:]...)
			if p, ok := r.take(ticket); !ok || p.first != want[ticket] {
				t.Fatalf("ticket %d: %v %v", ticket, p, ok)
			}
			if _, ok := r.take(ticket); ok {
				t.Fatalf("ticket %d twice", ticket)
			}
		}
		if _, ok := r.take(0); ok || r.n != 0 {
			t.Fatal("something is left")
		}
	})
}
