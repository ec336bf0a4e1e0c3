package rim

import (
	"time"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// stand is the smallest machine that replicates: it leads epoch 1 or follows a fixed master. Nothing is elected.
type stand struct {
	o      ha.Options
	boot   ha.Boot
	master string // to be dialed; empty: this one leads
	m      *ha.Master
	seats  map[ha.Link]int
	commit persist.Pos
	end    persist.Pos
	synced persist.Pos
	link   ha.Link
	wake   time.Duration
	seq    uint64
	out    []ha.Action
}

func (s *stand) Wake() time.Duration { return s.wake }

func (s *stand) Status(time.Duration) ha.Status {
	return ha.Status{Committed: s.commit, Received: s.end}
}

func (s *stand) do(a ...ha.Action) { s.out = append(s.out, a...) }

func (s *stand) Step(now time.Duration, e ha.Event) []ha.Action {
	s.out = s.out[:0]
	switch e := e.(type) {
	case ha.Tick:
		s.tick(now)
	case ha.StopAsked:
		s.do(ha.StopServing{Reason: "stop"}, ha.Exit{Reason: "asked"})
	case ha.Led:
		s.m = ha.NewMaster(s.o.Replicas, 0, s.o.Sync, 0, e.Barrier)
		s.do(ha.Listen{})
	case ha.Advanced:
		s.m.Held(0, e.Received, e.Synced)
		s.progress()
	case ha.Applied:
		if s.m != nil && s.commit > 0 && e.Applied >= s.commit && s.seq < 1<<40 {
			s.seq = 1 << 40
			s.do(ha.Serve{Epoch: 1})
		}
	case ha.Dialed:
		s.link = e.Link
		s.do(ha.Send{Link: e.Link, Frame: ha.Hello{End: s.end}})
	case ha.DialFailed:
		s.wake = now + 20*time.Millisecond
	case ha.Lost:
		if e.Link == s.link {
			s.link, s.wake = 0, now+20*time.Millisecond
		}
	case ha.Wrote:
		s.end = max(s.end, e.Received)
	case ha.Synced:
		s.end, s.synced = max(s.end, e.Synced), max(s.synced, e.Synced)
		s.do(ha.Send{Link: s.link, Frame: ha.Ack{Epoch: 1, Received: s.end, Synced: s.synced}})
	case ha.Got:
		s.got(e)
	}
	return s.out
}

func (s *stand) tick(now time.Duration) {
	switch {
	case s.master == "" && s.m == nil && s.seq == 0:
		s.seq = 1
		s.do(ha.Lead{Epoch: 1})
	case s.master != "" && s.link == 0:
		s.end, s.synced = max(s.end, s.boot.Received), max(s.synced, s.boot.Received)
		s.do(ha.Dial{Addr: s.master})
	default:
		for l := range s.seats {
			s.do(ha.Send{Link: l, Frame: ha.Heartbeat{Epoch: 1, Commit: s.commit}})
		}
	}
	s.wake = now + 100*time.Millisecond
}

func (s *stand) progress() {
	if s.m.Commit() > s.commit {
		s.commit = s.m.Commit()
		s.do(ha.Commit{Commit: s.m.Commit(), Confirm: s.m.Confirm()})
	}
}

func (s *stand) got(e ha.Got) {
	switch f := e.Frame.(type) {
	case ha.Hello:
		if s.seats == nil {
			s.seats = map[ha.Link]int{}
		}
		s.seats[e.Link] = len(s.seats) + 1
		s.do(ha.Stream{Link: e.Link, Epoch: 1, From: f.End})
	case ha.Append:
		s.do(ha.Write{Base: f.Base, Batches: f.Batches}, ha.Sync{}, ha.Commit{Commit: f.Commit, Confirm: f.Commit})
	case ha.Heartbeat:
		s.do(ha.Commit{Commit: f.Commit, Confirm: f.Commit})
	case ha.Ack:
		s.m.Held(s.seats[e.Link], f.Received, f.Synced)
		s.do(ha.Acked{Link: e.Link, Pos: f.Synced})
		s.progress()
	}
}
