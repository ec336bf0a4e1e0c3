package admin

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/havenmq/havenmq/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHealth(t *testing.T) {
	now := master()
	s := New(&fakeBroker{}, func() NodeInfo { return now }, true)
	expect(t, s, "GET", "/livez", 200, "alive")
	expect(t, s, "GET", "/readyz", 200, "ready: master")
	expect(t, s, "GET", "/master", 200, "master")
	expect(t, s, "GET", "/", 200, "HavenMQ")
	expect(t, s, "GET", "/nowhere", 404, "not-found")
	now.Role = RoleReplica
	expect(t, s, "GET", "/readyz", 200, "ready: replica")
	expect(t, s, "GET", "/master", 503, "not the master: replica")
	now.Role, now.Ready = RoleElecting, false
	expect(t, s, "GET", "/readyz", 503, "not ready: electing")
	expect(t, s, "GET", "/livez", 200, "alive")
}

func TestGuard(t *testing.T) {
	s := New(&fakeBroker{}, master, true)
	for host, want := range map[string]int{"127.0.0.1:8161": 200, "[::1]:8161": 200, "localhost": 200, "LOCALHOST:1": 200, "evil.example:8161": 421} {
		r := httptest.NewRequest("GET", "http://x/livez", nil)
		r.Host = host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", host, w.Code, want)
		}
	}
	r := httptest.NewRequest("POST", "http://127.0.0.1/api/v1/queues/a/purge", nil)
	r.Header.Set("Origin", "http://evil.example")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("another site's page purged: %d", w.Code)
	}
}

func TestQueuePages(t *testing.T) {
	f := &fakeBroker{queue: []core.QueueInfo{{Name: "c"}, {Name: "a"}, {Name: "b.x", Depth: 4}}}
	s := New(f, master, true)
	var names []string
	path := "/api/v1/queues?limit=2"
	for range 2 {
		var p Page[core.QueueInfo]
		w := ask(t, s, "GET", path)
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		for _, q := range p.Items {
			names = append(names, q.Name)
		}
		path = "/api/v1/queues?limit=2&cursor=" + p.Next
	}
	if !slices.Equal(names, []string{"a", "b.x", "c"}) {
		t.Error(names)
	}
	expect(t, s, "GET", "/api/v1/queues?filter=zzz", 200, `{"items":[]}`)
	expect(t, s, "GET", "/api/v1/queues/b.x", 200, `"depth":4`)
	expect(t, s, "GET", "/api/v1/queues?limit=0", 400, "a number from 1 to 1000")
	expect(t, s, "GET", "/api/v1/queues?limit=1001", 400, "a number from 1 to 1000")
	expect(t, s, "GET", "/api/v1/queues?cursor=*", 400, "unchanged")
	expect(t, s, "GET", "/api/v1/queues/none", 404, `"code":"not-found","detail":"queue://none: there is no such queue"`)
}

func TestQueueWrites(t *testing.T) {
	f := &fakeBroker{}
	s := New(f, master, true)
	expect(t, s, "PUT", "/api/v1/queues/a%2F%2Fb", 200, `"name":"a//b"`)
	expect(t, s, "POST", "/api/v1/queues/a/purge", 200, `{"name":"a","messages":7}`)
	expect(t, s, "POST", "/api/v1/queues/%2E%2E/pause", 204, "")
	expect(t, s, "POST", "/api/v1/queues/a/resume", 204, "")
	expect(t, s, "DELETE", "/api/v1/queues/a", 204, "")
	expect(t, s, "DELETE", "/api/v1/subscriptions/me/s%2F1", 204, "")
	expect(t, s, "DELETE", "/api/v1/subscriptions/me", 204, "")
	expect(t, s, "DELETE", "/api/v1/clients/12?why=tired", 204, "")
	expect(t, s, "DELETE", "/api/v1/clients/13", 204, "")
	want := []string{"create queue://a//b", "purge queue://a", "pause queue://..", "resume queue://a", "delete queue://a",
		`unsubscribe "me" "s/1"`, `unsubscribe "me" ""`, "kick 12 tired", "kick 13 an operator ended this connection"}
	if !slices.Equal(f.asked, want) {
		t.Errorf("got  %q\nwant %q", f.asked, want)
	}
}

func TestRefusals(t *testing.T) {
	s := New(&fakeBroker{}, master, true)
	for _, c := range []struct {
		method, path string
		status       int
		piece        string
	}{
		{"GET", "/api", 404, "/api/v1/node"}, {"GET", "/api/v2/node", 404, "/api/v1/node"},
		{"GET", "/api/v1/stuff", 404, `the API has no \"stuff\"`}, {"GET", "/api/v1/node/x", 404, "not-found"},
		{"POST", "/api/v1/node", 405, "takes GET, not POST"}, {"POST", "/api/v1/queues", 405, "takes GET"},
		{"PATCH", "/api/v1/queues/a", 405, "takes GET, PUT, DELETE"}, {"GET", "/api/v1/queues/a/purge", 405, "takes POST"},
		{"POST", "/api/v1/queues/a/explode", 404, ""}, {"POST", "/api/v1/queues/a/b/c", 404, ""},
		{"POST", "/api/v1/queues/a/messages", 405, ""}, {"PUT", "/api/v1/queues/a.*", 400, "wildcard"},
		{"GET", "/api/v1/queues/", 400, "needs a name"}, {"GET", "/api/v1/topics/x", 404, ""}, {"GET", "/api/v1/topics?limit=x", 400, ""},
		{"POST", "/api/v1/subscriptions", 405, ""}, {"GET", "/api/v1/subscriptions?limit=x", 400, ""},
		{"GET", "/api/v1/subscriptions/a/b", 405, ""}, {"DELETE", "/api/v1/subscriptions/a/b/c", 404, ""},
		{"GET", "/api/v1/clients?limit=x", 400, ""}, {"GET", "/api/v1/clients?cursor=YQ", 400, ""},
		{"DELETE", "/api/v1/clients/x", 404, ""}, {"GET", "/api/v1/clients/1", 405, ""},
		{"POST", "/metrics", 405, ""}, {"GET", "/metrics/x", 404, ""}, {"GET", "/metrics/queues", 400, "match"},
	} {
		expect(t, s, c.method, c.path, c.status, c.piece)
	}
}

func TestReplicaRefusesWrites(t *testing.T) {
	now := NodeInfo{Role: RoleReplica, Master: "http://10.0.0.1:8161"}
	s := New(&fakeBroker{}, func() NodeInfo { return now }, false)
	expect(t, s, "POST", "/api/v1/queues/a/purge", 409, "ask the master, http://10.0.0.1:8161")
	now.Master = ""
	expect(t, s, "POST", "/api/v1/queues/a/purge", 409, "nobody is master now")
	expect(t, s, "GET", "/api/v1/node", 200, `"role":"replica"`)
}

func TestErrorsKeepTheirCode(t *testing.T) {
	f := &fakeBroker{}
	s := New(f, master, true)
	for code, status := range map[core.Code]int{core.CodeInUse: 409, core.CodeFull: 507, core.CodeForbidden: 403, core.CodeShutdown: 503, core.CodeInternal: 500, core.CodeKicked: 500} {
		f.fail = &core.Error{Code: code, Detail: "because"}
		expect(t, s, "POST", "/api/v1/queues/a/pause", status, "because")
	}
	f.fail = errors.New("plain")
	expect(t, s, "PUT", "/api/v1/queues/a", 500, "plain")
	expect(t, s, "GET", "/api/v1/queues/a/messages", 500, "plain")
	expect(t, s, "GET", "/api/v1/queues/a/messages?limit=x", 400, "limit")
}

func TestOtherLists(t *testing.T) {
	f := &fakeBroker{topic: []core.TopicInfo{{Name: "t", Enqueued: 2}}, sub: []core.SubscriptionInfo{{ClientID: "c", Name: "n", Kind: "durable"}},
		client: []core.ClientInfo{{Key: 5, Protocol: "mqtt"}, {Key: 9, Protocol: "amqp"}}}
	s := New(f, master, true)
	expect(t, s, "GET", "/api/v1/topics", 200, `"name":"t"`)
	expect(t, s, "GET", "/api/v1/subscriptions", 200, `"clientId":"c"`)
	expect(t, s, "GET", "/api/v1/clients?limit=1", 200, `"next":"NQ"`)
	expect(t, s, "GET", "/api/v1/clients?limit=1&cursor=NQ", 200, `"key":9`)
	expect(t, s, "GET", "/api/v1/stats", 200, `"queues":0`)
	expect(t, s, "HEAD", "/api/v1/node", 200, "")
}

func TestBrowse(t *testing.T) {
	long := strings.Repeat("é", maxBodyShown)
	m := []*core.Message{{}, {}, {}, {}, {}}
	format := plainFormat{
		m[0]: {ID: "1", Kind: core.BodyText, Body: []byte("hello"), ReplyTo: core.Destination{Kind: core.Queue, Name: "r"}, Properties: []core.Property{
			{Name: "n", Value: int32(3)}, {Name: "nan", Value: math.NaN()}, {Name: "f", Value: float32(0.5)}, {Name: "t", Value: time.Unix(0, 0)}}},
		m[1]: {Kind: core.BodyBytes, Body: []byte{0, 255}},
		m[2]: {Kind: core.BodyText, Body: []byte("x" + long)},
		m[3]: {Kind: core.BodyJSON, Body: []byte("{}")},
	}
	f := &fakeBroker{pages: core.BrowsePage{Next: "p2"}}
	for _, v := range m {
		v.To, v.Format = core.Destination{Kind: core.Queue, Name: "q"}, format
		f.pages.Messages = append(f.pages.Messages, core.BrowsedMessage{Message: v, Priority: 4})
	}
	empty := &core.Message{Format: plainFormat{}}
	format[empty] = &core.Content{Kind: core.BodyNone}
	empty.Format = format
	f.pages.Messages = append(f.pages.Messages, core.BrowsedMessage{Message: empty})
	w := ask(t, New(f, master, true), "GET", "/api/v1/queues/q/messages?limit=5")
	var p Page[BrowsedMessage]
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err, w.Body)
	}
	i := p.Items
	if *i[0].Text != "hello" || i[0].ReplyTo != "queue://r" || i[0].Properties["n"] != 3.0 || i[0].Properties["nan"] != "NaN" ||
		i[0].Properties["f"] != 0.5 || i[0].Properties["t"] != "1970-01-01T00:00:00Z" || i[0].To != "queue://q" {
		t.Errorf("%+v", i[0])
	}
	if string(i[1].Bytes) != "\x00\xff" || i[1].Kind != "bytes" || i[3].Kind != "json" || i[4].Unreadable != "garbled" || i[5].Kind != "none" {
		t.Errorf("%+v", i)
	}
	if want := "x" + long[:maxBodyShown-2]; *i[2].Text != want || i[2].BodyBytes != 1+len(long) {
		t.Errorf("%d of %d bytes", len(*i[2].Text), i[2].BodyBytes)
	}
	if p.Next == "" || f.asked[0] != `browse queue://q "" 5` {
		t.Error(p.Next, f.asked)
	}
}

func TestMetrics(t *testing.T) {
	f := &fakeBroker{stats: core.Stats{Protocols: map[string]core.Traffic{"amqp": {Clients: 2, Received: 10}}, DeadLettered: map[string]uint64{"rejected": 1},
		Dropped: map[string]uint64{"slow": 2}, StoreFull: true, Queues: 3, NameBytes: 5, Duplicates: 7, DuplicateIDs: 8}, queue: []core.QueueInfo{
		{Name: "a.b", Kind: "queue", Depth: 5, InFlight: 2, OldestMs: 1500}, {Name: "a.b", Kind: "temp-queue"},
		{Name: "z\xff", Kind: "queue", Paused: true}, {Name: "z\xfe", Kind: "queue"}}}
	s := New(f, master, true)
	text := ask(t, s, "GET", "/metrics").Body.String()
	for _, want := range []string{`havenmq_messages_received_total{protocol="amqp"} 10`, `havenmq_connections{protocol="amqp"} 2`,
		`havenmq_messages_dead_lettered_total{reason="rejected"} 1`, `havenmq_messages_dropped_total{reason="slow"} 2`, "havenmq_store_full 1",
		`havenmq_ha_role{role="master"} 1`, `havenmq_ha_role{role="replica"} 0`, "havenmq_ha_epoch 3", "havenmq_log_end_position 99",
		"havenmq_store_syncs_total 5", "havenmq_queues 3", "havenmq_messages_duplicate_total 7", "havenmq_name_bytes 5", "havenmq_duplicate_ids 8", "go_goroutines", `havenmq_build_info{version="v"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, "a.b") {
		t.Error("/metrics names a queue")
	}
	text = ask(t, s, "GET", "/metrics/queues?match=a.>").Body.String()
	for _, want := range []string{`havenmq_queue_messages{queue="a.b"} 5`, `havenmq_queue_messages_ready{queue="a.b"} 3`, `havenmq_queue_oldest_message_age_seconds{queue="a.b"} 1.5`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if strings.Contains(text, "z") && strings.Contains(text, "queue=\"z") {
		t.Error("a queue that does not match")
	}
	expect(t, s, "GET", "/metrics/queues?match=>", 200, `havenmq_queue_paused{queue="\"z\\xff\""} 1`)
	for pattern, want := range map[string]string{"a.>": "a", ">": "", "a.*.b": "a", "a.b": "a.b", "a*.b.>": "a*.b", "": ""} {
		if got := literal(pattern); got != want {
			t.Errorf("%q begins with %q, not %q", pattern, got, want)
		}
	}
}

// TestBrowseSteps holds that a page of large messages ends early and goes on where it ended.
func TestBrowseSteps(t *testing.T) {
	f := &steppingBroker{left: 100}
	s := New(f, master, true)
	var p Page[BrowsedMessage]
	if err := json.Unmarshal(ask(t, s, "GET", "/api/v1/queues/q/messages?limit=90").Body.Bytes(), &p); err != nil || len(p.Items) != 90 || f.left != 10 || p.Next == "" {
		t.Errorf("%d items, %d left, %v", len(p.Items), f.left, err)
	}
	f.left, f.bytes = 100, 4<<20
	p = Page[BrowsedMessage]{}
	if err := json.Unmarshal(ask(t, s, "GET", "/api/v1/queues/q/messages?limit=90").Body.Bytes(), &p); err != nil || len(p.Items) != browseStep || p.Next == "" {
		t.Errorf("%d items, next %q, %v", len(p.Items), p.Next, err)
	}
}

// steppingBroker has so many messages left, of so many bytes.
type steppingBroker struct {
	fakeBroker
	left, bytes int
}

func (b *steppingBroker) Browse(_ core.Destination, _ string, n int) (p core.BrowsePage, _ error) {
	n = min(n, b.left)
	for range n {
		p.Messages = append(p.Messages, core.BrowsedMessage{Message: &core.Message{Bare: make([]byte, b.bytes), Format: plainFormat{}}})
	}
	if b.left -= n; b.left > 0 {
		p.Next = "on"
	}
	return p, nil
}

func TestTooManyQueuesForAScrape(t *testing.T) {
	f := &fakeBroker{queue: make([]core.QueueInfo, maxQueuesScraped+1)}
	for i := range f.queue {
		f.queue[i].Kind = "queue"
		f.queue[i].Name = "q" + strings.Repeat("0", 1+i/1000) + string(rune('a'+i%1000))
	}
	expect(t, New(f, master, true), "GET", "/metrics/queues?match=>", 400, "narrow the pattern")
}

func TestServeStops(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- New(&fakeBroker{}, master, true).Serve(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	r, err := client.Get("http://" + l.Addr().String() + "/livez")
	if err != nil || r.StatusCode != 200 {
		t.Fatal(r, err)
	}
	r.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestServeReportsABrokenListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := New(&fakeBroker{}, master, true).Serve(ctx, l); err == nil {
		t.Error("no error")
	}
}

func FuzzRequests(f *testing.F) {
	for _, s := range []string{"GET /api/v1/queues?limit=3&cursor=YQ", "PUT /api/v1/queues/%2e%2E", "DELETE /api/v1/subscriptions//", "GET /metrics/queues?match=%3e"} {
		f.Add(s)
	}
	s := New(&fakeBroker{queue: []core.QueueInfo{{Name: "a"}}}, master, false)
	f.Fuzz(func(t *testing.T, request string) {
		method, path, _ := strings.Cut(request, " ")
		r, err := http.NewRequest(method, "http://h/"+strings.TrimPrefix(path, "/"), nil)
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%s: %d %s", request, w.Code, w.Body)
		}
	})
}
