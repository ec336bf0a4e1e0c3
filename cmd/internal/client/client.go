package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/admin"
)

// Client asks one node. Any goroutine may use it.
type Client struct {
	base string
	http http.Client
}

const (
	timeout        = 30 * time.Second
	maxAnswerBytes = 256 << 20
	pageSize       = 1000
)

// New makes a client of the node at a URL such as http://127.0.0.1:8161; a plain host:port is taken for http.
func New(node string) (*Client, error) {
	if _, _, err := net.SplitHostPort(node); err == nil && !strings.Contains(node, "://") {
		node = "http://" + node
	}
	u, err := url.Parse(node)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is not a node: write its admin URL, such as http://127.0.0.1:8161, with --node or in HAVENMQ_NODE", node)
	}
	return &Client{base: strings.TrimSuffix(u.Scheme+"://"+u.Host+u.Path, "/"), http: http.Client{Timeout: timeout}}, nil
}

// Hostname is the node's host, without the port.
func (c *Client) Hostname() string {
	u, err := url.Parse(c.base)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// UnreachableError says that no node answered.
type UnreachableError struct {
	Node string
	Err  error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no node answers at %s: %v: start one with `havenmq start`, or name another with --node", e.Node, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// do asks and reads the answer into v, if v is not nil.
func (c *Client) do(ctx context.Context, method, path string, v any) error {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", c.base, err)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return &UnreachableError{c.base, cause(err)}
	}
	defer answer.Body.Close()
	body := io.LimitReader(answer.Body, maxAnswerBytes)
	if answer.StatusCode >= 300 {
		return refusal(answer, body)
	}
	if v == nil || answer.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.NewDecoder(body).Decode(v); err != nil {
		return fmt.Errorf("%s answered what is not JSON: is it a HavenMQ node's admin address? %w", c.base, err)
	}
	return nil
}

// cause is an error without the URL and the address, which its reader knows.
func cause(err error) error {
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err
	}
	var dialed *net.OpError
	if errors.As(err, &dialed) && dialed.Op == "dial" {
		err = dialed.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	return err
}

// refusal reads problem+json.
func refusal(answer *http.Response, body io.Reader) error {
	var p admin.Problem
	if err := json.NewDecoder(body).Decode(&p); err != nil || p.Detail == "" {
		return fmt.Errorf("%s answered %s: is it a HavenMQ node's admin address?", answer.Request.URL.Host, answer.Status)
	}
	return &p
}

// Node asks how the node stands.
func (c *Client) Node(ctx context.Context) (n admin.NodeInfo, err error) {
	return n, c.do(ctx, http.MethodGet, "/api/v1/node", &n)
}

// Promote has the master hand over to a member, "" to whoever is best.
func (c *Client) Promote(ctx context.Context, member string) error {
	return c.do(ctx, http.MethodPost, "/api/v1/cluster/promote?"+url.Values{"to": {member}}.Encode(), nil)
}

// Drain has the node leave leading to others, or lead again.
func (c *Client) Drain(ctx context.Context, on bool) error {
	what := "drain"
	if !on {
		what = "undrain"
	}
	return c.do(ctx, http.MethodPost, "/api/v1/cluster/"+what, nil)
}

// Emergency asks what may be ordered now.
func (c *Client) Emergency(ctx context.Context) (e admin.Emergency, err error) {
	return e, c.do(ctx, http.MethodGet, "/api/v1/cluster/emergency", &e)
}

// Order has the node adopt or recover its cluster, whose name confirms that.
func (c *Client) Order(ctx context.Context, what, name string) error {
	return c.do(ctx, http.MethodPost, "/api/v1/cluster/"+what+"?"+url.Values{"confirm": {name}}.Encode(), nil)
}

// list reads all pages of a list.
func list[T any](ctx context.Context, c *Client, what, filter string) ([]T, error) {
	all := []T{}
	for cursor := ""; ; {
		var page admin.Page[T]
		q := url.Values{"limit": {fmt.Sprint(pageSize)}, "filter": {filter}, "cursor": {cursor}}
		if err := c.do(ctx, http.MethodGet, "/api/v1/"+what+"?"+q.Encode(), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}

// Queues lists those whose name contains filter.
func (c *Client) Queues(ctx context.Context, filter string) ([]core.QueueInfo, error) {
	return list[core.QueueInfo](ctx, c, "queues", filter)
}

// Topics lists those whose name contains filter.
func (c *Client) Topics(ctx context.Context, filter string) ([]core.TopicInfo, error) {
	return list[core.TopicInfo](ctx, c, "topics", filter)
}

// Subscriptions lists those whose client id or name contains filter.
func (c *Client) Subscriptions(ctx context.Context, filter string) ([]core.SubscriptionInfo, error) {
	return list[core.SubscriptionInfo](ctx, c, "subscriptions", filter)
}

func queuePath(name string) string { return "/api/v1/queues/" + url.PathEscape(name) }

// Queue shows one.
func (c *Client) Queue(ctx context.Context, name string) (q core.QueueInfo, err error) {
	return q, c.do(ctx, http.MethodGet, queuePath(name), &q)
}

// browsePage is how many messages a page asks for: bodies of up to 64 KiB each come with them.
const browsePage = 100

// Browse shows what a queue holds, in order, a page at a time, until see says false.
func (c *Client) Browse(ctx context.Context, name string, see func(*admin.BrowsedMessage) bool) error {
	for cursor := ""; ; {
		var page admin.Page[admin.BrowsedMessage]
		q := url.Values{"limit": {fmt.Sprint(browsePage)}, "cursor": {cursor}}
		if err := c.do(ctx, http.MethodGet, queuePath(name)+"/messages?"+q.Encode(), &page); err != nil {
			return err
		}
		for i := range page.Items {
			if !see(&page.Items[i]) {
				return nil
			}
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

// CreateQueue makes one exist.
func (c *Client) CreateQueue(ctx context.Context, name string) (q core.QueueInfo, err error) {
	return q, c.do(ctx, http.MethodPut, queuePath(name), &q)
}

// DeleteQueue throws one away, with its messages.
func (c *Client) DeleteQueue(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, queuePath(name), nil)
}

// PurgeQueue throws its messages away and says how many there were.
func (c *Client) PurgeQueue(ctx context.Context, name string) (p admin.Purged, err error) {
	return p, c.do(ctx, http.MethodPost, queuePath(name)+"/purge", &p)
}

// PauseQueue stops its dispatch; ResumeQueue goes on.
func (c *Client) PauseQueue(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodPost, queuePath(name)+"/pause", nil)
}

// ResumeQueue starts dispatch again.
func (c *Client) ResumeQueue(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodPost, queuePath(name)+"/resume", nil)
}

// DeleteSubscription ends a durable subscription, or with no name a client's session.
func (c *Client) DeleteSubscription(ctx context.Context, clientID, name string) error {
	path := "/api/v1/subscriptions/" + url.PathEscape(clientID)
	if name != "" {
		path += "/" + url.PathEscape(name)
	}
	return c.do(ctx, http.MethodDelete, path, nil)
}
