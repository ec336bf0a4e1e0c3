package admin

import (
	"net/http"
	"strconv"

	"github.com/havenmq/havenmq/core"
)

func (s *Server) queues(r *http.Request, rest []string) (any, error) {
	if len(rest) == 0 {
		after, filter, limit, err := paging(r)
		if err != nil {
			return nil, err
		}
		list, next := s.broker.Queues(after, filter, limit)
		return page(list, next), method(r, http.MethodGet)
	}
	d, err := core.ParseDestination(rest[0], core.Queue)
	if err != nil {
		return nil, err
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if len(rest) == 1 {
		return s.queue(r, d)
	}
	if len(rest) == 2 {
		return s.queueAction(r, d, rest[1])
	}
	return nil, notFound(r.URL.Path)
}

func (s *Server) queue(r *http.Request, d core.Destination) (any, error) {
	switch r.Method {
	case http.MethodPut:
		if err := s.broker.CreateQueue(d); err != nil {
			return nil, err
		}
	case http.MethodDelete:
		return nil, s.broker.DeleteQueue(d)
	default:
		if err := method(r, http.MethodGet, http.MethodPut, http.MethodDelete); err != nil {
			return nil, err
		}
	}
	return s.broker.Queue(d)
}

// Purged answers a purge.
type Purged struct {
	Name     string `json:"name"`
	Messages uint64 `json:"messages"`
}

func (s *Server) queueAction(r *http.Request, d core.Destination, action string) (any, error) {
	if action == "messages" {
		return s.browse(r, d)
	}
	if err := method(r, http.MethodPost); err != nil {
		return nil, err
	}
	switch action {
	case "purge":
		n, err := s.broker.Purge(d)
		return Purged{d.Name, n}, err
	case "pause":
		return nil, s.broker.Pause(d)
	case "resume":
		return nil, s.broker.Resume(d)
	}
	return nil, notFound(r.URL.Path)
}

func (s *Server) topics(r *http.Request, rest []string) (any, error) {
	if err := only(r, rest); err != nil {
		return nil, err
	}
	after, filter, limit, err := paging(r)
	if err != nil {
		return nil, err
	}
	list, next := s.broker.Topics(after, filter, limit)
	return page(list, next), nil
}

func (s *Server) subscriptions(r *http.Request, rest []string) (any, error) {
	if len(rest) == 0 {
		after, filter, limit, err := paging(r)
		if err != nil {
			return nil, err
		}
		list, next := s.broker.Subscriptions(after, filter, limit)
		return page(list, next), method(r, http.MethodGet)
	}
	if len(rest) > 2 {
		return nil, notFound(r.URL.Path)
	}
	if err := method(r, http.MethodDelete); err != nil {
		return nil, err
	}
	name := ""
	if len(rest) == 2 {
		name = rest[1]
	}
	return nil, s.broker.DeleteSubscription(rest[0], name)
}

func (s *Server) clients(r *http.Request, rest []string) (any, error) {
	if len(rest) == 0 {
		return s.clientList(r)
	}
	key, err := strconv.ParseUint(rest[0], 10, 64)
	if err != nil || len(rest) > 1 {
		return nil, notFound(r.URL.Path)
	}
	if err := method(r, http.MethodDelete); err != nil {
		return nil, err
	}
	why := r.URL.Query().Get("why")
	if why == "" {
		why = "an operator ended this connection"
	}
	return nil, s.broker.Kick(key, why)
}

func (s *Server) clientList(r *http.Request) (any, error) {
	after, filter, limit, err := paging(r)
	if err != nil {
		return nil, err
	}
	var from uint64
	if after != "" {
		if from, err = strconv.ParseUint(after, 10, 64); err != nil {
			return nil, badRequest("cursor: give back the next of an earlier page, unchanged")
		}
	}
	list, last := s.broker.Clients(from, filter, limit)
	next := ""
	if last != 0 {
		next = strconv.FormatUint(last, 10)
	}
	return page(list, next), method(r, http.MethodGet)
}
