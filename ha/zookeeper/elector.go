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
	o   Options
	acl []zk.ACL

	reading sync.Mutex // held while rows are read: one view after the other
	rows    rows
	serial  uint64
	ready   bool // the persistent rows' parents are there, as this session has seen

	mu        sync.Mutex // guards what follows
	conn      *zk.Conn   // replaced only while reading is held too
	clients   int        // made so far: what an older one says is passed over
	refusing  time.Time  // since when servers answer and give no session; zero: they do not
	greeted   bool       // a server has answered, and the session is not there yet
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

// Printf has other words for a session that did not begin: the client's sound like a wrong password, which is not asked for then.
func (l logger) Printf(format string, args ...any) {
	if why, ok := strings.CutPrefix(format, "authentication failed"); ok {
		format = "the server began no session" + why
	}
	l.logf("ZooKeeper: "+format, args...)
}

// Connect begins a session; it does not wait for it.
func Connect(o Options) (*Elector, error) {
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	if !strings.HasPrefix(o.Path, "/") || path.Clean(o.Path) != o.Path || o.Path == "/" {
		return nil, fmt.Errorf("zkPath: %q is no absolute path", o.Path)
	}
	e := &Elector{o: o, acl: zk.WorldACL(zk.PermAll), dirty: map[string]bool{}, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	if o.Password != "" {
		e.acl = zk.DigestACL(zk.PermAll, "fabric", o.Password)
	}
	if err := e.open(); err != nil {
		return nil, err
	}
	e.done.Go(e.run)
	return e, nil
}

// open makes a client, in place of the one before. It begins a session of its own and does not wait for it.
func (e *Elector) open() error {
	e.reading.Lock()
	defer e.reading.Unlock()
	e.mu.Lock()
	e.clients++
	number, old := e.clients, e.conn
	e.connected, e.authentic, e.greeted, e.refusing = false, e.o.Password == "", false, time.Time{}
	e.mu.Unlock()
	conn, _, err := zk.Connect(e.o.Servers, e.o.SessionTimeout, zk.WithLogger(logger{e.o.Logf}), zk.WithLogInfo(false),
		zk.WithEventCallback(func(ev zk.Event) { e.happened(number, ev) }), zk.WithMaxBufferSize(4<<20))
	if err != nil {
		return fmt.Errorf("zkAddress: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped() {
		old = conn
	} else {
		e.conn = conn
	}
	if old != nil {
		e.done.Go(old.Close) // it takes a while, without a server
	}
	if e.o.Password != "" && e.conn == conn {
		e.done.Go(func() { e.authenticate(conn) })
	}
	return nil
}

// client is the present one.
func (e *Elector) client() *zk.Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conn
}

// authenticate gives the client the password, as soon as there is a server; the client says it again in each session. Nothing is
// asked before.
func (e *Elector) authenticate(conn *zk.Conn) {
	for told := false; ; {
		err := conn.AddAuth("digest", []byte("fabric:"+e.o.Password))
		if err == nil {
			e.mu.Lock()
			e.authentic = e.authentic || e.conn == conn
			e.mu.Unlock()
			e.signal()
			return
		}
		if e.client() != conn {
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

// happened is called by the client of a number for all events. It never blocks.
func (e *Elector) happened(number int, ev zk.Event) {
	e.mu.Lock()
	switch {
	case number != e.clients:
	case ev.Type == zk.EventSession:
		e.connected = ev.State == zk.StateHasSession
		e.noteRefusal(ev.State)
	case ev.Path != "":
		e.dirty[ev.Path] = true
	}
	e.mu.Unlock()
	e.signal()
}

// noteRefusal remembers since when servers answer and give no session. mu is held.
func (e *Elector) noteRefusal(s zk.State) {
	switch s {
	case zk.StateConnected:
		e.greeted = true
	case zk.StateHasSession:
		e.greeted, e.refusing = false, time.Time{}
	case zk.StateDisconnected:
		if e.greeted && e.refusing.IsZero() {
			e.refusing = time.Now()
		}
		e.greeted = false
	}
}

// forsaken says whether servers have refused the client for longer than its session lasts. They refuse one that has seen later
// changes than they have, in the hope that another server has those: for ever, if the ensemble's data was set back.
func (e *Elector) forsaken() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.refusing.IsZero() && time.Since(e.refusing) > e.o.SessionTimeout
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
		if e.forsaken() {
			if err := e.open(); err != nil {
				e.o.Logf("ZooKeeper: a new client: %v", err)
			}
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
		conn := e.conn
		e.mu.Unlock()
		conn.Close()
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
