package main

import (
	"os"
	"path/filepath"
	"sync"
	"time"
)

// probe watches the machine, not the cluster: it syncs a page on the disk that all nodes share, again and again, and remembers how long
// that took. What stood still for everybody is no node's doing.
type probe struct {
	file  *os.File
	stop  chan struct{}
	done  chan struct{}
	mu    sync.Mutex
	slow  []stall
	since time.Time // of the round under way; zero between rounds
}

// stall is a round that took long.
type stall struct {
	began time.Time
	took  time.Duration
}

const (
	probePause = 20 * time.Millisecond
	probeSlow  = 20 * time.Millisecond // what is quicker is not remembered
)

// startProbe begins, with a file in dir.
func startProbe(dir string) (*probe, error) {
	f, err := os.Create(filepath.Join(dir, "probe"))
	if err != nil {
		return nil, err
	}
	p := &probe{file: f, stop: make(chan struct{}), done: make(chan struct{})}
	go p.run()
	return p, nil
}

func (p *probe) run() {
	defer close(p.done)
	page := make([]byte, 4096)
	due := time.Now()
	for {
		p.mark(due)
		if _, err := p.file.WriteAt(page, 0); err == nil {
			_ = p.file.Sync() // an error would make a quicker round, and excuse less
		}
		p.mark(time.Time{})
		due = time.Now().Add(probePause) // a round that begins late is late: that is the processors' share
		select {
		case <-p.stop:
			return
		case <-time.After(probePause):
		}
	}
}

// mark begins a round, or ends it.
func (p *probe) mark(since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if took := time.Since(p.since); since.IsZero() && took > probeSlow {
		p.slow = append(p.slow, stall{p.since, took})
	}
	p.since = since
}

// longest is how long the machine stood still at a time, since then.
func (p *probe) longest(since time.Time) (d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slow {
		if s.began.Add(s.took).After(since) {
			d = max(d, s.took)
		}
	}
	if !p.since.IsZero() {
		d = max(d, time.Since(p.since))
	}
	return d
}

// close ends it.
func (p *probe) close() error {
	close(p.stop)
	<-p.done
	return p.file.Close()
}
