package amqp

import (
	"testing"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// The rim is told what messages take that are not whole: to the byte, and nothing once they are, were aborted, or their
// link has gone.
func TestHeldBytes(t *testing.T) {
	options := Options{MaxMessageBytes: 1000}
	r := &inbound{link: link{session: &session{conn: &connection{options: options}}, status: attached}, limit: 10}
	c := r.session.conn
	var holder peer.Holder = c
	part := make([]byte, 300)
	for i, want := range []int{300, 600, 1000, 1000} {
		if e := r.gather(part[:min(300, 1000-i*300)]); e != nil {
			t.Fatal(e)
		}
		if got, _ := holder.HeldBytes(); got != cap(r.partial) || got < want || got > 1100 {
			t.Errorf("after %d parts: %d bytes are held by a buffer of %d, want about %d", i+1, got, cap(r.partial), want)
		}
	}
	r.letGo()
	if got, _ := holder.HeldBytes(); got != 0 || c.partial != 0 {
		t.Errorf("%d bytes are held of no message", got)
	}
}

// What the allowance of all connections refuses is a limit of ours in AMQP's words.
func TestRefusedForOthers(t *testing.T) {
	e := wireErrorOf(&core.Error{Code: core.CodeFull, Subject: "messages under way", Detail: "too many"})
	if e.condition != condLimit {
		t.Errorf("condition %s, want %s", e.condition, condLimit)
	}
}
