package admin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/havenmq/havenmq/core"
)

// Broker is what the API shows and changes; *core.Broker is one. Any goroutine may call.
type Broker interface {
	Stats() core.Stats
	Queues(after, filter string, max int) (list []core.QueueInfo, next string)
	Queue(d core.Destination) (core.QueueInfo, error)
	Topics(after, filter string, max int) (list []core.TopicInfo, next string)
	Subscriptions(after, filter string, max int) (list []core.SubscriptionInfo, next string)
	Clients(after uint64, filter string, max int) (list []core.ClientInfo, next uint64)
	CreateQueue(d core.Destination) error
	DeleteQueue(d core.Destination) error
	DeleteSubscription(clientID, name string) error
	Purge(d core.Destination) (n uint64, err error)
	Pause(d core.Destination) error
	Resume(d core.Destination) error
	Kick(key uint64, why string) error
	Browse(d core.Destination, cursor string, max int) (core.BrowsePage, error)
}

// Server answers HTTP requests about one node.
type Server struct {
	broker   Broker
	cluster  Cluster // nil: the node is alone
	node     func() NodeInfo
	loopback bool
	metrics  http.Handler
	origin   *http.CrossOriginProtection
}

// Bounds of a page.
const (
	defaultPage = 100
	maxPage     = 1000
)

// New makes a server. node says how the node stands; it is called for each request and must be quick. loopback says
// that it listens on this machine alone: requests must then name the host by address or as localhost.
func New(b Broker, node func() NodeInfo, loopback bool) *Server {
	return &Server{broker: b, node: node, loopback: loopback, metrics: metricsHandler(b, node), origin: http.NewCrossOriginProtection()}
}

// Serve answers on l until ctx ends, then lets requests under way finish for a second.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{Handler: watched(s), ConnContext: withConn, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 256 << 10}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		stopped <- h.Shutdown(grace)
	}()
	if err := h.Serve(newCapped(l, maxConnections)); err != http.ErrServerClosed {
		return fmt.Errorf("admin %s: %w", l.Addr(), err)
	}
	if err := <-stopped; err != nil {
		return h.Close()
	}
	return nil
}

// ServeHTTP guards, routes and answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if p := s.guard(r); p != nil {
		writeProblem(w, *p)
		return
	}
	parts, err := segments(r.URL)
	if err != nil {
		writeProblem(w, problemOf(err))
		return
	}
	switch parts[0] {
	case "livez":
		plain(w, http.StatusOK, "alive")
	case "readyz":
		s.ready(w)
	case "master":
		s.master(w)
	case "metrics":
		s.serveMetrics(w, r, parts[1:])
	case "api":
		s.api(w, r, parts[1:])
	case "":
		plain(w, http.StatusOK, "HavenMQ: /livez /readyz /master /metrics /api/v1/node")
	default:
		writeProblem(w, problemOf(notFound(r.URL.Path)))
	}
}

func (s *Server) guard(r *http.Request) *Problem {
	if err := s.origin.Check(r); err != nil {
		return &Problem{"Another site's page may not do this", http.StatusForbidden, "forbidden", err.Error()}
	}
	if s.loopback && !ownName(r.Host) {
		return &Problem{"Wrong host", http.StatusMisdirectedRequest, "forbidden",
			fmt.Sprintf("this address is for this machine alone: ask for 127.0.0.1 or localhost, not %q", r.Host)}
	}
	return nil
}

func ownName(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}

// segments splits a path before decoding it, so that a name may hold '/' and '..'. There is at least one.
func segments(u *url.URL) ([]string, error) {
	parts := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	for i, p := range parts {
		name, err := url.PathUnescape(p)
		if err != nil {
			return nil, badRequest(err.Error())
		}
		parts[i] = name
	}
	return parts, nil
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // the client went away if this fails
}

// api answers /api/v1/….
func (s *Server) api(w http.ResponseWriter, r *http.Request, parts []string) {
	if len(parts) < 2 || parts[0] != "v1" {
		writeProblem(w, problemOf(notFound("the API begins with /api/v1/: try /api/v1/node")))
		return
	}
	answer, err := s.answer(r, parts[1], parts[2:])
	if err != nil {
		writeProblem(w, problemOf(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	_ = json.NewEncoder(w).Encode(answer) // the client went away if this fails
}

func (s *Server) answer(r *http.Request, what string, rest []string) (any, error) {
	switch what {
	case "node":
		return s.node(), only(r, rest)
	case "stats":
		return s.broker.Stats(), only(r, rest)
	case "cluster":
		return s.members(r, rest)
	}
	if err := s.served(); err != nil {
		return nil, err
	}
	switch what {
	case "queues":
		return s.queues(r, rest)
	case "topics":
		return s.topics(r, rest)
	case "subscriptions":
		return s.subscriptions(r, rest)
	case "clients":
		return s.clients(r, rest)
	}
	return nil, notFound(fmt.Sprintf("the API has no %q: node, cluster, stats, queues, topics, subscriptions, clients", what))
}

// served refuses what only a master knows on a node that is none, and says who is.
func (s *Server) served() error {
	if n := s.node(); n.Role != RoleMaster {
		where := "nobody is master now"
		if n.Master != "" {
			where = "ask the master, " + n.Master
		}
		return &Problem{"Not the master", http.StatusConflict, "not-master", "this node is " + n.Role + ": " + where}
	}
	return nil
}

func only(r *http.Request, rest []string) error {
	if len(rest) > 0 {
		return notFound(r.URL.Path)
	}
	return method(r, http.MethodGet)
}

func method(r *http.Request, allowed ...string) error {
	for _, m := range allowed {
		if r.Method == m || r.Method == http.MethodHead && m == http.MethodGet {
			return nil
		}
	}
	return &Problem{"Wrong method", http.StatusMethodNotAllowed, "invalid",
		fmt.Sprintf("%s takes %s, not %s", r.URL.Path, strings.Join(allowed, ", "), r.Method)}
}

// Page is one page of a list.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"` // cursor of the next page; absent at the end
}

func page[T any](items []T, next string) Page[T] {
	if items == nil {
		items = []T{}
	}
	if next != "" {
		next = base64.RawURLEncoding.EncodeToString([]byte(next))
	}
	return Page[T]{Items: items, Next: next}
}

// paging reads ?cursor= &filter= &limit=.
func paging(r *http.Request) (after, filter string, limit int, err error) {
	q := r.URL.Query()
	text, err := base64.RawURLEncoding.DecodeString(q.Get("cursor"))
	if err != nil {
		return "", "", 0, badRequest("cursor: give back the next of an earlier page, unchanged")
	}
	limit = defaultPage
	if l := q.Get("limit"); l != "" {
		if limit, err = strconv.Atoi(l); err != nil || limit < 1 || limit > maxPage {
			return "", "", 0, badRequest(fmt.Sprintf("limit: a number from 1 to %d", maxPage))
		}
	}
	return string(text), q.Get("filter"), limit, nil
}
