package admin

import (
	"fmt"
	"net/http"
)

// Cluster is what can be asked of a member of one. Any goroutine may call.
type Cluster interface {
	// Promote has this master hand over to the member that is named by its node id, its replication address or host, or its
	// admin URL; "" is whoever is best. It returns when the handing over has begun.
	Promote(member string) error
	// Drain has this node leave leading to others until it is undone, across restarts.
	Drain(on bool) error
	// Emergency says what Adopt and Recover would do, or why not.
	Emergency() Emergency
	// Adopt gives ZooKeeper back what it has lost of the cluster.
	Adopt() error
	// Recover has this node lead though a quorum is gone for ever.
	Recover() error
}

// Emergency is what an operator may order this node to do.
type Emergency struct {
	Adopt   string `json:"adopt"`   // why it may not be adopted; "" it may
	Recover string `json:"recover"` // why this node may not lead alone; "" it may
	Loss    string `json:"loss"`    // what may be lost if it does
	Begins  bool   `json:"begins"`  // Adopt begins a cluster with this node's store, which belongs to none
}

// Join lets the server steer the cluster that the node is a member of. It is called before Serve.
func (s *Server) Join(c Cluster) { s.cluster = c }

// members answers /api/v1/cluster, and below it what can be asked of a member.
func (s *Server) members(r *http.Request, rest []string) (any, error) {
	n := s.node()
	if s.cluster == nil || n.Cluster == nil {
		return nil, notFound("this node is in no cluster: it is alone, or it has not joined yet")
	}
	switch {
	case len(rest) == 0:
		return n.Cluster, method(r, http.MethodGet)
	case len(rest) > 1:
		return nil, notFound(r.URL.Path)
	case rest[0] == "emergency":
		return s.cluster.Emergency(), method(r, http.MethodGet)
	}
	do, err := s.order(r, rest[0], n.BrokerName)
	if err == nil {
		err = method(r, http.MethodPost)
	}
	if err != nil {
		return nil, err
	}
	return nil, do()
}

// order is what is asked of the member. What is dangerous must name the cluster.
func (s *Server) order(r *http.Request, what, name string) (do func() error, err error) {
	switch what {
	case "promote":
		return func() error {
			if err := s.served(); err != nil {
				return err
			}
			return s.cluster.Promote(r.URL.Query().Get("to"))
		}, nil
	case "drain":
		return func() error { return s.cluster.Drain(true) }, nil
	case "undrain":
		return func() error { return s.cluster.Drain(false) }, nil
	case "adopt":
		do = s.cluster.Adopt
	case "recover":
		do = s.cluster.Recover
	default:
		return nil, notFound(fmt.Sprintf("%s: a cluster has promote, drain, undrain, emergency, adopt and recover", r.URL.Path))
	}
	if r.URL.Query().Get("confirm") != name {
		return nil, badRequest(fmt.Sprintf("this must name the cluster: confirm=%s", name))
	}
	return do, nil
}
