package node

import (
	"os"
	"slices"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
	"github.com/havenmq/havenmq/protocols/admin"
)

// Info says how the node stands.
func (n *Node) Info() admin.NodeInfo {
	i := admin.NodeInfo{BrokerName: n.o.Config.BrokerName, Version: n.o.Version, Role: admin.RoleMaster, Epoch: n.epoch, Master: n.adminURL, Admin: n.adminURL,
		Ready: n.ready.Load(), PID: os.Getpid(), StartedMs: n.started.UnixMilli(), DataDirectory: n.dir, Warnings: n.warnings()}
	store := n.store
	if p := n.o.Config.PersistenceAdapter; p.ReplicatedLevelDB != nil {
		i.Sync, i.Role, i.Master = string(p.ReplicatedLevelDB.Sync), admin.RoleElecting, ""
		if m := n.member.Load(); m != nil {
			store = m.Store()
			n.addCluster(&i, m.Status())
		}
	} else {
		i.Sync = string(p.LevelDB.Sync)
	}
	if store != nil {
		i.Store = storeInfo(store)
	}
	if s := n.stage.Load(); s != nil {
		for _, l := range s.listeners {
			i.Transports = append(i.Transports, admin.TransportInfo{Name: l.name, URL: l.url, MaxConnections: l.most})
		}
	}
	return i
}

func storeInfo(s *persist.Store) admin.StoreInfo {
	u := s.Usage()
	return admin.StoreInfo{LogStart: uint64(u.LogStart), LogEnd: uint64(u.End), Committed: uint64(u.Committed), LiveBytes: u.LiveBytes,
		DiskBytes: u.DiskBytes, DiskLimitBytes: u.LimitBytes, Syncs: s.Stats().Syncs, Full: u.Full}
}

// addCluster says how the node stands in its cluster. A master is ready when clients can connect, a replica when it holds
// what its master holds.
func (n *Node) addCluster(i *admin.NodeInfo, s ha.Status) {
	i.Epoch, i.Warnings = s.Epoch, append(slices.Clip(i.Warnings), s.Warnings...)
	switch s.Role {
	case ha.RoleMaster:
		i.Role, i.Master = admin.RoleMaster, n.adminURL
		stage := n.stage.Load()
		i.Ready = stage != nil && !s.Paused
	case ha.RoleReplica, ha.RoleAttaching, ha.RoleError:
		i.Role, i.Master, i.Ready = admin.RoleReplica, s.Master.Admin, s.Role == ha.RoleReplica
	default:
		i.Role = admin.RoleElecting
	}
	i.Cluster = &admin.ClusterInfo{ID: s.ClusterID.String(), NodeID: s.NodeID.String(), State: string(s.Role), Voter: s.Voter, Drained: s.Drained, Connected: s.Connected, Paused: s.Paused, DiskFull: s.Full,
		MasterAddr: s.Master.Addr, Addr: n.addr, Replicas: n.o.Config.PersistenceAdapter.ReplicatedLevelDB.Replicas, Elections: n.elections.Load()}
	if s.Role == ha.RoleAttaching {
		i.Cluster.Attach = &admin.Attach{From: uint64(s.Progress.From), At: uint64(s.Progress.At), To: uint64(s.Progress.To)}
	}
	for _, p := range s.Peers {
		i.Cluster.Peers = append(i.Cluster.Peers, admin.PeerInfo{NodeID: p.NodeID.String(), Addr: p.Addr, Admin: p.Admin, State: string(p.State),
			Attached: p.Attached, Voter: p.Voter, Drained: p.Drained, DiskFull: p.Full, Position: uint64(p.Synced), LagBytes: p.LagBytes, SilentMs: p.SilentMs})
	}
}
