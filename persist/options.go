package persist

import (
	"crypto/rand"
	"errors"
	"io"
	"os"
	"strings"
	"time"
)

const (
	// DefaultLogSize is a segment's file size.
	DefaultLogSize = 104857600
	// MinLogSize is the least that logSize may be.
	MinLogSize = 16 << 10
	// DefaultReserveBytes is kept free on the disk for acks and trims.
	DefaultReserveBytes = 16 << 20
)

// Options say how a store is opened. Only Dir is needed.
type Options struct {
	Dir          string
	FS           FS          // OSFS by default
	Sync         Sync        // QuorumDisk by default
	LogSize      int64       // bytes of a segment's file, header included
	StoreUsage   uint64      // bytes of log and index above which what grows is refused; 0 no limit
	ReserveBytes int64       // DefaultReserveBytes by default; negative none
	MemoryBytes  int64       // for the index's overlay and caches; 0 leaves the choice to it
	Progress     Progress    // by default this node counts alone
	Written      func()      // called by the committer whenever the log's file has grown, before it is synced; must be quick
	Fatal        func(error) // told once, from any goroutine, that the store has failed; must not call it
	Logf         func(format string, args ...any)
	Now          func() time.Time
	Random       io.Reader // for ids
	ReplAddr     string    // advertised for replication
	BootID       string    // of the machine's boot; read from Linux by default

	// Copies is how many nodes write and sync each batch, at most maxCopies: the more, the longer it pays to let one fill.
	Copies int
	// Tolerant sets a damaged log aside and opens an empty one without a vote, where Open would refuse: for a member of a
	// cluster, which fetches the log from another. Recovery().Damage says so then. Damage that is found later ends the store,
	// and the next start sets the log aside.
	Tolerant bool

	// Stepped starts no goroutine: who opened the store has each thing done that one would do (stepped.go), in an order of its
	// own choosing, on one goroutine. The index is kept in one file that is written anew at each flush. For simulations.
	Stepped bool

	// Weaken names rules that a simulation leaves out, to see that it notices. Empty in a product.
	Weaken map[string]bool

	begin     *segmentHeader // of incoming/: an empty log begins there
	openIndex indexOpener    // openIndex by default
}

const maxCopies = 3

const bootIDFile = "/proc/sys/kernel/random/boot_id"

func (o *Options) fill() error {
	if o.Dir == "" {
		return errors.New("opening a store: no directory")
	}
	if o.openIndex == nil {
		o.openIndex = openIndex
	}
	if o.FS == nil {
		o.FS = OSFS{}
	}
	if o.Sync == 0 {
		o.Sync = QuorumDisk
	}
	if o.LogSize == 0 {
		o.LogSize = DefaultLogSize
	}
	o.LogSize = max(o.LogSize, MinLogSize)
	if o.ReserveBytes == 0 {
		o.ReserveBytes = DefaultReserveBytes
	}
	o.ReserveBytes = max(o.ReserveBytes, 0)
	if o.Progress == nil {
		o.Progress = alone{o.Sync.Disk()}
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.BootID == "" {
		o.BootID = bootID()
	}
	return nil
}

// bootID names the machine's boot. Elsewhere than on Linux every start looks like the same one.
func bootID() string {
	b, err := os.ReadFile(bootIDFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
