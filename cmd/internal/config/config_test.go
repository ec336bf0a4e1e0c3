package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func load1(t *testing.T, yaml string, environ ...string) (*Loaded, error) {
	t.Helper()
	return Parse(Source{File: "havenmq.yaml", Environ: environ}, []byte(yaml))
}

func mustLoad(t *testing.T, yaml string, environ ...string) *Loaded {
	t.Helper()
	l, err := load1(t, yaml, environ...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestNoFile(t *testing.T) {
	l, err := Load(Source{})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.PersistenceAdapter.LevelDB = &LevelDB{Directory: "data/levelDB", Sync: SyncDisk, LogSize: 100 << 20}
	if d := cmp.Diff(want, l.Config, cmp.AllowUnexported(ConnectorURI{})); d != "" {
		t.Error(d)
	}
	if len(l.Warnings) != 0 {
		t.Errorf("warnings: %q", l.Warnings)
	}
}

// The file that the documentation shows must be read whole.
func TestContract(t *testing.T) {
	l, err := Load(Source{File: "testdata/contract.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	r := l.PersistenceAdapter.ReplicatedLevelDB
	if r == nil {
		t.Fatal("no replicatedLevelDB")
	}
	want := ReplicatedLevelDB{Directory: "data/levelDB", Replicas: 3, Bind: "tcp://0.0.0.0:61619", Hostname: "zabbix",
		ZkAddress: "zabbix:2181,agent133:2181,agent138:2181", ZkPath: "/activemq/leveldb-stores",
		ZkSessionTimeout: Duration(6 * time.Second), Weight: 1, Sync: SyncQuorumDisk, LogSize: 104857600}
	if d := cmp.Diff(want, *r); d != "" {
		t.Error(d)
	}
	if len(l.TransportConnectors) != 5 || l.TransportConnectors[1].URI.MaxConnections != 1000 ||
		l.TransportConnectors[1].URI.MaxFrameBytes != 104857600 || l.TransportConnectors[1].URI.Port != 5672 {
		t.Errorf("connectors: %+v", l.TransportConnectors)
	}
	if p := l.DestinationPolicy.PolicyEntries; len(p) != 1 || p[0].Topic != ">" || p[0].PendingMessageLimitStrategy.Constant.Limit != 1000 {
		t.Errorf("policies: %+v", p)
	}
	if l.SystemUsage != (SystemUsage{1 << 30, 100 << 30}) || l.Users != "users.yaml" || l.TLS.ClientCA != "ca.pem" {
		t.Errorf("%+v", l.Config)
	}
	if got := strings.Join(l.Warnings, "\n"); !strings.Contains(got, "openwire") || !strings.Contains(got, "ws") {
		t.Errorf("warnings: %s", got)
	}
}

func TestComplaints(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{"typo", "brokerNam: x", `havenmq.yaml:1:1: unknown key "brokerNam": did you mean "brokerName"?`},
		{"nested typo", "persistenceAdapter:\n  levelDB:\n    sycn: disk\n",
			`havenmq.yaml:3:5: persistenceAdapter.levelDB: unknown key "sycn": did you mean "sync"?`},
		{"far off", "admin: {zzzzzzzzzz: 1}", `havenmq.yaml:1:9: admin: unknown key "zzzzzzzzzz": it is one of address`},
		{"two at once", "brokerNam: x\nusrs: y", `havenmq.yaml:2:1: unknown key "usrs": did you mean "users"?`},
		{"sync", "persistenceAdapter: {levelDB: {sync: quorum_dsk}}", `"quorum_dsk" is not a sync level: did you mean "quorum_disk"?`},
		{"size", "systemUsage: {memoryUsage: 1 gigabyte}", `"1 gigabyte" is not a size: write a number and a unit`},
		{"negative size", "systemUsage: {memoryUsage: -1gb}", `is not a size`},
		{"huge size", "systemUsage: {memoryUsage: 99999999999tb}", `is not a size`},
		{"duration", "persistenceAdapter: {replicatedLevelDB: {zkSessionTimeout: 6x}}", `"6x" is not a time span: write a number and a unit, such as 6s`},
		{"six what", "persistenceAdapter: {replicatedLevelDB: {zkSessionTimeout: 6}}", `6ms is too short: at least 1s, better 6s; a number without a unit is milliseconds`},
		{"hostname", `persistenceAdapter: {replicatedLevelDB: {hostname: "tcp://a:1"}}`, `"tcp://a:1" is no host name`},
		{"connectUrl", `persistenceAdapter: {replicatedLevelDB: {connectUrl: "a:1"}}`, `"a:1" is not a replication address: write it like tcp://zabbix:61619`},
		{"TLS that checks nobody", "persistenceAdapter: {replicatedLevelDB: {}}\ntls: {cert: a, key: b}", `neither securityToken nor tls with a clientCA`},
		{"old spelling", "persistenceAdapter: {replicatedLevelDB: {zkSessionTmeout: 2s}}", `write zkSessionTimeout`},
		{"bool", "allowAnonymous: yes", `"yes" is neither true nor false`},
		{"int", "persistenceAdapter: {replicatedLevelDB: {replicas: three}}", `"three" is not a whole number`},
		{"scalar for keys", "admin: 127.0.0.1:1", `admin: keys are expected here: address`},
		{"keys for scalar", "brokerName: {a: b}", `brokerName: one value is expected here`},
		{"keys for size", "systemUsage: {memoryUsage: [1]}", `systemUsage.memoryUsage: one value is expected here`},
		{"keys for list", "transportConnectors: {a: b}", `a list is expected here`},
		{"twice", "users: a\nusers: b", `havenmq.yaml:2:1`},
		{"alias", "users: &a x\nbrokerName: *a", `anchors, aliases, tags and merge keys are not read`},
		{"syntax", "a: [1, 2\nb: {", `havenmq.yaml:`},
		{"two documents", "users: a\n---\nusers: b", `2 YAML documents`},
		{"both adapters", "persistenceAdapter: {levelDB: {}, replicatedLevelDB: {}}", `keep one`},
		{"scheme", `transportConnectors: [{uri: "amqq://127.0.0.1:1"}]`, `transportConnectors.0.uri: "amqq" is not a protocol: did you mean "amqp"?`},
		{"option", `transportConnectors: [{uri: "amqp://127.0.0.1:1?maximumConnection=1"}]`, `did you mean "maximumConnections"?`},
		{"option value", `transportConnectors: [{uri: "amqp://127.0.0.1:1?maximumConnections=0"}]`, `must be a number from 1`},
		{"frame size", `transportConnectors: [{uri: "amqp://127.0.0.1:1?wireFormat.maxFrameSize=10"}]`, `between 512 and`},
		{"no uri", `transportConnectors: [{name: x}]`, `has no uri`},
		{"no host", `transportConnectors: [{uri: "amqp://:5672"}]`, `has no host`},
		{"port", `transportConnectors: [{uri: "amqp://127.0.0.1:70000"}]`, `70000`},
		{"no scheme", `transportConnectors: [{uri: "127.0.0.1"}]`, `is not a connector`},
		{"same name", `transportConnectors: [{uri: "amqp://127.0.0.1:1"}, {uri: "amqp://127.0.0.1:2"}]`, `is the name of another connector too`},
		{"same address", `transportConnectors: [{uri: "amqp://127.0.0.1:1"}, {uri: "mqtt://127.0.0.1:1"}]`, `is the address of connector "amqp" too`},
		{"off loopback", `transportConnectors: [{uri: "amqp://0.0.0.0:1"}]`, `nobody has to log in: set allowAnonymous: true, or listen on 127.0.0.1`},
		{"admin off loopback", `admin: {address: "0.0.0.0:8161"}`, `has no log-in`},
		{"admin address", `admin: {address: "8161"}`, `is not a host:port`},
		{"memory", "systemUsage: {memoryUsage: 1mb}", `is too little`},
		{"store", "systemUsage: {storeUsage: 0}", `nothing could be stored`},
		{"log size", "persistenceAdapter: {levelDB: {logSize: 1kb}}", `is not between 1mb and 2gb`},
		{"name", "brokerName: a/b", `may hold letters`},
		{"data", `dataDirectory: ""`, `name the directory`},
		{"tls", `tls: {cert: a}`, `cert and key belong together`},
		{"no topic", `destinationPolicy: {policyEntries: [{}]}`, `names no topic`},
		{"limit", `destinationPolicy: {policyEntries: [{topic: ">", pendingMessageLimitStrategy: {constantPendingMessageLimitStrategy: {limit: 0}}}]}`, `is not at least 1`},
		{"replication open", `persistenceAdapter: {replicatedLevelDB: {}}`, `neither securityToken nor tls`},
		{"bind", `persistenceAdapter: {replicatedLevelDB: {bind: "0.0.0.0"}}`, `is not a replication address`},
		{"replicas", `persistenceAdapter: {replicatedLevelDB: {replicas: 0}}`, `is not between 1 and 99`},
		{"weight", `persistenceAdapter: {replicatedLevelDB: {weight: -1}}`, `is negative`},
		{"zkAddress", `persistenceAdapter: {replicatedLevelDB: {zkAddress: zoo}}`, `is not a host:port`},
		{"zkPath", `persistenceAdapter: {replicatedLevelDB: {zkPath: activemq}}`, `is not a ZooKeeper path`},
		{"replicated sync", `persistenceAdapter: {replicatedLevelDB: {sync: true}}`, `levelDB's word for one node`},
		{"session", `persistenceAdapter: {replicatedLevelDB: {zkSessionTimeout: 100ms}}`, `is too short`},
		{"no such name", "dataDirectory: ${nowhere}", `havenmq.yaml:1:16: dataDirectory: ${nowhere} is no key with a value and no environment variable`},
		{"circle", "dataDirectory: ${brokerName}\nbrokerName: ${dataDirectory}", `leads back to itself`},
		{"open brace", "dataDirectory: ${brokerName", `has no closing brace`},
		{"deep", strings.Repeat("[", 40) + strings.Repeat("]", 40), `levels deep`},
	} {
		t.Run(c.name, func(t *testing.T) { complains(t, c.yaml, c.want) })
	}
}

func complains(t *testing.T, yaml, want string) {
	t.Helper()
	_, err := load1(t, yaml)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// What a newcomer brings along, and complaints that must not hide each other.
func TestNewcomersComplaints(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{"two segments", "systemUsage: {storeUsage: 150mb}", `storeUsage is less than two segments (logSize) of 100mb`},
		{"nothing served", "transportConnectors: [{uri: 'tcp://127.0.0.1:1'}]", `holds no connector that is supported`},
		{"no connector", "transportConnectors: []", `holds no connector that is supported`},
		{"xml", "<?xml version='1.0'?>\n<beans/>", `havenmq.yaml: this is XML`},
		{"kahaDB", "persistenceAdapter: {kahaDB: {}}", `the store is levelDB`},
		{"managementContext", "managementContext: {}", `there is no JMX`},
		{"one letter", "x: 1", `unknown key "x": it is one of`},
		{"both kinds, expanded", "dataDirectory: ${nope}\nbrokerName: a/b", `may hold letters`},
		{"both kinds, bound", "dataDirectory: ${nope}\nusrs: b", `did you mean "users"`},
		{"both kinds, first", "dataDirectory: ${nope}\nusrs: b", `${nope} is no key`},
	} {
		t.Run(c.name, func(t *testing.T) { complains(t, c.yaml, c.want) })
	}
}

func TestExpand(t *testing.T) {
	l := mustLoad(t, "dataDirectory: ${HOME}/x\npersistenceAdapter: {levelDB: {directory: '${dataDirectory}/$${brokerName}/${brokerName}'}}",
		"HOME=/root", "HAVENMQ_BROKERNAME=b-${systemUsage.memoryUsage}")
	if l.DataDirectory != "/root/x" {
		t.Error(l.DataDirectory)
	}
	if got, want := l.PersistenceAdapter.LevelDB.Directory, "/root/x/${brokerName}/b-1gb"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOverride(t *testing.T) {
	l := mustLoad(t, "systemUsage: {memoryUsage: 1gb}\nbrokerName: [x]", "HAVENMQ_SYSTEMUSAGE_MEMORYUSAGE=256mb", "HAVENMQ_BROKERNAME=n1",
		"HAVENMQ_PERSISTENCEADAPTER_LEVELDB_SYNC=false", "HAVENMQ_TRANSPORTCONNECTORS_0_URI=mqtt://127.0.0.1:0",
		"HAVENMQ_NODE=http://x", "HAVENMQ_PORT_5672_TCP=tcp://1.2.3.4:5672", "HAVENMQ_TRANSPORTCONNECTORS_X_URI=1", "HAVENMQ_ADMIN=1", "OTHER=1")
	if l.SystemUsage.MemoryUsage != 256<<20 || l.BrokerName != "n1" || l.PersistenceAdapter.LevelDB.Sync != SyncFalse {
		t.Errorf("%+v", l.Config)
	}
	if len(l.TransportConnectors) != 1 || l.TransportConnectors[0].Name != "mqtt" {
		t.Errorf("%+v", l.TransportConnectors)
	}
	if len(l.Warnings) != 4 { // three variables, and the sync level
		t.Errorf("%q", l.Warnings)
	}
	_, err := load1(t, "", "HAVENMQ_SYSTEMUSAGE_MEMORYUSAGE=lots")
	if err == nil || !strings.Contains(err.Error(), "environment variable HAVENMQ_SYSTEMUSAGE_MEMORYUSAGE: systemUsage.memoryUsage") {
		t.Error(err)
	}
}

func TestFlags(t *testing.T) {
	s := Source{File: "f", Data: "/d", Admin: new("127.0.0.1:0"), Transports: []string{"stomp://127.0.0.1:0", "amqp://127.0.0.1:0"}}
	l, err := Parse(s, []byte("transportConnectors: [{uri: 'mqtt://127.0.0.1:1'}]\nadmin: {address: 127.0.0.1:1}"))
	if err != nil {
		t.Fatal(err)
	}
	if l.DataDirectory != "/d" || l.PersistenceAdapter.LevelDB.Directory != "/d/levelDB" || l.Admin.Address != "127.0.0.1:0" ||
		len(l.TransportConnectors) != 2 || l.TransportConnectors[0].Name != "stomp" {
		t.Errorf("%+v", l.Config)
	}
	s.Transports = []string{"amqp://0.0.0.0:0"}
	if _, err = Parse(s, nil); err == nil || !strings.Contains(err.Error(), "flag --transport: transportConnectors.0.uri: amqp://0.0.0.0:0 is reachable") {
		t.Error(err)
	}
}

func TestAnonymousAllowed(t *testing.T) {
	mustLoad(t, "allowAnonymous: true\ntransportConnectors: [{uri: 'amqp://0.0.0.0:1'}]\nadmin: {address: '0.0.0.0:1'}\npersistenceAdapter: {replicatedLevelDB: {}}")
	mustLoad(t, "users: u.yaml\ntransportConnectors: [{uri: 'amqp://0.0.0.0:1'}]")
	mustLoad(t, "transportConnectors: [{uri: 'amqp://localhost:1'}, {name: b, uri: 'amqp://[::1]:1'}]")
}

func TestEffectiveReadsBack(t *testing.T) {
	text, err := os.ReadFile("testdata/contract.yaml")
	if err != nil {
		t.Fatal(err)
	}
	l := mustLoad(t, string(text), "HAVENMQ_BROKERNAME=other", "HAVENMQ_PERSISTENCEADAPTER_REPLICATEDLEVELDB_SECURITYTOKEN=hush")
	shown, err := l.Effective()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(shown, "hush") || !strings.Contains(shown, "brokerName: other # environment variable HAVENMQ_BROKERNAME") {
		t.Error(shown)
	}
	again := mustLoad(t, shown)
	l.PersistenceAdapter.ReplicatedLevelDB.SecurityToken = "(hidden)"
	if d := cmp.Diff(l.Config, again.Config, cmp.AllowUnexported(ConnectorURI{})); d != "" {
		t.Error(d)
	}
	if g := again.Given(); len(g) == 0 || !strings.Contains(strings.Join(g, "\n"), "users (havenmq.yaml:") {
		t.Error(g)
	}
}

func TestWarnings(t *testing.T) {
	l := mustLoad(t, "persistenceAdapter: {replicatedLevelDB: {bind: 'tcp://127.0.0.1:1', replicas: 4, zkSessionTimeout: 2s, sync: 'local_disk, remote_mem'}}")
	if len(l.Warnings) != 4 {
		t.Errorf("%q", l.Warnings)
	}
}

// ActiveMQ's options that ask for nothing here are read over with a warning, its milliseconds are taken, and quorum_mem
// says what it promises.
func TestActiveMQsOptions(t *testing.T) {
	l := mustLoad(t, "persistenceAdapter:\n  replicatedLevelDB:\n    {bind: 'tcp://127.0.0.1:1', connectUrl: 'tcp://a:2', zkSessionTimeout: 2000, sync: quorum_mem,\n"+
		"    indexFactory: org.iq80.leveldb, verifyChecksums: true, container: x}")
	r := l.PersistenceAdapter.ReplicatedLevelDB
	if r.ZkSessionTimeout != Duration(2*time.Second) || r.ConnectURL != "tcp://a:2" {
		t.Errorf("%+v", r)
	}
	got := strings.Join(l.Warnings, "\n")
	for _, want := range []string{"havenmq.yaml:4:5: indexFactory has no effect", "verifyChecksums has no effect: checksums are always verified",
		"container has no effect", "sync is quorum_mem: confirmed messages are in the memory of a quorum", "a short pause may look like a dead node"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if len(l.Warnings) != 5 {
		t.Errorf("%q", l.Warnings)
	}
}

// TLS that nothing uses is told, and a value that was not expanded is complained about once.
func TestUnusedTLSAndOneComplaint(t *testing.T) {
	if l := mustLoad(t, "tls: {cert: a, key: b}"); len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "tls is not used") {
		t.Errorf("%q", l.Warnings)
	}
	_, err := load1(t, "transportConnectors: [{uri: '${nope}'}]")
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
}

func TestMissingFile(t *testing.T) {
	_, err := Load(Source{File: filepath.Join(t.TempDir(), "none.yaml")})
	if err == nil || !strings.Contains(err.Error(), "does not exist: name another with --config") {
		t.Error(err)
	}
	if _, err = Load(Source{File: t.TempDir()}); err == nil {
		t.Error("a directory was read as a configuration")
	}
}

func TestSize(t *testing.T) {
	for in, want := range map[string]Size{"0": 0, "1": 1, "1b": 1, "1k": 1024, "64 kb": 65536, "1.5mb": 3 << 19, "1GB": 1 << 30, "2t": 2 << 40} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("%s: %d, %v", in, s, err)
		}
	}
	for s, want := range map[Size]string{0: "0", 1: "1", 1 << 30: "1gb", 3 << 19: "1536kb", 104857600: "100mb"} {
		if s.String() != want {
			t.Errorf("%d: %s, want %s", s, s, want)
		}
	}
}

func TestSyncLevels(t *testing.T) {
	for s, want := range map[Sync]string{"disk": "quorum_disk", "true": "quorum_disk", "false": "local_mem", "local_disk,remote_mem": "local_disk remote_mem"} {
		if got := strings.Join(s.Levels(), " "); got != want {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
	if SyncQuorumMem.Safe() || SyncRemoteDisk.Safe() || !SyncDisk.Safe() || !SyncLocalDisk.Safe() {
		t.Error("Safe")
	}
}

func TestSecret(t *testing.T) {
	if Secret("x").String() != "(hidden)" || Secret("").String() != "" {
		t.Error("a secret shows")
	}
}

func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("testdata/contract.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add("a: &x [*x]\n")
	f.Add("users: ${users}")
	f.Fuzz(func(t *testing.T, yaml string) {
		l, err := Parse(Source{File: "f"}, []byte(yaml))
		if (l == nil) == (err == nil) {
			t.Fatalf("%v and %v", l, err)
		}
	})
}
