package admin

import "net/http"

func (s *Server) ready(w http.ResponseWriter) {
	n := s.node()
	if !n.Ready {
		plain(w, http.StatusServiceUnavailable, "not ready: "+n.Role)
		return
	}
	plain(w, http.StatusOK, "ready: "+n.Role)
}

func (s *Server) master(w http.ResponseWriter) {
	n := s.node()
	if n.Role != RoleMaster || !n.Ready {
		plain(w, http.StatusServiceUnavailable, "not the master: "+n.Role)
		return
	}
	plain(w, http.StatusOK, "master")
}
