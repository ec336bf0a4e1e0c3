package wire

import (
	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// Put appends a frame's bytes to dst. Texts are cut to MaxText, a history to its newest persist.MaxHistory epochs. An APPEND's
// batches are copied; a stream has PutAppend.
func Put(dst []byte, f ha.Frame) []byte {
	switch f := f.(type) {
	case ha.Hello:
		return putHello(dst, f)
	case ha.Attach:
		return putAttach(dst, f)
	case ha.Append:
		return append(PutAppend(dst, f.Epoch, f.Base, f.Commit, len(f.Batches)), f.Batches...)
	case ha.Ack:
		return PutAck(dst, f)
	case ha.Heartbeat:
		return PutHeartbeat(dst, f)
	case ha.Reject:
		at := len(dst)
		dst = putHeader(dst, KindReject, flag(f.Fatal, flagFatal), f.Epoch)
		return finish(putText(order.AppendUint64(dst, f.Promised), f.Reason), at)
	case ha.HandOver:
		at := len(dst)
		return finish(append(putHeader(dst, KindHandOver, 0, f.Epoch), f.To[:]...), at)
	}
	return dst
}

// PutAppend appends what an APPEND of n bytes of batches begins with: AppendBytes bytes. The batches follow.
func PutAppend(dst []byte, epoch uint64, base, commit persist.Pos, n int) []byte {
	at := len(dst)
	dst = putHeader(dst, KindAppend, 0, epoch)
	dst = putPos(putPos(dst, base), commit)
	order.PutUint32(dst[at:], uint32(AppendBytes+n))
	return dst
}

// PutAck appends an ACK.
func PutAck(dst []byte, f ha.Ack) []byte {
	at := len(dst)
	flags := flag(f.Incoming, flagIncoming) | flag(f.Voter, flagVoter) | flag(f.Full, flagFull)
	dst = putHeader(dst, KindAck, flags, f.Epoch)
	return finish(putPos(putPos(putPos(dst, f.Received), f.Synced), f.Applied), at)
}

// PutHeartbeat appends a HEARTBEAT.
func PutHeartbeat(dst []byte, f ha.Heartbeat) []byte {
	at := len(dst)
	dst = putHeader(dst, KindHeartbeat, 0, f.Epoch)
	dst = order.AppendUint64(order.AppendUint64(dst, f.Seq), f.Heard)
	return finish(putPos(dst, f.Commit), at)
}

func putHello(dst []byte, f ha.Hello) []byte {
	at := len(dst)
	dst = putHeader(dst, KindHello, flag(f.Incoming, flagIncoming)|flag(f.Voter, flagVoter), f.Promised)
	dst = append(append(dst, f.ClusterID[:]...), f.NodeID[:]...)
	dst = order.AppendUint64(order.AppendUint64(dst, f.Generation), f.Incarnation)
	dst = putPos(putPos(dst, f.Start), f.End)
	history := f.History[max(0, len(f.History)-persist.MaxHistory):]
	dst = order.AppendUint16(dst, uint16(len(history)))
	for _, e := range history {
		dst = putPos(order.AppendUint64(dst, e.Epoch), e.Start)
	}
	return finish(putText(putText(dst, f.Addr), f.Admin), at)
}

func putAttach(dst []byte, f ha.Attach) []byte {
	at := len(dst)
	dst = putHeader(dst, KindAttach, flag(f.Restart, flagRestart), f.Epoch)
	dst = order.AppendUint32(putPos(putPos(putPos(dst, f.Cut), f.VoterAt), f.Commit), f.Files)
	header := f.Header[:min(len(f.Header), MaxSegmentHeader)]
	return finish(append(order.AppendUint32(dst, uint32(len(header))), header...), at)
}

func putHeader(dst []byte, k Kind, flags uint16, epoch uint64) []byte {
	dst = append(dst, 0, 0, 0, 0, version, byte(k), byte(flags), byte(flags>>8))
	return order.AppendUint64(dst, epoch)
}

// finish fills in the length of the frame that begins at at.
func finish(dst []byte, at int) []byte {
	order.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

func putPos(dst []byte, p persist.Pos) []byte { return order.AppendUint64(dst, uint64(p)) }

func putText(dst []byte, s string) []byte {
	s = s[:min(len(s), MaxText)]
	return append(order.AppendUint16(dst, uint16(len(s))), s...)
}

func flag(on bool, bit uint16) uint16 {
	if on {
		return bit
	}
	return 0
}
