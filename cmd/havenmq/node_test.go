package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/havenmq/havenmq/cmd/internal/pidfile"
	"github.com/havenmq/havenmq/protocols/admin"
)

// served is a node that runs in this process.
type served struct {
	t     *testing.T
	urls  map[string]string // by connector, and "admin"
	dir   string
	stop  context.CancelFunc
	ended chan said
}

var bannerLine = regexp.MustCompile(`^  (\w+) +(\S+)$`)

// serve runs `serve` on ports of the kernel's until the test ends.
func serve(t *testing.T, dir string) *served {
	t.Helper()
	s := &served{t: t, urls: map[string]string{}, dir: dir, ended: make(chan said, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	r, w := io.Pipe()
	log := &shared{}
	go func() {
		args := []string{"serve", "--data", dir, "--admin", "127.0.0.1:0"}
		for _, scheme := range []string{"amqp", "mqtt", "stomp"} {
			args = append(args, "--transport", scheme+"://127.0.0.1:0")
		}
		code := run(ctx, args, &streams{out: w, err: log})
		_ = w.Close() // a pipe's end does not fail
		s.ended <- said{code: code, err: log.String()}
	}()
	var banner bytes.Buffer
	for one := make([]byte, 1); s.urls["admin"] == ""; {
		if _, err := r.Read(one); err != nil {
			t.Fatalf("serve ended: %s%s", banner.String(), log.String())
		}
		banner.Write(one)
		if one[0] == '\n' {
			if m := bannerLine.FindStringSubmatch(lastLine(banner.String())); m != nil {
				s.urls[m[1]] = m[2]
			}
		}
	}
	go func() { _, _ = io.Copy(io.Discard, r) }() // until the pipe is closed
	if head, _, _ := strings.Cut(banner.String(), "\n"); !strings.Contains(head, "master") || !strings.Contains(head, dir) {
		t.Errorf("the banner begins %q", head)
	}
	t.Cleanup(func() {
		if s.stop != nil {
			s.end().want(t, 0)
		}
	})
	return s
}

// end stops the node as a signal does.
func (s *served) end() said {
	s.stop()
	s.stop = nil
	return <-s.ended
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	return lines[len(lines)-1]
}

// shared is a buffer for several goroutines.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// ask runs a command against the node.
func (s *served) ask(args ...string) said {
	s.t.Helper()
	return havenmqWith(s.t, "", []string{"HAVENMQ_NODE=" + s.urls["admin"]}, args...)
}

func TestMessagesOverEveryProtocol(t *testing.T) {
	s := serve(t, t.TempDir())
	for _, from := range []string{"amqp", "mqtt", "stomp"} {
		for _, to := range []string{"amqp", "mqtt", "stomp"} {
			queue := from + "-" + to
			s.ask("send", queue, "Grüße 😀", "--property", "k=v=w", "--url", s.urls[from]).want(t, 0, "Sent 1 to queue://"+queue)
			got := s.ask("receive", queue, "--timeout", "10s", "-o", "json", "--url", s.urls[to])
			got.want(t, 0)
			var m shownMessage
			if err := json.Unmarshal([]byte(got.out), &m); err != nil {
				t.Fatalf("%s: %v in %q", queue, err, got.out)
			}
			if m.Text == nil || *m.Text != "Grüße 😀" || m.Properties["k"] != "v=w" || !m.Durable {
				t.Errorf("%s: received %s", queue, got.out)
			}
		}
	}
}

func TestBytesOverEveryProtocol(t *testing.T) {
	s := serve(t, t.TempDir())
	var every []byte
	for i := range 256 {
		every = append(every, byte(i))
	}
	for _, from := range []string{"amqp", "mqtt", "stomp"} {
		for _, to := range []string{"amqp", "mqtt", "stomp"} {
			havenmqWith(t, string(every), nil, "send", "bytes", "-n", "2", "--url", s.urls[from]).want(t, 0)
			got := s.ask("receive", "bytes", "-n", "2", "--timeout", "10s", "--url", s.urls[to])
			if got.want(t, 0); got.out != string(every)+"\n"+string(every)+"\n" {
				t.Errorf("%s to %s: received %q", from, to, got.out)
			}
		}
	}
}

func TestTopicOverEveryProtocol(t *testing.T) {
	s := serve(t, t.TempDir())
	for _, to := range []string{"amqp", "mqtt", "stomp"} {
		received := make(chan said)
		go func() {
			received <- s.ask("receive", "topic://news.*", "-n", "3", "--timeout", "20s", "--url", s.urls[to])
		}()
		s.subscribed("news.*", true)
		for _, from := range []string{"amqp", "mqtt", "stomp"} {
			s.ask("send", "topic://news."+from, from, "--url", s.urls[from]).want(t, 0)
		}
		got := <-received
		if got.want(t, 0); got.out != "amqp\nmqtt\nstomp\n" {
			t.Errorf("%s received %q", to, got.out)
		}
		s.subscribed("news.*", false) // the broker may see the goodbye later than its sender ends
	}
}

// subscribed waits until a topic has a subscription, or has none.
func (s *served) subscribed(topic string, want bool) {
	s.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); strings.Contains(s.ask("subscription", "ls").out, topic) != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("subscribed to %s: want %t\n%s", topic, want, s.ask("subscription", "ls").out)
		}
	}
}

func TestReceiveInTime(t *testing.T) {
	s := serve(t, t.TempDir())
	for _, scheme := range []string{"amqp", "mqtt", "stomp"} {
		s.ask("receive", "empty", "--timeout", "100ms", "--url", s.urls[scheme]).want(t, exitFailed, "received 0 of 1", "the timeout")
		s.ask("send", "some", "x", "--url", s.urls[scheme]).want(t, 0)
		if got := s.ask("receive", "some", "-n", "0", "--timeout", "500ms", "--url", s.urls[scheme]); got.code != 0 || got.out != "x\n" {
			t.Errorf("%s: %+v", scheme, got)
		}
	}
}

// A list of brokers is gone through again when the one that was used says goodbye.
func TestReceiveGoesOnElsewhere(t *testing.T) {
	for _, scheme := range []string{"amqp", "mqtt", "stomp"} {
		first, second := serve(t, t.TempDir()), serve(t, t.TempDir())
		first.ask("send", "q", "one", "--url", first.urls[scheme]).want(t, 0)
		second.ask("send", "q", "two", "-n", "2", "--url", second.urls[scheme]).want(t, 0)
		received := make(chan said, 1)
		go func() {
			received <- second.ask("receive", "q", "-n", "2", "--timeout", "30s", "--url", "failover:("+first.urls[scheme]+","+second.urls[scheme]+")")
		}()
		for deadline := time.Now().Add(20 * time.Second); !strings.Contains(first.ask("query", "-QQueue=q").out, "DequeueCount = 1\n"); {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the first message is not acknowledged", scheme)
			}
		}
		first.end().want(t, 0)
		// The goodbye may come before the answer to the acknowledgement: the message then does not count.
		if got := <-received; got.code != 0 || strings.TrimSuffix(got.out, "two\n") != "one\n" && got.out != "one\ntwo\ntwo\n" {
			t.Errorf("%s: %+v", scheme, got)
		}
	}
}

// A goodbye is said in words to who has no other broker.
func TestReceiveSaysGoodbyeInWords(t *testing.T) {
	s := serve(t, t.TempDir())
	s.ask("send", "q", "one", "--url", s.urls["amqp"]).want(t, 0)
	received := make(chan said, 1)
	go func() {
		received <- havenmqWith(t, "", nil, "receive", "q", "-n", "2", "--timeout", "30s", "--url", s.urls["amqp"])
	}()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(s.ask("query", "-QQueue=q").out, "DequeueCount = 1\n"); {
		if time.Now().After(deadline) {
			t.Fatal("the message is not acknowledged")
		}
	}
	s.end().want(t, 0)
	got := <-received
	got.want(t, exitFailed, "amqp:connection:forced: ")
	if strings.Contains(got.err, "*Error{") {
		t.Error(got.err)
	}
}

func TestBrowse(t *testing.T) {
	s := serve(t, t.TempDir())
	s.ask("send", "shelf", "book", "-n", "150", "--url", s.urls["amqp"]).want(t, 0)
	for _, over := range [][]string{nil, {"--url", s.urls["amqp"]}, nil} {
		if got := s.ask(append([]string{"browse", "shelf"}, over...)...); got.code != 0 || got.out != strings.Repeat("book\n", 150) {
			t.Errorf("exit code %d, %d bytes, %s", got.code, len(got.out), got.err)
		}
		if got := s.ask(append([]string{"browse", "shelf", "-n", "3", "-o", "json"}, over...)...); got.code != 0 || strings.Count(got.out, `"text":"book"`) != 3 {
			t.Errorf("%+v", got)
		}
	}
	s.ask("browse", "nothing").want(t, exitFailed, "havenmq queue ls")
	s.ask("browse", "shelf", "--url", s.urls["mqtt"]).want(t, exitFailed, "amqp://")
	s.ask("browse", "shelf", "--url", s.urls["stomp"]).want(t, exitFailed, "amqp://")
	s.ask("queue", "show", "shelf").want(t, 0, "150")
}

func TestQueueCommands(t *testing.T) {
	s := serve(t, t.TempDir())
	s.ask("queue", "create", "queue://a/b c").want(t, 0, "a/b c exists")
	s.ask("queue", "ls").want(t, 0, "QUEUE", "a/b c", "running")
	s.ask("queue", "pause", "a/b c").want(t, 0, "paused")
	s.ask("send", "a/b c", "x", "-n", "3", "--url", s.urls["amqp"]).want(t, 0)
	s.ask("receive", "a/b c", "--timeout", "100ms", "--url", s.urls["amqp"]).want(t, exitFailed, "received 0")
	s.ask("queue", "show", "a/b c").want(t, 0, "paused")
	s.ask("queue", "resume", "a/b c").want(t, 0, "is resumed")
	s.ask("receive", "a/b c", "--timeout", "5s", "--url", s.urls["amqp"]).want(t, 0, "x")
	s.ask("query", "-QQueue=a/*").want(t, 0, "QueueSize = 2\n", "EnqueueCount = 3\n", "DequeueCount = 1\n", "ConsumerCount = 0\n")
	s.ask("queue", "purge", "a/b c").want(t, 0, "2 messages of queue a/b c are purged")
	s.ask("queue", "purge", "a/b c", "-o", "json").want(t, 0, `"messages": 0`)
	s.ask("queue", "delete", "a/b c").want(t, 0, "deleted")
	for _, verb := range []string{"show", "delete", "purge", "pause", "resume"} {
		s.ask("queue", verb, "a/b c").want(t, exitFailed, "havenmq queue ls")
	}
	s.ask("query", "-QQueue=a/*").want(t, exitFailed, "havenmq queue ls")
	var list []any
	if got := s.ask("queue", "ls", "-o", "json"); json.Unmarshal([]byte(got.out), &list) != nil || len(list) != 0 {
		t.Errorf("%+v", got)
	}
}

// What another protocol's port and a refusal say is said in words.
func TestWrongPortAndRefusal(t *testing.T) {
	s := serve(t, t.TempDir())
	s.ask("send", "a", "b", "--timeout", "5s", "--url", strings.Replace(s.urls["mqtt"], "mqtt:", "stomp:", 1)).want(t, exitFailed, "does not speak stomp? wrong port")
	got := s.ask("send", strings.Repeat("a", 5000), "b", "--url", s.urls["amqp"])
	if got.code == 0 || strings.Contains(got.err, "*Error{") {
		t.Errorf("%+v", got)
	}
}

func TestTopicCommands(t *testing.T) {
	s := serve(t, t.TempDir())
	s.ask("send", "topic://t.1", "x", "--url", s.urls["amqp"]).want(t, 0)
	s.ask("topic", "ls").want(t, 0, "TOPIC", "t.1")
	s.ask("query", "-QTopic=t.*").want(t, 0, "EnqueueCount = 1", "destinationType = Topic")
	s.ask("subscription", "ls").want(t, 0, "CLIENT")
	s.ask("subscription", "delete", "nobody", "nothing").want(t, exitFailed, "nobody")
	s.ask("subscription", "delete", "nobody").want(t, exitFailed, "nobody")
}

func TestStatus(t *testing.T) {
	s := serve(t, t.TempDir())
	s.ask("status").want(t, 0, "master", s.dir, s.urls["amqp"], s.urls["admin"], "disk")
	s.ask("status", "--node", strings.TrimPrefix(s.urls["admin"], "http://")).want(t, 0, "master")
	var i admin.NodeInfo
	if err := json.Unmarshal([]byte(s.ask("status", "-o", "json").out), &i); err != nil || i.PID != os.Getpid() || i.Role != admin.RoleMaster || !i.Ready {
		t.Errorf("%+v, %v", i, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	var out bytes.Buffer
	if code := run(ctx, []string{"status", "--watch", "--node", s.urls["admin"]}, &streams{out: &out, err: io.Discard}); code != 0 || strings.Count(out.String(), "master") != 1 {
		t.Errorf("watch: exit code %d, %s", code, out.String())
	}
}

// What was stored is there after a restart; the epoch goes up.
func TestServesAgain(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	s.ask("send", "kept", "x", "-n", "20", "--url", s.urls["amqp"]).want(t, 0)
	s.ask("send", "kept", "y", "--non-durable", "--url", s.urls["amqp"]).want(t, 0)
	s.end().want(t, 0, "Master started", "Stopping", "Stopped")
	if _, ok, err := pidfile.Running(dir); ok || err != nil {
		t.Errorf("a node still runs: %v, %v", ok, err)
	}
	s = serve(t, dir)
	s.ask("status").want(t, 0, "Epoch      2")
	if got := s.ask("receive", "kept", "-n", "20", "--timeout", "5s", "--url", s.urls["amqp"]); got.code != 0 || got.out != strings.Repeat("x\n", 20) {
		t.Errorf("%+v", got)
	}
	s.ask("query", "-QQueue=kept").want(t, 0, "QueueSize = 0")
}

// One directory, one node; one port, one node.
func TestTakenAlready(t *testing.T) {
	s := serve(t, t.TempDir())
	havenmq(t, "serve", "--data", s.dir).want(t, exitFailed, "served by process", "havenmq stop")
	havenmq(t, "start", "--data", s.dir).want(t, exitFailed, "served by process", "havenmq stop")
	other := t.TempDir()
	havenmq(t, "serve", "--data", other, "--transport", s.urls["amqp"], "--admin", "127.0.0.1:0").want(t, exitFailed, "address already in use", "--transport")
	havenmq(t, "serve", "--data", other, "--transport", "amqp://127.0.0.1:0", "--admin", strings.TrimPrefix(s.urls["admin"], "http://")).want(t, exitFailed, "address already in use", "--admin")
	if _, ok, err := pidfile.Running(other); ok || err != nil {
		t.Errorf("what did not start still holds its directory: %v, %v", ok, err)
	}
}

func TestStartAndStop(t *testing.T) {
	dir := t.TempDir()
	environ := append(os.Environ(), asProgram+"=1")
	args := []string{"--data", dir, "--transport", "amqp://127.0.0.1:0", "--admin", "127.0.0.1:0"}
	havenmqWith(t, "", environ, append([]string{"start"}, args...)...).want(t, 0, "runs: process")
	pid, ok, err := pidfile.Running(dir)
	if !ok || err != nil {
		t.Fatalf("nobody holds the pid file: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) }) // it has ended, unless the test failed
	havenmqWith(t, "", environ, append([]string{"start"}, args...)...).want(t, exitFailed, fmt.Sprint(pid))
	havenmq(t, "stop", "--data", dir).want(t, 0, fmt.Sprintf("Process %d has stopped", pid))
	log, err := os.ReadFile(filepath.Join(dir, logName))
	if err != nil || !strings.Contains(string(log), "Master started") || !strings.Contains(string(log), "Stopped") {
		t.Errorf("the log is %q, %v", log, err)
	}
	if _, err := os.Stat(filepath.Join(dir, pidfile.Name)); !os.IsNotExist(err) {
		t.Errorf("the pid file is still there: %v", err)
	}
	havenmq(t, "stop", "--data", dir).want(t, exitFailed, "no node serves")
}

func TestStartThatFailsSaysWhy(t *testing.T) {
	s := serve(t, t.TempDir())
	environ := append(os.Environ(), asProgram+"=1")
	havenmqWith(t, "", environ, "start", "--data", t.TempDir(), "--transport", s.urls["amqp"], "--admin", "127.0.0.1:0").want(t, exitFailed, "the node ended at once", "address already in use")
}

// `stop --node` finds the process by asking.
func TestStopByNode(t *testing.T) {
	dir := t.TempDir()
	environ := append(os.Environ(), asProgram+"=1")
	havenmqWith(t, "", environ, "start", "--data", dir, "--transport", "amqp://127.0.0.1:0", "--admin", "127.0.0.1:0").want(t, 0)
	log, err := os.ReadFile(filepath.Join(dir, logName))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(log)), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("a log line is not JSON: %s", line)
		}
	}
	m := regexp.MustCompile(`http://[0-9.:]+`).Find(log)
	if m == nil {
		t.Fatalf("no admin URL in %s", log)
	}
	havenmq(t, "stop", "--node", strings.Trim(strings.TrimPrefix(string(m), "http://"), `"}`)).want(t, 0, "has stopped")
}
