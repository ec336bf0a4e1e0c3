package amqp

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/protocols/peer"
)

// FuzzMachine drives a connection with performatives that are well formed, in any order.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{})
	for seed := range uint64(32) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := []byte{0, 0, 0, 0, 4}
		for range 300 {
			b = append(b, byte(r.Uint32()))
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, choices []byte) { newWorld(t, choices).run() })
}

// TestMachine is the same with more chances than the corpus has.
func TestMachine(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		b := make([]byte, 600)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		newWorld(t, b).run()
	}
}

// FuzzSession gives a connection bytes from the first on, however they are cut, while the core answers and delivers.
func FuzzSession(f *testing.F) {
	sasl := "AMQP\x03\x01\x00\x00"
	for _, p := range []performative{&saslInit{mechanism: mechanismPlain, response: []byte("\x00u\x00p")}, &saslInit{mechanism: mechanismAnonymous}, &saslInit{mechanism: "X"}, &saslResponse{}} {
		b, err := newCodec().Append([]byte(sasl), frameOf(p))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(b, recorded(f)[0]...))
	}
	for _, b := range recorded(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { newWorld(t, nil).play(b, func() bool { return true }) })
}

// play gives bytes to the end, with a core that answers when it likes.
func (w *world) play(b []byte, answer func() bool) {
	for len(b) > 0 && !w.ended {
		f, took, _, err := w.codec.Decode(b)
		if err != nil {
			w.machine.Malformed(err, w.now, &w.out)
			w.discard()
			break
		}
		if took == 0 {
			break
		}
		w.machine.Receive(f, w.now, &w.out)
		w.discard()
		for len(w.tickets) > 0 && answer() {
			w.machine.Done(&core.Completion{Ticket: w.tickets[0], Dest: ordersQueue}, w.now, &w.out)
			w.tickets = w.tickets[1:]
			w.discard()
		}
		w.machine.(peer.Flusher[Frame]).Flush(w.now, &w.out)
		w.discard()
		w.handOver()
		b = b[took:]
	}
	w.machine.Evict(&core.Error{Code: core.CodeShutdown}, w.now, &w.out)
	w.discard()
}

// recorded are the client's bytes of the scripts.
func recorded(t testing.TB) (all [][]byte) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts")
	}
	codec := &codec{limits: &limits{ownFrame: 1 << 30, peerFrame: 1 << 30}}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for part := range strings.SplitSeq(string(text), "\nnew") {
			all = append(all, record(t, codec, part))
		}
	}
	return all
}

// record encodes what the client says in one part of a script.
func record(t testing.TB, codec *codec, part string) []byte {
	b := []byte("AMQP\x00\x01\x00\x00")
	for line := range strings.SplitSeq("> open containerID=me\n> begin\n"+part, "\n") {
		line, ok := strings.CutPrefix(line, "> ")
		if first := words(line); !ok || performatives[first[0]] == nil || first[0] == "open" && len(b) > 100 {
			continue
		}
		p, rest := readPerformative(t, line)
		f := frameOf(p)
		if f.channel = 0; p.kind() == kindTransfer {
			f.payload = message(t, rest)
		}
		var err error
		if b, err = codec.Append(b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// mutate spoils a session: bytes, cuts, repeats, exchanges.
func mutate(r *rand.Rand, b []byte) []byte {
	b = append([]byte(nil), b...)
	for range 1 + r.IntN(6) {
		at, n := 8+r.IntN(len(b)-8), r.IntN(64)
		end := min(at+n, len(b))
		switch r.IntN(5) {
		case 0, 1:
			b[at] = byte(r.Uint32())
		case 2:
			b[at] ^= 1 << r.IntN(8)
		case 3:
			b = append(b[:at:at], b[end:]...)
		case 4:
			b = append(b[:end:end], b[at:]...)
		}
		if len(b) <= 9 {
			break
		}
	}
	return b
}

// TestMutatedSessions sends spoilt sessions through codec and machine, while the core answers and delivers.
func TestMutatedSessions(t *testing.T) {
	sessions := recorded(t)
	for seed := range uint64(10_000) {
		r := rand.New(rand.NewPCG(seed, 3))
		newWorld(t, nil).play(mutate(r, sessions[r.IntN(len(sessions))]), func() bool { return r.IntN(5) > 0 })
	}
}

// handOver gives each subscription what it may have, up to three.
func (w *world) handOver() {
	for _, id := range w.order {
		for n := 0; w.subs[id] != nil && w.subs[id].used < w.subs[id].limit && n < 3; n++ {
			w.subs[id].used++
			w.machine.Deliver(&core.Delivery{Sub: id, Message: &core.Message{Format: Format, Bare: sections(section_(kindData, make([]byte, 300)))}}, w.now, &w.out)
			w.discard()
		}
	}
}

// discard takes what the machine asks for without holding it to what the peer allowed: nobody knows that here.
func (w *world) discard() {
	for _, f := range w.out.Frames {
		if b, err := w.codec.Append(nil, f); err == nil {
			if _, n, _, err := w.back.Decode(b); err != nil || n != len(b) {
				w.t.Fatalf("our own frame %x: %v", b, err)
			}
		} else if err != errPeerFrame {
			w.t.Fatal(err)
		}
	}
	for _, op := range w.out.Ops {
		if op.Kind != core.OpSettle {
			w.op(&op)
		} else if op.Ticket != 0 {
			w.tickets = append(w.tickets, op.Ticket)
		}
	}
	w.ended = w.ended || w.out.Close != nil
	w.out = peer.Out[Frame]{}
}
