package persist

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	stream := func(p *pace, perSync int) {
		for range 100 {
			p.synced(100*time.Microsecond, perSync)
		}
	}
	var p pace
	if d := p.linger(5); d != 0 {
		t.Errorf("at first: %v", d)
	}
	stream(&p, 3)
	if d := p.linger(3); d < 300*time.Microsecond || d > 400*time.Microsecond {
		t.Errorf("a stream: %v", d)
	}
	for units, why := range map[int]string{0: "nothing waits", lingerUnits: "enough waits"} {
		if d := p.linger(units); d != 0 {
			t.Errorf("%s: %v", why, d)
		}
	}
	for i, skipped := 0, 1; i < 8; i++ { // senders that wait for answers
		p.brought(0)
		n := 0
		for p.linger(3) == 0 {
			n++
		}
		if want := min(skipped, 63); n != want {
			t.Errorf("after %d times in vain: %d syncs without, want %d", i+1, n, want)
		}
		skipped = 2*skipped + 1
	}
	p.brought(1)
	if p.linger(3) == 0 {
		t.Error("a stream is back, and it does not linger")
	}
	stream(&p, 0)
	if d := p.linger(1); d != 0 {
		t.Errorf("one sender: %v", d)
	}
	p = pace{}
	for range 100 {
		p.synced(8*time.Millisecond, 100)
	}
	if d := p.linger(3); d != lingerMost {
		t.Errorf("a slow disk: %v", d)
	}
	p = pace{}
	for range 100 {
		p.synced(time.Microsecond, 100)
	}
	if d := p.linger(3); d != 0 {
		t.Errorf("a disk that costs nothing: %v", d)
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
