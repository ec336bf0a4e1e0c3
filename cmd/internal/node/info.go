package node

import (
	"os"

	"github.com/havenmq/havenmq/protocols/admin"
)

// Info says how the node stands.
func (n *Node) Info() admin.NodeInfo {
	u := n.store.Usage()
	i := admin.NodeInfo{
		BrokerName: n.o.Config.BrokerName, Version: n.o.Version, Role: admin.RoleMaster, Epoch: n.epoch, Master: n.adminURL,
		Ready: n.ready.Load(), PID: os.Getpid(), StartedMs: n.started.UnixMilli(), DataDirectory: n.dir,
		Sync: string(n.o.Config.PersistenceAdapter.LevelDB.Sync), Warnings: n.o.Warnings,
		Store: admin.StoreInfo{LogStart: uint64(u.LogStart), LogEnd: uint64(u.End), Committed: uint64(u.Committed), LiveBytes: u.LiveBytes,
			DiskBytes: u.DiskBytes, DiskLimitBytes: u.LimitBytes, Syncs: n.store.Stats().Syncs, Full: u.Full},
	}
	for _, l := range n.listeners {
		i.Transports = append(i.Transports, admin.TransportInfo{Name: l.name, URL: l.url, MaxConnections: l.most})
	}
	return i
}
