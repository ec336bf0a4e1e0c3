package persist

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wholeUnit holds each operation once (TX_PREPARE apart, as it must come first) and what must come back out of it.
func wholeUnit() (*Unit, []Op) {
	const base = 1000
	tails := [Classes]uint64{0: 7, 5: 1 << 40, 9: 3}
	s1, s2, s3 := MakeSeq(4, 7), MakeSeq(9, 1), MakeSeq(0, 1<<55)
	entry := PlacedEntry{Queue: 9, Entry: Entry{Seq: s1, Message: 77, SizeBytes: 12, ShareBytes: 30, ExpiryMs: 1, NotBeforeMs: -2,
		Attempts: 3, Note: []byte("n"), Assign: Assignment{Session: []byte("s"), PacketID: 65535, State: 2}}}
	bare := PlacedEntry{Queue: 10, Entry: Entry{Seq: s2, Message: 77, SizeBytes: 12}}
	u := &Unit{}
	u.EpochBegin(3)
	u.Config([]byte("seats"))
	u.Trim(4096)
	ref := u.Message([]byte("id"), []byte("head"), bytes.Repeat([]byte("b"), 200))
	u.Enqueue(ref, []Target{{Queue: 1, Seq: s1}, {Queue: 2, Seq: s3, Note: []byte("note")}}, 1700000000000, 5)
	u.EnqueueStored(55, 66, []Target{{Queue: 3, Seq: s2}}, 0, 0)
	u.Settle(1, []Range{{s1, s1}, {s1, s1 + 9}})
	u.Attempt(1, s1, 2, 99, []byte("why"))
	u.Move(1, s1, Target{Queue: 4, Seq: s2, Note: []byte("x")}, []byte("reason"))
	u.Purge(5, tails, true)
	u.Assign(6, s1, Assignment{Session: []byte("sess"), PacketID: 7, State: 1})
	u.Put(TableSettings, []byte("k"), bytes.Repeat([]byte("v"), 300))
	u.Delete(TableRetained, []byte("k"))
	u.TxCommit([]byte("t"), nil)
	u.TxRollback([]byte("t"))
	u.RelocateMessage(77, []byte("id"), []byte("head"), []byte("body"), []PlacedEntry{entry, bare})
	u.RelocateRow(TableFilters, []byte("k"), []byte("v"))
	u.RelocateTails(8, tails)
	return u, []Op{
		{Code: CodeEpochBegin, Epoch: 3},
		{Code: CodeConfig, Value: []byte("seats")},
		{Code: CodeTrim, LogStart: 4096},
		{Code: CodeMessage, ID: []byte("id"), Header: []byte("head"), Body: bytes.Repeat([]byte("b"), 200), Sum: 3563255547},
		{Code: CodeEnqueue, Message: base + Pos(ref), SizeBytes: 204, ExpiryMs: 1700000000000, NotBeforeMs: 5,
			Targets: []Target{{Queue: 1, Seq: s1}, {Queue: 2, Seq: s3, Note: []byte("note")}}},
		{Code: CodeEnqueue, Message: 55, SizeBytes: 66, Targets: []Target{{Queue: 3, Seq: s2}}},
		{Code: CodeSettle, Queue: 1, Ranges: []Range{{s1, s1}, {s1, s1 + 9}}},
		{Code: CodeAttempt, Queue: 1, Seq: s1, Attempts: 2, NotBeforeMs: 99, Note: []byte("why")},
		{Code: CodeMove, Queue: 1, Seq: s1, Targets: []Target{{Queue: 4, Seq: s2, Note: []byte("x")}}, Value: []byte("reason")},
		{Code: CodePurge, Queue: 5, UpTo: tails, Gone: true},
		{Code: CodeAssign, Queue: 6, Seq: s1, Assign: Assignment{Session: []byte("sess"), PacketID: 7, State: 1}},
		{Code: CodePut, Table: TableSettings, Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 300)},
		{Code: CodeDelete, Table: TableRetained, Key: []byte("k")},
		{Code: CodeTxCommit, Key: []byte("t")},
		{Code: CodeTxRollback, Key: []byte("t")},
		{Code: CodeRelocateMessage, Message: 77, ID: []byte("id"), Header: []byte("head"), Body: []byte("body"),
			Sum: 2983448981, Entries: []PlacedEntry{entry, bare}},
		{Code: CodeRelocateRow, Table: TableFilters, Key: []byte("k"), Value: []byte("v")},
		{Code: CodeRelocateTails, Queue: 8, UpTo: tails},
	}
}

// decodeAll copies what the decoder yields, as its slices are reused.
func decodeAll(t testing.TB, unit []byte, base Pos) []Op {
	t.Helper()
	var d Decoder
	var ops []Op
	var op Op
	d.Reset(unit, base)
	for {
		more, err := d.Next(&op)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return ops
		}
		c := op
		c.Targets = append([]Target(nil), op.Targets...)
		c.Ranges = append([]Range(nil), op.Ranges...)
		c.Entries = append([]PlacedEntry(nil), op.Entries...)
		ops = append(ops, c)
	}
}

func TestRoundTrip(t *testing.T) {
	u, want := wholeUnit()
	got := decodeAll(t, u.buf, 1000)
	at := Pos(1000)
	for i := range got {
		if got[i].Pos < at {
			t.Errorf("%s at %d, after %d", got[i].Code, got[i].Pos, at)
		}
		at = got[i].Pos + 1
		got[i].Pos = 0
	}
	emptyIsNil := cmp.FilterValues(func(a, b []byte) bool { return len(a) == 0 && len(b) == 0 }, cmp.Ignore())
	if d := cmp.Diff(want, got, emptyIsNil); d != "" {
		t.Error(d)
	}
}

// The bytes are the format: a change here is a new version of it.
func TestGoldenRecords(t *testing.T) {
	s := MakeSeq(4, 300)
	for _, c := range []struct {
		build func(u *Unit)
		want  string
	}{
		{func(u *Unit) { u.EpochBegin(1) }, "01 01 01"},
		{func(u *Unit) { u.Config([]byte{9}) }, "02 01 09"},
		{func(u *Unit) { u.Trim(128) }, "03 02 8001"},
		{func(u *Unit) { u.Message([]byte("i"), []byte("h"), []byte("bb")) }, "04 0b 01 01 02 807ab126 69 68 6262"},
		{func(u *Unit) { u.Enqueue(u.Message(nil, nil, []byte{1}), []Target{{Queue: 5, Seq: s}}, 1, 0) },
			"04 08 00 00 01 52d016a0 01  05 08 14 01 02 00 05 05 ac02"},
		{func(u *Unit) { u.EnqueueStored(3, 1, []Target{{Queue: 5, Seq: s, Note: []byte("n")}}, 0, 0) }, "05 0a 07 01 00 00 05 25 ac02 01 6e"},
		{func(u *Unit) { u.Settle(5, []Range{{s, s}}) }, "06 04 05 05 ac02"},
		{func(u *Unit) { u.Settle(5, []Range{{s, s + 2}}) }, "06 05 05 15 ac02 02"},
		{func(u *Unit) { u.Attempt(5, s, 1, 0, []byte("n")) }, "07 07 05 05 ac02 01 00 6e"},
		{func(u *Unit) { u.Move(5, s, Target{Queue: 6, Seq: s}, []byte("r")) }, "08 09 05 05 ac02 06 05 ac02 72"},
		{func(u *Unit) { u.Purge(5, [Classes]uint64{5: 300}, true) }, "09 05 05 01 20 ac02"},
		{func(u *Unit) { u.Assign(5, s, Assignment{Session: []byte("s"), PacketID: 1, State: 2}) }, "0a 07 05 05 ac02 01 02 73"},
		{func(u *Unit) { u.Put(TableSettings, []byte("k"), []byte("v")) }, "0b 04 09 01 6b 76"},
		{func(u *Unit) { u.Delete(TableSettings, []byte("k")) }, "0c 02 09 6b"},
		{func(u *Unit) { u.TxPrepare([]byte("t")) }, "0d 01 74"},
		{func(u *Unit) { u.TxCommit([]byte("t"), nil) }, "0e 01 74"},
		{func(u *Unit) { u.TxRollback([]byte("t")) }, "0f 01 74"},
		{func(u *Unit) {
			u.RelocateMessage(3, nil, nil, []byte{1}, []PlacedEntry{{Queue: 5, Entry: Entry{Seq: s, SizeBytes: 1, ShareBytes: 2, Attempts: 3}}})
		}, "10 12 03 00 00 01 52d016a0 01 05 05 ac02 01 02 00 00 03"},
		{func(u *Unit) { u.RelocateRow(TableSettings, []byte("k"), []byte("v")) }, "11 04 09 01 6b 76"},
		{func(u *Unit) { u.RelocateTails(5, [Classes]uint64{5: 300}) }, "12 04 05 20 ac02"},
	} {
		u := &Unit{}
		c.build(u)
		want, err := hex.DecodeString(strings.ReplaceAll(c.want, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(u.buf, want) {
			t.Errorf("got % x, want % x", u.buf, want)
		}
		decodeAll(t, u.buf, 0)
	}
}

func TestDecoderFailsClosed(t *testing.T) {
	for name, h := range map[string]string{
		"code 0":                 "0000",
		"unknown code":           "1300",
		"no length":              "06",
		"length past the end":    "0605",
		"endless length":         "06ffffffffffffffffffffff",
		"queue 0":                "0603000501",
		"class 10":               "0603050a01",
		"unknown flag":           "0603058501",
		"run out of its class":   "060c0515ffffffffffffff7f01",
		"left over":              "01020100",
		"unknown table":          "0c02006b",
		"table to come":          "0c020a6b",
		"flag 2":                 "090305 02 00",
		"mask of 11 classes":     "0904050080 08",
		"message ahead":          "05040002 0000",
		"message before unit":    "0504 02 020000",
		"prepare not first":      "0e0174 0d0174",
		"body past its record":   "0407000002 00000000",
		"no room for a checksum": "0403000000",
		"packet id over 16 bit":  "0a07 0505 01 808004 00",
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(h, " ", ""))
		if err != nil {
			t.Fatal(name, err)
		}
		var d Decoder
		var op Op
		d.Reset(b, 0)
		more := true
		for more && err == nil {
			more, err = d.Next(&op)
		}
		if err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

func TestUnitBounds(t *testing.T) {
	big := make([]byte, MaxKeyBytes+1)
	for name, build := range map[string]func(u *Unit){
		"note":    func(u *Unit) { u.Attempt(1, 1, 1, 1, big) },
		"key":     func(u *Unit) { u.Put(TableSettings, big, nil) },
		"id":      func(u *Unit) { u.Message(big, nil, nil) },
		"tx":      func(u *Unit) { u.TxCommit(big, nil) },
		"target":  func(u *Unit) { u.EnqueueStored(1, 1, []Target{{Queue: 1, Note: big}}, 0, 0) },
		"session": func(u *Unit) { u.Assign(1, 1, Assignment{Session: big}) },
		"moved":   func(u *Unit) { u.RelocateMessage(1, big, nil, nil, nil) },
	} {
		u := &Unit{}
		build(u)
		if !u.tooLarge {
			t.Errorf("%s: not refused", name)
		}
	}
	for name, build := range map[string]func(u *Unit){
		"queue 0":     func(u *Unit) { u.Settle(0, nil) },
		"class":       func(u *Unit) { u.Attempt(1, 10<<classShift, 1, 1, nil) },
		"two classes": func(u *Unit) { u.Settle(1, []Range{{MakeSeq(5, 1), MakeSeq(4, 1)}}) },
		"backwards":   func(u *Unit) { u.Settle(1, []Range{{MakeSeq(5, 2), MakeSeq(5, 1)}}) },
		"table":       func(u *Unit) { u.Delete(tableEnd, nil) },
		"ref":         func(u *Unit) { u.Enqueue(0, nil, 0, 0) },
		"counter":     func(u *Unit) { u.Purge(1, [Classes]uint64{1 << classShift}, false) },
		"prepare":     func(u *Unit) { u.TxCommit(nil, nil); u.TxPrepare(nil) },
	} {
		u := &Unit{}
		build(u)
		if !u.invalid {
			t.Errorf("%s: not refused", name)
		}
	}
}

func TestUnitResetKeepsOnlySmallBuffers(t *testing.T) {
	u, _ := wholeUnit()
	u.Reset()
	if !u.Empty() || cap(u.buf) == 0 || u.grows {
		t.Error("a small buffer was thrown away, or content was kept")
	}
	u.Message(nil, nil, make([]byte, 2*keepUnitBytes))
	u.Reset()
	if cap(u.buf) != 0 {
		t.Error("a large buffer was kept")
	}
}

// What decodes is what a unit can hold: encoded again and decoded again it is the same.
func FuzzDecoder(f *testing.F) {
	u, _ := wholeUnit()
	f.Add(u.buf)
	f.Add([]byte("\x0d\x01t\x04\x07\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x06\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const base = 1 << 20
		var d Decoder
		var op Op
		again := &Unit{}
		var before []Op
		d.Reset(b, base)
		for {
			more, err := d.Next(&op)
			if err != nil {
				return
			}
			if !more {
				break
			}
			rebuild(again, &op)
			c := op
			c.Pos, c.Message, c.Sum = 0, 0, 0
			before = append(before, clone(c))
		}
		if again.invalid || again.tooLarge {
			t.Fatalf("decoded what no unit can hold: % x", b)
		}
		after := decodeAll(t, again.buf, base)
		if len(after) != len(before) {
			t.Fatalf("%d operations, then %d", len(before), len(after))
		}
		for i := range after {
			after[i].Pos, after[i].Message, after[i].Sum = 0, 0, 0
			if !reflect.DeepEqual(before[i], clone(after[i])) {
				t.Fatalf("%+v, then %+v", before[i], after[i])
			}
		}
	})
}

func clone(o Op) Op {
	o.ID, o.Header, o.Body = append([]byte(nil), o.ID...), append([]byte(nil), o.Header...), append([]byte(nil), o.Body...)
	o.Key, o.Value, o.Note = append([]byte(nil), o.Key...), append([]byte(nil), o.Value...), append([]byte(nil), o.Note...)
	o.Targets = append([]Target(nil), o.Targets...)
	o.Ranges = append([]Range(nil), o.Ranges...)
	o.Entries = append([]PlacedEntry(nil), o.Entries...)
	for i := range o.Targets {
		o.Targets[i].Note = append([]byte(nil), o.Targets[i].Note...)
	}
	for i := range o.Entries {
		o.Entries[i].Message = 0
		o.Entries[i].Note = append([]byte(nil), o.Entries[i].Note...)
		o.Entries[i].Assign.Session = append([]byte(nil), o.Entries[i].Assign.Session...)
	}
	o.Assign.Session = append([]byte(nil), o.Assign.Session...)
	return o
}

// rebuild adds op to u, as stored enqueues: a name's spelling is the only thing that may differ.
func rebuild(u *Unit, o *Op) {
	switch o.Code {
	case CodeEpochBegin:
		u.EpochBegin(o.Epoch)
	case CodeConfig:
		u.Config(o.Value)
	case CodeTrim:
		u.Trim(o.LogStart)
	case CodeMessage:
		u.Message(o.ID, o.Header, o.Body)
	case CodeEnqueue:
		u.EnqueueStored(o.Message, o.SizeBytes, o.Targets, o.ExpiryMs, o.NotBeforeMs)
	case CodeSettle:
		u.Settle(o.Queue, o.Ranges)
	case CodeAttempt:
		u.Attempt(o.Queue, o.Seq, o.Attempts, o.NotBeforeMs, o.Note)
	case CodeMove:
		u.Move(o.Queue, o.Seq, o.Targets[0], o.Value)
	case CodePurge:
		u.Purge(o.Queue, o.UpTo, o.Gone)
	case CodeAssign:
		u.Assign(o.Queue, o.Seq, o.Assign)
	case CodePut:
		u.Put(o.Table, o.Key, o.Value)
	case CodeDelete:
		u.Delete(o.Table, o.Key)
	case CodeTxPrepare:
		u.TxPrepare(o.Key)
	case CodeTxCommit:
		u.TxCommit(o.Key, nil)
	case CodeTxRollback:
		u.TxRollback(o.Key)
	case CodeRelocateMessage:
		u.RelocateMessage(o.Message, o.ID, o.Header, o.Body, o.Entries)
	case CodeRelocateRow:
		u.RelocateRow(o.Table, o.Key, o.Value)
	case CodeRelocateTails:
		u.RelocateTails(o.Queue, o.UpTo)
	}
}

func BenchmarkBuildAndDecode(b *testing.B) {
	u := &Unit{}
	body := make([]byte, 100)
	targets := []Target{{Queue: 300, Seq: MakeSeq(4, 100000)}}
	var d Decoder
	var op Op
	b.ReportAllocs()
	for b.Loop() {
		u.Reset()
		u.Enqueue(u.Message(nil, body[:20], body), targets, 0, 0)
		u.Settle(300, []Range{{targets[0].Seq, targets[0].Seq}})
		d.Reset(u.buf, 1)
		for more := true; more; {
			more, _ = d.Next(&op)
		}
	}
}
