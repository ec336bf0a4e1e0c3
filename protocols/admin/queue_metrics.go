package admin

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/havenmq/havenmq/core"
)

// What one queue shows.
var (
	dQDepth     = desc("queue_messages", "Messages that wait or are in flight.", "queue")
	dQReady     = desc("queue_messages_ready", "Messages that wait.", "queue")
	dQUnacked   = desc("queue_messages_unacked", "Messages handed out and not settled.", "queue")
	dQBytes     = desc("queue_message_bytes", "Size of the queue's messages.", "queue")
	dQConsumers = desc("queue_consumers", "Consumers attached.", "queue")
	dQEnqueued  = desc("queue_messages_enqueued_total", "Messages that came in.", "queue")
	dQDequeued  = desc("queue_messages_dequeued_total", "Messages that were consumed.", "queue")
	dQExpired   = desc("queue_messages_expired_total", "Messages whose time ran out.", "queue")
	dQDead      = desc("queue_messages_dead_lettered_total", "Messages moved to dead letters.", "queue")
	dQOldest    = desc("queue_oldest_message_age_seconds", "Age of the oldest message.", "queue")
	dQPaused    = desc("queue_paused", "1 while dispatch is paused.", "queue")
)

// queueCollector shows the queues that match a pattern.
type queueCollector struct{ queues []core.QueueInfo }

// Describe sends nothing: the collector is unchecked.
func (*queueCollector) Describe(chan<- *prometheus.Desc) {}

// Collect sends all queues.
func (c *queueCollector) Collect(ch chan<- prometheus.Metric) {
	e := emitter(ch)
	for i := range c.queues {
		q := &c.queues[i]
		name := label(q.Name)
		e.gauge(dQDepth, float64(q.Depth), name)
		e.gauge(dQReady, float64(q.Depth-min(q.Depth, q.InFlight)), name)
		e.gauge(dQUnacked, float64(q.InFlight), name)
		e.gauge(dQBytes, float64(q.Bytes), name)
		e.gauge(dQConsumers, float64(q.Consumers), name)
		e.counter(dQEnqueued, q.Enqueued, name)
		e.counter(dQDequeued, q.Dequeued, name)
		e.counter(dQExpired, q.Expired, name)
		e.counter(dQDead, q.Dead, name)
		e.gauge(dQOldest, float64(q.OldestMs)/1000, name)
		e.gauge(dQPaused, truth(q.Paused), name)
	}
}

// label is a queue's name as Prometheus can hold it. Two names never share a label: that would fail the whole scrape.
func label(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	return strconv.QuoteToASCII(name)
}

func (s *Server) queueMetrics(w http.ResponseWriter, r *http.Request) {
	pattern := core.Destination{Kind: core.Queue, Name: r.URL.Query().Get("match")}
	if pattern.Name == "" {
		writeProblem(w, problemOf(badRequest("match: name the queues, such as ?match=orders.> or ?match=> for all")))
		return
	}
	c, err := s.matching(pattern)
	if err != nil {
		writeProblem(w, problemOf(err))
		return
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// literal is what stands before the pattern's first wildcard: all that match contain it, so that the broker need not look
// into the others.
func literal(pattern string) string {
	for at := 0; ; {
		level, rest, more := strings.Cut(pattern[at:], ".")
		if level == "*" || level == ">" {
			return strings.TrimSuffix(pattern[:at], ".")
		}
		if !more {
			return pattern
		}
		at = len(pattern) - len(rest)
	}
}

// matching collects the queues that match; more than maxQueuesScraped are refused rather than cut, since a scrape that
// leaves out queues looks like queues that went away.
func (s *Server) matching(pattern core.Destination) (*queueCollector, error) {
	c := &queueCollector{}
	filter := literal(pattern.Name)
	for after := ""; ; {
		list, next := s.broker.Queues(after, filter, maxPage)
		for _, q := range list {
			if q.Kind == core.Queue.String() && pattern.Matches(core.Destination{Kind: core.Queue, Name: q.Name}) {
				c.queues = append(c.queues, q)
			}
		}
		if len(c.queues) > maxQueuesScraped {
			return nil, badRequest(fmt.Sprintf("more than %d queues match: narrow the pattern", maxQueuesScraped))
		}
		if next == "" {
			return c, nil
		}
		after = next
	}
}
