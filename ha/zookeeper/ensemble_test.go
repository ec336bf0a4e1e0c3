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

	"github.com/go-zookeeper/zk"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/ha/electortest"
	"github.com/havenmq/havenmq/persist"
)

// ensemble runs one ZooKeeper server, of the distribution's package, for a test.
type ensemble struct {
	t    *testing.T
	data string // its directory
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
	z.data = filepath.Join(dir, "data")
	z.conf = filepath.Join(dir, "zoo.cfg")
	text := fmt.Sprintf("tickTime=500\ndataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n", z.data, port)
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
		z.t.Fatalf("starting ZooKeeper: %v: .ci/setup installs what it needs", err)
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
	electortest.Seen(z.t, views, func(v ha.View) bool { return v.Connected })
	return e, views
}

func do(t *testing.T, e ha.Elector, x ha.Txn) (ha.Outcome, ha.View) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return e.Do(ctx, x)
}

func TestWhatAClusterAsks(t *testing.T) {
	z := newEnsemble(t)
	electortest.Run(t, func() ha.Elector {
		e, err := Connect(Options{Servers: []string{z.addr}, Path: "/havenmq/test", SessionTimeout: 2 * time.Second, Logf: t.Logf})
		if err != nil {
			t.Fatal(err)
		}
		return e
	})
}

func TestTheEnsembleGoesAndComes(t *testing.T) {
	z := newEnsemble(t)
	e, views := z.join("secret")
	if o, v := do(t, e, ha.Txn{PutMember: &ha.MemberRow{NodeID: persist.ID{7}}}); o != ha.Done || len(v.Members) != 1 {
		t.Fatal(o, v)
	}
	z.stop()
	electortest.Seen(t, views, func(v ha.View) bool { return !v.Connected })
	if o, _ := do(t, e, ha.Txn{}); o != ha.Unknown {
		t.Fatal(o)
	}
	z.start()
	electortest.Seen(t, views, func(v ha.View) bool { return v.Connected })
	if o, v := do(t, e, ha.Txn{}); o != ha.Done || !v.Connected {
		t.Fatal(o, v)
	}
}

// TestTheEnsembleIsSetBack: its disks are those of before. A session that has seen more than the servers know is refused by all of
// them; what they hold must be seen all the same.
func TestTheEnsembleIsSetBack(t *testing.T) {
	for _, password := range []string{"", "secret"} {
		z := newEnsemble(t)
		e, views := z.join(password)
		absent := ha.Absent
		if o, _ := do(t, e, ha.Txn{IfConfig: &absent, SetConfig: &ha.Config{ClusterID: persist.ID{1}, Replicas: 3}}); o != ha.Done {
			t.Fatal(o)
		}
		z.stop()
		electortest.Seen(t, views, func(v ha.View) bool { return !v.Connected })
		saved := filepath.Join(t.TempDir(), "saved")
		if err := os.CopyFS(saved, os.DirFS(z.data)); err != nil {
			t.Fatal(err)
		}
		z.start()
		electortest.Seen(t, views, func(v ha.View) bool { return v.Connected && v.Config != nil })
		if o, v := do(t, e, ha.Txn{IfMandate: &absent, SetMandate: &ha.Mandate{Epoch: 1}}); o != ha.Done || v.Mandate == nil {
			t.Fatal(o, v)
		}
		for i := range 20 { // far more than happens to the older state meanwhile
			if o, _ := do(t, e, ha.Txn{Announce: &ha.Announcement{Epoch: uint64(i)}}); o != ha.Done {
				t.Fatal(o)
			}
		}
		z.stop()
		electortest.Seen(t, views, func(v ha.View) bool { return !v.Connected })
		if err := os.RemoveAll(z.data); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(saved, z.data); err != nil {
			t.Fatal(err)
		}
		z.start()
		electortest.Seen(t, views, func(v ha.View) bool { return v.Connected && v.Config != nil && v.Mandate == nil })
		if o, v := do(t, e, ha.Txn{PutMember: &ha.MemberRow{NodeID: persist.ID{7}}}); o != ha.Done || len(v.Members) != 1 || !v.Members[0].Mine {
			t.Fatal(o, v)
		}
		z.stop()
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

// TestRowsAreDeleted: somebody deletes all of the cluster's rows under a session, which goes on with what there is.
func TestRowsAreDeleted(t *testing.T) {
	z := newEnsemble(t)
	e, views := z.join("")
	absent := ha.Absent
	x := ha.Txn{IfConfig: &absent, SetConfig: &ha.Config{ClusterID: persist.ID{1}, Replicas: 3, Sole: persist.ID{4}}}
	if o, v := do(t, e, x); o != ha.Done || v.Config == nil || v.Config.Sole != x.SetConfig.Sole {
		t.Fatal(o, v)
	}
	row := ha.MemberRow{NodeID: persist.ID{7}, State: ha.StateSyncing, Claims: 9, Drained: true, Full: true, Twin: 1 << 63, Settings: "sync=quorum_mem"}
	if o, _ := do(t, e, ha.Txn{PutMember: &row}); o != ha.Done {
		t.Fatal(o)
	}
	if out, err := exec.Command("java", "-cp", "/etc/zookeeper/conf:/usr/share/java/zookeeper.jar", "org.apache.zookeeper.ZooKeeperMain",
		"-server", z.addr, "deleteall", "/havenmq").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	electortest.Seen(t, views, func(v ha.View) bool { return v.Connected && v.Config == nil && len(v.Members) == 0 })
	for began := time.Now(); ; { // what it is made in may be gone once more
		o, v := do(t, e, ha.Txn{PutMember: &row, IfConfig: &absent, SetConfig: x.SetConfig})
		if o == ha.Done && len(v.Members) == 1 && v.Members[0].Row == row && v.Config != nil {
			break
		}
		if time.Since(began) > 5*time.Second {
			t.Fatal(o, v)
		}
	}
}

// TestAnAnnouncementThatIsNone counts as none: it decides nothing, and is written anew.
func TestAnAnnouncementThatIsNone(t *testing.T) {
	z := newEnsemble(t)
	e, views := z.join("")
	a := &ha.Announcement{NodeID: persist.ID{7}, Epoch: 3, Addr: "a:1"}
	if o, _ := do(t, e, ha.Txn{Announce: a}); o != ha.Done {
		t.Fatal(o)
	}
	conn, _, err := zk.Connect([]string{z.addr}, 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p := e.at(masterName)
	if _, err := conn.Multi(&zk.DeleteRequest{Path: p, Version: -1},
		&zk.CreateRequest{Path: p, Data: []byte{0xfe, 0xfe}, Acl: zk.WorldACL(zk.PermAll)}); err != nil {
		t.Fatal(err)
	}
	electortest.Seen(t, views, func(v ha.View) bool { return v.Connected && v.Master != nil && v.Master.NodeID.IsZero() })
	if o, v := do(t, e, ha.Txn{Announce: a}); o != ha.Done || v.Master == nil || *v.Master != *a {
		t.Fatal(o, v.Master)
	}
}
