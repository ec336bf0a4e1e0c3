// Package admin is the operator's protocol: HTTP for health, metrics and the management API.
//
//	GET  /livez                      200 while the process answers
//	GET  /readyz                     200 on a master that serves clients, and on an attached replica
//	GET  /master                     200 on the master alone: for load balancers
//	GET  /metrics                    Prometheus, whole broker
//	GET  /metrics/queues?match=a.>   Prometheus, queue by queue, those that match
//	GET  /api/v1/node
//	GET  /api/v1/queues              ?filter= &limit= &cursor=
//	GET  /api/v1/queues/NAME         PUT creates, DELETE throws away
//	GET  /api/v1/queues/NAME/messages
//	POST /api/v1/queues/NAME/purge   /pause /resume
//	GET  /api/v1/topics
//	GET  /api/v1/subscriptions       DELETE /api/v1/subscriptions/CLIENT/NAME
//	GET  /api/v1/clients             DELETE /api/v1/clients/KEY
//
//	request ──► guard (host, origin, method) ──► route ──► Broker ──► JSON, or problem+json
//
// Names in paths are percent-encoded; a queue may hold any character. Lists come a page at a time: next is the cursor of
// the page behind it and absent at the end.
//
// Invariants: a GET changes nothing. Nothing here holds a lock while it writes to a client. A page, a body and a scrape
// are bounded.
package admin
