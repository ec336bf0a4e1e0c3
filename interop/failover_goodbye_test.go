package interop

import (
	"errors"
	"fmt"
	"strings"

	"github.com/Azure/go-amqp"
	"github.com/eclipse/paho.golang/packets"

	"github.com/havenmq/havenmq/interop/cluster"
)

// A master that hands over says goodbye to each client in its protocol's words, and where to go on if that is known.
func goodbyesNameTheNext(f *failover) {
	for _, known := range []bool{true, false} {
		f.whole()
		next := f.c.Others(f.master)[0]
		order := []string{"cluster", "promote", "--node", f.master.Admin()}
		if known {
			order = append(order, next.Host)
		}
		conn, _ := f.amqp("moved-amqp")
		s := dialSTOMP(f.T, f.master, "moved-stomp")
		m := f.packetClient("moved-mqtt")
		*f.times++
		if _, err := f.c.Command(order...); err != nil {
			f.Fatal(err)
		}
		text, err := s.Expect("ERROR")
		if err != nil {
			f.Fatal(err)
		}
		if at := next.Addr("stomp"); known != strings.Contains(string(text.Body), "connect to "+at) {
			f.Errorf("STOMP, next known %v: %v %q", known, text.Headers, text.Body)
		}
		bye := m.Get(packets.DISCONNECT, 0).Content.(*packets.Disconnect)
		code, at := byte(packets.DisconnectServerShuttingDown), ""
		if known {
			code, at = packets.DisconnectServerMoved, next.Addr("mqtt")
		}
		if bye.ReasonCode != code || bye.Properties.ServerReference != at {
			f.Errorf("MQTT, next known %v: code %#x, %q", known, bye.ReasonCode, bye.Properties.ServerReference)
		}
		f.wantForced(conn, known, next)
		if known {
			if err := cluster.Until(answerTimeout, "the next node serves", func() bool {
				master, err := f.c.Serving(answerTimeout)
				return err == nil && master == next
			}); err != nil {
				f.Error(err)
			}
		}
	}
}

// wantForced looks at how an AMQP connection ended.
func (f *failover) wantForced(conn *amqp.Conn, known bool, next *cluster.Node) {
	f.Helper()
	_, err := conn.NewSession(f.ctx(), nil)
	var ended *amqp.ConnError
	if !errors.As(err, &ended) || ended.RemoteErr == nil || ended.RemoteErr.Condition != amqp.ErrCondConnectionForced {
		f.Fatalf("AMQP, next known %v: %v", known, err)
	}
	want := "map[]"
	if host, port, _ := strings.Cut(next.Addr("amqp"), ":"); known {
		want = fmt.Sprintf("map[hostname:%s network-host:%s port:%s]", host, host, port)
	}
	if got := fmt.Sprint(ended.RemoteErr.Info); got != want {
		f.Errorf("AMQP, next known %v: %s, want %s", known, got, want)
	}
}
