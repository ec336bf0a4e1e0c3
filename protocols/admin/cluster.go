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
}

// Join lets the server steer the cluster that the node is a member of. It is called before Serve.
func (s *Server) Join(c Cluster) { s.cluster = c }

// members answers /api/v1/cluster and /api/v1/cluster/promote?to=MEMBER.
func (s *Server) members(r *http.Request, rest []string) (any, error) {
	n := s.node()
	if s.cluster == nil || n.Cluster == nil {
		return nil, notFound("this node is in no cluster: it is alone, or it has not joined yet")
	}
	switch {
	case len(rest) == 0:
		return n.Cluster, method(r, http.MethodGet)
	case len(rest) > 1 || rest[0] != "promote":
		return nil, notFound(fmt.Sprintf("%s: a cluster has promote alone", r.URL.Path))
	}
	if err := method(r, http.MethodPost); err != nil {
		return nil, err
	}
	if err := s.served(); err != nil {
		return nil, err
	}
	return nil, s.cluster.Promote(r.URL.Query().Get("to"))
}
