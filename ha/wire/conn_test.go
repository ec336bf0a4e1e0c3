package wire

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/havenmq/havenmq/ha"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open listens on loopback and hands out what passes; it is closed, and all its goroutines have ended, when the test is over.
func open(t *testing.T, o Options) (addr string, taken chan *Conn, refused chan error) {
	t.Helper()
	taken, refused = make(chan *Conn, MaxLinks), make(chan error, 2*MaxHandshakes)
	done := make(chan struct{})
	l, err := Listen(t.Context(), "127.0.0.1:0", o, func(c *Conn) { taken <- c; <-done }, func(_ string, err error) { refused <- err })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(done)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		l.Wait()
	})
	return l.Addr(), taken, refused
}

func pair(t *testing.T, o Options) (dialer, acceptor *Conn) {
	t.Helper()
	addr, taken, _ := open(t, o)
	c, err := Dial(t.Context(), addr, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, <-taken
}

func make1(n int) []byte { return make([]byte, n) }

func TestFramesPassBothWays(t *testing.T) {
	dialer, acceptor := pair(t, Options{Token: "secret"})
	var m Message
	hello := frames()[0]
	if err := dialer.Write(Put(nil, hello)); err != nil {
		t.Fatal(err)
	}
	if err := acceptor.Read(&m, make1); err != nil || m.Frame().(ha.Hello).Addr != hello.(ha.Hello).Addr {
		t.Fatalf("%v: %v", err, m.Frame())
	}
	large := bytes.Repeat([]byte("0123456789"), growBytes/5) // twice what is given memory at once
	sent := make(chan error, 1)
	go func() {
		b := Put(nil, ha.Append{Epoch: 1, Base: 2, Commit: 3, Batches: large})
		sent <- acceptor.Write(Put(b, ha.Heartbeat{Epoch: 1, Seq: 8}))
	}()
	if err := dialer.Read(&m, make1); err != nil || !bytes.Equal(m.Append.Batches, large) {
		t.Fatalf("%v: %d bytes", err, len(m.Append.Batches))
	}
	if err := dialer.Read(&m, make1); err != nil || m.Frame() != (ha.Heartbeat{Epoch: 1, Seq: 8}) {
		t.Fatalf("%v: %v", err, m.Frame())
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if err := acceptor.Close(); err != nil {
		t.Fatal(err)
	}
	if err := dialer.Read(&m, make1); !errors.Is(err, io.EOF) {
		t.Errorf("after the other end closed: %v", err)
	}
}

// TestNoAppendToAMaster: who accepts takes none, so that nobody can make a master set memory aside.
func TestNoAppendToAMaster(t *testing.T) {
	dialer, acceptor := pair(t, Options{})
	if err := dialer.Write(Put(nil, ha.Append{Batches: []byte("x")})); err != nil {
		t.Fatal(err)
	}
	var m Message
	if err := acceptor.Read(&m, make1); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

func TestTokensMustBeTheSame(t *testing.T) {
	for _, c := range []struct{ accepts, dials string }{{"right", "wrong"}, {"right", ""}, {"", "wrong"}} {
		addr, _, refused := open(t, Options{Token: c.accepts})
		if _, err := Dial(t.Context(), addr, Options{Token: c.dials}); !errors.Is(err, ErrToken) {
			t.Errorf("%q dials %q: %v", c.dials, c.accepts, err)
		}
		if err := <-refused; !errors.Is(err, ErrToken) {
			t.Errorf("%q accepts %q: %v", c.accepts, c.dials, err)
		}
	}
}

// TestTheTokenIsNeverSent looks at all that a handshake writes, and that a dialer who proves nothing is shown no proof.
func TestTheTokenIsNeverSent(t *testing.T) {
	near, far := net.Pipe()
	seen := make(chan []byte, 1)
	go func() {
		b, err := io.ReadAll(io.LimitReader(far, prefaceBytes+proofBytes))
		if err == nil {
			seen <- b
		}
		_ = far.Close()
	}()
	go func() {
		_, _ = far.Write(putPreface([nonceBytes]byte{1}))
		_, _ = far.Write(make([]byte, proofBytes)) // a wrong one
	}()
	if _, err := Accept(t.Context(), near, Options{Token: "a secret"}); !errors.Is(err, ErrToken) {
		t.Fatal(err)
	}
	b := <-seen
	if bytes.Contains(b, []byte("a secret")) || !bytes.Equal(b[prefaceBytes:], make([]byte, proofBytes)) {
		t.Errorf("%q", b)
	}
}

// TestAProofServesOnce: a proof that was overheard, or that is the other end's own, opens nothing.
func TestAProofServesOnce(t *testing.T) {
	a, b := [nonceBytes]byte{1}, [nonceBytes]byte{2}
	proof := prove("t", roleDials, a, b, nil)
	for name, other := range map[string][]byte{
		"another nonce": prove("t", roleDials, a, [nonceBytes]byte{3}, nil), "the other role": prove("t", roleAccepts, a, b, nil),
		"another token": prove("u", roleDials, a, b, nil), "another TLS session": prove("t", roleDials, a, b, []byte("x")),
	} {
		if bytes.Equal(proof, other) {
			t.Errorf("%s has the same proof", name)
		}
	}
}

func TestWhoIsNotHavenIsToldApart(t *testing.T) {
	addr, _, refused := open(t, Options{})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := <-refused; !errors.Is(err, ErrNotHaven) {
		t.Error(err)
	}
}

func TestAnotherVersionIsNamed(t *testing.T) {
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	go func() {
		b := putPreface([nonceBytes]byte{})
		b[len(magic)] = 9
		_, _ = far.Write(b)
	}()
	if _, err := Accept(t.Context(), near, Options{}); err == nil || !strings.Contains(err.Error(), "version 9") {
		t.Error(err)
	}
}

func TestSilentPeersAreDropped(t *testing.T) {
	addr, _, refused := open(t, Options{Handshake: 50 * time.Millisecond})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	var timeout net.Error
	if err := <-refused; !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the socket is open still: %v", err)
	}
}

// TestAFloodLetsTheHonestIn: as many silent peers as may be in a handshake do not keep another out.
func TestAFloodLetsTheHonestIn(t *testing.T) {
	addr, taken, refused := open(t, Options{Handshake: time.Minute})
	for range MaxHandshakes + 1 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	<-refused // the oldest made room for the newest
	c, err := Dial(t.Context(), addr, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	<-taken
}

func TestDialEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := Dial(ctx, l.Addr().String(), Options{Handshake: time.Minute}); err == nil {
		t.Error("dialed")
	}
}

// certificate makes a self-signed one for 127.0.0.1, and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "node"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

func TestMutualTLS(t *testing.T) {
	cert, pool := certificate(t)
	stranger, _ := certificate(t)
	o := Options{Token: "secret", TLS: &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert}}
	dialer, acceptor := pair(t, o)
	if err := dialer.Write(Put(nil, ha.Heartbeat{Seq: 1})); err != nil {
		t.Fatal(err)
	}
	var m Message
	if err := acceptor.Read(&m, make1); err != nil || m.Heartbeat.Seq != 1 {
		t.Errorf("%v: %v", err, m)
	}
	addr, _, refused := open(t, o)
	other := o.TLS.Clone()
	other.Certificates = []tls.Certificate{stranger}
	if c, err := Dial(t.Context(), addr, Options{Token: "secret", TLS: other}); err == nil {
		_ = c.Close()
		t.Error("a stranger's certificate was taken")
	}
	if err := <-refused; err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Error(err)
	}
	if _, err := Dial(t.Context(), addr, Options{Token: "secret", Handshake: 100 * time.Millisecond}); err == nil {
		t.Error("a node without TLS got in")
	}
}
