package persist

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	now := time.Unix(1, 0)
	// stream makes rounds of so many messages, a second in all, at a disk of such syncs.
	stream := func(p *pace, messages, perSecond int, sync time.Duration) {
		for range 200 {
			now = now.Add(time.Second * time.Duration(messages) / time.Duration(perSecond))
			p.took(now, messages)
			p.synced(sync)
		}
	}
	const sync = 100 * time.Microsecond
	var p pace
	if d := p.linger(5); d != 0 {
		t.Errorf("at first: %v", d)
	}
	for _, c := range []struct {
		messages, perSecond int
		sync, want          time.Duration
	}{
		{1, 1000, sync, 0},
		{1, 6000, sync, 4 * sync},
		{10, 100000, sync, 4 * sync},
		{1, 6000, time.Microsecond, 0},               // a disk that costs nothing
		{20, 6000, 8 * time.Millisecond, lingerMost}, // a slow one
		{1, 10, sync, 0},
	} {
		stream(&p, c.messages, c.perSecond, c.sync)
		if d := p.linger(3); d < c.want*99/100 || d > c.want {
			t.Errorf("%d a second, %d a round, %v a sync: %v, want %v", c.perSecond, c.messages, c.sync, d, c.want)
		}
	}
	stream(&p, 2, 10000, sync)
	if d := p.linger(lingerUnits); d != 0 {
		t.Errorf("enough waits: %v", d)
	}
	for i, skipped := 0, 1; i < 12; i++ { // senders that wait for answers
		p.brought(5, i%5)
		n := 0
		for p.linger(3) == 0 {
			n++
		}
		if want := min(skipped, lingerSkip); n != want {
			t.Errorf("after %d times in vain: %d syncs without, want %d", i+1, n, want)
		}
		skipped = 2*skipped + 1
	}
	p.brought(1, 1)
	if p.linger(3) == 0 {
		t.Error("a stream is back, and it does not linger")
	}
	start := time.Now()
	sleep(200 * time.Microsecond)
	if d := time.Since(start); d < 100*time.Microsecond {
		t.Errorf("slept %v", d)
	}
}

// slowFS has syncs that take a while.
type slowFS struct{ FS }

func (s slowFS) Create(name string) (File, error) {
	f, err := s.FS.Create(name)
	return slowFile{f}, err
}

type slowFile struct{ File }

func (f slowFile) Sync() error {
	sleep(200 * time.Microsecond)
	return f.File.Sync()
}

// A stream costs few syncs, and each message is confirmed all the same.
func TestLingering(t *testing.T) {
	disk := &fakeDisk{}
	o := testOptions(slowFS{NewMemFS()}, disk)
	o.LogSize = 1 << 20
	s := openTest(t, o, disk).lead()
	before := s.Stats()
	var end Pos
	for range 500 {
		_, end = s.send("m", 10)
		sleep(20 * time.Microsecond)
	}
	s.confirm(end)
	after := s.Stats()
	if n := after.Syncs - before.Syncs; n == 0 || n > 250 {
		t.Errorf("%d syncs for 500 messages", n)
	}
	s.close()
}
