package ha

import (
	"strings"
	"testing"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// TestSeats says what a node that meets a cluster's configuration asks for, or why it leaves.
func TestSeats(t *testing.T) {
	cluster, me, other := persist.ID{9}, persist.ID{2}, persist.ID{3}
	seat := func(id persist.ID, addr string) Seat { return Seat{NodeID: id, Generation: 1, Addr: addr} }
	history := []persist.EpochStart{{Epoch: 1}}
	for _, c := range []struct {
		name   string
		config *Config
		alive  []persist.ID
		boot   Boot
		seats  int    // of the configuration that is asked for; 0 nothing is
		gen    uint64 // of this node's seat in it
		exit   string // words of the reason
	}{
		{name: "the first of all", seats: 1, gen: 1},
		{name: "a free seat", config: &Config{ClusterID: cluster, Replicas: 3, Seats: []Seat{seat(other, "a:1")}}, seats: 2, gen: 1},
		{name: "the seat of its address, whose holder is gone",
			config: &Config{ClusterID: cluster, Replicas: 3, Seats: []Seat{seat(other, "b:1")}}, seats: 1, gen: 2},
		{name: "its address is another's, who lives", alive: []persist.ID{other},
			config: &Config{ClusterID: cluster, Replicas: 3, Seats: []Seat{seat(other, "b:1")}}},
		{name: "all seats are taken", exit: "all 1 seats", config: &Config{ClusterID: cluster, Replicas: 1, Seats: []Seat{seat(other, "a:1")}},
			boot: Boot{}},
		{name: "another number of replicas", exit: "replicas: 5", config: &Config{ClusterID: cluster, Replicas: 5}},
		{name: "another cluster", exit: "belongs to cluster", config: &Config{ClusterID: cluster, Replicas: 3},
			boot: Boot{Meta: persist.Meta{ClusterID: persist.ID{8}}}},
		{name: "a store of no cluster waits for a word", config: &Config{ClusterID: cluster, Replicas: 3}, boot: Boot{Received: 60, History: history}},
		{name: "a store of no cluster, of another number of replicas", exit: "replicas: 5", config: &Config{ClusterID: cluster, Replicas: 5},
			boot: Boot{Received: 60, History: history}},
		{name: "its seat is gone, and it holds data", exit: "no seat", config: &Config{ClusterID: cluster, Replicas: 3},
			boot: Boot{Meta: persist.Meta{ClusterID: cluster}, Received: 60, History: history}},
		{name: "another address than before", seats: 1, gen: 2, config: &Config{ClusterID: cluster, Replicas: 3, Seats: []Seat{seat(me, "old:1")}},
			boot: Boot{Meta: persist.Meta{ClusterID: cluster, ReplAddr: "old:1", Voter: true}, Received: 60, History: history}},
		{name: "another address, and the old one's node is alive", exit: "belongs to the node at old:1, which is alive", alive: []persist.ID{me}, config: &Config{ClusterID: cluster, Replicas: 3, Seats: []Seat{seat(me, "old:1")}},
			boot: Boot{Meta: persist.Meta{ClusterID: cluster, ReplAddr: "old:1"}, Received: 60, History: history}},
		{name: "another address, which is another's", exit: "those of another", boot: Boot{Meta: persist.Meta{ClusterID: cluster, ReplAddr: "old:1"}, Received: 60, History: history},
			config: &Config{ClusterID: cluster, Replicas: 3, Seats: []Seat{seat(me, "old:1"), seat(other, "b:1")}}},
		{name: "another address, and the old one has no seat", exit: "no seat", boot: Boot{Meta: persist.Meta{ClusterID: cluster, ReplAddr: "old:1"}, Received: 60, History: history},
			config: &Config{ClusterID: cluster, Replicas: 3, Seats: []Seat{seat(other, "a:1")}}},
		{name: "another address, after a claim that was not remembered", seats: 1, gen: 2, boot: Boot{Meta: persist.Meta{ClusterID: cluster, ReplAddr: "old:1"}, Received: 60, History: history},
			config: &Config{ClusterID: cluster, Replicas: 3, Seats: []Seat{seat(other, "b:1")}}},
		{name: "ZooKeeper has lost the cluster", boot: Boot{Meta: persist.Meta{ClusterID: cluster}}},
	} {
		c.boot.Meta.NodeID = me
		replicas := 3
		if c.config != nil && c.config.Replicas == 1 {
			replicas = 1
		}
		n := NewNode(Options{Replicas: replicas, Addr: "b:1", Timing: DefaultTiming(), NewID: func() persist.ID { return cluster }}, c.boot)
		mine := n.disk.meta.NodeID

		v := View{Connected: true, Config: c.config}
		for _, id := range c.alive {
			v.Members = append(v.Members, Member{Name: "m", Row: MemberRow{NodeID: id}})
		}
		seats, gen, exit := 0, uint64(0), ""
		for _, a := range n.Step(time.Second, Seen{v}) {
			switch a := a.(type) {
			case Transact:
				seats = len(a.Txn.SetConfig.Seats)
				gen = a.Txn.SetConfig.Seats[a.Txn.SetConfig.Seat(mine)].Generation
			case Exit:
				exit = a.Reason
			}
		}
		if seats != c.seats || gen != c.gen || (exit == "") != (c.exit == "") || !strings.Contains(exit, c.exit) {
			t.Errorf("%s: %d seats, generation %d, exit %q", c.name, seats, gen, exit)
		}
	}
}
