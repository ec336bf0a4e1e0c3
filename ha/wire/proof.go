package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
)

const (
	magic        = "HavenRep"
	nonceBytes   = 32
	prefaceBytes = 16 + nonceBytes
	proofBytes   = sha256.Size

	roleDials   = 'd'
	roleAccepts = 'a'
)

// Errors of a handshake.
var (
	ErrNotHaven = errors.New("what answers is not HavenMQ's replication: check the port, and that TLS is configured on both ends or on neither")
	ErrToken    = errors.New("the other node has another securityToken: it must be the same on all nodes")
)

func putPreface(nonce [nonceBytes]byte) []byte {
	b := append(make([]byte, 0, prefaceBytes), magic...)
	b = append(b, version, 0, 0, 0, 0, 0, 0, 0)
	return append(b, nonce[:]...)
}

// prove is the proof of a role that it knows the token. binding is of the TLS session, empty without one.
func prove(token string, role byte, dialer, acceptor [nonceBytes]byte, binding []byte) []byte {
	h := hmac.New(sha256.New, []byte(token))
	h.Write([]byte{role})
	h.Write(dialer[:])
	h.Write(acceptor[:])
	h.Write(binding)
	return h.Sum(nil)
}
