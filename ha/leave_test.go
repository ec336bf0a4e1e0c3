package ha

import "testing"

// serving has the node lead epoch 2 and serve, with the third node attached.
func (s *stage) serving() {
	s.t.Helper()
	s.lead()
	s.attach(3, 8, 120)
	s.step(Applied{Applied: 120})
	s.done()
	s.step(Got{8, Heartbeat{Epoch: 2, Seq: 1, Heard: want[Send](s).Frame.(Heartbeat).Seq}})
	want[Serve](s)
	s.step(Served{2})
}

// TestStopping: a master that stops hands over to a quorum; without one it waits, and does not if it is forced.
func TestStopping(t *testing.T) {
	for _, c := range []struct{ both, force, stops, hands bool }{
		{false, false, false, false}, {false, true, true, false}, {true, false, true, true}, {true, true, true, true},
	} {
		s := newStage(t, voter(), Options{})
		s.serving()
		if c.both {
			s.attach(1, 9, 120)
		}
		s.step(StopAsked{Force: c.force})
		if _, stops := find[StopServing](s); stops != c.stops {
			t.Errorf("%+v: %+v", c, s.last)
			continue
		}
		if !c.stops {
			continue
		}
		s.step(Withdrawn{})
		handed := false
		for _, a := range s.last {
			if a, ok := a.(Send); ok {
				_, h := a.Frame.(HandOver)
				handed = handed || h
			}
		}
		if handed != c.hands {
			t.Errorf("%+v: %+v", c, s.last)
		}
	}
}
