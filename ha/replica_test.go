package ha

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/havenmq/havenmq/persist"
)

// lines gives what the last step tells.
func lines(s *stage) (out []string) {
	for _, a := range s.last {
		if a, ok := a.(Tell); ok {
			out = append(out, a.Text)
		}
	}
	return out
}

// TestProgressOfAttaching is told at the beginning, each second, and at the end: bytes and files.
func TestProgressOfAttaching(t *testing.T) {
	s := newStage(t, voter(), Options{})
	s.follow(Attach{Epoch: 1, Cut: 1024, VoterAt: 5 * 1024, Files: 3, Restart: true, Header: []byte{1}})
	s.step(IncomingStarted{Start: 1024})
	var all []string
	all = append(all, lines(s)...)
	for i, files := range []int{1, 2, 3, 3} {
		s.now += 600 * time.Millisecond
		at := persist.Pos(1024 * (i + 2))
		s.step(Got{5, Append{Epoch: 1, Base: at - 1024, Batches: make([]byte, 1024)}})
		s.step(Wrote{Incoming: true, Received: at, Files: files})
		s.step(Synced{Incoming: true, Synced: at})
		all = append(all, lines(s)...)
	}
	want := []string{"Attaching... Downloaded 0.00/4.00 kb and 0/3 files", "Attaching... Downloaded 2.00/4.00 kb and 1/3 files", "Attaching... Downloaded 4.00/4.00 kb and 3/3 files"}
	if !slices.Equal(all, want) {
		t.Errorf("%q, want %q", all, want)
	}
}

// TestSettingsThatDiffer between nodes are warned of, by name.
func TestSettingsThatDiffer(t *testing.T) {
	s := newStage(t, voter(), Options{Settings: "sync=quorum_disk logSize=5"})
	s.other(3, MemberRow{State: StateFollowing, Addr: "c:1", Settings: "logSize=5 sync=quorum_mem other=7"})
	s.step(Seen{s.view})
	w := s.n.Status(s.now).Warnings
	if len(w) != 1 || !strings.Contains(w[0], "sync is quorum_disk here and quorum_mem on the node at c:1") {
		t.Errorf("%q", w)
	}
	s.done()
	if m, _ := s.n.mine(); m.Row.Settings != "sync=quorum_disk logSize=5" {
		t.Errorf("%+v", m.Row)
	}
}
