package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// asProgram makes this test binary be the program: `start` runs its own executable.
const asProgram = "TEST_AS_HAVENMQ"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// said is what a command wrote, and its exit code.
type said struct {
	code     int
	out, err string
}

// havenmq runs a command with nothing in its environment but extra, and no input.
func havenmq(t *testing.T, args ...string) said {
	t.Helper()
	return havenmqWith(t, "", nil, args...)
}

func havenmqWith(t *testing.T, in string, environ []string, args ...string) said {
	t.Helper()
	var out, err bytes.Buffer
	code := run(context.Background(), args, &streams{in: strings.NewReader(in), out: &out, err: &err, environ: environ})
	return said{code, out.String(), err.String()}
}

// want fails unless a command ended so, with these words in what it wrote.
func (s said) want(t *testing.T, code int, words ...string) {
	t.Helper()
	if s.code != code {
		t.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", s.code, code, s.out, s.err)
	}
	for _, w := range words {
		if !strings.Contains(s.out+s.err, w) {
			t.Errorf("%q is missing\nstdout: %s\nstderr: %s", w, s.out, s.err)
		}
	}
	if code != 0 && s.err == "" {
		t.Errorf("exit code %d and nothing on stderr", code)
	}
}

func TestAskedWrongly(t *testing.T) {
	for _, args := range []string{
		"", "bogus", "queue", "queue show", "queue ls -o xml", "queue ls --node ftp://x", "send", "send > x", "send orders x -n 0", "send orders x --url http://x",
		"receive", "receive orders -n -1", "browse topic://a", "browse temp-queue://a", "query", "query -QTable=x", "status --node nowhere", "stop --node nowhere",
		"config check", "serve --log-level loud", "send orders x --property noequals",
	} {
		havenmq(t, strings.Fields(args)...).want(t, exitUsage, "Try")
	}
}

// What another dialect would call a destination is no new queue here.
func TestOtherDialects(t *testing.T) {
	for text, words := range map[string]string{
		"topic:/x": "write topic://x", "queue:A": "write queue://A", "/queue/A": "write queue://A", "/topic/A.B": "write topic://A.B",
		"$queue/a/b": "write queue://a.b", "queue://A,topic://B": "not supported yet", "A,topic://B": "not supported yet",
	} {
		for _, command := range []string{"send", "receive", "browse"} {
			havenmq(t, command, text, "--url", "amqp://127.0.0.1:1").want(t, exitUsage, words)
		}
		havenmq(t, "queue", "create", text, "--node", "http://127.0.0.1:1").want(t, exitUsage, words)
	}
	havenmq(t, "send", "queue:///queue/A", "x", "--url", "amqp://127.0.0.1:1").want(t, exitFailed, "refused")
}

// Every command explains itself with an example.
func TestEveryHelpHasAnExample(t *testing.T) {
	k, err := kong.New(&commands{}, kong.Vars{"version": ""})
	if err != nil {
		t.Fatal(err)
	}
	leaves := k.Model.Leaves(true)
	if len(leaves) < 15 {
		t.Fatalf("%d commands", len(leaves))
	}
	for _, leaf := range leaves {
		args := append(strings.Fields(strings.TrimPrefix(strings.Split(leaf.FullPath(), " <")[0], k.Model.Name)), "--help")
		havenmq(t, args...).want(t, 0, "Example: havenmq "+strings.Join(args[:len(args)-1], " "))
	}
}

// The answer says what to write.
func TestNewcomersMistakes(t *testing.T) {
	havenmq(t, "help").want(t, 0, "Usage: havenmq")
	havenmq(t, "help", "send").want(t, 0, "Example: havenmq send")
	for args, words := range map[string]string{
		"bogus": `unknown command "bogus"`, "receive a --timeout 5": "write 5s", "send a b --url failover:(tcp://a:1)": "OpenWire is not spoken",
		"send a b --url tcp://127.0.0.1:1": "OpenWire is not spoken",
	} {
		havenmq(t, strings.Fields(args)...).want(t, exitUsage, words)
	}
	if got := havenmq(t, "queue", "ls", "--node", "http://127.0.0.1:1"); strings.Contains(got.err, "/api/") || strings.Contains(got.err, "dial tcp") {
		t.Error(got.err)
	}
}

func TestVersion(t *testing.T) {
	havenmq(t, "--version").want(t, 0, "havenmq "+version)
}

// Port 1 of loopback has no listener.
func TestNoNodeAnswers(t *testing.T) {
	for _, args := range []string{"status", "queue ls", "queue show a", "queue create a", "queue delete a", "queue purge a", "queue pause a", "queue resume a",
		"topic ls", "browse a", "subscription ls", "subscription delete a", "query -QQueue=a", "query -QTopic=a", "stop"} {
		havenmq(t, append(strings.Fields(args), "--node", "http://127.0.0.1:1")...).want(t, exitFailed, "no node answers", "havenmq start")
	}
	havenmqWith(t, "", []string{"HAVENMQ_NODE=http://127.0.0.1:1"}, "queue", "ls").want(t, exitFailed, "http://127.0.0.1:1")
	for _, scheme := range []string{"amqp", "mqtt", "stomp"} {
		havenmq(t, "send", "a", "b", "--url", scheme+"://127.0.0.1:1").want(t, exitFailed, "connection refused", "havenmq status")
	}
	havenmq(t, "stop", "--data", t.TempDir()).want(t, exitFailed, "no node serves", "it is not running")
	havenmq(t, "stop", "--node", "http://192.0.2.1:8161").want(t, exitFailed, "another machine")
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "havenmq.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigCheck(t *testing.T) {
	havenmq(t, "config", "check", write(t, "brokerName: a\n")).want(t, 0, "is valid")
	havenmq(t, "config", "check", write(t, "brokerNam: a\n")).want(t, exitFailed, ":1:1", "brokerName")
	havenmq(t, "config", "check", "nowhere.yaml").want(t, exitFailed, "does not exist")
	havenmq(t, "config", "show", "--admin", "").want(t, 0, "address: \"\"")
	users := write(t, "users: users.yaml\n")
	havenmq(t, "config", "check", users).want(t, 0, "is valid, but `serve` refuses it: ", "log-ins")
	havenmq(t, "config", "show", "--effective", "--config", users, "--data", "d").want(t, 0, "users: users.yaml", "dataDirectory: d", "amqp://127.0.0.1:5672")
}

// What this build cannot honour is refused, not left out.
func TestServeRefuses(t *testing.T) {
	for text, words := range map[string]string{
		"users: users.yaml\n": "log-ins",
		"persistenceAdapter: {replicatedLevelDB: {replicas: 1, bind: 'tcp://127.0.0.1:0'}}\n": "names no port",
		"transportConnectors: [{uri: 'amqp://0.0.0.0:0'}]\n":                                  "nobody has to log in",
	} {
		for _, command := range []string{"serve", "start"} {
			havenmq(t, command, "--data", t.TempDir(), "--config", write(t, text)).want(t, exitFailed, words)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"*", "a.b", true}, {"a*", "abc", true}, {"a*", "ba", false}, {"*c", "abc", true}, {"a*c", "abc", true},
		{"a*c", "ab", false}, {"a*b*c", "a-b-c", true}, {"a*b*c", "a-c-b", false}, {"aa*aa", "aaa", false}, {"", "a", false},
	} {
		if got := matches(c.pattern, c.name); got != c.want {
			t.Errorf("matches(%q, %q) is %v", c.pattern, c.name, got)
		}
	}
}

func TestSizesAndAges(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 1 << 40: "1.0 TiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d bytes are %q", n, got)
		}
	}
	for ms, want := range map[int64]string{0: "-", 1500: "1.5s", 61_000: "1m1s", 90_000_000: "1d1h"} {
		if got := ageText(ms); got != want {
			t.Errorf("%d ms are %q", ms, got)
		}
	}
}
