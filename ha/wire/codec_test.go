package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// frames is one of each kind, with every field set.
func frames() []ha.Frame {
	return []ha.Frame{
		ha.Hello{ClusterID: persist.ID{1}, NodeID: persist.ID{2}, Generation: 3, Incarnation: 4, Addr: "node-a:61619", Admin: "http://node-a:8161",
			Promised: 5, Incoming: true, Voter: true, History: []persist.EpochStart{{Epoch: 1, Start: 0}, {Epoch: 4, Start: 900}}, Start: 6, End: 7},
		ha.Attach{Epoch: 1, Cut: 2, VoterAt: 3, Commit: 4, Files: 5, Restart: true, Header: bytes.Repeat([]byte{9}, MaxSegmentHeader)},
		ha.Append{Epoch: 1, Base: 2, Commit: 3, Batches: []byte("batches")},
		ha.Ack{Epoch: 1, Received: 2, Synced: 3, Applied: 4, Voter: true, Incoming: true, Full: true},
		ha.Heartbeat{Epoch: 1, Seq: 2, Heard: 3, Commit: 4},
		ha.Reject{Epoch: 1, Promised: 2, Reason: "no seat", Fatal: true},
		ha.HandOver{Epoch: 1, To: persist.ID{3}},
	}
}

func decode(b []byte) (ha.Frame, error) {
	if len(b) < HeaderBytes {
		return nil, malformed("short")
	}
	h, err := DecodeHeader(b, true)
	if err != nil {
		return nil, err
	}
	if h.Bytes > len(b) {
		return nil, malformed("short")
	}
	var m Message
	if err := m.Decode(h, b[HeaderBytes:h.Bytes]); err != nil {
		return nil, err
	}
	return m.Frame(), nil
}

func TestEveryFrameComesBack(t *testing.T) {
	for _, f := range frames() {
		got, err := decode(Put(nil, f))
		if d := cmp.Diff(f, got); err != nil || d != "" {
			t.Errorf("%T: %v %s", f, err, d)
		}
	}
}

func TestFramesStandBesideOneAnother(t *testing.T) {
	var all []byte
	for _, f := range frames() {
		all = Put(all, f)
	}
	for _, f := range frames() {
		got, err := decode(all)
		if d := cmp.Diff(f, got); err != nil || d != "" {
			t.Fatalf("%T: %v %s", f, err, d)
		}
		all = all[order.Uint32(all):]
	}
}

func TestAnyFrameComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u64 := func(name string) uint64 { return rapid.Uint64().Draw(t, name) }
		text := func(name string) string { return rapid.StringN(0, 60, MaxText).Draw(t, name) }
		h := ha.Hello{NodeID: persist.ID{byte(u64("node"))}, Generation: u64("generation"), Incarnation: u64("incarnation"),
			Addr: text("addr"), Admin: text("admin"), Promised: u64("promised"), Incoming: rapid.Bool().Draw(t, "incoming"),
			Start: persist.Pos(u64("start")), End: persist.Pos(u64("end"))}
		for range rapid.IntRange(0, persist.MaxHistory).Draw(t, "epochs") {
			h.History = append(h.History, persist.EpochStart{Epoch: u64("epoch"), Start: persist.Pos(u64("at"))})
		}
		b := Put(nil, h)
		if len(b) > MaxControl {
			t.Fatalf("%d bytes", len(b))
		}
		if got, err := decode(b); err != nil || cmp.Diff(ha.Frame(h), got) != "" {
			t.Fatalf("%v %s", err, cmp.Diff(ha.Frame(h), got))
		}
	})
}

func TestWhatIsTooLongIsCut(t *testing.T) {
	long := strings.Repeat("x", 2*MaxText)
	history := make([]persist.EpochStart, persist.MaxHistory+1)
	history[1].Epoch = 77
	got, err := decode(Put(nil, ha.Hello{Addr: long, Admin: long, History: history}))
	h := got.(ha.Hello)
	if err != nil || len(h.Addr) != MaxText || len(h.Admin) != MaxText || len(h.History) != persist.MaxHistory || h.History[0].Epoch != 77 {
		t.Errorf("%v: %d bytes, %d bytes, %d epochs", err, len(h.Addr), len(h.Admin), len(h.History))
	}
	got, err = decode(Put(nil, ha.Reject{Reason: long}))
	if err != nil || len(got.(ha.Reject).Reason) != MaxText {
		t.Errorf("%v: %v", err, got)
	}
}

func TestMalformedFramesAreRefused(t *testing.T) {
	mutate := func(f ha.Frame, change func(b []byte) []byte) []byte { return change(Put(nil, f)) }
	set := func(at int, v byte) func([]byte) []byte {
		return func(b []byte) []byte { b[at] = v; return b }
	}
	all := frames()
	for name, b := range map[string][]byte{
		"another version":          mutate(all[3], set(4, 2)),
		"kind 0":                   mutate(all[3], set(5, 0)),
		"an unknown kind":          mutate(all[3], set(5, byte(kindEnd))),
		"unknown flags":            mutate(all[3], set(6, 8)),
		"too short for its kind":   mutate(all[3], set(0, HeaderBytes+23)),
		"something left over":      mutate(all[4], func(b []byte) []byte { b = append(b, 0); return finish(b, 0) }),
		"longer than control may":  mutate(all[5], func(b []byte) []byte { return finish(append(b, make([]byte, MaxControl)...), 0) }),
		"an APPEND too long":       mutate(all[2], func(b []byte) []byte { order.PutUint32(b, MaxAppend+1); return b }),
		"history beyond the frame": mutate(all[0], set(HeaderBytes+64, 255)),
		"history beyond its bound": mutate(all[0], set(HeaderBytes+65, 255)),
		"text beyond its bound":    mutate(all[5], set(HeaderBytes+9, 255)),
		"header beyond its bound":  mutate(all[1], set(HeaderBytes+31, 255)),
	} {
		if f, err := decode(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if _, err := DecodeHeader(Put(nil, all[2]), false); !errors.Is(err, ErrMalformed) {
		t.Errorf("an APPEND for who takes none: %v", err)
	}
}

func FuzzFrame(f *testing.F) {
	for _, x := range frames() {
		f.Add(Put(nil, x))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decode(b)
		if err != nil {
			return
		}
		again := Put(nil, got)
		if want := b[:order.Uint32(b)]; !bytes.Equal(again, want) {
			t.Fatalf("%T: %x became %x", got, want, again)
		}
	})
}

func TestHotFramesAreNotAllocated(t *testing.T) {
	buf := make([]byte, 0, 256)
	var m Message
	hot := map[string]func(){
		"ack":       func() { buf = PutAck(buf[:0], ha.Ack{Epoch: 1, Synced: 5}) },
		"heartbeat": func() { buf = PutHeartbeat(buf[:0], ha.Heartbeat{Epoch: 1, Seq: 5}) },
		"append":    func() { buf = append(PutAppend(buf[:0], 1, 2, 3, 4), 1, 2, 3, 4) },
	}
	for name, put := range hot {
		n := testing.AllocsPerRun(100, func() {
			put()
			h, err := DecodeHeader(buf, true)
			if err == nil {
				err = m.Decode(h, buf[HeaderBytes:])
			}
			if err != nil {
				t.Error(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkAck(b *testing.B) {
	buf := make([]byte, 0, 256)
	var m Message
	b.ReportAllocs()
	for b.Loop() {
		buf = PutAck(buf[:0], ha.Ack{Epoch: 1, Synced: 5})
		h, err := DecodeHeader(buf, true)
		if err == nil {
			err = m.Decode(h, buf[HeaderBytes:])
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
