package node

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/havenmq/havenmq/cmd/internal/config"
	"github.com/havenmq/havenmq/persist"
)

// TestPausedMasterIsSilent holds that a client hears nothing from a master that no quorum hears, and then all of it.
func TestPausedMasterIsSilent(t *testing.T) {
	o, log := options(t, persist.NewMemFS())
	l, err := config.Parse(config.Source{File: "test"}, []byte(`
transportConnectors: [{uri: 'stomp://127.0.0.1:0'}]
persistenceAdapter: {levelDB: {directory: store, logSize: 1mb}}
admin: {address: '127.0.0.1:0'}
dataDirectory: `+t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	o.Config = l.Config
	n := start(t, o)
	c, err := net.Dial("tcp", strings.TrimPrefix(n.Info().Transports[0].URL, "stomp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	say := func(frame string) {
		t.Helper()
		if _, err := io.WriteString(c, frame+"\n\n\x00"); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(command string) {
		t.Helper()
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		frame, err := in.ReadString(0)
		if got, _, _ := strings.Cut(strings.TrimLeft(frame, "\n"), "\n"); err != nil || got != command {
			t.Fatalf("want %s, got %q (%v)", command, frame, err)
		}
		if _, err := in.ReadByte(); err != nil { // the end of its line
			t.Fatal(err)
		}
	}
	say("CONNECT\naccept-version:1.2\nhost:x")
	hear("CONNECTED")
	say("SUBSCRIBE\nid:1\ndestination:/topic/t\nreceipt:s")
	hear("RECEIPT")
	(*part)(n).Pause(true)
	say("SEND\ndestination:/topic/t\nreceipt:r")
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if b, err := in.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a paused master says %q (%v)", b, err)
	}
	(*part)(n).Pause(false)
	hear("RECEIPT")
	hear("MESSAGE")
	_ = c.Close() // all was heard
	if err := stop(t, n); err != nil {
		t.Error(err)
	}
	if got := log.messages(t, "warn"); len(got) != 1 || !strings.HasPrefix(got[0], "Paused") {
		t.Errorf("warned %q", got)
	}
}
