package node

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
	"github.com/havenmq/havenmq/protocols/admin"
	"github.com/havenmq/havenmq/protocols/peer"
)

// journal writes the node's log. What the network can cause is written at most maxLines times a second for each kind;
// the rest is counted.
type journal struct {
	zerolog.Logger
	mu      sync.Mutex
	written map[string]int // lines of this second, by kind
	left    map[string]int // lines that were left out
}

const maxLines = 20

func newJournal(l zerolog.Logger) *journal {
	return &journal{Logger: l, written: map[string]int{}, left: map[string]int{}}
}

// run begins a new second, each second, and says what was left out of the last.
func (j *journal) run(life context.Context) func() {
	return func() {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				j.second()
			case <-life.Done():
				j.second()
				return
			}
		}
	}
}

func (j *journal) second() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for kind, n := range j.left {
		j.Warn().Int("lines", n).Msgf("Left out more lines: %s", kind)
	}
	clear(j.written)
	clear(j.left)
}

// may says whether one more line of a kind is written.
func (j *journal) may(kind string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.written[kind] >= maxLines {
		j.left[kind]++
		return false
	}
	j.written[kind]++
	return true
}

// levels of the broker's events; the others are warnings.
var levels = map[core.EventKind]zerolog.Level{
	core.EventConnected:    zerolog.DebugLevel,
	core.EventDisconnected: zerolog.DebugLevel,
	core.EventTakenOver:    zerolog.InfoLevel,
	core.EventDeadLetter:   zerolog.InfoLevel,
	core.EventLeftOut:      zerolog.InfoLevel,
	core.EventFault:        zerolog.ErrorLevel,
}

// titles of what is told, as log lines begin.
var titles = map[core.EventKind]string{
	core.EventConnected:    "Client connected",
	core.EventDisconnected: "Client disconnected",
	core.EventTakenOver:    "Client id taken over",
	core.EventRefused:      "Client refused",
	core.EventDeadLetter:   "Messages became dead letters",
	core.EventDropped:      "Messages dropped",
	core.EventStoreFull:    "Store full",
	core.EventFault:        "Fault",
	core.EventLeftOut:      "Events left out",
}

// event writes one of the broker's events.
func (j *journal) event(e core.Event) {
	level, ok := levels[e.Kind]
	if !ok {
		level = zerolog.WarnLevel
	}
	if j.GetLevel() > level || !j.may(string(e.Kind)) {
		return
	}
	line := j.WithLevel(level).Str("subject", e.Subject)
	if e.Count > 0 {
		line = line.Uint64("count", e.Count)
	}
	line.Str("detail", e.Detail).Msg(titles[e.Kind])
}

// peer writes one of the rim's reports.
func (j *journal) peer(r peer.Report) {
	level, title := zerolog.WarnLevel, "Connection ended"
	switch {
	case r.Kind == peer.ReportFault:
		level, title = zerolog.ErrorLevel, "Fault in a session"
	case r.Kind == peer.ReportRefused:
		title = "Connection refused"
	case r.Kind == peer.ReportAccept:
		level, title = zerolog.ErrorLevel, "Connections cannot be accepted"
	case peer.Expected(r.Err) || isOurs(r.Err):
		level = zerolog.DebugLevel
	}
	if j.GetLevel() > level || !j.may(string(r.Kind)) {
		return
	}
	line := j.WithLevel(level).Str("protocol", r.Protocol)
	if r.Remote != "" {
		line = line.Str("remote", r.Remote)
	}
	if r.Stack != nil {
		line = line.Bytes("stack", r.Stack)
	}
	line.AnErr("reason", r.Err).Msg(title)
}

// storef writes what the store has to say; what it says of damage is an error.
func (j *journal) storef(format string, args ...any) {
	level := zerolog.InfoLevel
	for _, a := range args {
		if _, damage := a.(*persist.DamageError); damage {
			level = zerolog.ErrorLevel
		}
	}
	j.WithLevel(level).Msgf("Store: "+format, args...)
}

// zookeeperf writes what the ZooKeeper client has to say: it tries again and again, so that it may be much.
func (j *journal) zookeeperf(format string, args ...any) {
	if j.may("zookeeper") {
		j.Info().Msgf(format, args...)
	}
}

// cluster writes what the node has to say about its cluster.
func (j *journal) cluster(l ha.Level, text string) {
	level := map[ha.Level]zerolog.Level{ha.Debug: zerolog.DebugLevel, ha.Info: zerolog.InfoLevel, ha.Warn: zerolog.WarnLevel, ha.Alarm: zerolog.ErrorLevel}[l]
	if j.may("cluster: " + kindOf(text)) {
		j.WithLevel(level).Msg(text)
	}
}

// kindOf is what lines that say the same of other nodes and positions have in common: many of one kind must not hide those of
// another, such as an election's.
func kindOf(text string) string {
	if i := strings.IndexAny(text, ":0123456789"); i >= 0 {
		return text[:i]
	}
	return text
}

// recovered writes what the store found in its directory, where that is worth a line.
func (j *journal) recovered(r persist.Recovery) {
	if r.Unclean {
		j.Warn().Msg("The machine went down before the log was on disk: what was confirmed in memory alone may be lost")
	}
	if r.CutBytes > 0 {
		j.Info().Int64("bytes", r.CutBytes).Msg("Half-written bytes were cut off behind the log's end")
	}
	if r.IndexRebuilt {
		j.Info().Uint64("from", uint64(r.ReplayedFrom)).Msg("The index was built anew from the log")
	}
}

func (j *journal) started(i admin.NodeInfo) {
	for _, w := range i.Warnings {
		j.Warn().Msg(w)
	}
	j.Info().Str("broker", i.BrokerName).Uint64("epoch", i.Epoch).Uint64("position", i.Store.LogEnd).Str("data", i.DataDirectory).Msg("Master started")
}
