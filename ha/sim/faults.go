package sim

import "time"

// Faults has things go wrong for d, about once each pause, while producers send; then everything is mended.
func (w *World) Faults(d, pause time.Duration) error {
	end := w.now + d
	w.produce(end)
	w.trouble(end, pause)
	if err := w.Run(d); err != nil {
		return err
	}
	clear(w.blocked)
	for _, n := range w.nodes {
		n.offline = false
		if !n.up {
			n.start()
		}
		n.look()
	}
	return nil
}

// produce appends to whoever serves, now and then.
func (w *World) produce(end time.Duration) {
	if w.now >= end {
		return
	}
	for _, n := range w.nodes {
		if n.up && n.serving {
			w.nextID++
			n.append(w.nextID)
		}
	}
	w.after(w.delay(20*time.Millisecond), func() { w.produce(end) })
}

func (w *World) trouble(end, pause time.Duration) {
	if w.now >= end {
		return
	}
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	other := w.nodes[w.rng.IntN(len(w.nodes))]
	switch w.rng.IntN(8) {
	case 0, 1:
		n.kill(w.rng.IntN(2) == 0)
	case 2:
		w.blocked[[2]int{n.no, other.no}] = n != other // one way
	case 3:
		w.blocked[[2]int{n.no, other.no}], w.blocked[[2]int{other.no, n.no}] = n != other, n != other
	case 4:
		clear(w.blocked)
	case 5:
		n.offline = !n.offline
		n.look()
	case 6:
		if n.up {
			w.arbiter.expire(n.session)
			w.arbiter.sessions++
			n.session = w.arbiter.sessions
			w.changed()
		}
	case 7:
		for _, x := range w.nodes {
			if !x.up {
				x.start()
			}
		}
	}
	if !n.up {
		w.after(w.delay(3*time.Second), func() {
			if !n.up {
				n.start()
			}
		})
	}
	w.after(w.delay(2*pause), func() { w.trouble(end, pause) })
}
