package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/havenmq/havenmq/cmd/internal/config"
	"github.com/havenmq/havenmq/protocols/admin"
)

// Who may use an open node is a warning, also where programs read the log.
func TestAnnounceWarnsOffLoopback(t *testing.T) {
	l, err := config.Parse(config.Source{File: "f"}, []byte("allowAnonymous: true\ntransportConnectors: [{uri: 'amqp://0.0.0.0:5672'}]"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	announce(logger(&out, "warn"), l.Config, admin.NodeInfo{})
	if s := out.String(); !strings.Contains(s, `"level":"warn"`) || !strings.Contains(s, "amqp://0.0.0.0:5672") {
		t.Errorf("logged %q", s)
	}
}
