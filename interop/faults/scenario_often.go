package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// moment is a point in a node's life at which it is killed.
type moment struct {
	name  string
	await func(s *stage, master *node, rng *rand.Rand) error
}

// momentWait is within what each of them comes: an index is written every five seconds.
const momentWait = 8 * time.Second

var moments = []moment{
	{"rotations", func(_ *stage, m *node, _ *rand.Rand) error {
		return awaitFile(m.store(), syscall.IN_MOVED_TO, ".log", momentWait)
	}},
	{"trims", func(_ *stage, m *node, _ *rand.Rand) error {
		return awaitFile(m.store(), syscall.IN_DELETE, ".log", momentWait)
	}},
	{"checkpoints", func(_ *stage, m *node, _ *rand.Rand) error {
		return awaitFile(filepath.Join(m.store(), "index"), syscall.IN_MODIFY|syscall.IN_CREATE, "", momentWait)
	}},
	{"attachments", func(s *stage, m *node, _ *rand.Rand) error {
		replica := s.c.others(m)[0]
		replica.kill()
		from := replica.logOffset()
		if err := replica.boot(); err != nil {
			return err
		}
		return until(momentWait, replica.host.name+" attaches", func() bool { return strings.Contains(replica.printed(from), "Attaching to master") })
	}},
	{"any time", func(s *stage, _ *node, rng *rand.Rand) error {
		pause(s.ctx, time.Duration(rng.Intn(500))*time.Millisecond)
		return nil
	}},
}

// killOften is scenario 30.
func killOften(s *stage) {
	l := s.loadOf(largeBytes)
	rng := rand.New(rand.NewSource(30))
	times := s.rounds(10, 50)
	hits := map[string]int{}
	var longest time.Duration
	for i := range times {
		master := s.now()
		_, err := s.c.whole()
		s.must(err)
		m := moments[i%len(moments)]
		if err := m.await(s, master, rng); err != nil {
			s.must(fmt.Errorf("%s: %w", m.name, err))
		}
		hits[m.name]++
		pause(s.ctx, time.Duration(rng.Intn(3000))*time.Microsecond)
		s.fault()
		master.kill()
		s.must(master.boot())
		longest = max(longest, s.service(l, startTimeout))
	}
	var list []string
	for _, m := range moments {
		list = append(list, fmt.Sprintf("%d %s", hits[m.name], m.name))
	}
	s.saw("%d kills: %s; served again after %s at most", times, strings.Join(list, ", "), ms(longest))
}

// awaitFile returns as soon as something happens to a file of a directory whose name ends so.
func awaitFile(dir string, events uint32, suffix string, limit time.Duration) error {
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "inotify")
	_, err = syscall.InotifyAddWatch(fd, dir, events)
	if err == nil {
		err = f.SetReadDeadline(time.Now().Add(limit))
	}
	for buf := make([]byte, 4096); err == nil; {
		var n int
		if n, err = f.Read(buf); err == nil && named(buf[:n], suffix) {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("nothing happened to %s in %s: %w", filepath.Join(dir, "*"+suffix), limit, err)
	}
	return errors.Join(err, f.Close())
}

// inotifyNameLen is where an event says how long the name behind it is.
const inotifyNameLen = 12

// named says whether any of the kernel's events is about a file whose name ends so.
func named(events []byte, suffix string) bool {
	for len(events) >= syscall.SizeofInotifyEvent {
		end := syscall.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[inotifyNameLen:]))
		if strings.HasSuffix(strings.TrimRight(string(events[syscall.SizeofInotifyEvent:end]), "\x00"), suffix) {
			return true
		}
		events = events[end:]
	}
	return false
}
