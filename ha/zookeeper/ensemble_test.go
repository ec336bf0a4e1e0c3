//go:build zookeeper

package zookeeper

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// ensemble runs one ZooKeeper server, of the distribution's package, for a test.
type ensemble struct {
	t    *testing.T
	addr string
	cmd  *exec.Cmd
	conf string
}

func newEnsemble(t *testing.T) *ensemble {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z := &ensemble{t: t, addr: l.Addr().String()}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	z.conf = filepath.Join(dir, "zoo.cfg")
	text := fmt.Sprintf("tickTime=500\ndataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n", dir, port)
	if err := os.WriteFile(z.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	z.start()
	t.Cleanup(z.stop)
	return z
}

func (z *ensemble) start() {
	z.t.Helper()
	z.cmd = exec.Command("java", "-Xmx128m", "-cp", "/etc/zookeeper/conf:/usr/share/java/zookeeper.jar",
		"org.apache.zookeeper.server.quorum.QuorumPeerMain", z.conf)
	z.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := z.cmd.Start(); err != nil {
		z.t.Fatalf("starting ZooKeeper: %v: install the packages zookeeper and default-jre-headless", err)
	}
}

func (z *ensemble) stop() {
	if z.cmd != nil {
		_ = z.cmd.Process.Kill()
		_ = z.cmd.Wait() // it was killed
		z.cmd = nil
	}
}

// join opens a session and waits until it stands.
func (z *ensemble) join(password string) (*Elector, chan ha.View) {
	z.t.Helper()
	e, err := Connect(Options{Servers: []string{z.addr}, Path: "/havenmq/test", Password: password, SessionTimeout: 2 * time.Second, Logf: z.t.Logf})
	if err != nil {
		z.t.Fatal(err)
	}
	z.t.Cleanup(func() {
		if err := e.Close(); err != nil {
			z.t.Error(err)
		}
	})
	views := make(chan ha.View, 1000)
	e.Watch(func(v ha.View) { views <- v })
	seen(z.t, views, func(v ha.View) bool { return v.Connected })
	return e, views
}

// seen waits for a view.
func seen(t *testing.T, views chan ha.View, so func(ha.View) bool) ha.View {
	t.Helper()
	last := uint64(0)
	for {
		select {
		case v := <-views:
			if v.Serial <= last {
				t.Fatalf("view %d after %d", v.Serial, last)
			}
			if last = v.Serial; so(v) {
				return v
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the view never came")
		}
	}
}

func do(t *testing.T, e *Elector, x ha.Txn) (ha.Outcome, ha.View) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return e.Do(ctx, x)
}

func TestWhatAClusterAsks(t *testing.T) {
	z := newEnsemble(t)
	a, _ := z.join("")
	b, views := z.join("")
	absent := ha.Absent
	c := &ha.Config{ClusterID: persist.ID{1}, Replicas: 3, Seats: []ha.Seat{{NodeID: persist.ID{7}, Generation: 1, Addr: "a:1"}}}
	if o, v := do(t, a, ha.Txn{IfConfig: &absent, SetConfig: c}); o != ha.Done || v.Config == nil || v.Config.Replicas != 3 {
		t.Fatal(o, v)
	}
	if o, v := do(t, b, ha.Txn{IfConfig: &absent, SetConfig: c}); o != ha.Conflict || v.Config == nil {
		t.Fatal(o, v)
	}
	row := &ha.MemberRow{NodeID: persist.ID{7}, State: ha.StateSyncing}
	o, v := do(t, a, ha.Txn{PutMember: row})
	if o != ha.Done || len(v.Members) != 1 || !v.Members[0].Mine || v.Members[0].Version != 0 {
		t.Fatal(o, v)
	}
	me := ha.MemberVersion{Name: v.Members[0].Name}
	other := seen(t, views, func(v ha.View) bool { return len(v.Members) == 1 })
	if other.Members[0].Mine {
		t.Error("another's row is ours")
	}
	row.State, row.Promised = ha.StateFrozen, 1
	if o, v = do(t, a, ha.Txn{PutMember: row, Member: me}); o != ha.Done || v.Members[0].Version != 1 || v.Members[0].Row.State != ha.StateFrozen {
		t.Fatal(o, v)
	}
	seen(t, views, func(v ha.View) bool { return v.Members[0].Row.State == ha.StateFrozen })
	m := &ha.Mandate{Epoch: 1, Leader: persist.ID{7}, Nonce: 9}
	stale := ha.Txn{IfConfig: new(v.ConfigVersion), IfMandate: &absent, IfMembers: []ha.MemberVersion{me}, SetMandate: m}
	if o, _ := do(t, a, stale); o != ha.Conflict {
		t.Fatal("a voter's version was not looked at: ", o)
	}
	me.Version = 1
	stale.IfMembers[0] = me
	if o, v = do(t, a, stale); o != ha.Done || v.Mandate == nil || v.Mandate.Nonce != 9 {
		t.Fatal(o, v)
	}
	for range 2 { // whatever announcement there is
		if o, v = do(t, a, ha.Txn{IfMandate: new(v.MandateVersion), Announce: &ha.Announcement{NodeID: persist.ID{7}, Epoch: 1}}); o != ha.Done || v.Master == nil {
			t.Fatal(o, v)
		}
	}
	if o, v = do(t, b, ha.Txn{Withdraw: true}); o != ha.Done || v.Master == nil {
		t.Fatal("another's announcement was withdrawn: ", o, v)
	}
	if o, v = do(t, b, ha.Txn{Announce: &ha.Announcement{NodeID: persist.ID{8}, Epoch: 2}}); o != ha.Done || v.Master.Epoch != 2 {
		t.Fatal(o, v)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	seen(t, views, func(v ha.View) bool { return len(v.Members) == 0 })
}

func TestTheEnsembleGoesAndComes(t *testing.T) {
	z := newEnsemble(t)
	e, views := z.join("secret")
	if o, v := do(t, e, ha.Txn{PutMember: &ha.MemberRow{NodeID: persist.ID{7}}}); o != ha.Done || len(v.Members) != 1 {
		t.Fatal(o, v)
	}
	z.stop()
	seen(t, views, func(v ha.View) bool { return !v.Connected })
	if o, _ := do(t, e, ha.Txn{}); o != ha.Unknown {
		t.Fatal(o)
	}
	z.start()
	seen(t, views, func(v ha.View) bool { return v.Connected })
	if o, v := do(t, e, ha.Txn{}); o != ha.Done || !v.Connected {
		t.Fatal(o, v)
	}
}

func TestAPasswordKeepsStrangersOut(t *testing.T) {
	z := newEnsemble(t)
	e, _ := z.join("secret")
	if o, _ := do(t, e, ha.Txn{PutMember: &ha.MemberRow{NodeID: persist.ID{7}}}); o != ha.Done {
		t.Fatal(o)
	}
	s, err := Connect(Options{Servers: []string{z.addr}, Path: "/havenmq/test", Password: "guess", SessionTimeout: 2 * time.Second, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		o, _ := do(t, s, ha.Txn{PutMember: &ha.MemberRow{NodeID: persist.ID{8}}})
		if o == ha.Refused {
			return
		}
		if o == ha.Done || time.Since(start) > 10*time.Second {
			t.Fatal(o)
		}
	}
}
