package ha

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/havenmq/havenmq/persist"
)

// A node keeps the newest configuration that it has seen in its meta, so that it notices when ZooKeeper's data is lost or set
// back, and can give it back (emergency.go).

// configVersion is that of a configuration's bytes in the meta.
const configVersion = 1

// claims counts how often a seat was ever taken: of two configurations of a cluster the newer one has more.
func (c *Config) claims() (sum uint64) {
	if c == nil {
		return 0
	}
	for _, s := range c.Seats {
		sum += s.Generation
	}
	return sum
}

// encode gives a configuration as bytes for the meta; nil if it is too large for it.
func (c *Config) encode() []byte {
	b := append([]byte{configVersion, 0}, c.ClusterID[:]...)
	if c.Initialized {
		b[1] = 1
	}
	b = binary.AppendUvarint(b, uint64(c.Replicas))
	b = binary.AppendUvarint(b, uint64(len(c.Seats)))
	for _, s := range c.Seats {
		b = append(b, s.NodeID[:]...)
		b = binary.AppendUvarint(b, s.Generation)
		b = binary.AppendVarint(b, int64(s.Weight))
		b = binary.AppendUvarint(b, uint64(len(s.Addr)))
		b = append(b, s.Addr...)
	}
	if len(b) > persist.MaxMetaConfig {
		return nil
	}
	return b
}

// configReader reads what encode wrote; after a fault it gives zeros.
type configReader struct {
	rest []byte
	bad  bool
}

func (r *configReader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.rest) {
		r.bad = true
		return make([]byte, len(persist.ID{}))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *configReader) id() persist.ID { return persist.ID(r.take(len(persist.ID{}))) }

func (r *configReader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *configReader) signed() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// decodeConfig reads a meta's configuration; nil if there is none that can be read.
func decodeConfig(b []byte) *Config {
	if len(b) < 2 || b[0] != configVersion {
		return nil
	}
	r := configReader{rest: b[2:]}
	c := &Config{ClusterID: r.id(), Initialized: b[1] == 1, Replicas: int(min(r.number(), persist.MaxMetaConfig))}
	for range min(r.number(), persist.MaxMetaConfig) {
		s := Seat{NodeID: r.id(), Generation: r.number(), Weight: int(r.signed())}
		s.Addr = string(r.take(int(min(r.number(), persist.MaxMetaConfig))))
		if r.bad {
			return nil
		}
		c.Seats = append(c.Seats, s)
	}
	if r.bad || len(r.rest) != 0 {
		return nil
	}
	return c
}

// believe takes in what the arbiter shows, or keeps what this node knew, if the arbiter lacks something of it.
func (n *Node) believe(v View) View {
	old := n.view
	if old.Config == nil && (v.Config == nil || n.known == nil || v.Config.ClusterID == n.known.ClusterID) {
		old.Config = n.known // another cluster's refuses this node, at its start
	}
	n.shown = v
	if n.behind = setBack(&old, &v) && !n.weak("set-back"); !n.behind {
		return v
	}
	n.explain(Alarm, "ZooKeeper's data about this cluster was deleted or set back: what is going on goes on, but nobody can be elected: "+
		"give ZooKeeper its data back, or see `havenmq cluster adopt`")
	v.Config, v.ConfigVersion, v.Mandate, v.MandateVersion = old.Config, old.ConfigVersion, old.Mandate, old.MandateVersion
	return v
}

// setBack says whether a view knows less than an older one did: what it lacks is never taken out by a node.
func setBack(old, v *View) bool {
	if old.Mandate != nil && (v.Mandate == nil || v.Mandate.Epoch < old.Mandate.Epoch) {
		return true
	}
	a, b := old.Config, v.Config
	if a == nil || b == nil {
		return a != nil
	}
	if b.ClusterID != a.ClusterID || len(b.Seats) < len(a.Seats) || a.Initialized && !b.Initialized {
		return true
	}
	for i := range a.Seats {
		if b.Seats[i].Generation < a.Seats[i].Generation {
			return true
		}
	}
	return false
}

// keepConfig has the meta remember the newest configuration of this node's cluster.
func (n *Node) keepConfig() {
	c := n.view.Config
	if c == nil || n.behind || c.ClusterID != n.disk.meta.ClusterID {
		return
	}
	n.known = c
	if b := c.encode(); b != nil && !bytes.Equal(b, n.disk.meta.Config) {
		n.disk.meta.Config = b
		n.do(Remember{ID: configID, Config: b})
	}
}

// knowledge joins what this node knows of the configuration and what the arbiter shows: of each seat the newer holder.
func (n *Node) knowledge() *Config {
	c := *n.known
	c.Seats, c.Sole = slices.Clone(c.Seats), persist.ID{}
	shown := n.shown.Config
	if shown == nil || shown.ClusterID != c.ClusterID {
		return &c
	}
	c.Initialized = c.Initialized || shown.Initialized
	for i, s := range shown.Seats {
		switch {
		case i >= len(c.Seats):
			c.Seats = append(c.Seats, s)
		case s.Generation > c.Seats[i].Generation:
			c.Seats[i] = s
		}
	}
	return &c
}
