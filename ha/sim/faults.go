package sim

import "time"

// Faults has things go wrong for d, about once each pause, while producers send; then everything is mended.
func (w *World) Faults(d, pause time.Duration) error {
	end := w.now + d
	w.produce(end)
	w.trouble(end, pause)
	w.diskTrouble(end, pause)
	if err := w.Run(d); err != nil {
		return err
	}
	w.endPlan()
	return nil
}

// produce appends to whoever serves, now and then.
func (w *World) produce(end time.Duration) {
	if w.now >= end {
		return
	}
	for _, n := range w.nodes {
		w.clients.act(n)
	}
	w.after(w.delay(100*time.Millisecond), func() { w.produce(end) })
}

func (w *World) trouble(end, pause time.Duration) {
	if w.now >= end {
		return
	}
	if w.planned() {
		w.after(w.delay(2*pause), func() { w.trouble(end, pause) })
		return
	}
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	other := w.nodes[w.rng.IntN(len(w.nodes))]
	switch w.rng.IntN(11) {
	case 0, 1:
		n.kill(w.rng.IntN(2) == 0)
	case 2:
		w.blocked[[2]int{n.no, other.no}] = n != other // one way
		w.faults.cuts++
	case 3:
		w.blocked[[2]int{n.no, other.no}], w.blocked[[2]int{other.no, n.no}] = n != other, n != other
		w.faults.cuts++
	case 4:
		clear(w.blocked)
	case 5:
		n.setOffline(!n.offline)
	case 6:
		w.expire(n)
	case 7:
		w.pause(n)
	case 8:
		w.replace(n)
	case 9, 10:
		for _, x := range w.nodes {
			if !x.up {
				x.start()
			}
		}
	}
	if !n.up {
		w.after(w.delay(3*time.Second), func() { n.startIfDown() })
	}
	w.after(w.delay(2*pause), func() { w.trouble(end, pause) })
}

// expire ends a node's session; it has another at once.
func (w *World) expire(n *node) {
	if !n.up {
		return
	}
	w.faults.expiries++
	w.arbiter.expire(n.session)
	n.connect()
	w.changed()
}

// pause stops a process for a while, as SIGSTOP does. A long one costs it its session.
func (w *World) pause(n *node) {
	if !n.up {
		return
	}
	w.faults.pauses++
	n.pause(w.delay(8 * time.Second))
}

// replace gives a node an empty disk while all others have a vote: what a majority may lose, nobody promises to keep. With it
// comes another identity, which takes the seat over.
func (w *World) replace(n *node) {
	for _, x := range w.nodes {
		if x != n && (!x.voter() || x.disk.rot != 0) {
			return
		}
	}
	w.faults.wipes++
	n.kill(true)
	n.wipe()
}

// tally counts what happened in a run.
type tally struct {
	kills, powerLosses, pauses, wipes, expiries, cuts, elections, truncations, plans, steps int
}
