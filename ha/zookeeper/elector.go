package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/havenmq/havenmq/ha"
)

// Options of a session.
type Options struct {
	Servers        []string // host:port, of the ensemble
	Path           string   // zkPath/brokerName
	Password       string   // of the digest user "fabric", as ActiveMQ has it; empty: the rows are everybody's
	SessionTimeout time.Duration
	Logf           func(format string, args ...any)
}

// Elector is ha.Elector on ZooKeeper.
type Elector struct {
	o    Options
	conn *zk.Conn
	acl  []zk.ACL

	reading sync.Mutex // held while rows are read: one view after the other
	rows    rows
	serial  uint64
	ready   bool // the persistent rows' parents are there, as this session has seen

	mu        sync.Mutex // guards what follows
	dirty     map[string]bool
	connected bool
	authentic bool // the server has the password, or there is none
	watch     func(ha.View)

	wake chan struct{}
	stop chan struct{}
	once sync.Once
	done sync.WaitGroup
}

var _ ha.Elector = (*Elector)(nil)

// logger gives the client's lines to Logf.
type logger struct {
	logf func(format string, args ...any)
}

func (l logger) Printf(format string, args ...any) { l.logf("ZooKeeper: "+format, args...) }

// Connect begins a session; it does not wait for it.
func Connect(o Options) (*Elector, error) {
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	if !strings.HasPrefix(o.Path, "/") || path.Clean(o.Path) != o.Path || o.Path == "/" {
		return nil, fmt.Errorf("zkPath: %q is no absolute path", o.Path)
	}
	e := &Elector{o: o, acl: zk.WorldACL(zk.PermAll), dirty: map[string]bool{}, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	conn, _, err := zk.Connect(o.Servers, o.SessionTimeout, zk.WithLogger(logger{o.Logf}), zk.WithLogInfo(false), zk.WithEventCallback(e.happened),
		zk.WithMaxBufferSize(4<<20))
	if err != nil {
		return nil, fmt.Errorf("zkAddress: %w", err)
	}
	e.conn = conn
	e.authentic = o.Password == ""
	if o.Password != "" {
		e.acl = zk.DigestACL(zk.PermAll, "fabric", o.Password)
		e.done.Go(func() { e.authenticate() })
	}
	e.done.Go(e.run)
	return e, nil
}

// authenticate gives the client the password, as soon as there is a server; the client says it again in each session. Nothing is
// asked before.
func (e *Elector) authenticate() {
	for told := false; ; {
		err := e.conn.AddAuth("digest", []byte("fabric:"+e.o.Password))
		if err == nil {
			e.mu.Lock()
			e.authentic = true
			e.mu.Unlock()
			e.signal()
			return
		}
		if !errors.Is(err, zk.ErrNoServer) && !told {
			told = true
			e.o.Logf("ZooKeeper does not take zkPassword: %v", err)
		}
		select {
		case <-e.stop:
			return
		case <-time.After(authPause):
		}
	}
}

const authPause = 100 * time.Millisecond

func (e *Elector) stopped() bool {
	select {
	case <-e.stop:
		return true
	default:
		return false
	}
}

// happened is called by the client for all events. It never blocks.
func (e *Elector) happened(ev zk.Event) {
	e.mu.Lock()
	switch {
	case ev.Type == zk.EventSession:
		e.connected = ev.State == zk.StateHasSession
	case ev.Path != "":
		e.dirty[ev.Path] = true
	}
	e.mu.Unlock()
	e.signal()
}

func (e *Elector) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *Elector) isConnected() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.connected && e.authentic
}

// run reads what has changed and tells the watcher.
func (e *Elector) run() {
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	told := ""
	for {
		select {
		case <-e.wake:
		case <-retry.C:
		case <-e.stop:
			return
		}
		v, err := e.look()
		if err != nil && e.isConnected() {
			if told != err.Error() {
				told = err.Error()
				e.o.Logf("ZooKeeper: reading %s: %v", e.o.Path, err)
			}
			retry.Reset(200 * time.Millisecond)
		}
		e.mu.Lock()
		f := e.watch
		e.mu.Unlock()
		if f != nil && !e.stopped() {
			f(v)
		}
	}
}

// Watch has f called with every newer view.
func (e *Elector) Watch(f func(ha.View)) {
	e.mu.Lock()
	e.watch = f
	e.mu.Unlock()
	e.signal()
}

// Close ends the session.
func (e *Elector) Close() error {
	e.once.Do(func() {
		e.mu.Lock()
		close(e.stop)
		e.mu.Unlock()
		e.conn.Close()
	})
	e.done.Wait()
	return nil
}

// look makes a view of what there is. After an error it is that of before, and not connected.
func (e *Elector) look() (ha.View, error) {
	e.reading.Lock()
	defer e.reading.Unlock()
	if !e.isConnected() {
		return e.view(false), zk.ErrNoServer
	}
	err := e.refresh()
	return e.view(err == nil && e.isConnected()), err
}

// Do asks for t.
func (e *Elector) Do(ctx context.Context, t ha.Txn) (ha.Outcome, ha.View) {
	type answer struct {
		outcome ha.Outcome
		view    ha.View
	}
	got := make(chan answer, 1)
	if !e.begin() { // not sent: it would be done whenever the connection comes back
		e.reading.Lock()
		defer e.reading.Unlock()
		return ha.Unknown, e.view(false)
	}
	go func() {
		defer e.done.Done()
		outcome := e.multi(t)
		v, err := e.look()
		if err != nil && outcome == ha.Done && emptyTxn(&t) {
			outcome = ha.Unknown // it was asked for the view alone
		}
		got <- answer{outcome, v}
	}()
	select {
	case a := <-got:
		return a.outcome, a.view
	case <-ctx.Done():
		return ha.Unknown, ha.View{}
	}
}

// begin counts a question, unless there is no session to ask in.
func (e *Elector) begin() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.connected || !e.authentic || e.stopped() {
		return false
	}
	e.done.Add(1)
	return true
}

func emptyTxn(t *ha.Txn) bool {
	return t.SetConfig == nil && t.SetMandate == nil && t.PutMember == nil && t.Announce == nil && !t.Withdraw && len(t.Drop) == 0
}

// outcomeOf says what an error of Multi means.
func outcomeOf(err error) ha.Outcome {
	switch {
	case err == nil:
		return ha.Done
	case errors.Is(err, zk.ErrBadVersion), errors.Is(err, zk.ErrNodeExists), errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrNotEmpty):
		return ha.Conflict
	case errors.Is(err, zk.ErrNoAuth), errors.Is(err, zk.ErrAuthFailed), errors.Is(err, zk.ErrInvalidACL), errors.Is(err, zk.ErrBadArguments):
		return ha.Refused
	}
	return ha.Unknown
}
