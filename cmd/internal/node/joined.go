package node

import (
	"strings"
	"time"
)

// joinTime bounds what Joined waits for: a node may start long before its ZooKeeper.
const joinTime = 3 * time.Second

// joinPause is between two looks.
const joinPause = 20 * time.Millisecond

// Joined is told once, when the node is listed among the cluster's members or joinTime has passed: "" or why it is not one yet, in
// a line. A node alone has joined at once. A node that ends before says so on Failed alone.
func (n *Node) Joined() <-chan string {
	told := make(chan string, 1)
	m := n.member.Load()
	if m == nil {
		told <- ""
		return told
	}
	n.running.Go(func() {
		looks := time.NewTicker(joinPause)
		defer looks.Stop()
		bound := time.NewTimer(joinTime)
		defer bound.Stop()
		for !m.Status().Listed {
			select {
			case <-looks.C:
			case <-bound.C:
				told <- n.unlisted()
				return
			case <-m.Done():
				return
			case <-n.life.Done():
				return
			}
		}
		told <- ""
	})
	return told
}

// unlisted is why the node is no member yet.
func (n *Node) unlisted() string {
	s := n.member.Load().Status()
	switch {
	case s.Listed:
		return ""
	case !s.Connected:
		return "ZooKeeper at " + n.o.Config.PersistenceAdapter.ReplicatedLevelDB.ZkAddress + " cannot be reached"
	case len(s.Warnings) > 0:
		return strings.Join(s.Warnings, "; ")
	}
	return "it has no seat in the cluster yet"
}
