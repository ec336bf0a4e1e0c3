package zookeeper

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/havenmq/havenmq/ha"
	"github.com/havenmq/havenmq/persist"
)

// The rows as JSON. Field names are the operator's, who reads them with zkCli.sh.

type configRow struct {
	ClusterID   string    `json:"cluster_id"`
	Replicas    int       `json:"replicas"`
	Initialized bool      `json:"initialized"`
	Seats       []seatRow `json:"seats"`
	Sole        string    `json:"sole,omitempty"`
}

type seatRow struct {
	NodeID     string `json:"node_id"`
	Generation uint64 `json:"generation"`
	Addr       string `json:"repl_addr"`
	Weight     int    `json:"weight"`
}

type mandateRow struct {
	Epoch     uint64 `json:"epoch"`
	Leader    string `json:"master_id"`
	Addr      string `json:"repl_addr"`
	Nonce     uint64 `json:"nonce,string"`
	LastEpoch uint64 `json:"last_epoch"`
	Start     uint64 `json:"start_off"`
}

type memberRow struct {
	NodeID       string `json:"node_id"`
	Generation   uint64 `json:"generation"`
	Incarnation  uint64 `json:"incarnation,string"`
	State        string `json:"state"`
	SuspectEpoch uint64 `json:"suspect_epoch"`
	Promised     uint64 `json:"promised"`
	LastEpoch    uint64 `json:"last_epoch"`
	End          uint64 `json:"end"`
	Claims       uint64 `json:"claims"`
	Twin         uint64 `json:"twin,omitempty,string"`
	Voter        bool   `json:"voter"`
	Drained      bool   `json:"drained,omitempty"`
	Full         bool   `json:"full,omitempty"`
	Blank        bool   `json:"blank"`
	Weight       int    `json:"weight"`
	Addr         string `json:"repl_addr"`
	Admin        string `json:"admin_url"`
	Settings     string `json:"settings,omitempty"`
}

type masterRow struct {
	NodeID string `json:"node_id"`
	Epoch  uint64 `json:"epoch"`
	Addr   string `json:"repl_addr"`
	Admin  string `json:"admin_url"`
}

func parseID(s string) (id persist.ID, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%q is no id of 32 hex digits", s)
	}
	copy(id[:], b)
	return id, nil
}

func encode(row any) []byte {
	b, err := json.Marshal(row)
	if err != nil {
		panic(err) // nothing in a row can fail
	}
	return b
}

func encodeConfig(c *ha.Config) []byte {
	row := configRow{ClusterID: c.ClusterID.String(), Replicas: c.Replicas, Initialized: c.Initialized}
	if !c.Sole.IsZero() {
		row.Sole = c.Sole.String()
	}
	for _, s := range c.Seats {
		row.Seats = append(row.Seats, seatRow{s.NodeID.String(), s.Generation, s.Addr, s.Weight})
	}
	return encode(row)
}

// maxReplicas bounds what a row may make this node believe in.
const maxReplicas = 63

func decodeConfig(b []byte) (*ha.Config, error) {
	var row configRow
	if err := json.Unmarshal(b, &row); err != nil {
		return nil, err
	}
	if row.Replicas < 1 || row.Replicas > maxReplicas || len(row.Seats) > row.Replicas {
		return nil, fmt.Errorf("%d seats of %d replicas", len(row.Seats), row.Replicas)
	}
	c := &ha.Config{Replicas: row.Replicas, Initialized: row.Initialized}
	var err error
	if c.ClusterID, err = parseID(row.ClusterID); err != nil {
		return nil, err
	}
	if row.Sole != "" {
		if c.Sole, err = parseID(row.Sole); err != nil {
			return nil, err
		}
	}
	for _, s := range row.Seats {
		id, err := parseID(s.NodeID)
		if err != nil {
			return nil, err
		}
		c.Seats = append(c.Seats, ha.Seat{NodeID: id, Generation: s.Generation, Addr: s.Addr, Weight: s.Weight})
	}
	return c, nil
}

func encodeMandate(m *ha.Mandate) []byte {
	return encode(mandateRow{m.Epoch, m.Leader.String(), m.Addr, m.Nonce, m.LastEpoch, uint64(m.Start)})
}

func decodeMandate(b []byte) (*ha.Mandate, error) {
	var row mandateRow
	if err := json.Unmarshal(b, &row); err != nil {
		return nil, err
	}
	id, err := parseID(row.Leader)
	return &ha.Mandate{Epoch: row.Epoch, Leader: id, Addr: row.Addr, Nonce: row.Nonce, LastEpoch: row.LastEpoch, Start: persist.Pos(row.Start)}, err
}

func encodeMember(m *ha.MemberRow) []byte {
	return encode(memberRow{m.NodeID.String(), m.Generation, m.Incarnation, string(m.State), m.SuspectEpoch, m.Promised, m.LastEpoch, uint64(m.End), m.Claims, m.Twin,
		m.Voter, m.Drained, m.Full, m.Blank, m.Weight, m.Addr, m.Admin, m.Settings})
}

func decodeMember(b []byte) (m ha.MemberRow, err error) {
	var row memberRow
	if err := json.Unmarshal(b, &row); err != nil {
		return m, err
	}
	id, err := parseID(row.NodeID)
	return ha.MemberRow{NodeID: id, Generation: row.Generation, Incarnation: row.Incarnation, State: ha.MemberState(row.State), SuspectEpoch: row.SuspectEpoch,
		Promised: row.Promised, LastEpoch: row.LastEpoch, End: persist.Pos(row.End), Claims: row.Claims, Twin: row.Twin, Voter: row.Voter, Drained: row.Drained, Full: row.Full, Blank: row.Blank, Weight: row.Weight,
		Addr: row.Addr, Admin: row.Admin, Settings: row.Settings}, err
}

func encodeMaster(m *ha.Announcement) []byte {
	return encode(masterRow{m.NodeID.String(), m.Epoch, m.Addr, m.Admin})
}

func decodeMaster(b []byte) (*ha.Announcement, error) {
	var row masterRow
	if err := json.Unmarshal(b, &row); err != nil {
		return nil, err
	}
	id, err := parseID(row.NodeID)
	return &ha.Announcement{NodeID: id, Epoch: row.Epoch, Addr: row.Addr, Admin: row.Admin}, err
}
