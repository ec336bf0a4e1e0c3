package sim

import (
	"time"

	"github.com/havenmq/havenmq/persist"
)

// diskTrouble has disks fail now and then, until end: the power goes in the middle of a change, they are slow or full, a node is
// away until what it lacks was trimmed, and masters go on alone.
func (w *World) diskTrouble(end, pause time.Duration) {
	if w.now >= end {
		return
	}
	n, what := w.nodes[w.rng.IntN(len(w.nodes))], w.rng.IntN(26)
	if w.plan != nil {
		what = -1
	}
	switch what {
	case 0, 1, 2, 3:
		n.fuse(1 + w.rng.IntN(60))
	case 4, 5:
		n.slowDown(w.delay(300*time.Millisecond), w.delay(3*time.Second))
	case 6, 7:
		n.fill(time.Second + w.delay(6*time.Second))
	case 8, 9:
		n.leave(w.delay(8 * time.Second))
	case 10:
		w.outage()
	case 11, 12, 13, 14, 15, 16:
		if m := w.master(); m != nil {
			w.alone(m, time.Second+w.delay(4*time.Second))
		}
	case 17, 18, 19, 20:
		for _, x := range w.nodes { // in the middle of a download
			if x.up && x.incoming != nil {
				x.kill(w.rng.IntN(2) == 0)
				x.startIn(w.delay(time.Second))
			}
		}
	case 24, 25:
		w.rot(n)
	}
	w.after(w.delay(2*pause), func() { w.diskTrouble(end, pause) })
}

// master is who serves in the newest epoch, nil if nobody does.
func (w *World) master() *node {
	for _, n := range w.nodes {
		if m := w.arbiter.mandate; n.up && n.serving != 0 && m != nil && n.epoch == m.Epoch {
			return n
		}
	}
	return nil
}

// fuse has the power go at one of the next changes of the node's disk, in the middle of whatever that is.
func (n *node) fuse(changes int) {
	if n.up {
		n.disk.fs.Fuse(changes)
	}
}

// slowDown has the disk take up to most for each thing, for d.
func (n *node) slowDown(most, d time.Duration) {
	n.slow = most
	n.w.after(d, func() { n.slow = 0 })
}

// fill has the disk full for d.
func (n *node) fill(d time.Duration) {
	n.w.storage.fills++
	n.disk.setFull(true)
	disk := n.disk
	n.w.after(d, func() { disk.setFull(false) })
}

func (d *disk) setFull(full bool) {
	d.full = full
	room := int64(0)
	if full {
		room = 1
	}
	d.fs.SetRoom(room)
}

// leave ends the process; it comes back after d, and not before.
func (n *node) leave(d time.Duration) {
	n.kill(n.w.rng.IntN(2) == 0)
	n.awayTo = n.w.now + d
	n.startIn(d)
}

func (n *node) startIn(d time.Duration) {
	n.w.after(d, func() {
		if !n.up {
			n.start()
		}
	})
}

// outage is a power loss of the whole cluster.
func (w *World) outage() {
	w.storage.outages++
	for _, n := range w.nodes {
		n.kill(true)
		n.startIn(w.delay(2 * time.Second))
	}
}

// alone has a master append what nobody else hears of.
func (w *World) alone(m *node, d time.Duration) {
	w.isolate(m, d)
	for range 1 + w.rng.IntN(6) {
		w.after(w.delay(time.Second), func() { w.clients.act(m) })
	}
}

// isolate cuts all of a node's links for d, in one direction or both: a master that goes on appending alone, for a while.
func (w *World) isolate(n *node, d time.Duration) {
	w.faults.cuts++
	both := w.rng.IntN(3) > 0
	for _, x := range w.nodes {
		if x != n {
			w.blocked[[2]int{n.no, x.no}], w.blocked[[2]int{x.no, n.no}] = true, both
		}
	}
	w.after(d, func() {
		for _, x := range w.nodes {
			delete(w.blocked, [2]int{n.no, x.no})
			delete(w.blocked, [2]int{x.no, n.no})
		}
	})
}

// rot turns a bit over of what a voter has synced, while it is down: anywhere in a sealed segment, or below what its meta knows to be
// committed. Of what lies behind that nobody can tell rot from a write that the power cut short. A rotten disk counts as one
// that was wiped: a majority of voters must be well.
func (w *World) rot(n *node) {
	d := n.disk
	if !w.spare(n) || !d.voter || d.rot != 0 {
		return
	}
	n.kill(false)
	var sure []placed
	for _, p := range d.log.marks {
		if p.End <= min(d.committed, d.synced.End) || len(d.log.marks) > 0 && p.segment != d.log.marks[len(d.log.marks)-1].segment {
			sure = append(sure, p)
		}
	}
	if len(sure) == 0 {
		return
	}
	p := sure[w.rng.IntN(len(sure))]
	if w.rng.IntN(2) == 0 { // what a start looks at
		p = sure[len(sure)-1]
	}
	_, offset := persist.SegmentFile(0)
	at := int64(p.Base) + w.rng.Int64N(int64(p.End-p.Base))
	if d.fs.Flip(p.file, offset+at-int64(p.segment), uint8(w.rng.IntN(8))) {
		d.rot = p.End
		w.storage.rotten++
	}
	n.startIn(w.delay(2 * time.Second))
}

// spare says that the cluster can do without what is on a node's disk: with it, fewer than a quorum have no vote or rot.
func (w *World) spare(n *node) bool {
	bad := 1
	for _, x := range w.nodes {
		if x != n && (!x.disk.voter || x.disk.rot != 0) {
			bad++
		}
	}
	return bad <= (w.replicas-1)/2
}

// mayLosePower says that nothing is promised away by it: at *_mem levels a majority may not lose its power before it votes again.
func (w *World) mayLosePower(n *node) bool { return w.level.Disk() || w.spare(n) }

// interrupt has a download end now and then, on this side or the other, so that it is resumed.
func (w *World) interrupt(n *node) {
	if w.calm || w.rng.IntN(3) > 0 {
		return
	}
	w.after(w.delay(40*time.Millisecond), func() {
		x := n
		if m := w.master(); m != nil && w.rng.IntN(3) == 0 {
			x = m
		}
		x.kill(w.rng.IntN(2) == 0)
		x.startIn(w.delay(200 * time.Millisecond))
	})
}
