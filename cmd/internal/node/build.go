package node

import (
	"fmt"
	"strings"

	"github.com/havenmq/havenmq/cmd/internal/config"
	"github.com/havenmq/havenmq/core"
	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
	"github.com/havenmq/havenmq/protocols/amqp"
	"github.com/havenmq/havenmq/protocols/mqtt"
	"github.com/havenmq/havenmq/protocols/peer"
	"github.com/havenmq/havenmq/protocols/stomp"
)

// formats are all protocols' messages: whatever the connectors, a stored message can be read.
var formats = []core.Format{amqp.Format, mqtt.Format, stomp.Format}

// handler makes the handler of a connector's protocol; nil: this build has none.
func handler(scheme, brokerName, version string, o peer.Options) peer.Handler {
	switch scheme {
	case "amqp":
		return peer.NewHandler(amqp.New(amqp.Options{ContainerID: brokerName, Version: version}), o)
	case "stomp":
		return peer.NewHandler(stomp.New(stomp.Options{Version: version}), o)
	case "mqtt":
		return peer.NewHandler(mqtt.New(mqtt.Options{}), o)
	}
	return nil
}

// Supported says what a valid configuration asks for that this build cannot do and that would be unsafe to leave out.
func Supported(c *config.Config) error {
	if r := c.PersistenceAdapter.ReplicatedLevelDB; r != nil && strings.HasSuffix(r.Bind, ":0") {
		return fmt.Errorf("persistenceAdapter.replicatedLevelDB.bind: %s names no port that the other nodes could dial: write one, such as 61619", r.Bind)
	}
	if c.Users != "" {
		return fmt.Errorf("users: %s: log-ins are not supported yet: leave users out, and listen on 127.0.0.1 or set allowAnonymous: true", c.Users)
	}
	return nil
}

// storeOptions is how the store of a single node is opened: a cluster of one.
func storeOptions(c *config.Config) (persist.Options, error) {
	l := c.PersistenceAdapter.LevelDB
	level, err := persist.ParseSync(strings.Join(l.Sync.Levels(), ","))
	if err != nil {
		return persist.Options{}, fmt.Errorf("persistenceAdapter.levelDB.sync: %w", err)
	}
	return persist.Options{
		Dir: l.Directory, Sync: level, LogSize: int64(l.LogSize), StoreUsage: uint64(c.SystemUsage.StoreUsage), Progress: ha.NewAlone(level),
		MemoryBytes: int64(c.SystemUsage.MemoryUsage),
	}, nil
}

// allowanceBytes is what messages that are not whole yet may hold on all connections together: half of memoryUsage, and
// never less than two of the largest.
func allowanceBytes(c *config.Config) int64 {
	bytes := int64(c.SystemUsage.MemoryUsage) / 2
	for _, t := range c.TransportConnectors {
		bytes = max(bytes, 2*int64(t.URI.MaxFrameBytes))
	}
	return bytes
}

// policies are the configured limits, in order.
func policies(c *config.Config) (list []core.Policy) {
	for _, e := range c.DestinationPolicy.PolicyEntries {
		p := core.Policy{Pattern: core.Destination{Kind: core.Topic, Name: e.Topic}}
		if limit := e.PendingMessageLimitStrategy.Constant; limit != nil {
			p.PendingLimit = limit.Limit
		}
		list = append(list, p)
	}
	return list
}
