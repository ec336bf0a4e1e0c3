package admin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"testing"

	"github.com/havenmq/havenmq/core"
)

// fakeBroker is a broker that holds lists and remembers what was asked of it.
type fakeBroker struct {
	stats  core.Stats
	queue  []core.QueueInfo
	topic  []core.TopicInfo
	sub    []core.SubscriptionInfo
	client []core.ClientInfo
	pages  core.BrowsePage
	asked  []string
	fail   error
}

func (f *fakeBroker) note(format string, args ...any) error {
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
	return f.fail
}

func (f *fakeBroker) Stats() core.Stats { return f.stats }

// slice is one page of names that sort behind after and contain filter.
func slice[T any](all []T, name func(T) string, after, filter string, n int) (list []T, next string) {
	sort.Slice(all, func(i, j int) bool { return name(all[i]) < name(all[j]) })
	for _, v := range all {
		if name(v) <= after || !strings.Contains(name(v), filter) {
			continue
		}
		if len(list) == n {
			return list, name(list[n-1])
		}
		list = append(list, v)
	}
	return list, ""
}

func (f *fakeBroker) Queues(after, filter string, n int) ([]core.QueueInfo, string) {
	return slice(f.queue, func(q core.QueueInfo) string { return q.Name }, after, filter, n)
}

func (f *fakeBroker) Queue(d core.Destination) (core.QueueInfo, error) {
	for _, q := range f.queue {
		if q.Name == d.Name {
			return q, nil
		}
	}
	return core.QueueInfo{}, &core.Error{Code: core.CodeNotFound, Subject: d.String(), Detail: "there is no such queue"}
}

func (f *fakeBroker) Topics(after, filter string, n int) ([]core.TopicInfo, string) {
	return slice(f.topic, func(q core.TopicInfo) string { return q.Name }, after, filter, n)
}

func (f *fakeBroker) Subscriptions(after, filter string, n int) ([]core.SubscriptionInfo, string) {
	return slice(f.sub, func(s core.SubscriptionInfo) string { return s.ClientID + "|" + s.Name }, after, filter, n)
}

func (f *fakeBroker) Clients(after uint64, _ string, n int) (list []core.ClientInfo, next uint64) {
	for _, c := range f.client {
		if c.Key <= after {
			continue
		}
		if len(list) == n {
			return list, list[n-1].Key
		}
		list = append(list, c)
	}
	return list, 0
}

func (f *fakeBroker) CreateQueue(d core.Destination) error {
	if _, err := f.Queue(d); err != nil { // as the broker: one that exists stays as it is
		f.queue = append(f.queue, core.QueueInfo{Name: d.Name, Kind: "queue"})
	}
	return f.note("create %s", d)
}
func (f *fakeBroker) DeleteQueue(d core.Destination) error { return f.note("delete %s", d) }
func (f *fakeBroker) DeleteSubscription(client, name string) error {
	return f.note("unsubscribe %q %q", client, name)
}
func (f *fakeBroker) Purge(d core.Destination) (uint64, error) { return 7, f.note("purge %s", d) }
func (f *fakeBroker) Pause(d core.Destination) error           { return f.note("pause %s", d) }
func (f *fakeBroker) Resume(d core.Destination) error          { return f.note("resume %s", d) }
func (f *fakeBroker) Kick(key uint64, why string) error        { return f.note("kick %d %s", key, why) }
func (f *fakeBroker) Browse(d core.Destination, cursor string, n int) (core.BrowsePage, error) {
	return f.pages, f.note("browse %s %q %d", d, cursor, n)
}

// plainFormat reads a message's content from a map; a message that is not there cannot be read.
type plainFormat map[*core.Message]*core.Content

func (plainFormat) ID() byte { return 200 }

func (p plainFormat) Content(m *core.Message) (*core.Content, error) {
	if c, ok := p[m]; ok {
		return c, nil
	}
	return nil, &core.Error{Code: core.CodeInternal, Detail: "garbled"}
}

func master() NodeInfo {
	return NodeInfo{BrokerName: "b", Version: "v", Role: RoleMaster, Epoch: 3, Ready: true, Store: StoreInfo{LogEnd: 99, Syncs: 5}}
}

func ask(t *testing.T, s *Server, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8161"+path, nil)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// expect asks and compares the status and a piece of the body.
func expect(t *testing.T, s *Server, method, path string, status int, piece string) {
	t.Helper()
	w := ask(t, s, method, path)
	if w.Code != status || !strings.Contains(w.Body.String(), piece) {
		t.Errorf("%s %s: %d %s\nwant %d %s", method, path, w.Code, w.Body, status, piece)
	}
	if status >= 400 && strings.HasPrefix(path, "/api") && w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s: a %s", method, path, w.Header().Get("Content-Type"))
	}
}

var _ Broker = (*core.Broker)(nil)
var _ http.Handler = (*Server)(nil)
