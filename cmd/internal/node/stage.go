package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/persist"
	"github.com/havenmq/havenmq/protocols/peer"
)

// stage is what serves clients: a broker on a store that leads, and the transports.
type stage struct {
	broker    *core.Broker
	listeners []*listener
	serving   bool
	quit      context.CancelFunc // ends ticks
	running   sync.WaitGroup
}

// listener is a connector that is listened on.
type listener struct {
	*peer.Listener
	name, url string
	most      int
	served    chan struct{}
}

// tickPause is how often the broker is told the time.
const tickPause = 100 * time.Millisecond

// openStage opens the broker and binds the transports, each within patience. Clients are served by stage.serve. Nothing is
// left of a stage that could not be opened.
func (n *Node) openStage(ctx context.Context, store *persist.Store, patience time.Duration) error {
	life, quit := context.WithCancel(context.WithoutCancel(ctx))
	s := &stage{quit: quit}
	b, err := core.Open(core.Options{
		Store: store, NowMs: time.Now().UnixMilli(), Formats: formats, Policies: policies(n.o.Config),
		Limits: core.Limits{MemoryBytes: int64(n.o.Config.SystemUsage.MemoryUsage)}, Events: n.log.event,
	})
	if err != nil {
		quit()
		return err
	}
	s.broker = b
	s.running.Go(func() { s.tick(life) })
	if err := n.listen(ctx, s, patience); err != nil {
		s.close(ctx, "")
		return err
	}
	n.stage.Store(s) // from here on Info reads it
	n.desk.broker.Store(b)
	return nil
}

// serve lets clients in.
func (s *stage) serve() {
	s.serving = true
	for _, l := range s.listeners {
		go func() {
			defer close(l.served)
			l.Serve()
		}()
	}
}

// closeStage says goodbye to all clients, and returns when nothing of the broker runs any more. When ctx ends, clients that
// have not gone are cut. nextHost is the next master's; "" is not known.
func (n *Node) closeStage(ctx context.Context, nextHost string) {
	s := n.stage.Swap(nil)
	if s == nil {
		return
	}
	n.desk.broker.Store(nil)
	s.close(ctx, nextHost)
}

func (s *stage) close(ctx context.Context, nextHost string) {
	for _, l := range s.listeners {
		l.StopAccepting()
	}
	s.broker.HandOver(nextHost) // before connections end: wills and deadlines are left to the next master
	var clients sync.WaitGroup
	for _, l := range s.listeners {
		clients.Go(func() {
			l.Stop(ctx, s.broker.Goodbye())
			if s.serving {
				<-l.served
			}
		})
	}
	clients.Wait()
	s.quit()
	s.running.Wait()
}

func (s *stage) tick(life context.Context) {
	t := time.NewTicker(tickPause)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			s.broker.Tick(now.UnixMilli())
		case <-life.Done():
			return
		}
	}
}

// listen binds every connector that this build serves.
func (n *Node) listen(ctx context.Context, s *stage, patience time.Duration) error {
	bytes := allowanceBytes(n.o.Config)
	allowance, unread := peer.NewAllowance(bytes), peer.NewAllowance(bytes)
	files, err := openFiles()
	if err != nil {
		return err
	}
	connections, warning, err := fitConnections(n.o.Config.TransportConnectors, files)
	if err != nil {
		return err
	}
	if warning != "" {
		n.warn(warning)
	}
	for i, c := range n.o.Config.TransportConnectors {
		if !c.URI.Served() {
			continue
		}
		h := handler(c.URI.Scheme, n.o.Config.BrokerName, n.o.Version, peer.Options{
			Limits:    peer.Limits{MaxConnections: connections[i], MaxFrameBytes: c.URI.MaxFrameBytes},
			Allowance: allowance, Unread: unread,
			Attach: func(sink core.Sink, remote string) peer.Client { return s.broker.Attach(sink, remote) },
			Report: n.log.peer,
		})
		if h == nil {
			n.log.Warn().Msgf("Connector %s (%s) is not supported yet and is not listened on", c.Name, c.URI.URL())
			continue
		}
		socket, err := listenPatiently(ctx, c.URI.Address(), patience)
		if err != nil {
			return fmt.Errorf("connector %s: %w: stop what uses the port, or name another with --transport %s://127.0.0.1:PORT", c.Name, err, c.URI.Scheme)
		}
		s.listeners = append(s.listeners, &listener{
			Listener: peer.NewListener(socket, h, connections[i], n.log.peer), name: c.Name,
			url: c.URI.Scheme + "://" + bound(c.URI.Host, socket), most: connections[i], served: make(chan struct{}),
		})
	}
	return nil
}

// bindPause is how often a port that is taken is tried again.
const bindPause = 20 * time.Millisecond

// listenPatiently tries again while another has the port: the master before may be about to leave it.
func listenPatiently(ctx context.Context, address string, patience time.Duration) (net.Listener, error) {
	for began := time.Now(); ; {
		l, err := peer.Listen(ctx, address)
		if !errors.Is(err, syscall.EADDRINUSE) || time.Since(began) >= patience {
			return l, err
		}
		select {
		case <-time.After(bindPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}
