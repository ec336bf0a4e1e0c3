package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/eclipse/paho.golang/paho"
)

// Protocol times that scenarios are held to.
const (
	heartbeat     = 100 * time.Millisecond
	lease         = 750 * time.Millisecond
	quorumLost    = 2 * time.Second
	startTimeout  = 20 * time.Second // far above what a start takes
	wipedWait     = 8 * time.Second  // the same, and a session ends within: a wiped node may then claim its seat
	electionWaits = 6 * time.Second  // nobody may be elected: it is waited for about as long as ten elections take
)

// killMaster is scenario 1.
func killMaster(s *stage) {
	l := s.load()
	old := s.master
	s.fault()
	old.kill()
	gap := s.service(l, startTimeout)
	s.within("the new master", gap, time.Second)
	s.elections(1, 1)
	s.saw("%s → %s in %s", old.host.name, s.now().host.name, ms(gap))
}

// stopMaster is scenario 2.
func stopMaster(s *stage) {
	l := s.load()
	old := s.master
	amqpEnd, mqttEnd := s.witnesses(old)
	s.fault()
	old.signal(syscall.SIGTERM)
	gap := s.service(l, startTimeout)
	s.within("the handover", gap, 300*time.Millisecond)
	s.must(old.wait(startTimeout))
	s.check(old.err, nil)
	s.elections(1, 1)
	s.saw("%s → %s in %s; AMQP: %s; MQTT: %s", old.host.name, s.now().host.name, ms(gap), s.told(amqpEnd), s.told(mqttEnd))
}

// witnesses are idle clients that say how their connections end.
func (s *stage) witnesses(n *node) (amqpEnd, mqttEnd chan string) {
	amqpEnd, mqttEnd = make(chan string, 1), make(chan string, 2)
	c, err := amqp.Dial(s.ctx, "amqp://"+n.addr+":5672", &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous()})
	s.must(err)
	go func() {
		<-c.Done()
		end := "cut without a word"
		if e, ok := c.Err().(*amqp.ConnError); ok && e.RemoteErr != nil {
			end = string(e.RemoteErr.Condition)
		}
		amqpEnd <- end
	}()
	conn, err := net.Dial("tcp", n.addr+":1883")
	s.must(err)
	m := paho.NewClient(paho.ClientConfig{Conn: conn,
		OnServerDisconnect: func(d *paho.Disconnect) { mqttEnd <- fmt.Sprintf("DISCONNECT %#x", d.ReasonCode) },
		OnClientError:      func(error) { mqttEnd <- "cut without a word" }})
	_, err = m.Connect(s.ctx, &paho.Connect{ClientID: "witness", CleanStart: true, KeepAlive: 60})
	s.must(err)
	return amqpEnd, mqttEnd
}

// told returns what a witness was told.
func (s *stage) told(end chan string) string {
	select {
	case text := <-end:
		if text == "cut without a word" {
			s.fail("a client was cut off without a word")
		}
		return text
	case <-time.After(5 * time.Second):
		s.fail("a client was not told that its master stopped")
		return "nothing"
	}
}

// killReplica is scenario 3.
func killReplica(s *stage) {
	l := s.load()
	s.fault()
	s.c.others(s.master)[0].kill()
	gap := s.service(l, startTimeout)
	s.within("the stall", gap, heartbeat)
	s.elections(0, 0)
	s.saw("longest stall %s", ms(gap))
}

// killReplicas is scenario 4.
func killReplicas(s *stage) {
	l := s.load()
	s.fault()
	replicas := s.c.others(s.master)
	for _, n := range replicas {
		n.kill()
	}
	dead := time.Now()
	s.must(until(startTimeout, "the master pauses", func() bool {
		st, ok := s.master.status()
		return ok && (st.Cluster.Paused || st.Role != "master")
	}))
	paused := time.Since(dead)
	s.must(until(startTimeout, "the master steps down", func() bool {
		st, ok := s.master.status()
		return ok && st.Role != "master"
	}))
	down := time.Since(dead)
	s.within("the pause", paused, time.Second)
	s.within("the step down", down, quorumLost+time.Second)
	silent := time.Now()
	if n := l.confirmedBetween(dead.Add(lease), silent); n > 0 {
		s.fail("%d messages were confirmed without a quorum", n)
	}
	s.must(replicas[0].boot())
	began := time.Now()
	s.service(l, startTimeout)
	s.saw("paused after %s, stepped down after %s, served %s after a replica's start", ms(paused), ms(down), ms(time.Since(began)))
}

// killAll is scenario 5.
func killAll(s *stage) {
	l := s.load()
	s.fault()
	for _, n := range s.c.nodes {
		n.kill()
	}
	began := time.Now()
	for _, n := range s.c.others(s.master) {
		s.must(n.boot())
	}
	s.service(l, startTimeout)
	s.saw("%s serves %s after the start of two", s.now().host.name, ms(time.Since(began)))
}

// killAllWipe is scenario 6.
func killAllWipe(s *stage) {
	l := s.load()
	replicas := s.c.others(s.master)
	stale, wiped := replicas[0], replicas[1]
	stale.kill()
	from := time.Now()
	s.must(until(startTimeout, "the others confirm more", func() bool { return l.confirmedBetween(from, time.Now()) > 200 }))
	s.fault()
	s.master.kill()
	wiped.kill()
	s.must(os.RemoveAll(wiped.store()))
	s.c.mark()
	s.must(stale.boot())
	s.must(wiped.boot())
	s.nobody(wipedWait)
	for _, n := range []*node{stale, wiped} {
		s.mustSay(n, "Not enough cluster members")
	}
	began := time.Now()
	s.must(s.master.boot())
	gap := s.service(l, startTimeout)
	s.saw("a stale and a wiped node did not serve in %s; %s after the third came %s did", wipedWait, ms(time.Since(began)), s.now().host.name)
	s.row.gap = gap
}

// attachIdle is scenario 38, ActiveMQ's lost queue: a replica attaches while nothing is sent, and is then all there is.
func attachIdle(s *stage) {
	l := s.load()
	replica := s.c.others(s.master)[0]
	rest := s.c.others(replica)
	replica.kill()
	l.consuming()
	from := time.Now()
	s.must(until(startTimeout, "messages are confirmed without the replica", func() bool { return l.confirmedBetween(from, time.Now()) > 200 }))
	l.producing()
	l.producers.Wait()
	l.consumers.Wait()
	o := s.c.settings()
	o.weight = 100 // of equal logs, the heavier node's: it is the one that must serve
	s.must(replica.configure(o))
	s.must(replica.boot())
	_, err := s.c.whole()
	s.must(err)
	s.fault()
	for _, n := range rest {
		n.kill()
	}
	s.must(rest[0].boot())
	m, err := s.c.serving(startTimeout)
	s.must(err)
	if m != replica {
		s.fail("%s serves, not %s, which attached last", m.host.name, replica.host.name)
	}
	took := time.Since(s.began)
	l.consume(s.ctx)
	confirmed, received := l.counts()
	s.must(until(drainTimeout, "all that was confirmed is received from the replica", func() bool {
		confirmed, received = l.counts()
		return confirmed == received
	}))
	s.saw("%s served after %s and had all %d", m.host.name, ms(took), confirmed)
}

// nobody holds that no node serves for a time.
func (s *stage) nobody(d time.Duration) {
	ctx, cancel := context.WithTimeout(s.ctx, d)
	defer cancel()
	for ctx.Err() == nil {
		if m := s.c.masters(); len(m) > 0 {
			s.fail("%s serves, and may not", m[0].host.name)
			return
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// now is the node that serves.
func (s *stage) now() *node {
	m, err := s.c.serving(startTimeout)
	s.must(err)
	return m
}

// mustSay fails the scenario when a node's log lacks a text since the last mark.
func (s *stage) mustSay(n *node, text string) {
	if !s.c.logged(n, text) {
		s.fail("%s did not log %q", n.host.name, text)
	}
}
